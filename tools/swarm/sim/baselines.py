"""Protocols to compare with, behind the surface of Node so that the same boards run them.

Each has the real readiness machine; what differs is what they say, and when.
"""

from __future__ import annotations

from struct import pack, unpack_from

from swarm.device.library import (
    BOOTSTRAPPED,
    LOCAL_PARTICIPATION_COMPLETED,
    PARTICIPATION_OBSERVED,
    READY_OBSERVED,
    Faction,
)

PERIOD_MS = 100
_HEADER = "<B4sHII"
_TAG = bytes(8)  # as long as ours, so that lengths compare; nobody forges in a comparison
_MASK = (1 << 30) - 1


class _NoInstant:
    """Stands where a Node keeps the agreed instant: these protocols have none, and sample when they conclude."""

    known = False
    passed = False


class _Timer:
    """Stands where a Node keeps its Trickle timer: the next tick of a fixed period."""

    def __init__(self) -> None:
        self.due = 0


class Published:
    """The published protocol: PING until ready, then READY, to all on a timer; silent once concluded.

    BroadcastLocalReady sends a READY at once, also where the same step concludes.
    """

    silent_after_conclusion = True
    period_ms = PERIOD_MS
    tagged = False  # whether tags are made and checked, which costs boards their time

    def __init__(self, name, members, node_id, required, key, session, **_) -> None:
        self.machine = Faction(node_id, members, required)
        self.session = session
        self.first_sample = _NoInstant()
        self.trickle = _Timer()
        self.conflict = self.sample_due = self.sampled_late = False
        self._sequence = 0
        self._owes_ready = False
        self._sampled = False

    def start(self, now, now_us) -> None:
        """Begin; the first frame after a part of the period that differs by node."""
        self.machine.process(PARTICIPATION_OBSERVED, self.machine.peer_id)
        self.trickle.due = now + self.machine.peer_id * 37 % self.period_ms & _MASK

    def complete_local(self, now, now_us) -> None:
        """This node is ready."""
        self.machine.process(LOCAL_PARTICIPATION_COMPLETED)
        self._owes_ready = True
        self.trickle.due = now
        self._settle()

    def receive(self, buffer, length, now, now_us, sent_us) -> None:
        """Hear a frame."""
        kind, _, sender, _, _ = unpack_from(_HEADER, buffer)
        self.hear(kind, sender, buffer)
        self._settle()

    def hear(self, kind, sender, buffer) -> None:
        """Tell the machine what a frame says."""
        self.machine.process(READY_OBSERVED if kind else PARTICIPATION_OBSERVED, sender)

    def tick(self, now, now_us) -> None:
        """Let time pass."""

    def left(self, left_us) -> None:
        """Nothing counts from it."""

    def poll(self, now, now_us, buffer) -> int:
        """The frame to send now, built in buffer, or 0."""
        if self.wait_ms(now, now_us):
            return 0
        self.trickle.due = self.trickle.due + self.period_ms & _MASK
        if self.silent_after_conclusion and self.machine.state == BOOTSTRAPPED and not self._owes_ready:
            return 0
        self._owes_ready = False
        self._sequence += 1
        header = pack(_HEADER, self.machine.completed, b"base", self.machine.peer_id, self.session, self._sequence)
        frame = header + self.body() + _TAG
        buffer[: len(frame)] = frame
        return len(frame)

    def body(self) -> bytes:
        """What follows the header."""
        return b""

    def wait_ms(self, now, now_us) -> int:
        """Milliseconds to the timer's next tick."""
        return max(0, (self.trickle.due - now + (1 << 29) & _MASK) - (1 << 29))

    def take_sample(self, now_us) -> int:
        """Acknowledge sample_due."""
        self._sampled, self.sample_due = True, False
        return 0

    def _settle(self) -> None:
        if self.machine.state == BOOTSTRAPPED and not self._sampled:
            self.sample_due = True


class Repeating(Published):
    """The published protocol, never silent."""

    silent_after_conclusion = False


class Heartbeat(Published):
    """All to all: each frame carries the sender's whole sets, as bitmaps; never silent."""

    silent_after_conclusion = False

    def body(self) -> bytes:
        """Both sets."""
        return bytes(self.machine.pinging) + bytes(self.machine.collecting)

    def hear(self, kind, sender, buffer) -> None:
        """Take over both sets."""
        width = len(self.machine.pinging)
        for command, at in ((PARTICIPATION_OBSERVED, 15), (READY_OBSERVED, 15 + width)):
            known = self.machine.collecting if command else self.machine.pinging
            for i in range(width):
                new = buffer[at + i] & ~known[i]
                for bit in range(8):
                    if new >> bit & 1:
                        self.machine.process(command, self.machine.ids[8 * i + bit])


class FastHeartbeat(Heartbeat):
    """The same, twice as often."""

    period_ms = PERIOD_MS // 2


class TaggedHeartbeat(Heartbeat):
    """A heartbeat that takes nothing from outsiders, but what they replay: it has a tag such as ours."""

    tagged = True


CLASSES = {
    "published": Published,
    "repeating": Repeating,
    "heartbeat": Heartbeat,
    "heartbeat50": FastHeartbeat,
    "tagged": TaggedHeartbeat,
}
