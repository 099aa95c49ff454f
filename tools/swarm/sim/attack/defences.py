"""The defences of a node, each as a node that lacks it: the adversary campaign must then succeed.

Each is taken out by what it does and not by its place in the source, so that the node may be written otherwise.
"""

from __future__ import annotations

import struct
from abc import ABC, abstractmethod
from array import array
from dataclasses import dataclass

from swarm.device.library import (
    BOOTSTRAPPED,
    COUNTERS,
    FOLLOW_UP_FLAG,
    INSTANT_FLAG,
    LOCAL_PARTICIPATION_COMPLETED,
    Node,
)
from swarm.sim.attack.run import BABBLER, LIAR, LOOPER, OUTSIDER
from swarm.sim.kernel import PERIOD

_ACCEPTED = 0
_MALFORMED, _FOREIGN = map(COUNTERS.index, ("malformed", "foreign"))
_IMPOSSIBLE, _FORGED = map(COUNTERS.index, ("impossible", "forged"))
_OWN, _UNPROVED = map(COUNTERS.index, ("own", "unproved"))
_LIMIT = 1 << 30
_BITMAPS, _TAG = 24, 8


class _Lenient(Node, ABC):
    """A node whose decoder does something more: again(buffer, length, verdict) returns the verdict to go by."""

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        decode = self.frame.decode
        self.frame.decode = lambda buffer, length: self.again(decode, buffer, length)

    @abstractmethod
    def again(self, decode, buffer, length):
        """Decode, and leave a check out."""

    def _seal_is_right(self, buffer, length):
        cmac = self.frame._cmac
        cmac.compute(buffer, length - _TAG)
        return not cmac.differs(buffer, length - _TAG)


class NoTag(_Lenient):
    """Takes a frame whatever its tag."""

    def again(self, decode, buffer, length):
        """A wrong tag is right."""
        verdict = decode(buffer, length)
        return _ACCEPTED if verdict == _FORGED else verdict


class NoDigest(_Lenient):
    """Takes the frames of every swarm that has its key."""

    def again(self, decode, buffer, length):
        """Any digest is the own."""
        verdict = decode(buffer, length)
        if verdict == _FOREIGN:
            own = self.frame.digest
            self.frame.digest = bytes(buffer[2:6])
            verdict = decode(buffer, length)
            self.frame.digest = own
        return verdict


class NoLengthCheck(_Lenient):
    """Reads a frame's fields however short it is."""

    def again(self, decode, buffer, length):
        """Look where the fields should be."""
        verdict = decode(buffer, length)
        if verdict == _MALFORMED and length < 34:
            self.frame._decode_fields(buffer)
        return verdict


class NoMemberCheck(Node):
    """Takes a stranger for its first member."""

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.frame._machine = _Anybody(self.machine)


class _Anybody:
    """Finds every id among the members."""

    def __init__(self, machine):
        self.ids = machine.ids
        self._index = machine.index

    def index(self, peer_id):
        """Its position, or the first."""
        return max(0, self._index(peer_id))


class NoPaddingCheck(Node):
    """Takes bits that stand for nobody."""

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.frame._padding = 0


class NoNumberCheck(_Lenient):
    """Takes numbers beyond 2^30, and 0."""

    def again(self, decode, buffer, length):
        """Numbers out of their range are in it."""
        verdict = decode(buffer, length)
        session, sequence, generation = struct.unpack_from("<III", buffer, 8) if length >= 34 else (1, 1, 0)
        wrong = max(session, sequence, generation) >= _LIMIT or not session or not sequence
        if verdict == _IMPOSSIBLE and wrong and self._seal_is_right(buffer, length):
            self.frame.session, self.frame.sequence, self.frame.generation = session, sequence, generation
            return _ACCEPTED
        return verdict


class NoSubsetCheck(_Lenient):
    """Takes readiness of those who do not take part."""

    def again(self, decode, buffer, length):
        """Readiness without participation is allowed."""
        verdict = decode(buffer, length)
        width = self.frame.width
        outside = any(buffer[_BITMAPS + width + i] & ~buffer[_BITMAPS + i] for i in range(width)) if length >= 34 else 0
        if verdict == _IMPOSSIBLE and outside and self._seal_is_right(buffer, length):
            self.frame.session, self.frame.sequence, self.frame.generation = struct.unpack_from("<III", buffer, 8)
            return _ACCEPTED
        return verdict


class NoOffsetRange(_Lenient):
    """Takes any offset for an instant."""

    def again(self, decode, buffer, length):
        """The offset as it stands there."""
        verdict = decode(buffer, length)
        if verdict == _ACCEPTED and buffer[1] & 2:
            self.frame.flags |= 2
            (self.frame.offset_us,) = struct.unpack_from("<i", buffer, 20)
        return verdict


