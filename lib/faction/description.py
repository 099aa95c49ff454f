"""What follows from a swarm's description. Only a start needs it: afterwards it is let go, and its memory with it."""

from hashlib import sha256
from struct import pack

from micropython import const

IMIN_MS = const(20)  # of a swarm on ESP-NOW
_VERSION = const(2)  # of frames


def digest(name, ids, required, period_ms=0, round_ms=0):
    """The four bytes that stand for a swarm: name (str), member ids in ascending order, required count, milliseconds
    between two samples (0: one alone) and of a round (0: none)."""
    encoded = name.encode()
    message = sha256(bytes((_VERSION, len(encoded))))
    message.update(encoded)
    message.update(pack("<H", len(ids)))
    for peer_id in ids:
        message.update(pack("<H", peer_id))
    message.update(pack("<HI", required, period_ms))
    if round_ms:
        message.update(pack("<I", round_ms))
    return message.digest()[:4]


def default_lead_ms(members, imin_ms=IMIN_MS):
    """How far ahead a swarm of that many members agrees on its first sample, in milliseconds: the news takes longer
    to reach everybody in a larger swarm and on a slower link."""
    return 500 + 20 * max(0, members - 20) + 10 * (imin_ms - IMIN_MS)
