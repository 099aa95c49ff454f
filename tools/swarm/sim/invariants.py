"""What must hold, checked at every event against what the simulation knows to be true.

Each check has a name, which a violation carries: NAMES.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Sequence, Sized
from operator import itemgetter
from typing import TYPE_CHECKING, Any

from swarm.device.library import BOOTSTRAPPED, COUNTERS
from swarm.sim.kernel import PERIOD
from swarm.sim.series import beats, presence, records

if TYPE_CHECKING:
    from swarm.sim.boards.board import Board
    from swarm.sim.kernel import Kernel
    from swarm.sim.plan import Plan

FALSE_CONCLUSION = "no_false_conclusion"
CONCLUSION_CHANGES = "conclusion_never_changes"
COUNTS_FALL = "counts_never_fall"
STRANDED = "concludes_within_bound"
TOO_FAST = "no_faster_than_trickle"
SKEW = "samples_within_skew"
GROWS = "nothing_grows"
INVALID = "invalid_frames_change_nothing"
EXCEPTION = "no_exception"
NAMES = (
    FALSE_CONCLUSION,
    CONCLUSION_CHANGES,
    COUNTS_FALL,
    STRANDED,
    TOO_FAST,
    SKEW,
    GROWS,
    INVALID,
    EXCEPTION,
    *beats.NAMES,
    *presence.NAMES,
    *records.NAMES,
)

_UNPROVED = COUNTERS.index("unproved")
# sampled_late means something only with sample_due.
_SCRATCH = (
    "counters",
    "_now",
    "_now_us",
    "_busy",
    "_news",
    "since_us",
    "theirs_us",
    "_lead_us",
    "sampled_late",
)
_ASKS = "_asks"  # makes a node speak, as its echoes and its Trickle timer do
_KEPT = 3  # numbers that sessions.heard has of each member, first its session: known if it is live, else only noted
_TOLD = 5  # violations of one name that are kept in words


class Damaged:
    """Payload of a frame that no member has sent: noise, flipped bits, another swarm's."""


class Recorded:
    """Payload of a frame that a member sent in an earlier run: authentic, and worth nothing."""


class Said:
    """Payload of a frame that a member has sent: who, in which life, and whom it rightly knew to be ready."""

    __slots__ = ("board", "life", "vouched")

    def __init__(self, board: Board, life: int, vouched: int) -> None:
        self.board = board
        self.life = life
        self.vouched = vouched


class _Known:
    """What is checked of one life of a board."""

    def __init__(self, kernel: Kernel, board: Board) -> None:
        self.booted_at = kernel.now
        self.vouched = 0  # bit set of members whose readiness has rightly reached this life
        self.state = 0
        self.generation = 0
        self.bitmaps = 0
        self.said: tuple | None = None  # what it knew when it last spoke,
        self.said_at = self.said_imin = 0  # when that was, by the board's milliseconds, and its Imin then
        self.sampled = False
        self.began_us = 0
        self.sizes = _sizes(board.node)
        self.state_of = _State(board.node)
        self.before: tuple[list, list] = [], []  # state before a frame that must not change it
        self.unproved = 0


