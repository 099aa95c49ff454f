"""One node of a swarm: makes the readiness machine true on a lossy, shared medium (PROTOCOL.md).

What a node has parts for is told there: which frames count and who needs an echo (sessions.py), what is known of the
members (knowledge.py), the agreed instant (first_sample.py), when to speak (trickle.py). Here is who is asked what, and
in which order.

Sans-I/O: it has no clock and no link. Times are values of ticks_ms (now) and ticks_us (now_us, sent_us) of one clock,
and frames come and go in buffers. No call takes memory once the node is made, and none raises whatever the frame says.
No call may come while another is under way; but an interrupt (Ctrl-C) may end one at any point: the next call repairs
what it left, and at worst the frame that was being handled is lost.
"""

from array import array
from time import ticks_add, ticks_diff

from micropython import const

from faction.core import Faction
from faction.first_sample import FirstSample
from faction.frame import Frame
from faction.knowledge import Knowledge
from faction.sessions import Sessions
from faction.trickle import Trickle

MAX_NUMBER = const(0x3FFFFFFF)  # sessions, sequences, generations and counters end here: 31-bit small ints

_IMAX_MS = const(2048)
_REDUNDANCY = const(1)
_AHEAD = const(8)  # it when the first sample is near: each frame heard makes the instant more exact
_HASTE = const(3)  # what others wait for is said in the first Imin / 2 to the power of this,
_AT_ONCE = const(30)  # and what nobody else can say at the next call
_SILENCES = const(8)  # so often a node that needs an echo holds its tongue for others; they cannot ask in its stead

# Counters, named in names.py; those that are not here are verdicts of Frame.decode()
# or Sessions.prove().
_UNPROVED = const(9)
_OWN = const(10)  # an old frame of this node's own
_SENT = const(11)
_SUPPRESSED = const(12)  # Trickle kept silent: enough others had said the same
_TIMEOUTS = const(14)  # deadlines expired
_COUNTERS = const(16)

# Of core.py: states and a command.
_BOOTSTRAPPED = const(3)
_TIMED_OUT = const(4)
_DEADLINE_EXPIRED = const(3)

# Flags of a frame.
_BOOTSTRAPPED_FLAG = const(1)
_INSTANT_FLAG = const(2)
_TIMED_OUT_FLAG = const(4)

# What differs by a frame, as the parts find.
_LACKS = const(1)
_CLAIMS = const(2)
_MOVED = const(4)  # the instant, by so much that others are to know it at once


