"""frame.py against vectors made without it: bytes to fields and back, and each check in its turn."""

import itertools
import json
import struct
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from faction import frame as frames
from faction.core import Faction
from faction.description import digest
from faction.frame import Frame
from faction.names import COUNTERS
from faction.remote.rounds import RoundFrame
from faction.series import SeriesFrame
from swarm_fixture import Swarm

VECTORS = Path(__file__).parents[1] / "vectors" / "frames.jsonl"
VERDICTS = ("Accepted", "Malformed", "Foreign", "Misfit", "NonMember", "Impossible", "Forged", *8 * ("",), "Outdated")
LAST = (1 << 30) - 1


def codec_of(members, required, name, key, period_ms=0, round_ms=0):
    machine = Faction(members[0], members, required)
    kind = RoundFrame if round_ms else SeriesFrame if period_ms else Frame
    return kind(digest(name, machine.ids, required, period_ms, round_ms), machine, key)


def codec_for(swarm, key):
    """The codec of a vector's swarm."""
    more = (swarm.get(name, 0) for name in ("period_ms", "round_ms"))
    return codec_of(swarm["members"], swarm["required_count"], swarm["name"], key, *more)


def codec(swarm):
    return codec_of(swarm.members, swarm.required, swarm.name, swarm.key, swarm.period_ms)


def verdict(swarm, data):
    return VERDICTS[codec(swarm).decode(data, len(data))]


def echoes_of(decoder, data):
    """(member, session, whether its sender knows that to be live) of each echo of a decoded frame."""
    for i in range(decoder.echo_count):
        session = decoder.echo_session(data, i)
        yield decoder.echo_id(data, i), session, bool(decoder.echo_is_live)


def vectors():
    return [json.loads(line) for line in VECTORS.read_text().splitlines()]