class Invariants:
    """Watches every board of a run. imin_ms: Trickle's shortest interval that the run agreed on.

    violations: by name, how often; words: the first of each.
    """

    def __init__(self, kernel: Kernel, plan: Plan, imin_ms: int) -> None:
        self.violations = dict.fromkeys(NAMES, 0)
        self.words: list[str] = []
        self._kernel = kernel
        self._plan = plan
        self._imin_ms = imin_ms
        self._index = {number: place for place, number in enumerate(plan.ids)}
        self._known: dict[Board, _Known] = {}
        self._lives: dict[tuple[Board, int], int] = {}  # when a life ended

    def fail(self, name: str, board: Board | None, message: str) -> None:
        """Note a violation."""
        self.violations[name] += 1
        if self.violations[name] <= _TOLD:
            node = f"node {board.number}: " if board else ""
            self.words.append(f"{name}: {node}{message}, at {self._kernel.now / 1000:.3f} ms of seed {self._plan.seed}")

    # Events of a board

    def booted(self, board: Board) -> None:
        """Its node has been made."""
        self._known[board] = _Known(self._kernel, board)

    def lost_power(self, board: Board, life: int) -> None:
        """That life of it has ended."""
        self._lives[board, life] = self._kernel.now

    def ready(self, board: Board) -> None:
        """It is about to be told that it is ready."""
        self._known[board].vouched |= 1 << self._index[board.number]

    def hearing(self, board: Board, payload: Any) -> None:
        """It is about to be given a frame, and has been told the time."""
        if payload is Damaged or payload is Recorded:
            known = self._known[board]
            known.before = known.state_of.now()
            known.unproved = board.node.counters[_UNPROVED]

    def heard(self, board: Board, payload: Any) -> None:
        """It has been given that frame."""
        known = self._known[board]
        if type(payload) is Said:
            ended = self._lives.get((payload.board, payload.life))
            if ended is None or ended >= known.booted_at:
                known.vouched |= payload.vouched
            return
        knows, speaks = known.state_of.now()
        if payload is Recorded and board.node.counters[_UNPROVED] > known.unproved:
            # Nobody can tell it from a member that has just booted, so the node may speak: that only.
            speaks = known.before[1]
        if (knows, speaks) != known.before:
            self.fail(INVALID, board, f"a {payload.__name__.lower()} frame changed its state")

    def sends(self, board: Board, due: int) -> Said:
        """It sends a frame whose moment by Trickle was due (ticks_ms); returns the frame's payload."""
        known = self._known[board]
        # Who has nothing new to say leaves half of Imin between two frames, whatever it hears.
        node = board.node
        first = node.first_sample
        knows = (
            bytes(node.knowledge.bitmaps), node.knowledge.generation, node.knowledge.ready, node.machine.state,
            first.known and beats.begun_us(first),
        )  # fmt: skip
        if known.said is not None:
            gap = (due - known.said_at + PERIOD // 2) % PERIOD - PERIOD // 2
            if knows == known.said and 0 <= gap < known.said_imin // 2:  # a clock that jumps back tells nothing
                self.fail(TOO_FAST, board, f"a frame {gap} ms after the one before, and nothing new")
        # Where more members have come into range since an interval began, the longer Imin holds from the next reset on.
        imin_ms = max(self._imin_ms, min(node.trickle.imin_ms, node.trickle.interval_ms))
        known.said, known.said_at, known.said_imin = knows, due, imin_ms
        return Said(board, board.life, known.vouched)

    def reports(self, board: Board) -> Said:
        """It sends a frame that tells nothing of the swarm's readiness."""
        return Said(board, board.life, self._known[board].vouched)

    def sampled(self, board: Board, late_us: int) -> None:
        """It has taken its first sample."""
        known = self._known[board]
        node = board.node
        if known.sampled and not self._plan.options.period_ms:
            self.fail(SKEW, board, "a second first sample")
        if node.machine.state != BOOTSTRAPPED:
            self.fail(SKEW, board, f"sampled in state {node.machine.state}")
        if late_us < 0:
            self.fail(SKEW, board, f"sampled {-late_us} us before the instant")
        if not node.sampled_late and late_us > 1000 + board.held_us + self._moved_us(known, node.first_sample):
            self.fail(SKEW, board, f"sampled {late_us} us after the instant, not marked late")
        known.sampled = True

    def _moved_us(self, known: _Known, clock) -> int:
        """By how much a beat may be earlier, and with that past, than it ever was since the last one was sampled."""
        if not self._plan.options.period_ms:
            return 0
        before_us, known.began_us = known.began_us, beats.aimed_us(clock)
        moved_us = (before_us - known.began_us) % PERIOD if known.sampled else beats.AIM_US
        return moved_us if moved_us < PERIOD // 2 else 0

    def changed(self, board: Board) -> None:
        """Something has happened to it."""
        known = self._known[board]
        node = board.node
        state = node.machine.state
        if state != known.state:
            if known.state >= BOOTSTRAPPED:
                self.fail(CONCLUSION_CHANGES, board, f"from state {known.state} to {state}")
            elif state == BOOTSTRAPPED:
                self._concluded(board, known)
            known.state = state
        if known.sampled and self._plan.options.period_ms:
            # Who gives way makes its beats later, and the first lead that it then hears moves its aim back.
            began_us = beats.aimed_us(node.first_sample)
            if (began_us - known.began_us) % PERIOD < PERIOD // 2:
                known.began_us = began_us
        bitmaps = int.from_bytes(node.knowledge.bitmaps, "little")
        if bitmaps != known.bitmaps:
            if node.knowledge.generation == known.generation and known.bitmaps & ~bitmaps:
                self.fail(COUNTS_FALL, board, f"in generation {node.knowledge.generation}")
            known.bitmaps = bitmaps
        if node.knowledge.generation != known.generation:
            if node.knowledge.generation < known.generation:
                self.fail(COUNTS_FALL, board, f"generation {known.generation} became {node.knowledge.generation}")
            known.generation = node.knowledge.generation
        for values, name, size in known.sizes:
            if len(values[name]) != size:
                self.fail(GROWS, board, f"{name} from {size} to {len(values[name])}")

    def _concluded(self, board: Board, known: _Known) -> None:
        me = self._index[board.number]
        if not known.vouched >> me & 1:
            self.fail(FALSE_CONCLUSION, board, "concluded without being ready")
        counted = int.from_bytes(board.node.machine.collecting, "little")
        rightly = counted & known.vouched
        if rightly.bit_count() < self._plan.required:
            wrong = [self._plan.ids[i] for i in range(len(self._plan.ids)) if (counted & ~rightly) >> i & 1]
            self.fail(FALSE_CONCLUSION, board, f"{rightly.bit_count()} of {self._plan.required} ready, not {wrong}")


def _sizes(node) -> list[tuple[dict, str, int]]:
    """Every container of a node and its parts, as (attributes, name, length), the attributes themselves included."""
    sizes = []
    parts = (node.machine, node.frame, node.trickle, node.first_sample, node.knowledge, node.sessions, node.echoes)
    for part in (node, *parts):
        values = vars(part)
        sizes += [(values, name, len(value)) for name, value in values.items() if isinstance(value, Sized)]
        sizes.append(({"attributes": values}, "attributes", len(values)))
    return sizes


def _getter(names: list[str]) -> Callable[[dict], tuple]:
    """What fetches those attributes at once: a flood of noise has the state compared thousands of times."""
    if len(names) == 1:
        return lambda values: (values[names[0]],)
    return itemgetter(*names) if names else _none


def _none(values: dict) -> tuple:
    return ()


def live_sessions(heard: Sequence[int], live: bytes) -> tuple[int, ...]:
    """The session of each member of whom it is known to be live, else 0; of what a node's sessions hold."""
    bits = int.from_bytes(live, "little")
    return tuple([bits >> i & 1 and session for i, session in enumerate(heard[::_KEPT])])


class _State:
    """What a node knows, and what makes it speak; without its counters and what it keeps only during a call."""

    def __init__(self, node) -> None:
        self._knows: list[tuple] = []
        self._speaks: list[tuple] = []
        for part in (node, node.machine, node.first_sample, node.knowledge):
            self._add(self._knows, vars(part), [name for name in vars(part) if name not in (*_SCRATCH, _ASKS)])
        self._knows.append((vars(node.sessions), lambda values: live_sessions(values["heard"], values["live"]), _none))
        self._add(self._speaks, vars(node), [_ASKS])
        for part in (node.sessions, node.echoes, node.trickle):
            self._add(self._speaks, vars(part), [name for name in vars(part) if name not in _SCRATCH])

    def _add(self, to: list[tuple], values: dict, names: list[str]) -> None:
        numbers = _getter([name for name in names if isinstance(values[name], int)])
        buffers = _getter([name for name in names if isinstance(values[name], (bytearray, array))])
        to.append((values, numbers, buffers))

    def now(self) -> tuple[list, list]:
        """Both, as values that can be compared."""
        knows, speaks = (
            [(numbers(values), tuple(map(bytes, buffers(values)))) for values, numbers, buffers in parts]
            for parts in (self._knows, self._speaks)
        )
        return knows, speaks
