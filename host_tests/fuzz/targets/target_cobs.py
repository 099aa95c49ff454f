"""COBS: what stood between two end marks decodes to what encodes to it again, or is refused; and nothing is lost."""

from faction.cobs import decode, encode

MOST = 250  # the longest frame
SEEDS = (b"", b"\x01", b"\x03ab", b"\x01\x01\x02a", b"\x02a\x05")


def run(data):
    """One input: as a frame, and, its zeros left out, as what came over the wire."""
    _frame(data)
    between = bytes([byte for byte in data if byte])
    if between:
        _wire(between)


def _frame(data):
    wire = bytearray(len(data) + 2)
    assert encode(data, len(data), wire, f"{len(data)}s") == len(wire)
    assert wire.find(b"\0") == len(wire) - 1, "an end mark within a frame"
    buffer = wire[1:-1] + wire[:1]
    assert decode(buffer, len(data)) and buffer[:-1] == data, "a frame does not come back"


def _wire(data):
    length = len(data) - 1
    buffer = bytearray(data[1:] + b"\xaa" + data[:1])
    whole = decode(buffer, length)
    assert buffer[length] == 0xAA, "a byte beyond the frame has changed"
    wire = bytearray(length + 2)
    encode(buffer, length, wire, f"{length}s")
    assert whole == (bytes(wire[:-1]) == data), "whole is what a frame would have been encoded to"
