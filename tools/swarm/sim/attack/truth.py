"""What counts as a successful attack, judged by what the simulation knows to be true and not by what nodes believe.

The judge follows every frame from its making. It decides by itself, from who made the frame, in which life and when,
whether a node may take anything from it, as PROTOCOL.md's threat model says; what the model admits an attacker can do
is no success.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Any

from swarm.device.library import COUNTERS, FOLLOW_UP_FLAG, INSTANT_FLAG, LIMIT_US
from swarm.sim.attack import held
from swarm.sim.attack.forge import LIVE
from swarm.sim.attack.held import Held
from swarm.sim.attack.words import Lie, Report, Word
from swarm.sim.invariants import FALSE_CONCLUSION, INVALID, Damaged, Invariants, Said

if TYPE_CHECKING:
    from swarm.sim.boards.board import Board
    from swarm.sim.kernel import Kernel
    from swarm.sim.plan import Plan

# Names of successes besides those of the invariants
UNTOLD = "holds_only_what_it_was_told"
OUTDATED = "forgets_readiness_of_an_earlier_boot"
STOPPED = "stopped_by_an_old_frame"
INSTANT = "instant_never_too_early_nor_moved_later"
DELAYED = "instant_not_late_where_heard_in_time"
NAMES = (UNTOLD, OUTDATED, STOPPED, INSTANT, DELAYED)

_UNPROVED = COUNTERS.index("unproved")
_IGNORED = (_UNPROVED, COUNTERS.index("replayed"), COUNTERS.index("stale"))
_DRIFT = 5_000  # at most one part in so many
_LATE_US = 1_500  # what a node leaves of a better instant, and more drift


_KINDS = {Word: "recorded", Report: "recorded", Lie: "malformed", Damaged: "forged"}


class Truth(Invariants):
    """The invariants, made as sharp as the threat model.

    liar: somebody seals frames that are not true, so that only what nobody can do to a node is judged; exempt: a board
    that talks without end, whose rate is its own.
    """

    def __init__(self, kernel: Kernel, plan: Plan, imin_ms: int) -> None:
        super().__init__(kernel, plan, imin_ms)
        self.violations.update(dict.fromkeys(NAMES, 0))
        self.liar = False
        self.exempt: Board | None = None
        self.direct = False  # whether a frame comes straight from its sender, and not from the attacker
        self._in_series = plan.options.period_ms > 0
        self._waits = plan.options.hidden_wait_ms > 0  # links keep frames for a while
        self._late_us = plan.options.stamp_us + _LATE_US
        self._truths: dict[Board, Held] = {}

    def booted(self, board: Board) -> None:
        """Its node has been made."""
        super().booted(board)
        truth = self._truths[board] = Held(self._kernel.now)
        truth.bits = self._own(board)

    def ready(self, board: Board) -> None:
        """It is about to be told that it is ready."""
        super().ready(board)
        truth = self._truths[board]
        truth.bits |= self._own(board)
        truth.tokens[self._index[board.number]] = board.node.session

    def _own(self, board: Board) -> int:
        """A board's own bits of both bitmaps."""
        own = 1 << self._index[board.number]
        return own | (own << 8 * board.node.frame.width if board.ready_at is not None else 0)

    def sends(self, board: Board, due: int) -> Said:
        """It sends a frame; returns the frame's payload."""
        said = super().sends(board, due) if board is not self.exempt else Said(board, board.life, 0)
        node = board.node
        truth = self._truths[board]
        word = Word(board, board.life, said.vouched)
        word.number = board.number
        word.session = node.session
        word.sequence = node.sequence
        word.generation = node.knowledge.generation
        word.bits = int.from_bytes(node.knowledge.bitmaps, "little")
        ready = word.bits >> 8 * node.frame.width
        word.tokens = {place: session for place, session in truth.tokens.items() if ready >> place & 1}
        frame, buffer = node.frame, board._buffer
        at = frame.echoes
        echoes = frame.echo_count - (self._in_series and bool(buffer[1] & INSTANT_FLAG))  # the mark is one of them
        said = list(struct.iter_unpack("<HI", buffer[at : at + 6 * echoes]))
        word.echoes = [(number, session % LIVE) for number, session in said]
        live = [echo for echo, (_, session) in zip(word.echoes, said, strict=True) if session >= LIVE]
        word.vouches = [echo for echo in live if self._is_live(truth, *echo)]
        word.instant_us = None
        if self._in_series:
            word.instant_us = held.began_us(board, self._kernel.now) if node.first_sample.known else None
        elif truth.instant_us is not None:
            word.instant_us = board.clock.when(truth.instant_us)
        # A follow-up counts from the first of several links: for who hears another it is late by the difference.
        word.exact = not self._waits or buffer[1] & FOLLOW_UP_FLAG != 0 and len(board.links) == 1
        word.made_us = self._kernel.now
        return word

    @staticmethod
    def _is_live(truth: Held, number: int, session: int) -> bool:
        """Whether a board may vouch for that session: the last that has counted, or what others have vouched for."""
        last = truth.last.get(number)
        return last[0] == session if last else session in truth.vouched.get(number, ())

    def hearing(self, board: Board, payload: Any) -> None:
        """It is about to be given a frame, and has been told the time."""
        truth = self._truths[board]
        truth.ignored = self._ignored(board)
        if self.liar and payload is not Damaged:
            truth.admits = type(payload) is Word or payload.valid
        else:
            truth.admits = self._admits(board, truth, payload)
        truth.passed = board.node.first_sample.passed
        if not truth.admits:
            truth.before = self._known[board].state_of.now()
            truth.unproved = board.node.counters[_UNPROVED]

    def _admits(self, board: Board, truth: Held, word: Any) -> bool:
        """Whether a frame may count: one of another member, after all that has counted of that member, of whom one
        frame has named this session, or for whose session a frame that has counted has vouched. But for such a member
        it must have been made since this board booted."""
        if type(word) is not Word or word.number == board.number or board.node.conflict:
            return False
        vouched = truth.vouched.get(word.number)
        if word.made_us < truth.booted_us and not vouched:
            return False
        last = truth.last.get(word.number)
        if last:
            return (word.session, word.sequence) > last
        if (board.number, board.node.session) in word.echoes:
            return True
        return bool(vouched) and word.session >= min(vouched)

    @staticmethod
    def _ignored(board: Board) -> int:
        """How many frames a node says that it has dropped, of which it may then hold nothing."""
        return sum(board.node.counters[i] for i in _IGNORED)

    def heard(self, board: Board, payload: Any) -> None:
        """It has been given that frame."""
        truth = self._truths[board]
        if not truth.admits:
            self._check_unmoved(board, truth, payload)
        elif type(payload) is Word and not self.liar and self._ignored(board) == truth.ignored:
            self._admit(board, truth, payload)

    def _check_unmoved(self, board: Board, truth: Held, payload: Any) -> None:
        knows, speaks = self._known[board].state_of.now()
        if type(payload) is Word and board.node.counters[_UNPROVED] > truth.unproved:
            # Nobody can tell it from a member that has just booted, so the node may speak: that only.
            speaks = truth.before[1]
        truth.unmoved = (knows, speaks) == truth.before
        if not truth.unmoved:
            what = _KINDS[payload if payload is Damaged else type(payload)]
            self.fail(
                INVALID,
                board,
                f"a {what} frame changed {'what it knows' if knows != truth.before[0] else 'when it speaks'}",
            )

    def _admit(self, board: Board, truth: Held, word: Word) -> None:
        """Take in what a frame that counts has told."""
        place = self._index[word.number]
        last = truth.last.get(word.number)
        if place in word.tokens:
            truth.rebooted.pop(place, None)  # it says itself that it is ready, in whatever generation
        elif last and last[0] < word.session:
            truth.rebooted[place] = word.session
        truth.last[word.number] = word.session, word.sequence
        for number, session in word.vouches:
            truth.vouched.setdefault(number, set()).add(session)
        if board.node.knowledge.generation != truth.generation:
            if board.node.knowledge.generation == word.generation + 1:
                self._objected(board, truth, word)
            truth.generation = board.node.knowledge.generation
            truth.bits = self._own(board)
            me = self._index[board.number]
            truth.tokens = {me: board.node.session} if board.ready_at is not None else {}
        if word.generation == truth.generation:
            mine = 1 << self._index[board.number] + 8 * board.node.frame.width
            truth.bits |= word.bits & ~mine | self._own(board)  # nobody else can say that this one is ready
            for ready, session in word.tokens.items():
                truth.tokens[ready] = max(session, truth.tokens.get(ready, 0))
            if word.instant_us is not None:
                truth.earliest_us = min(word.instant_us, truth.earliest_us or word.instant_us)
        self._known[board].vouched = sum(1 << ready for ready in truth.tokens)
        self._bound_instant(truth, word, last)

    def _objected(self, board: Board, truth: Held, word: Word) -> None:
        """It has answered a frame with a new generation: of each reboot it does so once."""
        ready = word.bits >> 8 * board.node.frame.width
        for place in [place for place in truth.rebooted if ready >> place & 1]:
            if place != self._index[word.number]:
                del truth.rebooted[place]

    def _bound_instant(self, truth: Held, word: Word, last: tuple[int, int] | None) -> None:
        """A node that hears two frames running straight from one member, before the instant, has it right."""
        before = truth.direct.pop(word.number, None)
        if not self.direct or self._in_series:
            return
        truth.direct[word.number] = word
        if last != (word.session, word.sequence - 1) or before is None or truth.passed:
            return
        if word.generation != truth.generation:
            return  # it was older, or told of an earlier boot
        instants = before.instant_us, word.instant_us
        if None not in instants and word.exact and self._kernel.now < min(instants):
            latest_us = max(instants) + self._late_us
            truth.latest_us = min(latest_us, truth.latest_us or latest_us)

    def changed(self, board: Board) -> None:
        """Something has happened to it."""
        truth = self._truths[board]
        if truth.unmoved:
            truth.unmoved = False
            return
        super().changed(board)
        node = board.node
        if self.liar:
            return self._check_instant(board, truth)
        if node.conflict:
            self.fail(STOPPED, board, "believes that its id is used twice")
        bits = int.from_bytes(node.knowledge.bitmaps, "little")
        if bits & ~truth.bits:
            self.fail(UNTOLD, board, f"bits {bits & ~truth.bits:#x} in generation {node.knowledge.generation}")
        ready = bits >> 8 * node.frame.width
        for place, session in truth.rebooted.items():
            if ready >> place & 1 and truth.tokens.get(place, 0) < session:
                number = self._plan.ids[place]
                self.fail(OUTDATED, board, f"counts {number}, which it has heard in session {session} and not ready")
        self._check_instant(board, truth)

    def _check_instant(self, board: Board, truth: Held) -> None:
        first = board.node.first_sample
        if not first.known:
            return
        if self._in_series:
            ahead_us = held.taken_ahead_us(board, truth, self._kernel.now)
            if ahead_us > held.EARLY_US:
                self.fail(INSTANT, board, f"T0 became {ahead_us} us earlier than anybody has told")
            return
        local_us = board.clock.local_us(self._kernel.now)
        remaining_us = first.remaining_us(local_us & (1 << 30) - 1)
        held_us, before_us = local_us + remaining_us, truth.instant_us
        if remaining_us <= -LIMIT_US:
            return  # an instant long past is held there
        if held_us == before_us:
            self._check_in_time(board, truth, held_us)
            return
        if before_us is not None and held_us > before_us:
            self.fail(INSTANT, board, f"moved {held_us - before_us} us later")
        if truth.passed and before_us is not None:
            self.fail(INSTANT, board, "moved after it had passed")
        truth.instant_us = held_us
        if self.liar:
            return
        true_us = board.clock.when(held_us)
        earliest_us = truth.earliest_us
        early_us = held.EARLY_US + abs(remaining_us) // _DRIFT
        if remaining_us < 1000 * first.lead_ms and (earliest_us is None or true_us < earliest_us - early_us):
            told = "nobody has told it" if earliest_us is None else f"told {earliest_us - true_us} us later"
            self.fail(INSTANT, board, f"holds an instant in {remaining_us} us, {told}")
        self._check_in_time(board, truth, held_us)

    def _check_in_time(self, board: Board, truth: Held, held_us: int) -> None:
        if truth.latest_us is not None and not self.liar:
            late_us = board.clock.when(held_us) - truth.latest_us
            if late_us > 0:
                self.fail(DELAYED, board, f"holds an instant {late_us} us too late")
            truth.latest_us = None

    def _concluded(self, board: Board, known: Any) -> None:
        if not self.liar:
            super()._concluded(board, known)
            return
        if board.ready_at is None:
            self.fail(FALSE_CONCLUSION, board, "concluded without being ready")
        counted = int.from_bytes(board.node.machine.collecting, "little").bit_count()
        if counted < self._plan.required:
            self.fail(FALSE_CONCLUSION, board, f"concluded with {counted} of {self._plan.required}")
