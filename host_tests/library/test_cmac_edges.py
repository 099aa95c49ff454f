"""cmac.py at its edges: every length after every other kind of length, tags anywhere in a buffer, and no waste."""

import pytest

from faction.cmac import Cmac
from swarm_fixture import cmac

KEY = bytes(range(16))


def tag(tags, message):
    tags.compute(message, len(message))
    return bytes(tags.tag)


@pytest.mark.parametrize("capacity", (0, 1, 15, 16, 17, 242))
def test_every_length_up_to_the_capacity_and_what_follows_it(capacity):
    tags = Cmac(KEY, capacity)
    for length in (*range(capacity + 1), *range(capacity, -1, -1)):
        message = bytes((length + i) & 255 for i in range(length))
        assert tag(tags, message) == cmac(KEY, message), length


@pytest.mark.parametrize("capacity, blocks", ((0, 1), (1, 1), (15, 1), (16, 2), (17, 2), (242, 16)))
def test_it_takes_the_memory_of_the_longest_message(capacity, blocks):
    tags = Cmac(KEY, capacity)
    assert len(tags._work) == 16 * blocks
    assert [len(view) for view in tags._upto] == [16 * (i + 1) for i in range(blocks)]


def test_all_attributes_are_made_with_the_object():
    tags = Cmac(KEY, 40)
    made = set(vars(tags))
    tags.compute(b"message", 7)
    assert set(vars(tags)) == made, "one made later takes memory then"


@pytest.mark.parametrize("at", range(20))
def test_a_tag_is_compared_wherever_it_stands(at):
    tags = Cmac(KEY, 16)
    sealed = bytearray(at) + tag(tags, b"message")[:8] + bytes(3)
    assert tags.differs(sealed, at) is False
    for i in range(8):
        sealed[at + i] ^= 1
        assert tags.differs(sealed, at) is True, i
        sealed[at + i] ^= 1
    for i in (*range(at), *range(at + 8, len(sealed))):
        sealed[i] ^= 255
    assert tags.differs(sealed, at) is False


def test_the_key_of_a_first_message_is_the_key_given():
    for key in (bytes(16), bytes(15) + b"\1", b"\x80" + bytes(15), b"\xff" * 16):
        for message in (b"", bytes(16), b"\xff" * 33):
            assert tag(Cmac(key, 33), message) == cmac(key, message)