class NoProof(Node):
    """Takes a frame's word for it that its sender is alive."""

    def _prove(self, buffer):
        proved = super()._prove(buffer)
        if not proved:
            self._sessions[self.frame.sender] = self.frame.session
            self._sequences[self.frame.sender] = self.frame.sequence
        return proved or 1


class AnyEcho(Node):
    """Takes an echo of any session of its own for a proof."""

    def _echoes(self, buffer, peer_id, session):
        return any(self.frame.echo_id(buffer, i) == peer_id for i in range(self.frame.echo_count))


class NoSequenceCheck(Node):
    """Takes a frame of a live session again and again."""

    def _prove(self, buffer):
        frame = self.frame
        last = self._sequences[frame.sender]
        if self._sessions[frame.sender] == frame.session and frame.sequence <= last:
            return 1
        return super()._prove(buffer)


class NoSessionOrder(Node):
    """Takes an earlier session of a member for as good as the one that it has heard."""

    def _prove(self, buffer):
        if self._sessions[self.frame.sender] > self.frame.session:
            return 1
        return super()._prove(buffer)


class AnyOwnFrame(Node):
    """Takes its own recorded frames for those of a second board."""

    def _receive(self, buffer, length):
        owned = self.counters[_OWN]
        super()._receive(buffer, length)
        if self.counters[_OWN] > owned:
            self.conflict = True


class NoNewGeneration(Node):
    """Forgets nothing when a member that was ready has rebooted."""

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self._keeps = False

    def _prove(self, buffer):
        self._keeps = True
        proved = super()._prove(buffer)
        self._keeps = False
        return proved

    def _new_generation(self):
        if not self._keeps:
            super()._new_generation()


class NoOwnContradiction(Node):
    """Lets others say that it is ready when it is not."""

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self._pretends = False

    def ready(self):
        """Whether it is ready; when it is about to look for what contradicts it, yes."""
        pretends, self._pretends = self._pretends, False
        return pretends or super().ready()

    def _contradicts(self, buffer):
        self._pretends = True
        return super()._contradicts(buffer)


class NoDoubts(Node):
    """Believes of a rebooted member what another still says of it."""

    def _stale(self, buffer, i):
        return 0


class AnyGeneration(Node):
    """Takes the bits of an older generation for bits of its own."""

    def _prove(self, buffer):
        proved = super()._prove(buffer)
        self.frame.generation = max(self.frame.generation, self.generation)
        return proved


class NoStartingOver(Node):
    """Keeps all bits when it adopts a newer generation."""

    def _start_over(self, generation):
        self.generation = generation


class TakesConclusionsBack(Node):
    """Gives a conclusion up with the generation that it was drawn in."""

    def _start_over(self, generation):
        super()._start_over(generation)
        if self.machine.state == BOOTSTRAPPED:
            self._feed_again()


class ConcludesUnready(Node):
    """Concludes on the others' readiness alone."""

    def _feed(self, at, bits):
        if at >= self.frame.width and not self.ready():
            self.machine.process(LOCAL_PARTICIPATION_COMPLETED)
        super()._feed(at, bits)


class LatestInstant(Node):
    """Takes whatever instant it is told, until that has passed."""

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        first = self.first_sample
        offer = first.offer

        def any_offer(theirs_us, now_us):
            first.known = first.known and first.passed
            return offer(theirs_us, now_us)

        first.offer = any_offer


class InstantNotFixed(Node):
    """Takes an earlier instant also when its own has passed."""

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        first = self.first_sample
        offer = first.offer

        def any_offer(theirs_us, now_us):
            passed, first.passed = first.passed, False
            taken = offer(theirs_us, now_us)
            first.passed = first.passed or passed and not taken or first.remaining_us(now_us) <= 0
            return taken

        first.offer = any_offer


class InstantFromArrival(Node):
    """Takes the moment of a frame's arrival for that of its making, less whatever it could have been on its way."""

    def receive(self, buffer, length, now, now_us, sent_us):
        """As a node that rounds the wrong way."""
        super().receive(buffer, length, now, now_us, sent_us - 5_000 & _LIMIT - 1)


class ForgetsItself(Node):
    """Begins a generation knowing nothing, not even itself."""

    def _start_over(self, generation):
        super()._start_over(generation)
        for at in (self._me, self._me + 8 * self.frame.width):
            self.bitmaps[at >> 3] &= ~(1 << (at & 7))


class KeepsEchoes(Node):
    """Sends an echo only when Trickle would have it speak anyhow."""

    def poll(self, now, now_us, buffer):
        """Nothing, if enough others have said the same."""
        if self.trickle.suppressed():
            self._echo_count = 0
        return super().poll(now, now_us, buffer)