class Node:
    """One member of a swarm.

    name: of the swarm; members: ids; node_id: this member; required: how many must be ready; key: 16 bytes;
    session: this boot's number, above every earlier boot's, 1 ... 2^30 - 1. deadline_ms: time from start to
    DeadlineExpired, then once more (retry) or no more (halt); lead_ms: from the first conclusion to the first sample,
    by default by the swarm's size; linger_ms: from this node's conclusion to its silence, 0 for never; imin_ms: at
    least four frame times of the slowest link, and raised where many members are in range; observer: the machine's;
    period_ms: between two samples, 0 for the first alone.

    Attributes to read: machine, knowledge (with bitmaps and generation), first_sample, frame (with foreign_digest),
    session, sequence, counters (names in names.COUNTERS), deadline (a tick), conflict (a second board carries this id:
    this one takes no further part until it is made anew), sample_due.

    Raises ValueError, which names the value, for what a swarm cannot have. remote/node.py adds to it what a swarm with
    rounds has.
    """

    series_frame = None  # type: type | None # class of the frame where there is a period, if it is another than SeriesFrame

    def __init__(
        self, name, members, node_id, required, key, session,
        deadline_ms=60_000, retry=True, lead_ms=None, linger_ms=0, imin_ms=20, observer=None, period_ms=0,
    ):  # fmt: skip
        if not 1 <= session <= MAX_NUMBER:
            raise ValueError("session %s: outside 1 ... 2^30 - 1" % session)
        from faction.description import default_lead_ms, digest  # only a start needs it

        self.machine = Faction(node_id, members, required, observer)
        ids = self.machine.ids
        swarm_digest = digest(name, ids, required, period_ms)
        lead_ms = lead_ms or default_lead_ms(len(ids), imin_ms)
        self.session = session
        self.sequence = 0
        # A Trickle seed, spread so that neighbouring ids and sessions do not draw alike.
        seed = 1 + (node_id * 15_485 + session % 65_521 * 15_271) % MAX_NUMBER
        self.trickle = Trickle(imin_ms, max(imin_ms, _IMAX_MS), _REDUNDANCY, seed)
        if not period_ms:
            self.frame = Frame(swarm_digest, self.machine, key)
            self.first_sample = FirstSample(lead_ms)
        else:
            from faction.series import SeriesFrame, SwarmClock

            self.frame = (self.series_frame or SeriesFrame)(swarm_digest, self.machine, key)
            self.first_sample = SwarmClock(lead_ms, self.frame, self.trickle, period_ms, 1 + seed % 65_535)
        self.knowledge = Knowledge(self.machine, self.frame)
        self.sessions = Sessions(session, self.frame, self.knowledge, self.trickle)
        self.echoes = self.sessions.echoes
        self.counters = array("I", bytes(4 * _COUNTERS))
        self.conflict = False
        self.sample_due = False
        self.sampled_late = False
        self._retry = retry
        self._deadline_ms = deadline_ms
        self.deadline = 0
        self._timed_out = False
        self._started = False
        self._busy = False
        self._linger_ms = linger_ms
        self._linger_end = 0
        self._concluded = False
        self._silent = False
        self._asks = 0  # 1 and the silences since an unproved sender claimed something, 0: none has, or it was told
        self._now = self._now_us = 0

    # What the application and the runner call

    def start(self, now, now_us):
        """Begin to take part. Call it once, before everything below."""
        self._enter(now, now_us)
        self.deadline = ticks_add(now, self._deadline_ms)
        self.knowledge.add_own()
        self.knowledge.feed_again()
        self.trickle.start(now)
        self._started = True
        self._busy = False

    def complete_local(self, now, now_us):
        """This node's own participation is complete (its sensor has warmed up): it is ready from now on.

        A node that has timed out and halts does not become ready any more.
        """
        self._enter(now, now_us)
        if not self.conflict and not self.ready() and self.machine.state != _TIMED_OUT:
            self.knowledge.complete()
            self._settle()
            self.trickle.start(now, _AT_ONCE)
            self.trickle.repeat = True  # many may be ready at once: the first word collides, and nobody else has it
        self._busy = False

    def receive(self, buffer, length, now, now_us, sent_us):
        """Hear a frame: the first length bytes of buffer, a bytes or bytearray.

        sent_us: when its transmission began, by this node's ticks_us; where that is uncertain, the latest possible
        moment, so that the agreed instant never creeps forward.
        """
        self._enter(now, now_us)
        if not self.conflict:
            verdict = self.frame.decode(buffer, length)
            if self.counters[verdict] < MAX_NUMBER:  # _count(), without a call for each frame
                self.counters[verdict] += 1
            if not verdict:
                self._hear(buffer, sent_us)
                self._settle()
        self._busy = False

    def poll(self, now, now_us, buffer):
        """Let time pass; returns the length of the frame to send now, which it has built in buffer, or 0.

        buffer: of at least frame.max_length bytes. Call it only when the link can send at once.
        """
        self._enter(now, now_us)
        length = 0
        if not self.conflict and not self._silent and self.trickle.poll(now):
            redundancy = self.trickle.redundancy
            if self.first_sample.known and 0 < self.first_sample.remaining_us(now_us) < self.first_sample.soon_us:
                redundancy = max(redundancy, _AHEAD)
            if self.trickle.heard >= redundancy and not self.echoes.waited_for() and self._asks < _SILENCES:
                self._count(_SUPPRESSED)
                if self._asks:
                    self._asks += 1
            elif self.sequence < MAX_NUMBER:
                length = self._build(buffer)
        self._busy = False
        return length

    def left(self, left_us):
        """Tell that the last frame of poll() has begun to leave at left_us, by this node's ticks_us; where that is
        uncertain, at the earliest possible moment, so that the agreed instant never creeps forward; None: not known. Of
        several calls that counts, else the earliest. Without it a frame's time in the link makes the instant that much
        less exact.
        """
        self.first_sample.left(self.sequence, left_us)

    def tick(self, now, now_us):
        """Let time pass while no link can send: the deadline and the first sample do not wait for a link."""
        self._enter(now, now_us)
        self._busy = False

    def wait_ms(self, now, now_us):
        """Milliseconds until poll() has something to do, 0 or more."""
        if self.conflict:
            return _IMAX_MS
        wait = _IMAX_MS if self._silent else ticks_diff(self.trickle.due, now)
        if not self._concluded:
            wait = min(wait, ticks_diff(self.deadline, now))
        if self.first_sample.known and not self.first_sample.passed:
            wait = min(wait, self.first_sample.wait_us(now_us) // 1000)
        return max(wait, 0)

    def ready(self):
        """Whether this node itself is ready."""
        return self.knowledge.ready

    def take_sample(self, now_us):
        """Acknowledge sample_due; returns late_us, microseconds from the agreed instant to now_us."""
        self.first_sample.done = True
        self.sample_due = False
        return -self.first_sample.remaining_us(now_us)

    # Time

    def _enter(self, now, now_us):
        """Begin every call: look at the first sample's instant and at the deadline before anything else is done."""
        self._now = now
        self._now_us = now_us
        if self.conflict:
            return
        if self.first_sample.known and self.first_sample.advance(now_us):
            self.trickle.reset(now, False)
        if self._busy:
            self._repair()
        self._busy = True
        if self.first_sample.passed:
            self._fire(False)
        if self._concluded:
            if self._linger_ms and ticks_diff(now, self._linger_end) >= 0:
                self._silent = True
        elif self._started and ticks_diff(now, self.deadline) >= 0:
            self._timed_out = True
            self._count(_TIMEOUTS)
            self.machine.process(_DEADLINE_EXPIRED)
            if self._retry:
                self.knowledge.feed_again()
                self.deadline = ticks_add(now, self._deadline_ms)
            self._settle()

    def _repair(self):
        """The call before was interrupted: make again what it may have left half done from what is whole.

        Whole are this node's own readiness, the bitmaps but for its own bits, and the generation, since a step that
        changes more than one of the node's parts changes last what would have it done again by the next frame.
        """
        self.sessions.repair()
        self.knowledge.add_own()
        self.trickle.start(self._now)
        if self.machine.state < _BOOTSTRAPPED or self.machine.state == _TIMED_OUT and self._retry:
            self.knowledge.feed_again()
        self._settle()

    def _fire(self, late):
        """Make the sample due if its instant has passed; late: noticed only after it had passed."""
        if self.sample_due or self.first_sample.done or self.machine.state != _BOOTSTRAPPED:
            return
        self.sampled_late = late
        self.sample_due = self.first_sample.passed

    def _settle(self):
        """Draw the conclusions' consequences, once all that a frame says has been taken in."""
        if self.machine.state < _BOOTSTRAPPED or self.first_sample.done:
            return
        if not self._concluded:
            self._linger_end = ticks_add(self._now, self._linger_ms)
            self._concluded = True
            if self.machine.state == _BOOTSTRAPPED:
                self.trickle.start(self._now, _HASTE)
        if self.machine.state == _BOOTSTRAPPED:
            self._timed_out = False
            if not self.first_sample.known:
                self.first_sample.offer(self.first_sample.lead_ms * 1000, self._now_us, True)
            self._fire(True)

    # Hearing

    def _hear(self, buffer, sent_us):
        """A frame has passed every check; the steps are PROTOCOL.md's."""
        frame = self.frame
        if frame.sender == self.knowledge.me:
            if (frame.session - self.session or frame.sequence - self.sequence) > 0:
                self.conflict = True  # nobody but a second board with this id can have made it
            else:
                self._count(_OWN)
            return
        # 1. Session; then what the frame lacks and claims.
        verdict = self.sessions.prove(buffer, sent_us)
        if verdict:
            self._count(verdict)
        differs = _LACKS if self.first_sample.known else 0
        if frame.flags & _INSTANT_FLAG:
            differs = self.first_sample.compare(frame, self.sessions.since_us, self._now_us)
        differs |= self.knowledge.compare(buffer)
        # 2. Echoes
        if differs & _LACKS:
            self.echoes.need(frame.sender)
        if verdict == _UNPROVED:
            # Nothing in it counts; but its sender may need to hear this node, to be proved or to prove.
            if differs > _LACKS and not self._asks:
                self._asks = 1
        else:
            # 3. Generation
            if frame.generation > self.knowledge.generation:
                self.knowledge.start_over(frame.generation)
            if frame.generation == self.knowledge.generation and not (
                differs & _CLAIMS and self.knowledge.contradicts(buffer)
            ):
                # 4. Merge, and 5. First sample
                if differs & _CLAIMS:
                    self.knowledge.merge(buffer)
                if frame.flags & _INSTANT_FLAG:
                    differs |= self.first_sample.offer(self.first_sample.theirs_us, self._now_us)
            self.sessions.take(buffer, differs & _LACKS)
        # 6. Trickle
        if differs & _MOVED:
            self.trickle.start(self._now, _HASTE)
        elif differs:
            self.trickle.reset(self._now, verdict != _UNPROVED and differs & _CLAIMS)
        else:
            self.trickle.heard += 1

    # Speaking

    def _build(self, buffer):
        """Make the next frame in buffer; returns its length."""
        frame = self.frame
        self._asks = 0
        self.sequence += 1
        frame.ready = self.knowledge.ready
        frame.flags = _TIMED_OUT_FLAG if self._timed_out else 0
        if self.machine.state == _BOOTSTRAPPED:
            frame.flags |= _BOOTSTRAPPED_FLAG
        frame.sender = self.knowledge.me
        frame.session = self.session
        frame.sequence = self.sequence
        frame.generation = self.knowledge.generation
        frame.offset_us = 0
        if self.first_sample.known:
            self.first_sample.put(frame, self._now_us)
        self.echoes.put(buffer)
        self._count(_SENT)
        return frame.encode(buffer, self.knowledge.bitmaps)

    def _count(self, counter):
        if self.counters[counter] < MAX_NUMBER:
            self.counters[counter] += 1
