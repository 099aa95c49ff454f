"""Frames that no member has sent: what can be made of recorded ones without the key, and lies sealed with it."""

from __future__ import annotations

import random
import struct
from typing import Any

from swarm.device.library import DEMONSTRATION_KEY, Cmac

_TAG = 8
_BITMAPS = 24
_LIMIT = 1 << 30
LIVE = 1 << 30  # in an echo's session: its sender knows it to be live
# Where the numbers of a frame stand: (offset, format)
_SENDER, _SESSION, _SEQUENCE, _GENERATION, _OFFSET = (6, "<H"), (8, "<I"), (12, "<I"), (16, "<I"), (20, "<i")


def _get(frame: bytes | bytearray, field: tuple[int, str]) -> int:
    return struct.unpack_from(field[1], frame, field[0])[0]


def _put(frame: bytearray, field: tuple[int, str], value: int) -> None:
    struct.pack_into(field[1], frame, field[0], value)


class Forger:
    """Changes frames without having the key. ids: of the members."""

    def __init__(self, ids: list[int], chance: random.Random) -> None:
        self._ids = ids
        self._width = (len(ids) + 7) // 8
        self._chance = chance
        self._ways = (
            self._flip, self._cut, self._extend, self._splice, self._sender, self._session, self._sequence,
            self._generation, self._offset, self._kind, self._readiness, self._echo, self._live,
        )  # fmt: skip

    def forge(self, frame: bytes, other: bytes) -> bytes:
        """A frame made of one or two recorded ones; the tag is what it was, or another's, or guessed."""
        changed = bytearray(frame)
        for _ in range(self._chance.choice((1, 1, 1, 2, 3))):
            changed = bytearray(self._chance.choice(self._ways)(changed, other))
        if self._chance.random() < 0.1:
            changed[-_TAG:] = self._chance.choice((other[-_TAG:], bytes(_TAG), self._chance.randbytes(_TAG)))
        return bytes(changed)

    def _flip(self, frame: bytearray, other: bytes) -> bytearray:
        if frame:
            frame[self._chance.randrange(len(frame))] ^= 1 << self._chance.randrange(8)
        return frame

    def _cut(self, frame: bytearray, other: bytes) -> bytearray:
        return frame[: self._chance.randrange(len(frame) + 1)]

    def _extend(self, frame: bytearray, other: bytes) -> bytearray:
        return (frame + self._chance.choice((other, other[-_TAG:], bytes(6))))[:250]

    def _splice(self, frame: bytearray, other: bytes) -> bytearray:
        at = self._chance.choice((_BITMAPS, len(frame) - _TAG, self._chance.randrange(len(frame) + 1)))
        return frame[:at] + other[at:]

    def _number(self, frame: bytearray, field: tuple[int, str], value: int) -> bytearray:
        if len(frame) >= _BITMAPS:
            _put(frame, field, value)
        return frame

    def _sender(self, frame: bytearray, other: bytes) -> bytearray:
        stranger = self._chance.randrange(1 << 16)
        return self._number(frame, _SENDER, self._chance.choice((*self._ids, stranger)))

    def _near(self, frame: bytearray, field: tuple[int, str]) -> int:
        """A number beside the one that is there, or far from it."""
        value = _get(frame, field) if len(frame) >= _BITMAPS else 0
        near = value + self._chance.choice((-1, 1, 1, 2, 1000))
        return min(max(0, self._chance.choice((near, near, _LIMIT - 1, _LIMIT, 0))), (1 << 32) - 1)

    def _session(self, frame: bytearray, other: bytes) -> bytearray:
        return self._number(frame, _SESSION, self._near(frame, _SESSION))

    def _sequence(self, frame: bytearray, other: bytes) -> bytearray:
        return self._number(frame, _SEQUENCE, self._near(frame, _SEQUENCE))

    def _generation(self, frame: bytearray, other: bytes) -> bytearray:
        return self._number(frame, _GENERATION, self._near(frame, _GENERATION))

    def _offset(self, frame: bytearray, other: bytes) -> bytearray:
        if len(frame) >= _BITMAPS:
            frame[1] |= 2
        offsets = (1, 1000, -1000, 50_000, -500_000_000, 500_000_000, 500_000_001, 0x3FFFFFFF, -(1 << 31))
        return self._number(frame, _OFFSET, self._chance.choice(offsets))

    def _kind(self, frame: bytearray, other: bytes) -> bytearray:
        if len(frame) >= 2:
            frame[0] ^= self._chance.choice((3, 3, 0x10, 0x30))
            frame[1] ^= self._chance.choice((0, 1, 2, 4, 8, 0x10))
        return frame

    def _readiness(self, frame: bytearray, other: bytes) -> bytearray:
        """Everybody is there and ready."""
        end = _BITMAPS + 2 * self._width
        if len(frame) >= end:
            frame[_BITMAPS:end] = ((1 << len(self._ids)) - 1).to_bytes(self._width, "little") * 2
        return frame

    def _echo(self, frame: bytearray, other: bytes) -> bytearray:
        """It echoes what another frame is, or says: so that its maker is taken for alive."""
        at = _BITMAPS + 2 * self._width
        if len(frame) >= at + _TAG and len(other) >= _BITMAPS and len(frame) < 240:
            frame[1] = frame[1] & 15 | min(frame[1] >> 4, 7) + 1 << 4
            frame[at:at] = other[6:11] + bytes((other[11] | self._chance.choice((0, LIVE >> 24)),))
        return frame

    def _live(self, frame: bytearray, other: bytes) -> bytearray:
        """It vouches for a session that it only echoed, or the other way round."""
        at = _BITMAPS + 2 * self._width
        echoes = (len(frame) - _TAG - at) // 6
        if echoes > 0:
            frame[at + 6 * self._chance.randrange(echoes) + 5] ^= LIVE >> 24
        return frame


