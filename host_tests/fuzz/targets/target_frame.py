"""Frames straight to a node: as they come, and sealed with the swarm's key, so that they get past the tag.

Input: a byte for the node's settings, then steps of a kind, a length and as many bytes. Kinds below 64 let time pass.
"""

from subject import Clock, Script, Subject

MOST = 512  # bytes of input
_HEADER = b"\x21\x00\x0a\x00"  # a PING of the second member, the digest left out
_NUMBERS = b"\x07\x00\x00\x00\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00"  # session 7, sequence 1
_ECHO = b"\x03\x00\x05\x00\x00\x00"  # the node's own session comes back to it
_PING = _HEADER + _NUMBERS + b"\x02\x00"
_PROVED = b"\x22\x13" + _HEADER[2:] + _NUMBERS + b"\x03\x02" + _ECHO  # ready, bootstrapped, with an instant
_HUGE = _PROVED[:7] + b"\x47" + _PROVED[8:]  # a session that is no small int of a 32-bit board
# With the mark behind the echo: a swarm with a period.
_MARKED = b"\x22\x23" + _PROVED[2:] + b"\x09\x00\x03\x00\x00\x00"
_LATER = _MARKED[:8] + b"\x02" + _MARKED[9:-4] + b"\x00\x00\x01\x00"
SEEDS = (
    b"",
    bytes((0, 99, 30)) + _PING + b"shorter" + bytes((101, 26)) + _PING,
    bytes((0, 128, len(_PING))) + _PING + b"\x10",
    bytes((0, 40, 128, len(_PROVED))) + _PROVED + b"\x3f\x3f",
    bytes((0, 40, 128, len(_HUGE))) + _HUGE + b"\x10",
    bytes((0, 40, 224, len(_PROVED))) + _PROVED + bytes((40, 226, len(_PING))) + _PING,
    bytes((64, 40, 128, len(_MARKED))) + _MARKED + b"\x3f\x3f\x3f" + bytes((128, len(_LATER))) + _LATER + b"\x3f\x20",
    bytes((4, 40, 64, len(_PING))) + _PING + bytes((128, len(_PING))) + _PING + b"\x50\xff\x20",
)
_CLAIMED = (-1, 0, 34, 60, 100, 250, 251, 1 << 20)  # lengths that a buffer may not have


def run(data):
    """One input."""
    script = Script(data)
    subject = Subject(script.byte(), Clock())
    while script.more():
        step(script, subject)


def step(script, subject):
    """One step: time, a frame with a right tag, or bytes as they come."""
    kind = script.byte()
    clock = subject.clock
    if kind < 64:
        subject.live(40 * (kind & 31), kind & 32)
        return
    piece = script.piece(script.byte())
    if kind >= 128:
        length = subject.seal(piece)
        if kind >= 224 and len(piece):  # a seal that is nearly right
            subject.buffer[length - 1 - kind % 8] ^= 1 << piece[0] % 8
        subject.hear(subject.buffer, length, clock.us)
    else:
        buffer = bytearray(piece)
        claimed = _CLAIMED[kind & 7] if kind & 32 else len(buffer)
        subject.hear(buffer, claimed, clock.us)
