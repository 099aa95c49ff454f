"""A handful of nodes for the tests of node.py: frames made without the device's codec, boards, and a tiny medium.

Everything here reads protocol.md's frame layout with struct and the `cryptography` package, so that a mistake in the
device's codec cannot hide behind itself.
"""

import hashlib
import heapq
import random
import struct
from array import array
from itertools import count
from types import SimpleNamespace

from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.cmac import CMAC

from faction import names
from faction.core import BOOTSTRAPPED
from faction.node import Node

PERIOD = 1 << 30  # of the ticks
AIRTIME_US = 800
IMIN_MS, IMAX_MS = 16, 2048


def cmac(key, message):
    """The whole AES-CMAC of a message."""
    mac = CMAC(AES(key))
    mac.update(message)
    return mac.finalize()


class Swarm:
    """What all members of a swarm are configured with, and a codec of its frames that is not the device's."""

    def __init__(self, members, required=None, name="test", key=bytes(range(16))):
        self.members = sorted(members)
        self.required = len(self.members) if required is None else required
        self.name = name
        self.key = key
        self.width = (len(self.members) + 7) // 8
        encoded = name.encode()
        hashed = struct.pack("<BB", 1, len(encoded)) + encoded
        hashed += struct.pack(f"<H{len(self.members)}HH", len(self.members), *self.members, self.required)
        self.digest = hashlib.sha256(hashed).digest()[:4]

    def bitmap(self, ids):
        """The bitmap of some members."""
        bits = sum(1 << self.members.index(member) for member in set(ids))
        return bits.to_bytes(self.width, "little")

    def ids(self, bitmap):
        """The members in a bitmap."""
        return {member for at, member in enumerate(self.members) if bitmap[at // 8] >> at % 8 & 1}

    def parts(
        self, sender, session, sequence=1, *, generation=0, heard=(), ready=(), flags=0, offset_us=None, echoes=()
    ):
        """A frame's parts by name and in order, to be changed and sealed; the sender takes part and so does who is
        ready; offset_us None: no instant."""
        ready = set(ready)
        return {
            "kind": bytes([0x12 if sender in ready else 0x11]),
            "flags": bytes([flags | (offset_us is not None) << 1 | len(echoes) << 4]),
            "digest": self.digest,
            "sender": struct.pack("<H", sender),
            "session": struct.pack("<I", session),
            "sequence": struct.pack("<I", sequence),
            "generation": struct.pack("<I", generation),
            "offset": struct.pack("<i", offset_us or 0),
            "participation": self.bitmap({*heard, *ready, sender}),
            "readiness": self.bitmap(ready),
            "echoes": b"".join(struct.pack("<HI", *echo) for echo in echoes),
        }

    def seal(self, parts, key=None):
        """The parts as bytes, with their tag."""
        body = b"".join(parts.values())
        return body + cmac(key or self.key, body)[:8]

    def frame(self, sender, session, sequence=1, **fields):
        """A frame of a member; fields as for parts()."""
        return self.seal(self.parts(sender, session, sequence, **fields))

    def fields(self, data):
        """The fields of a frame, whose tag must be right."""
        assert cmac(self.key, bytes(data[:-8]))[:8] == bytes(data[-8:]), bytes(data).hex()
        kind, flags, digest, sender, session, sequence, generation, offset = struct.unpack_from("<BB4sHIIIi", data)
        assert digest == self.digest
        assert flags & 2 or not offset, "an offset without an instant"
        middle, end = 24 + self.width, 24 + 2 * self.width
        echoes = [struct.unpack_from("<HI", data, end + 6 * i) for i in range(flags >> 4)]
        assert len(data) == end + 6 * len(echoes) + 8
        return SimpleNamespace(
            kind=kind,
            is_ready=kind == 0x12,
            bootstrapped=bool(flags & 1),
            timed_out=bool(flags & 4),
            follow_up=bool(flags & 8),
            sender=sender,
            session=session,
            sequence=sequence,
            generation=generation,
            offset_us=offset if flags & 2 else None,
            heard=self.ids(data[24:middle]),
            ready=self.ids(data[middle:end]),
            echoes=echoes,
        )


class Board:
    """One node with a clock of its own. true_us is the medium's time; the board's ticks are off by a constant and by
    ppm, and wrap."""

    def __init__(self, swarm, node_id, session=1, *, true_us=0, ms=0, us=0, ppm=0, start=True, **options):
        self.swarm = swarm
        self.id = node_id
        self.session = session
        self.true_us = true_us
        self.ms, self.us, self.ppm = ms, us, ppm
        self.options = options
        self.samples = []  # (true_us, late_us, late)
        self.buffer = bytearray(250)
        self.node = Node(swarm.name, swarm.members, node_id, swarm.required, swarm.key, session, **options)
        if start:
            self.node.start(*self.now)

    @property
    def now(self):
        """(ticks_ms, ticks_us)."""
        us = self.true_us + self.true_us * self.ppm // 1_000_000
        return (us // 1000 + self.ms) % PERIOD, (us + self.us) % PERIOD

    @property
    def state(self):
        """Name of the machine's state."""
        return names.STATES[self.node.machine.state]

    @property
    def heard(self):
        """Members that the node knows to take part."""
        return self.swarm.ids(self.node.bitmaps[: self.swarm.width])

    @property
    def ready(self):
        """Members that the node knows to be ready."""
        return self.swarm.ids(self.node.bitmaps[self.swarm.width :])

    @property
    def echoes(self):
        """The queued echoes, (member, session) in order."""
        node = self.node
        return [(node.machine.ids[node._echo_members[i]], node._echo_sessions[i]) for i in range(node._echo_count)]

    def counter(self, name):
        """A counter by its name."""
        return self.node.counters[names.COUNTERS.index(name)]

    def session_of(self, member):
        """The session that the node has stored for a member, 0 for none."""
        return self.node._sessions[self.swarm.members.index(member)]

    def complete(self):
        """The sensor has warmed up."""
        self.node.complete_local(*self.now)
        self._sample()

    def hear(self, frame, transit_us=0):
        """Receive a frame, whose transmission began transit_us ago by this node's reckoning."""
        now, now_us = self.now
        self.node.receive(bytearray(frame), len(frame), now, now_us, (now_us - transit_us) % PERIOD)
        self._sample()

    def prove(self, member, session=1, sequence=1, **fields):
        """Receive a frame of a member that proves itself."""
        self.hear(self.swarm.frame(member, session, sequence, echoes=[(self.id, self.session)], **fields))
        assert self.session_of(member) == session

    def poll(self):
        """The frame to send now, or b""."""
        length = self.node.poll(*self.now, self.buffer)
        self._sample()
        return bytes(self.buffer[:length])

    def _sample(self):
        if self.node.sample_due:
            late = self.node.sampled_late
            self.samples.append((self.true_us, self.node.take_sample(self.now[1]), late))

    def pass_ms(self, ms):
        """Let time pass, polling every millisecond; returns the frames sent."""
        sent = []
        for _ in range(ms):
            self.true_us += 1000
            frame = self.poll()
            if frame:
                sent.append(self.swarm.fields(frame))
        return sent

    def speak(self, ms=2 * IMAX_MS):
        """Let time pass until the node has sent a frame; returns its fields."""
        for _ in range(ms):
            sent = self.pass_ms(1)
            if sent:
                return sent[0]
        raise AssertionError(f"silent for {ms} ms")

    def settle(self):
        """Let time pass until Trickle is slowest, so that a reset shows."""
        while self.node.trickle.interval_ms < IMAX_MS:
            self.pass_ms(1)

    def reaction(self, frame):
        """What a frame does to Trickle: "reset", "consistent" or "nothing"."""
        self.settle()
        before = self.node.trickle.heard = 0
        self.hear(frame)
        if self.node.trickle.interval_ms == IMIN_MS:
            return "reset"
        return "nothing" if self.node.trickle.heard == before else "consistent"


PASSING = ("_now", "_now_us", "_sent_us", "_theirs_us", "_lacks", "_claims", "_news")
_PARTS = ("machine", "frame", "trickle", "first_sample")


def snapshot(node):
    """Everything that a node remembers, as plain values; restore() brings a node back to it."""
    parts = [vars(node), *(vars(getattr(node, part)) for part in _PARTS)]
    return [{name: _plain(value) for name, value in part.items() if _is_memory(value)} for part in parts]


def restore(node, saved):
    """Bring a node back to what snapshot() read."""
    for holder, values in zip([node, *(getattr(node, part) for part in _PARTS)], saved, strict=True):
        for name, value in values.items():
            if isinstance(value, (bytes, list)):
                kept = getattr(holder, name)
                kept[:] = array(kept.typecode, value) if isinstance(kept, array) else value
            else:
                setattr(holder, name, value)
    node.frame._cmac._aes = None  # its state cannot be read; the next frame makes a new one


def memory(node):
    """The part of snapshot() that a frame which fails a check must not change: neither a counter nor what lasts no
    longer than the call, that is the decoded fields and what has been made of them."""
    saved = snapshot(node)
    del saved[2]
    for name in ("counters", *PASSING):
        saved[0].pop(name, None)
    return saved


def _is_memory(value):
    return isinstance(value, (int, bytearray, array))


def _plain(value):
    if isinstance(value, bytearray):
        return bytes(value)
    return list(value) if isinstance(value, array) else value


class Air:
    """A medium for a handful of boards in simulated time: each frame reaches each other board or is lost. No
    collisions, no carrier sense: the simulator has those.

    Checks after every call that no node has concluded with fewer ready members than required, or unready itself.
    """

    def __init__(self, swarm, seed, loss=0.0, **options):
        self.swarm = swarm
        self.rng = random.Random(seed)
        self.loss = loss
        self.options = options
        self.true_us = 0
        self.boards = {}
        self.sent = []  # (true_us, frame)
        self.ever_ready = set()
        self._order = count()
        self._events = []  # (true_us, order, action); what happens at one time happens in the order of its planning
        self._planned = {}

    def boot(self, node_id, session, **options):
        """Power a board on now, in place of one with that id; its clock starts anywhere."""
        ms, us = self.rng.randrange(PERIOD), self.rng.randrange(PERIOD)
        options = {"ms": ms, "us": us, "ppm": self.rng.randint(-50, 50), **self.options, **options}
        board = Board(self.swarm, node_id, session, true_us=self.true_us, **options)
        self.boards[node_id] = board
        self._look_again(board)
        return board

    def join(self, *boards):
        """Bring in boards that have lived elsewhere; the medium's time goes on from the latest of theirs."""
        self.true_us = max(self.true_us, *(board.true_us for board in boards))
        for board in boards:
            self.boards[board.id] = board
            self._look_again(self._now(board))

    def kill(self, node_id):
        """Cut a board's power."""
        del self.boards[node_id]

    def at(self, ms, action):
        """Do something in ms milliseconds."""
        heapq.heappush(self._events, (self.true_us + int(ms * 1000), next(self._order), action))

    def complete(self, *node_ids):
        """These boards' sensors have warmed up."""
        for node_id in node_ids:
            board = self._now(self.boards[node_id])
            self.ever_ready.add(node_id)
            board.complete()
            self._look_again(board)

    def inject(self, frame):
        """A frame from elsewhere reaches every board."""
        for board in list(self.boards.values()):
            self._hear(board, frame)

    def run(self, ms, until=None):
        """Let time pass: ms milliseconds, or until a condition holds; whether it did."""
        end = self.true_us + int(ms * 1000)
        while not (until and until()):
            if not self._events or self._events[0][0] > end:
                self.true_us = end
                return False
            self.true_us, _, action = heapq.heappop(self._events)
            action()
        return True

    def concluded(self, *node_ids):
        """Whether these boards, or all, are Bootstrapped."""
        return all(self.boards[i].node.machine.state == BOOTSTRAPPED for i in node_ids or self.boards)

    def converge(self, ms=10_000):
        """Let time pass until all boards are Bootstrapped; fails after ms milliseconds."""
        if not self.run(ms, self.concluded):
            raise AssertionError(
                "; ".join(
                    f"{board.id}: {board.state}, generation {board.node.generation}, ready {sorted(board.ready)}, "
                    f"sessions {list(board.node._sessions)}"
                    for board in self.boards.values()
                )
            )

    def _now(self, board):
        board.true_us = self.true_us
        return board

    def _hear(self, board, frame):
        if self.boards.get(board.id) is not board:
            return
        self._now(board).hear(frame, AIRTIME_US)
        self._look_again(board)

    def _look_again(self, board, at_least_ms=0):
        """Plan the board's next poll."""
        self._check(board)
        turn = next(self._order)
        self._planned[board.id] = turn
        wait_ms = max(at_least_ms, board.node.wait_ms(*board.now))
        self.at(wait_ms, lambda: self._poll(board, turn))

    def _poll(self, board, turn):
        if self.boards.get(board.id) is not board or self._planned[board.id] != turn:
            return
        frame = self._now(board).poll()
        if frame:
            self.sent.append((self.true_us, frame))
            for other in self.boards.values():
                if other is not board and self.rng.random() >= self.loss:
                    self.at(AIRTIME_US / 1000, lambda other=other: self._hear(other, frame))
        self._look_again(board, 1)

    def _check(self, board):
        if board.node.machine.state == BOOTSTRAPPED:
            assert board.node.ready(), f"{board.id} concluded and is not ready"
            assert len(self.ever_ready) >= self.swarm.required, f"{board.id} concluded with {self.ever_ready} ready"