class Liar:
    """Seals frames with the key: whatever a frame can say, and what it must not."""

    def __init__(self, ids: list[int], swarm_digest: bytes, chance: random.Random) -> None:
        self._ids = ids
        self._width = (len(ids) + 7) // 8
        self._digest = swarm_digest
        self._chance = chance
        self._cmac = Cmac(DEMONSTRATION_KEY, 512)
        self._everybody = (1 << len(ids)) - 1

    def seal(self, frame: bytes) -> bytes:
        """The frame with its tag."""
        self._cmac.compute(frame, len(frame))
        return frame + self._cmac.tag[:_TAG]

    def lie(self, target: Any, sessions: dict[int, int]) -> tuple[bytes, bool]:
        """A frame for that board, whose session the air has told, as the other members' have been; and whether it
        follows the rules of a frame."""
        chance = self._chance
        sender = chance.choice(self._ids)
        if sender == target.number and chance.random() < 0.9:  # else the target stops at once, as it should
            sender = self._ids[(self._ids.index(sender) + 1) % len(self._ids)]
        session = sessions.get(sender, 1000)
        generation = target.node.knowledge.generation
        values = {
            "kind": chance.choice((0x21, 0x22)),
            "flags": chance.choice((0, 1, 2, 2, 3, 7, 10, 11)),
            "digest": self._digest,
            "sender": sender,
            "session": chance.choice((session, session, session, session + 1, session + 50)),
            "sequence": chance.choice((1, chance.randrange(1, 5000), chance.randrange(1, _LIMIT))),
            "generation": chance.choice((generation, generation, chance.randrange(12))),
            "offset": chance.choice((0, -1, 1000, 30_000, 400_000, 3_000_000, -500_000_000, 500_000_000,
                                     500_000_001, -500_000_001, (1 << 30) - 1, (1 << 31) - 1, -(1 << 31))),
            "participation": self._everybody,
            "readiness": chance.choice((self._everybody, chance.randrange(self._everybody + 1))),
        }  # fmt: skip
        echoes = [(target.number, target.node.session)]
        if chance.random() < 0.3:
            live = chance.choice((0, LIVE))
            echoes += [(chance.choice(self._ids), session | live) for _ in range(chance.randint(1, 7))]
        valid = chance.random() < 0.75
        cut = not valid and chance.random() < 0.2
        width = self._width if valid or cut else self._break(values)
        body = self._pack(values, width, echoes)
        return self.seal(body[: chance.randrange(len(body))] if cut else body), valid

    def ask(self, target: Any) -> tuple[bytes, bool]:
        """A frame of a boot that nobody has heard of, which knows of nobody: its hearers owe it an echo."""
        place = self._chance.choice([i for i, number in enumerate(self._ids) if number != target.number])
        values = {
            "kind": 0x21, "flags": 0, "digest": self._digest, "sender": self._ids[place],
            "session": self._chance.randrange(1, 1 << 20), "sequence": 1, "generation": 0, "offset": 0,
            "participation": 1 << place, "readiness": 0,
        }  # fmt: skip
        return self.seal(self._pack(values, self._width, [])), True

    def _break(self, values: dict[str, Any]) -> int:
        """Break one rule; returns the size of a bitmap."""
        width = self._width
        chance = self._chance
        way = chance.randrange(7)
        if way == 0:
            values["sender"] = next(i for i in iter(lambda: chance.randrange(1 << 16), None) if i not in self._ids)
        elif way == 1:
            name = chance.choice(("session", "sequence", "generation"))
            values[name] = chance.choice((_LIMIT, (1 << 32) - 1, _LIMIT if name == "generation" else 0))
        elif way == 2:
            values["participation"] &= ~(1 << chance.randrange(len(self._ids)))
            values["readiness"] = self._everybody
        elif way == 3 and len(self._ids) % 8:
            values["participation"] |= 1 << len(self._ids)
        elif way == 4:
            width += 1
        elif way == 5:
            values["flags"] = 8  # that the offset counts from elsewhere, and no offset
        else:
            values["digest"] = bytes(byte ^ 1 for byte in self._digest)
        return width

    @staticmethod
    def _pack(values: dict[str, Any], width: int, echoes: list[tuple[int, int]]) -> bytes:
        head = struct.pack(
            "<BB4sHIIIi", values["kind"], values["flags"] | len(echoes) << 4, values["digest"], values["sender"],
            values["session"], values["sequence"], values["generation"], values["offset"],
        )  # fmt: skip
        bitmaps = values["participation"].to_bytes(width, "little") + values["readiness"].to_bytes(width, "little")
        return head + bitmaps + b"".join(struct.pack("<HI", *echo) for echo in echoes)
