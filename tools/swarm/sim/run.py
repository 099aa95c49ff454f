"""One run: what befalls a swarm, simulated to its end, with all that its boards tell, and what came of it."""

from __future__ import annotations

import traceback
from collections import Counter
from collections.abc import Callable
from typing import Any

from swarm.device.library import COUNTERS, default_lead_ms, limit_echoes
from swarm.sim import interlopers
from swarm.sim.boards.board import Board
from swarm.sim.invariants import EXCEPTION, FALSE_CONCLUSION, SKEW, STRANDED, Invariants
from swarm.sim.kernel import Clock
from swarm.sim.media import AccessPoint
from swarm.sim.plan import Options, Plan, reached
from swarm.sim.result import Result
from swarm.sim.series.beats import Beats
from swarm.sim.series.presence import Presence
from swarm.sim.series.records import Records
from swarm.sim.swarm import Swarm

BOUND_US = 30_000_000  # every swarm that can conclude does so within this time of the last thing that befalls it
TAIL_US = 3_000_000  # how long a run that cannot conclude is watched for a false conclusion
_TIMEOUTS = COUNTERS.index("timeouts")


class Run(Swarm):
    """A run of one seed. node_class stands in for Node in tests; trace is called with (time, node, what, detail).

    bound_us and tail_us: as BOUND_US and TAIL_US, for classes that want others.
    """

    bound_us = BOUND_US
    tail_us = TAIL_US

    def __init__(
        self, options: Options, seed: int, node_class: type | None = None, trace: Callable | None = None
    ) -> None:
        super().__init__(options, seed, node_class)
        self.trace = trace
        self.checks = Invariants(self.kernel, self.plan, self.imin_ms)
        self._concluded: dict[Board, int] = {}  # the life in which each has last concluded
        self._counted: list[tuple[int, int]] = []
        self._frames_done: list[int] | None = None
        self._shown: dict[Board, tuple] = {}
        self._standing: list[tuple] = []
        self._standing_expected: list[Board] = []
        self.beats = Beats(self.kernel, self.plan, self.checks) if options.period_ms else None
        self.records = Records(self.kernel, self.plan, self.checks) if options.gateway else None
        self.presence = Presence(self.kernel, self.plan, self.boards, self.checks) if options.round_ms else None
        self._watches = [watch for watch in (self.beats, self.presence, self.records) if watch]
        self._build()

    def _build(self) -> None:
        plan, kernel = self.plan, self.kernel
        found = interlopers.places(plan)
        self.lay_media()
        for place, member in enumerate(plan.members):
            clock = Clock(member.offset_us, member.ppm)
            board = self.add(member.number, place, clock, self.make_member, self, member.frame_us)
            self.boards.append(board)
            if place not in plan.absent:
                kernel.at(member.boot_us, board.boot, member.warmup_us)
        for place, lost_us, back_us in plan.cycles:
            if place not in plan.absent:
                kernel.at(lost_us, self.boards[place].power_off)
                kernel.at(back_us, self.boards[place].boot, plan.members[place].warmup_us)
        for place, when in plan.deaths:
            kernel.at(when, self.boards[place].power_off)
        for place, when, by_us in plan.jumps:
            kernel.at(when, self.boards[place].jump, by_us)
        for place, when, ppm in plan.wild:
            kernel.at(when, self.boards[place].clock.run_at, ppm, when)
        interlopers.build(self, found, watch=self)

    # What boards tell

    def booted(self, board: Board) -> None:
        """A board's node has been made."""
        self.note(board, "boots", f"session {board.node.session}")
        self._shown.pop(board, None)
        if self.ours:
            self.checks.booted(board)

    def lost_power(self, board: Board, life: int) -> None:
        """A board's life has ended."""
        self.note(board, "loses power")
        if self.ours:
            self.checks.lost_power(board, life)

    def ready(self, board: Board) -> None:
        """A board's sensor is warm."""
        self.note(board, "ready")
        if self.ours:
            self.checks.ready(board)

    def hearing(self, board: Board, payload: Any) -> None:
        """A board is about to be given a frame."""
        if self.ours:
            self.checks.hearing(board, payload)

    def heard(self, board: Board, payload: Any) -> None:
        """A board has been given a frame."""
        if self.ours:
            self.checks.heard(board, payload)

    def sends(self, board: Board, due: int) -> Any:
        """A board sends a frame; returns the payload."""
        if self.trace:
            self.trace(self.kernel.now, board.number, "sends", "")
        if self.records and self.records.sends(board):
            return self.checks.reports(board)
        return self.checks.sends(board, due) if self.ours else None

    def sampled(self, board: Board, late_us: int) -> None:
        """A board has taken a sample: its first, or that of a beat."""
        self.note(board, "samples", f"{late_us} us from the instant{', late' if board.sampled_late else ''}")
        if self.ours:
            self.checks.sampled(board, late_us)
        if self.beats:
            self.beats.sampled(board, board.node.first_sample.due())
        if self.records:
            self.records.sampled(board, late_us)
        self._finish_if_done()

    def changed(self, board: Board) -> None:
        """Something has happened to a board."""
        if self.ours:
            self.checks.changed(board)
        for watch in self._watches:
            watch.changed(board)
        if board.concluded_at is not None and self._concluded.get(board) != board.life:
            self._concluded[board] = board.life
            self.note(board, "concludes")
            self._counted = [(one.frames, one.bytes) for one in self.boards]
            self._finish_if_done()
        if self.trace and self.ours:
            self._show(board, self.trace)

    def _show(self, board: Board, trace: Callable) -> None:
        """Tell the trace what a node has come to know."""
        node = board.node
        heard = sum(byte.bit_count() for byte in node.knowledge.bitmaps[: node.frame.width])
        ready = sum(byte.bit_count() for byte in node.knowledge.bitmaps[node.frame.width :])
        shown = heard, ready, node.knowledge.generation, node.conflict, node.counters[_TIMEOUTS]
        before = self._shown.get(board, (1, 0, 0, False, 0))
        self._shown[board] = shown
        if shown[:2] != before[:2]:
            trace(self.kernel.now, board.number, "knows", f"{heard} members, {ready} of them ready")
        if shown[2] != before[2]:
            trace(self.kernel.now, board.number, "starts over", f"generation {node.knowledge.generation}")
        if shown[3] and not before[3]:
            trace(self.kernel.now, board.number, "stops", "another board has its id")
        if shown[4] != before[4]:
            trace(self.kernel.now, board.number, "times out")

    def note(self, board: Board, what: str, detail: str = "") -> None:
        """Something worth a line of the timeline and a place in the hash."""
        self.kernel.note(what, board.number, detail.encode())
        if self.trace:
            self.trace(self.kernel.now, board.number, what, detail)

    # The end

    def _expected(self) -> list[Board]:
        """The boards that must conclude, now that nothing else happens: ready, connected and enough of them."""
        standing = [
            (board.on and not board.node.conflict, board.ready_at is not None, board.number) for board in self.boards
        ]
        if standing != self._standing:  # asked for at every conclusion and sample, and seldom another answer
            self._standing = standing
            self._standing_expected = self._find_expected()
        return self._standing_expected

    def _find_expected(self) -> list[Board]:
        plan = self.plan
        on = [board for board in self.boards if board.on and not board.node.conflict]
        # Two boards with one id that are out of each other's range cannot know it: neither is to be relied on.
        carriers = Counter(board.number for board in on)
        working = [board for board in on if carriers[board.number] == 1]
        there = sum(1 << board.place for board in working)
        near = [
            (plan.radio[place] | plan.bus[place]) & there if there >> place & 1 else 0
            for place in range(len(plan.radio))
        ]
        expected = []
        left = working
        while left:
            group = reached(near, left[0].place)
            together = [board for board in left if group >> board.place & 1]
            left = [board for board in left if not group >> board.place & 1]
            ready = [board for board in together if board.ready_at is not None]
            if len(ready) >= plan.required:
                expected += ready
        return expected

    def _finish_if_done(self) -> None:
        if self.kernel.now < self.plan.settled_us:
            return
        expected = self._expected()
        if expected and all(board.concluded_at is not None and board.sampled_at is not None for board in expected):
            self._finish()

    def _finish(self) -> None:
        if self._frames_done is None:
            self._frames_done = [board.frames for board in self.boards]
            self.kernel.at(self.kernel.now + 1000 * self._watched_ms(), self.kernel.stop)

    def _watched_ms(self) -> int:
        return self.options.after_ms + round(self.options.hours * 3_600_000)

    def _look(self) -> None:
        """At the end of everything that befalls the swarm: stop if there is nothing left to wait for."""
        self._finish_if_done()
        if not self._expected():
            self.kernel.at(self.kernel.now + self.tail_us, self._look_again)

    def _look_again(self) -> None:
        if not self._expected():
            self._finish()

    def run(self) -> Result:
        """Simulate to the end."""
        end = self.plan.settled_us + self.bound_us + 1000 * ((self.options.lead_ms or 0) + self._watched_ms())
        self.kernel.at(self.plan.settled_us + 1, self._look)
        try:
            self.kernel.run(end)
        except Exception:
            self.checks.fail(EXCEPTION, None, traceback.format_exc())
        limit_echoes(None)  # what the options asked for is of this run
        return self._result()

    def _result(self) -> Result:
        checks = self.checks
        result = Result(self.plan.seed)
        expected = self._expected()
        late = [board for board in expected if board.concluded_at is None]
        for board in late:
            checks.fail(STRANDED, board, f"state {board.node.machine.state} after {self.bound_us // 1_000_000} s")
        result.stranded = len(late)
        if expected and not late:
            ready = max(board.ready_at or 0 for board in expected)
            last = max(board.concluded_at or 0 for board in expected)
            result.converge_us = max(0, last - max(ready, self.plan.settled_us))
        on_time = [board.sampled_at for board in self.boards if board.sampled_at is not None and not board.sampled_late]
        result.late = sum(board.sampled_late for board in self.boards)
        if on_time:
            result.skew_us = max(on_time) - min(on_time)
            if self.ours and skew_bound_us(self.plan):
                result.early_us = self._asked_for() - min(on_time)
        counted = self._counted or [(board.frames, board.bytes) for board in self.boards]
        result.frames = [frames for frames, _ in counted]
        result.bytes = [sent for _, sent in counted]
        frames = [board.frames for board in self.boards]
        result.frames_sampled = self._frames_done or frames
        result.frames_after = [end - done for end, done in zip(frames, result.frames_sampled, strict=True)]
        if self.beats:
            result.series = self.beats.end(sum(result.frames_after), self._watched_ms() / 60_000)
        result.records = self.records and self.records.end()
        result.presence = self.presence and self.presence.found
        self._check_skew(result)
        result.false_conclusions = checks.violations[FALSE_CONCLUSION]
        result.violations = checks.violations
        result.words = checks.words
        result.events = self.kernel.events
        result.event_hash = self.kernel.hash()
        return result

    def _asked_for(self) -> int:
        """The instant that the first conclusion named, by the clock of its board."""
        asked = []
        for board in self.boards:
            if board.concluded_at is not None and board.on:
                local_us = board.clock.local_us(board.proposed_at) + 1000 * board.node.first_sample.lead_ms
                asked.append(board.clock.when(local_us))
        return min(asked)

    def _check_skew(self, result: Result) -> None:
        """In a swarm that nothing keeps apart all on-time samples fall within the stated skew."""
        bound = skew_bound_us(self.plan)
        if self.ours and bound and result.skew_us is not None and result.skew_us > bound:
            self.checks.fail(SKEW, None, f"samples {result.skew_us} us apart, over {bound}")


def skew_bound_us(plan: Plan) -> int | None:
    """The stated bound on the spread of first samples, or None where the swarm may rightly hold several instants."""
    if set(plan.faults) - {"drift", "corrupt", "foreign", "duplicate", "absent", "unready"}:
        return None
    lead_ms = plan.options.lead_ms
    if lead_ms is not None and lead_ms < default_lead_ms(len(plan.ids)):
        return None  # the instant may pass before all have heard of it
    if plan.options.loss > 0.3 or 2 * plan.required <= len(plan.ids):
        return None  # two parts of such a swarm may conclude before they have met
    if plan.topology == "wifi":  # a node that has heard one frame only has its instant late by what that one waited
        return AccessPoint.BEACON_US + 1500 * len(plan.ids)
    link_us = plan.options.stamp_us + round(plan.options.hidden_wait_ms * 1000)
    # Two instants less than the tolerance of a follow-up (1.5 ms) apart pass for one.
    return 1500 + 8 * link_us
