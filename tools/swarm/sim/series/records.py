"""What comes of samples over the air: which reach a gateway, when, and at what cost."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from swarm.device.library import REPORT

if TYPE_CHECKING:
    from swarm.sim.boards.board import Board
    from swarm.sim.kernel import Kernel
    from swarm.sim.plan import Plan

TWICE = "no_record_twice"
LOST = "no_record_lost"
UNTRUE = "no_record_made_up"
NAMES = (TWICE, LOST, UNTRUE)

_VALUE = 21.53
_SILENT_US = 5_000_000  # who has not answered in that time is asked again later
_PAUSE_US = 600_000_000  # between two rounds of questions


@dataclass
class Gathered:
    """sent: records that members other than the gateway had: those that came, and those that were on flash when the
    gateway last read it to its end; gathered and lost: of those; twice: records that one life of the gateway was given
    again; frames: that all have sent for them while the gateway asked for nothing; delay_us: from the sample until the
    record was at the gateway; backlog_us: how long a gateway that came late took to fetch what had been sampled
    before."""

    sent: int = 0
    gathered: int = 0
    twice: int = 0
    lost: int = 0
    frames: int = 0
    delay_us: list[int] = field(default_factory=list)
    backlog_us: int | None = None


class Records:
    """The flash of the boards, and a gateway's application: it takes what comes, and asks for the rest."""

    def __init__(self, kernel: Kernel, plan: Plan, checks: Any) -> None:
        self.found = Gathered()
        self.checks = checks
        self._kernel = kernel
        self._plan = plan
        self._flash: dict[int, bytearray] = {number: bytearray() for number in plan.ids}
        self._sent: dict[tuple, int] = {}
        self._late_us: dict[tuple, int] = {}
        self._gathered: set[tuple] = set()
        self._told: set[tuple] = set()  # by this life of the gateway
        self._life = 0
        self._places: dict[int, int] = dict.fromkeys(plan.ids, 0)
        self._pieces: dict[int, bytearray] = {number: bytearray() for number in plan.ids}
        self._asked: list[int] = []  # who is still to be asked, the first of them now
        self._asked_us = 0
        self._began_us = 0  # it began to ask the one whom it asks
        self._read_us: dict[int, int] = dict.fromkeys(plan.ids, 0)  # what each had by then has been read
        self._next_us = plan.gathers_from_us
        self._backlog = plan.gathers_from_us > 0
        # Of an id that two boards have there are two records of a beat, and two that gather each print all.
        self._doubled = plan.ids[plan.double[0]] if plan.double else None

    def sampled(self, board: Board, late_us: int) -> None:
        """A board is about to acknowledge a sample."""
        node = board.node
        beat = node.first_sample.due()
        series = node.first_sample.series
        record = {
            "node": board.number, "session": node.session, "series": series, "n": beat, "late_us": late_us,
            "value": _VALUE, "late": node.sampled_late,
        }  # fmt: skip
        self._flash[board.number] += (json.dumps(record) + "\n").encode()
        self._sent[board.number, series, beat, node.session] = self._kernel.now
        self._late_us[board.number, series, beat, node.session] = late_us
        if not node.sampled_late:
            node.reports.put(beat, node.session, late_us, str(_VALUE).encode())

    def sends(self, board: Board) -> bool:
        """Whether the frame that a board sends is of this kind."""
        ours = board._buffer[0] == REPORT
        if ours and not self._asked:
            self.found.frames += 1
        return ours

    def changed(self, board: Board) -> None:
        """Something has happened to a board."""
        reports = board.node.reports
        if reports.asked.wanted:
            _, place = reports.asked.get()
            piece = bytes(self._flash[board.number][place : place + reports.room()])
            reports.answer(0, place + len(piece), piece)
        if board.number == self._plan.ids[0]:
            self._gateway(board)

    def _gateway(self, board: Board) -> None:
        now = self._kernel.now
        reports = board.node.reports
        if self._life != board.life:
            self._life = board.life
            self._told.clear()
            self._asked.clear()
        if now < self._plan.gathers_from_us:
            return
        reports.set_gathers(True)
        while record := reports.next():
            member_id, series, beat, session, late_us, value = record
            if series:
                self._told_of(board, (member_id, series, beat, session), late_us, value)
            elif self._asked and member_id == self._asked[0]:
                self._answered(reports, member_id, late_us, value)
        if not self._asked and now >= self._next_us and board.node.rounds.number >= 0:
            self._asked = [number for number in self._plan.ids if number != board.number]
            self._began(reports)
        elif self._asked and now - self._asked_us > _SILENT_US:
            self._pass_on(reports)

    def _began(self, reports) -> None:
        """Ask the next one, from where it was read to."""
        self._began_us = self._kernel.now
        self._ask(reports)

    def _ask(self, reports) -> None:
        if self._asked:
            self._asked_us = self._kernel.now
            reports.ask(self._asked[0], 0, self._places[self._asked[0]])
        else:
            reports.cease()

    def _answered(self, reports, member_id: int, place: int, piece: bytes) -> None:
        if place != self._places[member_id] + len(piece):
            return self._ask(reports)  # what its earlier life asked, under the same number
        self._places[member_id] = place
        self._pieces[member_id] += piece
        *lines, rest = self._pieces[member_id].split(b"\n")
        self._pieces[member_id] = bytearray(rest)
        for line in lines:
            record = json.loads(line)
            self._take((member_id, record["series"], record["n"], record["session"]))
        if piece:
            return self._ask(reports)
        self._read_us[member_id] = self._began_us
        return self._pass_on(reports)

    def _pass_on(self, reports) -> None:
        """Ask the next one: this has told all, or does not answer and is asked again in the next cycle."""
        del self._asked[0]
        self._end()
        self._began(reports)

    def _end(self) -> None:
        if not self._asked:
            self._next_us = self._kernel.now + _PAUSE_US
            if self._backlog:
                self._backlog = False
                self.found.backlog_us = self._kernel.now - self._plan.gathers_from_us

    def _told_of(self, board: Board, key: tuple, late_us: int, value: bytes) -> None:
        if key[0] != self._doubled and (self._late_us.get(key) != late_us or value != str(_VALUE).encode()):
            self.checks.fail(UNTRUE, board, f"{key[0]} has measured no {value!r} at beat {key[2]}")
        if key in self._told and self._doubled not in (key[0], board.number):
            self.found.twice += 1
            self.checks.fail(TWICE, board, f"record of beat {key[2]} of {key[0]}")
        self._told.add(key)
        self._take(key)

    def _take(self, key: tuple) -> None:
        if key in self._sent and key not in self._gathered:
            self._gathered.add(key)
            self.found.delay_us.append(self._kernel.now - self._sent[key])

    def end(self) -> Gathered:
        """The run is over."""
        gateway = self._plan.ids[0]
        sent = {
            key
            for key, when in self._sent.items()
            if key[0] != gateway and (key in self._gathered or when < self._read_us[key[0]])
        }
        self.found.sent = len(sent)
        lost = sent - self._gathered
        self.found.lost = len(lost)
        if lost:
            self.checks.fail(LOST, None, f"{len(lost)} records, the first {min(lost)}")
        self.found.gathered = len(sent & self._gathered)
        return self.found
