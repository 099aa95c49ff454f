"""Frames at their edges: digests on both sides, numbers that are too large together, and what a codec keeps."""

import itertools
import struct

import pytest

from faction import frame as frames
from faction.core import Faction
from faction.description import digest
from faction.frame import Frame, max_length
from faction.names import COUNTERS
from swarm_fixture import Swarm

SWARM = Swarm((3, 9, 12, 40, 77))


def codec(swarm):
    machine = Faction(swarm.members[0], swarm.members, swarm.required)
    return Frame(digest(swarm.name, machine.ids, swarm.required), machine, swarm.key)


def verdict(swarm, data):
    """The name of what a new codec says."""
    found = codec(swarm).decode(data, len(data))
    return COUNTERS[found] if found else "accepted"


@pytest.mark.parametrize("at", range(4))
def test_a_digest_with_any_other_byte_is_foreign(at):
    for byte in range(256):
        other = bytearray(SWARM.digest)
        other[at] = byte
        expected = "accepted" if bytes(other) == SWARM.digest else "foreign"
        assert verdict(SWARM, SWARM.seal({**SWARM.parts(9, 5), "digest": bytes(other)})) == expected, byte


@pytest.mark.parametrize("too_large", ("session", "sequence", "generation"))
def test_numbers_that_are_too_large_together_are_impossible(too_large):
    for value in (1 << 30, 1 << 31, 3 << 30, (1 << 32) - 1):
        packed = struct.pack("<I", value)
        for count in (1, 2, 3):
            for names in itertools.combinations(("session", "sequence", "generation"), count):
                parts = {**SWARM.parts(9, 5), too_large: packed, **dict.fromkeys(names, packed)}
                assert verdict(SWARM, SWARM.seal(parts)) == "impossible", (names, value)


@pytest.mark.parametrize(
    "value", (0x01020304, 0x3F3F3F3F, 0x00FF00FF, 0x3F00FF00, 0x00FFFF00, 1, 0x100, 0x10000, 1 << 24)
)
def test_every_byte_of_a_number_has_its_place(value):
    decoder = codec(SWARM)
    numbers = {name: struct.pack("<I", value) for name in ("session", "sequence", "generation")}
    frame = SWARM.seal({**SWARM.parts(9, 5, echoes=[(0xA5C3, value), (0x3C5A, value)]), **numbers})
    assert decoder.decode(frame, len(frame)) == frames.ACCEPTED
    assert decoder.session == decoder.sequence == decoder.generation == value
    echoes = [(decoder.echo_id(frame, i), decoder.echo_session(frame, i)) for i in range(2)]
    assert echoes == [(0xA5C3, value), (0x3C5A, value)]


def test_a_new_codec_holds_no_frame_and_all_its_attributes():
    fresh = codec(SWARM)
    assert fresh.ready is False
    assert (fresh.flags, fresh.echo_count, fresh.sender, fresh.session, fresh.sequence) == (0, 0, 0, 0, 0)
    assert (fresh.generation, fresh.offset_us) == (0, 0)
    assert bytes(fresh.foreign_digest) == bytes(4)
    made = set(vars(fresh))
    frame, buffer = SWARM.frame(9, 5, offset_us=7, echoes=[(3, 7)]), bytearray(250)
    assert fresh.decode(frame, len(frame)) == frames.ACCEPTED
    fresh.encode(buffer, bytes(2))
    assert set(vars(fresh)) == made, "one made later takes memory then"


@pytest.mark.parametrize("members", (1, 8, 9, 40, 64, 65, 250, 680))
def test_a_codec_takes_the_memory_of_its_longest_frame(members):
    made = codec(Swarm(range(members)))
    assert made.max_length == max_length(members) == 24 + 2 * -(-members // 8) + 8 * 6 + 8
    sealed = made.max_length - 8
    assert len(made._cmac._work) == 16 * (sealed // 16 + 1)


def test_the_demonstration_key_is_the_published_one():
    assert bytes(16) == frames.DEMONSTRATION_KEY


@pytest.mark.parametrize("length", range(34))
def test_less_than_the_shortest_frame_is_malformed(length):
    frame = Swarm([1]).frame(1, 5)
    assert len(frame) == 34
    assert COUNTERS[codec(Swarm([1])).decode(frame, length)] == "malformed"


def test_an_echo_is_found_at_any_place_by_member_and_session():
    decoder = codec(SWARM)
    echoes = [(3, 7), (2, 7), (3, 8), (300, 9)]
    frame = SWARM.frame(9, 5, echoes=echoes)
    assert decoder.decode(frame, len(frame)) == frames.ACCEPTED
    for member in (2, 3, 9, 300):
        for session in (5, 7, 8, 9):
            assert decoder.has_echo(frame, member, session) is ((member, session) in echoes)
    frame = SWARM.frame(9, 6)
    assert decoder.decode(frame, len(frame)) == frames.ACCEPTED
    assert decoder.has_echo(frame, 3, 7) is False
