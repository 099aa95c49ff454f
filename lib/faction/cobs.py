"""Consistent overhead byte stuffing (Cheshire and Baker, 1997) for frames of at most 253 bytes: they fit in one block.

So every frame grows by one byte in front, and by its end mark, the only 0x00 on the wire.
"""

from struct import pack_into


def encode(frame, length, wire, copy):
    """Encode the first length bytes (at most 253) of frame into wire, end mark included; returns length + 2.

    copy: "Ns", where N is the room in wire but for two bytes: one call copies more than it has to, and is faster.
    """
    pack_into(copy, wire, 1, frame)
    code = 0
    length += 1
    wire[length] = 1  # where a row of zeros ends
    at = wire.find(b"\0", 1, length)
    while at > 0:
        wire[code] = at - code
        code = at
        at += 1
        while not wire[at]:  # zeros often come in rows
            wire[code] = 1
            code = at
            at += 1
        at = wire.find(b"\0", at, length)
    wire[code] = length - code
    wire[length] = 0
    return length + 1


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
