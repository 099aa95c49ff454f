"""Consistent overhead byte stuffing (Cheshire and Baker, 1997) for frames of at most 253 bytes: they fit in one block.

So every frame grows by one byte in front, and by its end mark, the only 0x00 on the wire.
"""


def encode(frame, length, wire):
    """Encode the first length bytes (at most 253) of frame into wire, end mark included; returns length + 2."""
    code = 0
    for i in range(length):
        wire[i + 1] = frame[i]
        if not frame[i]:
            wire[code] = i + 1 - code
            code = i + 1
    wire[code] = length + 1 - code
    wire[length + 1] = 0
    return length + 2


def decode(buffer, length):
    """Decode in place what stood between two end marks; returns whether it was whole.

    Its first byte, which is no part of the frame, is buffer[-1]; the others, of which none is 0, are buffer[:length].
    """
    code = buffer[-1] - 1
    while code < length:
        step = buffer[code]
        buffer[code] = 0
        code += step
    return code == length
