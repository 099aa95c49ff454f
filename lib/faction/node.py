"""One node of a swarm: makes the readiness machine true on a lossy, shared medium (protocol.md).

Sans-I/O: it has no clock and no link. Times are values of ticks_ms (now) and ticks_us (now_us, sent_us) of one clock,
and frames come and go in buffers. No call takes memory once the node is made, and none raises whatever the frame says.
Some loops count down with while: a for keeps three more words, and a function of more than 11 takes heap for its frame.
No call may come while another is under way; but an interrupt (Ctrl-C) may end one at any point: the next call repairs
what it left, and at worst the frame that was being handled is lost.
"""

from array import array
from time import ticks_add, ticks_diff

from micropython import const

from faction.core import (
    BOOTSTRAPPED,
    DEADLINE_EXPIRED,
    LOCAL_PARTICIPATION_COMPLETED,
    PARTICIPATION_OBSERVED,
    READY_OBSERVED,
    TIMED_OUT,
    Faction,
)
from faction.first_sample import FirstSample
from faction.frame import (
    BOOTSTRAPPED_FLAG,
    FOLLOW_UP_FLAG,
    INSTANT_FLAG,
    MAX_ECHOES,
    TIMED_OUT_FLAG,
    Frame,
    digest,
)
from faction.trickle import Trickle

MAX_NUMBER = const(0x3FFFFFFF)  # sessions, sequences, generations and counters end here: 31-bit small ints

IMIN_MS = const(16)
_IMAX_MS = const(2048)
_REDUNDANCY = const(2)
_QUEUE = const(16)  # echoes that wait to be sent
_SILENCES = const(8)  # so often a node that needs an echo holds its tongue for others; they cannot ask in its stead
_FOLLOW_UP_US = const(4_000_000)  # a transmission is not counted from for longer: more than the longest usual pause
_ITSELF = const(4)  # every such frame's offset counts from itself, for those who have not heard the one before
_DENSITY = const(6)  # Imin in ms is at least the square of the members in range over 2 to the power of this
_BITMAPS = const(24)  # where a frame's bitmaps begin

# Counters, named in names.py; the first seven are the verdicts of Frame.decode().
_REPLAYED = const(7)  # sequence not above the last: a duplicate or a recording
_STALE = const(8)  # session below the stored one: a recording, or a board whose storage was lost
_UNPROVED = const(9)  # nothing proves yet that the sender's session is live
_OWN = const(10)  # an old frame of this node's own
_SENT = const(11)
_SUPPRESSED = const(12)  # Trickle kept silent: enough others had said the same
_RESTARTS = const(13)  # reboots of other members noticed
TIMEOUTS = const(14)  # deadlines expired
_COUNTERS = const(15)


def default_lead_ms(members, imin_ms=IMIN_MS):
    """How far ahead a swarm of that many members agrees on its first sample, in milliseconds: the news takes longer
    to reach everybody in a larger swarm and on a slower link."""
    return 500 + 20 * max(0, members - 20) + 10 * (imin_ms - IMIN_MS)