class _Credulous(Node, ABC):
    """Reckons a follow-up from the last frame that it has heard of its sender: counts(stored, last) says when, by the
    session and sequence that it had stored of that sender."""

    @abstractmethod
    def counts(self, stored, last):
        """Whether to reckon from the last frame heard."""

    def _prove(self, buffer):
        frame = self.frame
        i = frame.sender
        stored, last, stamp_us = self._sessions[i], self._sequences[i], self._stamps[i]
        proved = super()._prove(buffer)
        follows = frame.flags & INSTANT_FLAG and frame.flags & FOLLOW_UP_FLAG
        if proved >= 0 and follows and self.counts(stored, last):
            since_us = (stamp_us - self._now_us + PERIOD // 2) % PERIOD - PERIOD // 2
            self._theirs_us = since_us + frame.offset_us
        return proved


class AnyFrameBefore(_Credulous):
    """Takes a follow-up for one of the last frame that it has heard of its sender, whichever that was."""

    def counts(self, stored, last):
        """Always."""
        return True


class UnprovedFrameBefore(_Credulous):
    """Takes a follow-up also when nothing has proved the frame before it."""

    def counts(self, stored, last):
        """When it seems to be the frame before."""
        return not stored and self.frame.sequence == last + 1


class NeverAsks(Node):
    """Lets others speak in its stead also when it needs an echo."""

    def poll(self, now, now_us, buffer):
        """As if it needed none."""
        self._asks = 0
        return super().poll(now, now_us, buffer)


class FallsSilent(Node):
    """Falls silent when it has concluded, as in the published protocol."""

    def poll(self, now, now_us, buffer):
        """Nothing, once it has concluded."""
        length = super().poll(now, now_us, buffer)
        return 0 if self.machine.state == BOOTSTRAPPED else length


class Answers(Node):
    """Answers each frame of an unproved session at once."""

    def _hear(self, buffer):
        unproved = self.counters[_UNPROVED]
        super()._hear(buffer)
        if self.counters[_UNPROVED] > unproved:
            self.trickle.start(self._now)
            self.trickle.due = self._now


class UnboundedQueue(Node):
    """Queues every echo, a member's as often as it asks."""

    def _queue_echo(self, member, session):
        if self._echo_count == len(self._echo_members):
            self._echo_members.extend(array("H", [0]))
            self._echo_sessions.extend(array("I", [0]))
        self._echo_members[self._echo_count] = member
        self._echo_sessions[self._echo_count] = session
        self._echo_count += 1


@dataclass(frozen=True)
class Defence:
    """A defence: a node that lacks it, and who makes use of that, some of attack_run.KINDS."""

    node_class: type
    against: tuple[str, ...] = (OUTSIDER,)


_BOTH = (OUTSIDER, LIAR)
DEFENCES = {
    "tag": Defence(NoTag),
    "digest": Defence(NoDigest, _BOTH),
    "proof": Defence(NoProof),
    "echoed-session": Defence(AnyEcho),
    "sequence": Defence(NoSequenceCheck),
    "session-order": Defence(NoSessionOrder),
    "new-generation": Defence(NoNewGeneration),
    "doubts": Defence(NoDoubts),
    "older-generation": Defence(AnyGeneration),
    "starting-over": Defence(NoStartingOver),
    "own-contradiction": Defence(NoOwnContradiction),
    "own-frames": Defence(AnyOwnFrame),
    "latest-moment": Defence(InstantFromArrival),
    "frame-before": Defence(AnyFrameBefore),
    "frame-before-proved": Defence(UnprovedFrameBefore),
    "earliest-instant": Defence(LatestInstant, _BOTH),
    "never-silent": Defence(FallsSilent),
    "trickle": Defence(Answers),
    "queue": Defence(UnboundedQueue, _BOTH),
    "length": Defence(NoLengthCheck, _BOTH),
    "members": Defence(NoMemberCheck, (LIAR,)),
    "padding": Defence(NoPaddingCheck, (LIAR,)),
    "numbers": Defence(NoNumberCheck, (LIAR,)),
    "subset": Defence(NoSubsetCheck, (LIAR,)),
    "offset-range": Defence(NoOffsetRange, (LIAR,)),
    "own-readiness": Defence(ConcludesUnready, (LIAR,)),
    "final-conclusion": Defence(TakesConclusionsBack, (LIAR,)),
    "fixed-instant": Defence(InstantNotFixed, (LIAR,)),
    "echoes-go-out": Defence(KeepsEchoes, (BABBLER,)),
    "asking": Defence(NeverAsks, (BABBLER,)),
    "own-bits": Defence(ForgetsItself, (LOOPER,)),
}
