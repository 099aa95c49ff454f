"""cmac.py against RFC 4493's examples and the `cryptography` package."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from faction.cmac import Cmac
from swarm_fixture import cmac

VECTORS = Path(__file__).parents[1] / "vectors" / "cmac.jsonl"
KEY = bytes(range(16))


def tag(tags, message):
    """The whole tag of message by a Cmac."""
    tags.compute(message, len(message))
    return bytes(tags.tag)


def vectors():
    return [json.loads(line) for line in VECTORS.read_text().splitlines()]


def test_the_vectors_hold_the_four_examples_of_rfc_4493():
    assert [len(v["message"]) // 2 for v in vectors() if v["name"].startswith("RFC 4493")] == [0, 16, 40, 64]


@pytest.mark.parametrize("vector", vectors(), ids=lambda vector: vector["name"])
def test_vector(vector):
    message = bytes.fromhex(vector["message"])
    assert tag(Cmac(bytes.fromhex(vector["key"]), len(message)), message).hex() == vector["tag"]


@given(st.binary(min_size=16, max_size=16), st.lists(st.binary(max_size=100), min_size=1, max_size=8))
def test_one_object_computes_any_messages_one_after_the_other(key, messages):
    tags = Cmac(key, 100)
    for message in messages:
        assert tag(tags, message) == cmac(key, message)


@given(st.binary(max_size=90), st.binary(max_size=200))
def test_what_follows_the_message_in_its_buffer_does_not_count(message, rest):
    tags = Cmac(KEY, 90)
    tags.compute(bytearray(message + rest), len(message))
    assert bytes(tags.tag) == cmac(KEY, message)


class Interrupted:
    """A cipher in whose n-th call, counted from 0, an interrupt comes, once the blocks are encrypted."""

    def __init__(self, cipher, n):
        self.cipher, self.n = cipher, n

    def encrypt(self, data, out):
        self.cipher.encrypt(data, out)
        self.n -= 1
        if self.n < 0:
            raise KeyboardInterrupt


@pytest.mark.parametrize("call", (0, 1))
def test_an_interrupted_computation_does_not_spoil_the_next(call):
    tags = Cmac(KEY, 90)
    tag(tags, b"first")
    tags._aes = Interrupted(tags._aes, call)
    with pytest.raises(KeyboardInterrupt):
        tag(tags, b"interrupted")
    for message in (b"second", b"third" * 5):
        assert tag(tags, message) == cmac(KEY, message)


@pytest.mark.parametrize("length", (0, 15, 17, 32))
def test_refuses_a_key_of_another_length(length):
    with pytest.raises(ValueError, match=f"key of {length} bytes"):
        Cmac(bytes(length), 100)


def test_differs_in_any_bit_of_the_first_eight_bytes_and_in_no_other():
    tags = Cmac(KEY, 90)
    sealed = bytearray(b"..." + tag(tags, b"message"))
    assert not tags.differs(sealed, 3)
    for at in range(8):
        for bit in range(8):
            sealed[3 + at] ^= 1 << bit
            assert tags.differs(sealed, 3)
            sealed[3 + at] ^= 1 << bit
    for at in (2, 11):
        sealed[at] ^= 255
    assert not tags.differs(sealed, 3)