class Node:
    """One member of a swarm.

    name: of the swarm; members: ids; node_id: this member; required: how many must be ready; key: 16 bytes;
    session: this boot's number, above every earlier boot's, 1 ... 2^30 - 1. deadline_ms: time from start to
    DeadlineExpired, then once more (retry) or no more (halt); lead_ms: from the first conclusion to the first sample,
    by default by the swarm's size; linger_ms: from this node's conclusion to its silence, 0 for never; imin_ms: at
    least four frame times of the slowest link, and raised where many members are in range; observer: the machine's.

    Attributes to read: machine, first_sample, frame (with foreign_digest), session, generation, sequence, counters
    (names in names.COUNTERS), deadline (a tick), conflict (a second board carries this id: this one takes no further
    part until it is made anew), sample_due.

    Raises ValueError, which names the value, for what a swarm cannot have.
    """

    def __init__(
        self,
        name,
        members,
        node_id,
        required,
        key,
        session,
        deadline_ms=60_000,
        retry=True,
        lead_ms=None,
        linger_ms=0,
        imin_ms=IMIN_MS,
        observer=None,
    ):
        if not 1 <= session <= MAX_NUMBER:
            raise ValueError("session %s: outside 1 ... 2^30 - 1" % session)
        self.machine = Faction(node_id, members, required, observer)
        ids = self.machine.ids
        self.frame = Frame(digest(name, ids, required), self.machine, key)
        self.session = session
        self.sequence = 0
        self.generation = 0
        # A Trickle seed, spread so that neighbouring ids and sessions do not draw alike.
        seed = 1 + (node_id * 15_485 + session % 65_521 * 15_271) % MAX_NUMBER
        self.trickle = Trickle(imin_ms, max(imin_ms, _IMAX_MS), _REDUNDANCY, seed)
        self._near = 0  # members heard at all, proved or not: they share the channel
        self.first_sample = FirstSample(lead_ms or default_lead_ms(len(ids), imin_ms))
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
        self._sampled = False
        self._ready = False
        self.bitmaps = bytearray(2 * self.frame.width)  # participation and readiness side by side, as in a frame
        self._me = self.machine.index(node_id)
        self._sessions = array("I", bytes(4 * len(ids)))  # highest session known to be live, 0: none
        self._sequences = array("I", bytes(4 * len(ids)))  # its last sequence, or of its last frame
        self._stamps = array("I", bytes(4 * len(ids)))  # when that transmission began, by this node's ticks_us
        self._left = 0  # sequence of this node's frame of which it is known when it left, 0: none
        self._left_us = 0  # when its transmission began
        self._doubted = bytearray(self.frame.width)  # rebooted, and not heard to be ready since
        self._doubts = False  # somebody has rebooted
        self._echo_members = array("H", bytes(2 * min(_QUEUE, len(ids))))
        self._echo_sessions = array("I", bytes(4 * min(_QUEUE, len(ids))))
        self._echo_count = 0
        self._asks = 0  # 1 and the silences since an unproved sender claimed something, 0: none has, or it was told
        self._lacks = self._claims = False
        self._news = 0  # the first byte of the bitmaps in which the frame claims more
        self._now = self._now_us = self._sent_us = 0
        self._theirs_us = None  # from now to the instant, as the frame tells it

    # What the application and the runner call

    def start(self, now, now_us):
        """Begin to take part. Call it once, before everything below."""
        self._enter(now, now_us)
        self.deadline = ticks_add(now, self._deadline_ms)
        self._add(self._me)
        self.machine.process(PARTICIPATION_OBSERVED, self.machine.peer_id)
        self.trickle.start(now)
        self._started = True
        self._busy = False

    def complete_local(self, now, now_us):
        """This node's own participation is complete (its sensor has warmed up): it is ready from now on.

        A node that has timed out and halts does not become ready any more.
        """
        self._enter(now, now_us)
        if not self.conflict and not self.ready() and self.machine.state != TIMED_OUT:
            self._ready = True
            self._add(self._me + 8 * self.frame.width)
            self.machine.process(LOCAL_PARTICIPATION_COMPLETED)
            self.trickle.reset(now)
            self.trickle.repeat = True  # many may be ready at once: the first word collides, and nobody else has it
            self._settle()
        self._busy = False

    def receive(self, buffer, length, now, now_us, sent_us):
        """Hear a frame: the first length bytes of buffer, a bytes or bytearray.

        sent_us: when its transmission began, by this node's ticks_us; where that is uncertain, the latest possible
        moment, so that the agreed instant never creeps forward.
        """
        self._enter(now, now_us)
        self._sent_us = sent_us
        if not self.conflict:
            self._receive(buffer, length)
        self._busy = False

    def poll(self, now, now_us, buffer):
        """Let time pass; returns the length of the frame to send now, which it has built in buffer, or 0.

        buffer: of at least frame.max_length bytes. Call it only when the link can send at once.
        """
        self._enter(now, now_us)
        length = 0
        if not self.conflict and not self._silent and self.trickle.poll(now):
            if self.trickle.suppressed() and not self._echo_count and self._asks < _SILENCES:
                self._count(_SUPPRESSED)
                if self._asks:
                    self._asks += 1
            elif self.sequence < MAX_NUMBER:
                length = self._build(buffer)
        self._busy = False
        return length

    def left(self, left_us):
        """Tell that the last frame of poll() has begun to leave at left_us, by this node's ticks_us; where that is
        uncertain, at the earliest possible moment, so that the agreed instant never creeps forward. Of several calls
        the earliest counts. Without it a frame's time in the link makes the instant that much less exact.
        """
        if self._left != self.sequence or ticks_diff(left_us, self._left_us) < 0:
            self._left_us = left_us
            self._left = self.sequence

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
            wait = min(wait, self.first_sample.remaining_us(now_us) // 1000)
        return max(wait, 0)

    def ready(self):
        """Whether this node itself is ready."""
        return self._ready

    def take_sample(self, now_us):
        """Acknowledge sample_due; returns late_us, microseconds from the agreed instant to now_us."""
        self._sampled = True
        self.sample_due = False
        return -self.first_sample.remaining_us(now_us)

    # Time

    def _enter(self, now, now_us):
        """Begin every call: look at the first sample's instant and at the deadline before anything else is done."""
        self._now = now
        self._now_us = now_us
        if self.conflict:
            return
        if self.first_sample.known:
            self.first_sample.advance(now_us)
        if self._busy:
            self._repair()
        self._busy = True
        if self.first_sample.passed:
            self._fire(False)
        if self._concluded:
            if self._linger_ms and ticks_diff(now, self._linger_end) >= 0:
                self._silent = True
        elif self._started and ticks_diff(now, self.deadline) >= 0:
            self._expire()

    def _repair(self):
        """The call before was interrupted: make again what it may have left half done from what is whole.

        Whole are this node's own readiness, the bitmaps but for its own bits, and the generation, since a step that
        changes more than one of the node's parts changes last what would have it done again by the next frame.
        """
        self._echo_count = 0
        if self.frame.sender >= 0:
            self._sequences[self.frame.sender] = 0
        self._add_own()
        self.trickle.start(self._now)
        if self.machine.state < BOOTSTRAPPED or self.machine.state == TIMED_OUT and self._retry:
            self._feed_again()
        self._settle()

    def _fire(self, late):
        """Make the sample due if its instant has passed; late: noticed only after it had passed."""
        if self.sample_due or self._sampled or self.machine.state != BOOTSTRAPPED:
            return
        self.sampled_late = late
        self.sample_due = self.first_sample.passed

    def _expire(self):
        self._timed_out = True
        self._count(TIMEOUTS)
        self.machine.process(DEADLINE_EXPIRED)
        if self._retry:
            self._feed_again()
            self.deadline = ticks_add(self._now, self._deadline_ms)
        self._settle()

    def _settle(self):
        """Draw the conclusions' consequences, once all that a frame says has been taken in."""
        if self.machine.state < BOOTSTRAPPED:
            return
        if not self._concluded:
            self._linger_end = ticks_add(self._now, self._linger_ms)
            self._concluded = True
        if self.machine.state == BOOTSTRAPPED:
            self._timed_out = False
            if not self.first_sample.known:
                self.first_sample.propose(self._now_us)
                self.trickle.reset(self._now)
            self._fire(True)

    # Hearing

    def _receive(self, buffer, length):
        verdict = self.frame.decode(buffer, length)
        self._count(verdict)
        if verdict:
            return
        if self.frame.sender != self._me:
            self._hear(buffer)
            self._settle()
        elif (self.frame.session - self.session or self.frame.sequence - self.sequence) > 0:
            self.conflict = True  # nobody but a second board with this id can have made it
        else:
            self._count(_OWN)

    def _hear(self, buffer):
        """A frame of another member has passed every check: protocol.md's steps 1 to 6."""
        frame = self.frame
        proved = self._prove(buffer)
        if proved < 0:
            return
        self._judge(buffer)
        if not proved:
            self._hear_unproved()
            return
        if self._lacks:
            self._queue_echo(frame.sender, frame.session)
        else:
            self._forget_echoes(buffer)
        if frame.generation < self.generation:
            self.trickle.reset(self._now)
            return
        if frame.generation > self.generation:
            self._start_over(frame.generation)
        if self._claims:
            if self._contradicts(buffer):
                self.trickle.reset(self._now)
                return
            self._merge(buffer)
        news = self._claims
        if frame.flags & INSTANT_FLAG and self._theirs_us is not None:
            news = self.first_sample.offer(self._theirs_us, self._now_us) or news
        if news or self._lacks:
            self.trickle.reset(self._now)
        else:
            self.trickle.consistent()

    def _prove(self, buffer):
        """Step 1: 1 when the sender's session is known to be live, 0 when nothing proves it, -1 to drop the frame."""
        frame = self.frame
        i = frame.sender
        stored = self._sessions[i]
        if stored == frame.session and frame.sequence <= self._sequences[i]:
            self._count(_REPLAYED)
            return -1
        if stored > frame.session:
            self._count(_STALE)
            return -1
        if frame.flags & INSTANT_FLAG:
            self._time(i, not stored or stored == frame.session)
        self._stamps[i] = self._sent_us
        if not stored:
            if not self._sequences[i]:
                self._meet()
            if not self._echoes(buffer, self.machine.peer_id, self.session):
                self._sequences[i] = frame.sequence
                self._count(_UNPROVED)
                return 0
            if frame.flags & FOLLOW_UP_FLAG:
                self._theirs_us = None  # it is not proved that the frame before was of this session
        if stored and stored < frame.session:
            self._count(_RESTARTS)
            self._doubted[i >> 3] |= 1 << (i & 7)
            self._doubts = True
            if not frame.ready and self._has(i + 8 * frame.width):
                self._new_generation()
        if frame.ready:
            self._doubted[i >> 3] &= ~(1 << (i & 7))
        self._sessions[i] = frame.session
        self._sequences[i] = frame.sequence
        return 1

    def _time(self, i, same):
        """Find out when the frame's instant is. Its offset counts since it began to be sent, or since the one before
        did, if this node has heard that one. same: the session may be that of the last one heard."""
        self._theirs_us = None
        since_us = self._sent_us
        if self.frame.flags & FOLLOW_UP_FLAG:
            if not same or self.frame.sequence != self._sequences[i] + 1:
                return
            since_us = self._stamps[i]
        self._theirs_us = ticks_diff(since_us, self._now_us) + self.frame.offset_us

    def _meet(self):
        """Count one more member in range. An interval has to hold a frame of each of them, and collisions grow with
        their pairs, so that from 33 on Imin does."""
        if self._near < len(self.machine.ids):
            self._near += 1
            self.trickle.imin_ms = max(self.trickle.imin_ms, min(self._near * self._near >> _DENSITY, _IMAX_MS))

    def _judge(self, buffer):
        """Find out whether the frame lacks something that this node has, and whether it claims to have more."""
        ahead = self.generation - self.frame.generation
        self._lacks = ahead > 0
        self._news = 0
        self._claims = ahead < 0
        if not ahead:
            mine = self.bitmaps
            for i in range(len(mine)):
                if buffer[_BITMAPS + i] != mine[i]:
                    if mine[i] & ~buffer[_BITMAPS + i]:
                        self._lacks = True
                    if not self._claims and buffer[_BITMAPS + i] & ~mine[i]:
                        self._claims = True
                        self._news = i
        if self.frame.flags & INSTANT_FLAG:
            self._judge_instant()
        elif self.first_sample.known:
            self._lacks = True

    def _judge_instant(self):
        first = self.first_sample
        differs = 0 if first.known else -1
        if first.known and self._theirs_us is not None:
            differs = first.differs(self._theirs_us, self._now_us, self.frame.flags & FOLLOW_UP_FLAG)
        self._lacks = self._lacks or differs > 0
        self._claims = self._claims or differs < 0

    def _hear_unproved(self):
        """Nothing in the frame counts; but its sender may need to hear this node, to be proved or to prove."""
        if self._lacks:
            self._queue_echo(self.frame.sender, self.frame.session)
        if self._claims and not self._asks:
            self._asks = 1
        if self._lacks or self._claims:
            self.trickle.reset(self._now)
        else:
            self.trickle.consistent()

    def _contradicts(self, buffer):
        """Whether the frame still carries readiness of an earlier boot: this node's own, or that of a member which
        has not said itself since its reboot that it is ready. If so a new generation begins; of a member each reboot
        counts once."""
        at = _BITMAPS + self.frame.width + (self._me >> 3)
        found = not self.ready() and buffer[at] >> (self._me & 7) & 1
        if self._doubts:
            for i in range(self.frame.width):
                found = found or self._stale(buffer, i)
        if found:
            self._new_generation()
            self._settle_doubts(buffer)
        return found

    def _settle_doubts(self, buffer):
        i = self.frame.width
        while i:
            i -= 1
            stale = self._stale(buffer, i)
            self._doubted[i] &= ~stale

    def _stale(self, buffer, i):
        """Byte i of the readiness that the frame has of doubted members other than its sender."""
        stale = buffer[_BITMAPS + self.frame.width + i] & self._doubted[i]
        if i == self.frame.sender >> 3:
            stale &= ~(1 << (self.frame.sender & 7))
        return stale

    def _merge(self, buffer):
        """Step 4: take every bit that is new to this node."""
        mine = self.bitmaps
        i = self._news
        while i < len(mine):
            if buffer[_BITMAPS + i] & ~mine[i]:
                self._feed(i, buffer[_BITMAPS + i] & ~mine[i])
                mine[i] |= buffer[_BITMAPS + i]
            i += 1

    # Generations

    def _new_generation(self):
        self._start_over(min(self.generation + 1, MAX_NUMBER))

    def _start_over(self, generation):
        """Keep nothing but this node's own bits; a machine that has not concluded is given up for a fresh one."""
        for i in range(len(self.bitmaps)):
            self.bitmaps[i] = 0
        self._add_own()
        if self.machine.state < BOOTSTRAPPED:
            self._feed_again()
        self.generation = generation

    def _feed_again(self):
        """A fresh machine, fed with what the node knows: itself first, as at its start."""
        self.machine.reset()
        self.machine.process(PARTICIPATION_OBSERVED, self.machine.peer_id)
        for i in range(len(self.bitmaps)):
            if self.bitmaps[i]:
                self._feed(i, self.bitmaps[i])
        if self.ready():
            self.machine.process(LOCAL_PARTICIPATION_COMPLETED)

    def _feed(self, at, bits):
        """Tell the machine, while it listens, of the set bits of byte `at` of the bitmaps but this node's own."""
        command = PARTICIPATION_OBSERVED
        if at >= self.frame.width:
            command = READY_OBSERVED
            at -= self.frame.width
        at *= 8
        while bits and self.machine.state < BOOTSTRAPPED:
            if bits & 1 and at != self._me:
                self.machine.process(command, self.machine.ids[at])
            bits >>= 1
            at += 1

    # Echoes

    def _queue_echo(self, member, session):
        """Let a coming frame say that this node has heard the member's session: one slot a member, first in first
        out; when all slots are taken the member says its need again."""
        for i in range(self._echo_count):
            if self._echo_members[i] == member:
                if self._echo_sessions[i] < session:
                    self._echo_sessions[i] = session
                return
        if self._echo_count < _QUEUE:
            self._echo_members[self._echo_count] = member
            self._echo_sessions[self._echo_count] = session
            self._echo_count += 1

    def _forget_echoes(self, buffer):
        """The frame lacks nothing: its sender needs no echo, and those that it echoes have been answered by it."""
        frame = self.frame
        i = 0
        while i < self._echo_count:
            if self._echo_members[i] == frame.sender or self._echoes(
                buffer, self.machine.ids[self._echo_members[i]], self._echo_sessions[i]
            ):
                self._drop_echoes(i, 1)
            else:
                i += 1

    def _echoes(self, buffer, peer_id, session):
        """Whether the frame echoes that session of that member."""
        i = self.frame.echo_count
        while i:
            i -= 1
            if self.frame.echo_id(buffer, i) == peer_id and self.frame.echo_session(buffer, i) == session:
                return True
        return False

    def _drop_echoes(self, at, count):
        # Counted down first: an interrupt may then lose an echo, but never leaves a slot that nobody wrote.
        self._echo_count -= count
        for i in range(at, self._echo_count):
            self._echo_members[i] = self._echo_members[i + count]
            self._echo_sessions[i] = self._echo_sessions[i + count]

    # Speaking

    def _build(self, buffer):
        frame = self.frame
        self._asks = 0
        self.sequence += 1
        frame.ready = self.ready()
        frame.flags = TIMED_OUT_FLAG if self._timed_out else 0
        frame.offset_us = 0
        if self.machine.state == BOOTSTRAPPED:
            frame.flags |= BOOTSTRAPPED_FLAG
        if self.first_sample.known:
            self._put_instant(frame)
        frame.sender = self._me
        frame.session = self.session
        frame.sequence = self.sequence
        frame.generation = self.generation
        frame.echo_count = min(self._echo_count, MAX_ECHOES)
        self._put_echoes(buffer)
        self._count(_SENT)
        return frame.encode(buffer, self.bitmaps)

    def _put_instant(self, frame):
        """A radio may keep a frame for milliseconds before it leaves, and only then tell when that was. So most frames
        count from the one before, as the follow-up message of IEEE 1588 (PTP) does."""
        frame.flags |= INSTANT_FLAG
        since_us = self._now_us
        # After half a turn of ticks_us the age is wrong; by then the instant is past, and held.
        recent = 0 <= ticks_diff(since_us, self._left_us) < _FOLLOW_UP_US
        if recent and self._left and self._left + 1 == self.sequence and self.sequence % _ITSELF:
            frame.flags |= FOLLOW_UP_FLAG
            since_us = self._left_us
        frame.offset_us = self.first_sample.remaining_us(since_us)

    def _put_echoes(self, buffer):
        i = self.frame.echo_count
        while i:
            i -= 1
            self.frame.put_echo(buffer, i, self.machine.ids[self._echo_members[i]], self._echo_sessions[i])
        self._drop_echoes(0, self.frame.echo_count)

    # Bits and counters

    def _has(self, at):
        return bool(self.bitmaps[at >> 3] >> (at & 7) & 1)

    def _add(self, at):
        self.bitmaps[at >> 3] |= 1 << (at & 7)

    def _add_own(self):
        self._add(self._me)
        if self._ready:
            self._add(self._me + 8 * self.frame.width)

    def _count(self, counter):
        if self.counters[counter] < MAX_NUMBER:
            self.counters[counter] += 1
