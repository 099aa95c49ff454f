"""COBS as the UART link does it is what PyPI's cobs package does."""

from cobs import cobs as reference
from hypothesis import example, given
from hypothesis import strategies as st

from faction.cobs import decode, encode
from swarm.rig.bus import frame_of

LONGEST = 253
# Bytes with many zeros, as frames have them.
frames = st.one_of(
    st.binary(max_size=LONGEST),
    st.lists(st.sampled_from([0, 0, 1, 255]), max_size=LONGEST).map(bytes),
)


def encoded(frame):
    wire = bytearray(LONGEST + 2)
    assert encode(frame, len(frame), wire, f"{LONGEST}s") == len(frame) + 2
    return bytes(wire[: len(frame) + 2])


def decoded(run):
    """The frame in what stood between two end marks, or None."""
    buffer = bytearray(len(run))
    buffer[: len(run) - 1] = run[1:]
    buffer[-1] = run[0]
    return bytes(buffer[: len(run) - 1]) if decode(buffer, len(run) - 1) else None


@given(frames)
@example(b"")
@example(bytes(LONGEST))
@example(bytes([1]) * LONGEST)
def test_encoding_is_the_reference(frame):
    assert encoded(frame) == reference.encode(frame) + b"\0"


@given(frames)
@example(b"")
@example(bytes(LONGEST))
@example(bytes([1]) * LONGEST)
def test_what_is_encoded_is_decoded(frame):
    wire = encoded(frame)
    assert 0 not in wire[:-1]
    assert decoded(wire[:-1]) == frame
    assert frame_of(wire) == frame, "the tools' decoder"


@given(st.lists(st.integers(1, 255), min_size=1, max_size=LONGEST + 1).map(bytes))
@example(bytes([255]) + bytes([7]) * LONGEST)
def test_any_run_is_decoded_or_refused_as_the_reference_does(run):
    try:
        expected = reference.decode(run)
    except reference.DecodeError:
        expected = None
    assert decoded(run) == expected
    assert frame_of(run + b"\0") == (expected or b"")


def test_encoding_uses_the_first_bytes_of_a_longer_buffer():
    wire = bytearray(b"\xaa" * 10)
    assert encode(bytearray(b"\1\0\2\3\4"), 3, wire, "8s") == 5
    assert wire[:5] == b"\2\1\2\2\0" and wire[9] == 0xAA