def test_the_vectors_reach_every_verdict_and_every_size():
    assert {vector["verdict"] for vector in vectors()} == set(VERDICTS) - {""}
    accepted = [vector for vector in vectors() if vector["verdict"] == "Accepted"]
    assert {len(vector["swarm"]["members"]) for vector in accepted} >= {1, 8, 9, 64, 65, 250, 680}
    assert {len(vector["fields"]["echoes"]) for vector in accepted} == set(range(9))
    assert max(len(vector["frame"]) // 2 for vector in accepted) == 250


@pytest.mark.parametrize("vector", vectors(), ids=lambda vector: vector["name"])
def test_vector(vector):
    swarm = vector["swarm"]
    key, data = bytes.fromhex(vector["key"]), bytes.fromhex(vector["frame"])
    decoder = codec_for(swarm, key)
    assert VERDICTS[decoder.decode(data, len(data))] == vector["verdict"]
    if vector["verdict"] != "Accepted":
        return
    fields = vector["fields"]
    assert decoder.ready == (fields["kind"] == "READY")
    assert decoder.flags == (
        fields["bootstrapped"] * frames.BOOTSTRAPPED_FLAG
        | (fields["offset_us"] is not None) * frames.INSTANT_FLAG
        | fields["timed_out"] * frames.TIMED_OUT_FLAG
        | fields["follow_up"] * frames.FOLLOW_UP_FLAG
    )
    assert decoder._machine.ids[decoder.sender] == fields["sender"]
    assert (decoder.session, decoder.sequence) == (fields["session"], fields["sequence"])
    assert decoder.generation == fields["generation"]
    if fields["offset_us"] is not None:
        assert decoder.offset_us == fields["offset_us"]
    if "mark" in fields:
        assert (decoder.series, decoder.mark) == (fields["series"], fields["mark"])
    assert list(echoes_of(decoder, data)) == [tuple(echo) for echo in fields["echoes"]]
    if vector.get("encodes", True):
        again = bytearray(decoder.max_length)
        encoder = codec_for(swarm, key)
        if "round_ms" in swarm:
            encoder.present[:] = data[encoder.third : encoder.echoes]
        encoder.series, encoder.mark = fields.get("series"), fields.get("mark")
        for name in ("ready", "flags", "sender", "session", "sequence", "generation"):
            setattr(encoder, name, getattr(decoder, name))
        encoder.offset_us = fields["offset_us"] or 0
        for member, session, live in fields["echoes"]:
            encoder.put_echo(again, live, member, session)
        assert again[: encoder.encode(again, data[24 : encoder.third])] == data


@given(st.data())
def test_what_is_encoded_is_decoded(data):
    size = data.draw(st.sampled_from((1, 7, 8, 9, 40)))
    swarm = Swarm(data.draw(st.sets(st.integers(0, 65535), min_size=size, max_size=size)))
    number = st.integers(1, LAST)
    sender = data.draw(st.sampled_from(swarm.members))
    ready = data.draw(st.sets(st.sampled_from(swarm.members)))
    echoes = data.draw(st.lists(st.tuples(st.integers(0, 65535), st.integers(0, LAST), st.booleans()), max_size=8))
    numbers = data.draw(st.tuples(number, number, number))
    offset = data.draw(st.integers(-500_000_000, 500_000_000))
    encoder, buffer = codec(swarm), bytearray(250)
    encoder.ready, encoder.flags, encoder.sender = sender in ready, frames.INSTANT_FLAG, swarm.members.index(sender)
    encoder.session, encoder.sequence, encoder.generation = numbers
    encoder.offset_us = offset
    for member, session, live in echoes:
        encoder.put_echo(buffer, live, member, session)
    length = encoder.encode(buffer, swarm.bitmap(ready | {sender}) + swarm.bitmap(ready))
    fields = swarm.fields(buffer[:length])
    assert (fields.sender, fields.heard, fields.ready) == (sender, ready | {sender}, ready)
    assert (fields.session, fields.sequence, fields.generation) == numbers
    assert (fields.offset_us, fields.echoes) == (offset, [echo[:2] for echo in echoes])
    decoder = codec(swarm)
    assert decoder.decode(buffer, length) == frames.ACCEPTED
    assert list(echoes_of(decoder, buffer)) == echoes
    for name in ("ready", "flags", "echo_count", "sender", "session", "sequence", "generation", "offset_us"):
        assert getattr(decoder, name) == getattr(encoder, name), name


# Each check with a frame that fails it and no other, as a change of a good frame's parts. In the order of the checks.
SWARM = Swarm((3, 9, 12, 40, 77))
FAULTS = {
    "Malformed": ("kind", b"\x23"),
    "Foreign": ("digest", b"\x01\x02\x03\x04"),
    "Misfit": ("participation", b"\xe2"),
    "NonMember": ("sender", b"\x04\x00"),
    "Impossible": ("generation", b"\x00\x00\x00\x40"),
}


def test_the_first_check_that_fails_is_the_one_that_counts():
    good = SWARM.parts(9, 5, 6, ready=(9,))
    assert verdict(SWARM, SWARM.seal(good)) == "Accepted"
    for faults in itertools.chain.from_iterable(itertools.combinations(FAULTS, n) for n in range(1, len(FAULTS) + 1)):
        changes = dict(FAULTS[fault] for fault in faults)
        for key in (SWARM.key, bytes(16)):
            assert verdict(SWARM, SWARM.seal({**good, **changes}, key)) == faults[0], (faults, key)
    assert verdict(SWARM, SWARM.seal(good, bytes(16))) == "Forged"


@pytest.mark.parametrize("size", range(1, 18))
def test_every_padding_bit_is_refused_and_no_member_bit(size):
    swarm = Swarm(range(size))
    good = swarm.parts(0, 1)
    for bit in range(8 * swarm.width):
        one = (1 << bit | 1).to_bytes(swarm.width, "little")
        frame = swarm.seal({**good, "participation": one})
        assert verdict(swarm, frame) == ("Accepted" if bit < size else "Misfit"), bit
        in_both = swarm.seal({**good, "participation": one, "readiness": one})
        assert verdict(swarm, in_both) == ("Accepted" if bit < size else "Misfit"), bit
        in_readiness = swarm.seal({**good, "readiness": one})
        assert verdict(swarm, in_readiness) == ("Accepted" if bit == 0 else "Impossible"), bit


@pytest.mark.parametrize("size, other", ((1, 9), (8, 9), (9, 8), (9, 17)))
def test_bitmaps_of_another_length_are_a_misfit(size, other):
    swarm = Swarm(range(size))
    width = (other + 7) // 8
    frame = swarm.seal({**swarm.parts(0, 1), "participation": b"\1" + bytes(width - 1), "readiness": bytes(width)})
    assert verdict(swarm, frame) == "Misfit"


def test_only_ping_and_ready_of_version_two_and_a_word_for_version_one():
    for kind in range(256):
        frame = SWARM.seal({**SWARM.parts(9, 5), "kind": bytes([kind])})
        expected = "Accepted" if kind in (0x21, 0x22) else "Outdated" if kind >> 4 == 1 else "Malformed"
        assert verdict(SWARM, frame) == expected, kind


def test_flags_and_the_echo_count_must_agree_with_the_length():
    for flags in range(256):
        frame = SWARM.seal({**SWARM.parts(9, 5, echoes=[(3, 1)] * (flags >> 4)), "flags": bytes([flags])})
        odd = flags & 10 == 8  # a follow-up of an instant, without an instant
        assert verdict(SWARM, frame) == ("Malformed" if odd or flags >> 4 > 8 else "Accepted"), flags
        without = SWARM.seal({**SWARM.parts(9, 5), "flags": bytes([flags])})
        assert verdict(SWARM, without) == ("Malformed" if odd or flags >> 4 else "Accepted"), flags


@pytest.mark.parametrize("size", (1, 20, 680))
def test_any_other_length_is_refused(size):
    swarm = Swarm(range(size))
    frame = swarm.frame(0, 1, echoes=[(0, 1)] * 8)
    decoder = codec(swarm)
    padded = frame + bytes(300)
    for length in range(300):
        answer = decoder.decode(padded, length)
        assert answer == frames.ACCEPTED if length == len(frame) else answer != frames.ACCEPTED, length
    assert decoder.decode(padded, -1) == COUNTERS.index("malformed")
    assert decoder.decode(frame[:-1], len(frame)) == COUNTERS.index("malformed")


@pytest.mark.parametrize("part", ("session", "sequence", "generation"))
def test_numbers_end_below_two_to_the_thirtieth(part):
    for value in (0, 1, 255, LAST, 1 << 30, 1 << 31, (1 << 32) - 1):
        frame = SWARM.seal({**SWARM.parts(9, 5), part: struct.pack("<I", value)})
        fine = value < 1 << 30 and (value or part == "generation")
        assert verdict(SWARM, frame) == ("Accepted" if fine else "Impossible"), value


@pytest.mark.parametrize("echo", range(8))
def test_an_echoed_session_has_thirty_bits_and_one_that_says_that_it_is_live(echo):
    for value in (0, LAST, 1 << 30, (1 << 31) - 1, 1 << 31, (1 << 32) - 1):
        echoes = [(3, LAST)] * 8
        echoes[echo] = (65535, value)
        fine = value < 1 << 31
        assert verdict(SWARM, SWARM.frame(9, 5, echoes=echoes)) == ("Accepted" if fine else "Impossible"), value


@pytest.mark.parametrize("size", (1, 8, 9, 20))
def test_readiness_outside_participation_is_impossible(size):
    swarm = Swarm(range(size))
    for member in range(size):
        parts = {**swarm.parts(0, 1, heard=range(size)), "readiness": swarm.bitmap([member])}
        assert verdict(swarm, swarm.seal(parts)) == "Accepted"
        without = swarm.bitmap(set(range(size)) - {member})
        assert verdict(swarm, swarm.seal({**parts, "participation": without})) == "Impossible"


def test_an_offset_beyond_500_s_is_left_out_and_the_rest_is_used():
    decoder = codec(SWARM)
    edges = [e + d for e in (0, 500_000_000, 1 << 24, 29 << 24, 30 << 24, 1 << 29, 1 << 30) for d in (-1, 0, 1)]
    for offset in [*edges, *(-edge for edge in edges), (1 << 31) - 1, -(1 << 31)]:
        frame = SWARM.frame(9, 5, flags=5, offset_us=offset)
        assert decoder.decode(frame, len(frame)) == frames.ACCEPTED
        if -500_000_000 <= offset <= 500_000_000:
            assert (decoder.flags, decoder.offset_us) == (7, offset)
        else:
            assert decoder.flags == 5, offset
    frame = SWARM.frame(9, 5)
    assert decoder.decode(frame, len(frame)) == frames.ACCEPTED
    assert decoder.flags == 0


def test_every_byte_is_under_the_tag():
    frame = bytearray(SWARM.frame(9, 5, 6, ready=(9, 12), offset_us=1000, echoes=[(3, 7), (12, 8)]))
    for at in range(len(frame)):
        for bit in range(8):
            frame[at] ^= 1 << bit
            assert verdict(SWARM, frame) != "Accepted", (at, bit)
            frame[at] ^= 1 << bit


def test_the_last_foreign_swarm_is_remembered():
    decoder = codec(SWARM)
    other = Swarm(SWARM.members, 2)
    for swarm in (Swarm(SWARM.members, name="other"), other):
        frame = swarm.frame(9, 5)
        assert decoder.decode(frame, len(frame)) == COUNTERS.index("foreign")
    assert bytes(decoder.foreign_digest) == other.digest


@pytest.mark.parametrize("at", range(4))
def test_each_byte_of_the_digest_counts(at):
    other = bytearray(SWARM.digest)
    other[at] ^= 1
    assert verdict(SWARM, SWARM.seal({**SWARM.parts(9, 5), "digest": bytes(other)})) == "Foreign"


@given(st.text(max_size=20), st.sets(st.integers(0, 65535), min_size=1, max_size=40))
def test_digest_is_that_of_the_protocol(name, members):
    ids = sorted(members)
    assert digest(name, ids, len(ids)) == Swarm(ids, name=name).digest


def test_at_most_680_members_fit():
    Frame(bytes(4), Faction(0, range(680), 1), bytes(16))
    with pytest.raises(ValueError, match="681 members: a frame holds at most 680"):
        Frame(bytes(4), Faction(0, range(681), 1), bytes(16))


@given(st.binary(max_size=260))
def test_arbitrary_bytes_never_raise(data):
    assert verdict(SWARM, data) != "Accepted"
