"""A table of nodes, a row each, from what they say of themselves."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from rich.console import Console, ConsoleOptions, RenderableType
from rich.markup import escape
from rich.measure import Measurement
from rich.table import Table
from rich.text import Text

from swarm.serial.targets import Target

NO_ANSWER = "no answer"
# What stands in place of a state, by the kind of the error.
_WORDS = {
    "absent": "no board",
    "unlisted": "no port",
    "unusable": "no port",
    "forbidden": "no access",
    "busy": "port busy",
    "foreign": "other Python",
    "no node": "no node",
    "other version": "other code",
    "other node": "other node",
    "lost": "lost",
}
STYLES = {"Bootstrapped": "green", "TimedOut": "red", "Collecting": "yellow", "Pinging": "cyan"}
STYLES |= dict.fromkeys((NO_ANSWER, *_WORDS.values()), "red")

_LABEL, _LABEL_NARROW = 24, 10  # characters of a port in a row
_FREE = 30  # columns at most for lists of ids
_UNBOUNDED = 10_000  # columns, to measure what a table would take


_COLUMNS = (
    "node", "state", "heard", "ready", "missing", "sample", "health", "last heard", "version", "reboots seen", "errors",
)  # fmt: skip
_OF_SOME = ("health", "last heard", "version")  # left out where no row has anything in them
# Left out of a terminal with fewer columns than that, first what least is lost with.
_ROOM = {"version": 120, "health": 110, "reboots seen": 92, "last heard": 76, "heard": 66, "sample": 56}
_NARROW = 80  # columns, below which a port's name is cut more
_STATE = 12  # columns that any state takes
_NOW_S, _LONG_S = 1.5, 180


@dataclass(frozen=True)
class Nodes:
    """The table, and below it what is wrong, where the terminal has no room for that beside the rest.

    asked and waiting: as in table().
    """

    asked: Sequence[tuple[Target, dict | None]]
    waiting: bool = False

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> Iterator[RenderableType]:
        rows = table(self.asked, self.waiting)
        if Measurement.get(console, options.update(max_width=_UNBOUNDED), rows).maximum <= options.max_width:
            yield rows
            return
        yield table(self.asked, self.waiting, wrong=False, width=options.max_width)
        for target, status in self.asked:
            name, *_, wrong = cells(target, status, self.waiting)
            if wrong:
                yield Text(f"node {name}: {wrong}" if name.isdecimal() else f"{name}: {wrong}")


def table(
    asked: Iterable[tuple[Target, dict | None]],
    waiting: bool = False,
    one_line: bool = False,
    wrong: bool = True,
    width: int = _UNBOUNDED,
) -> Table:
    """The table of boards and what they answered: a status_dict, {"error": why}, or None while nothing is known.

    waiting: show who waits for whom in place of who is not ready; one_line: cut what does not fit; wrong: show errors;
    width: of the terminal, since a narrow one has fewer of the columns.
    """
    told = [cells(target, status, waiting) for target, status in asked]
    if width < _NARROW:
        told = [[_short(label, _LABEL_NARROW), *rest] for label, *rest in told]
    longest = max((len(label) for label, *_ in told), default=0)  # without it a row tells nothing
    rows = Table(box=None, pad_edge=False, header_style="bold", expand=one_line)
    left_out = {name for name, room in _ROOM.items() if width < room}
    left_out |= {name for name in _OF_SOME if not any(row[_COLUMNS.index(name)] for row in told)}
    if not wrong:
        left_out.add("errors")
    for name in _COLUMNS:
        if name in left_out:
            continue
        title = "waits for" if waiting and name == "missing" else name
        if name == "errors":
            rows.add_column(title, no_wrap=one_line, overflow="ellipsis" if one_line else "fold", ratio=1)
            continue
        free = name == "missing"
        rows.add_column(
            title,
            no_wrap=one_line or not free,
            overflow="ellipsis",
            min_width={"state": _STATE, "node": longest}.get(name, len(title)),
            max_width=_FREE if free else None,
        )
    for row in told:
        shown = zip(_COLUMNS, row, strict=True)
        rows.add_row(*(_coloured(cell) for name, cell in shown if name not in left_out))
    return rows


def _coloured(cell: str) -> str:
    style = STYLES.get(cell)
    return f"[{style}]{cell}[/]" if style else escape(cell)


def cells(target: Target, status: dict | None, waiting: bool = False) -> list[str]:
    """One row's texts."""
    if status is None:
        return [_short(target.label), "asked", *[""] * (len(_COLUMNS) - 2)]
    if "error" in status:
        empty = [""] * (_COLUMNS.index("last heard") - 2)
        return [_short(target.label), state(status), *empty, last_heard(status), "", "", reason(target, status)]
    total = len(status["ready"]) + len(status["missing"])
    return [
        str(status["node"]),
        state(status),
        f"{len(status['heard'])}/{total}",
        f"{len(status['ready'])}/{status['required']}",
        waits_for(status) if waiting else ids(status["missing"]),
        sample(status),
        _value(status["health"]) if "health" in status else "",
        last_heard(status),
        status["version"] if "seen" in status else "",
        str(status["restarts"]),
        "; ".join(filter(None, [lost_text(status), *errors(status)])),
    ]


def state(answer: dict) -> str:
    """A node's state, or in its place why there is none; NO_ANSWER where a port is open and nothing answers."""
    return _WORDS.get(answer.get("kind", ""), NO_ANSWER) if "error" in answer else answer["state"]


def last_heard(answer: dict) -> str:
    """How long ago a member was last heard that is asked through another; empty of any other."""
    if answer.get("kind") == "lost":
        return "never" if answer["silent_s"] is None else _ago(answer["silent_s"])
    return _ago(time.time() - answer["seen"]) if "seen" in answer else ""


def _ago(seconds: float) -> str:
    if seconds < _NOW_S:
        return "now"
    return f"{seconds:.0f} s ago" if seconds < _LONG_S else f"{seconds / 60:.0f} min ago"


def trouble(answer: dict | None) -> int:
    """Where a row stands among those of which not all are shown: the less, the more there is to do about it."""
    if answer is None or "error" in answer:
        return 0
    if answer["conflict"] or answer["errors"] or lost(answer) or answer["state"] == "TimedOut":
        return 1
    return {"Pinging": 2, "Collecting": 3}.get(answer["state"], 4)


def _short(label: str, most: int = _LABEL) -> str:
    """A label's end, which is what tells ports apart."""
    return label if len(label) <= most else "..." + label[3 - most :]


def reason(target: Target, answer: dict) -> str:
    """Why a board did not answer, without its port where that is the board's name already."""
    return answer["error"].removeprefix(f"{target.port}: ") if target.label == target.port else answer["error"]


def ids(numbers: Iterable[int]) -> str:
    """Ascending ids as text, runs of three and more as 1-5."""
    runs: list[list[int]] = []
    for number in numbers:
        if runs and number == runs[-1][-1] + 1:
            runs[-1].append(number)
        else:
            runs.append([number])
    return " ".join(f"{run[0]}-{run[-1]}" if len(run) > 2 else " ".join(map(str, run)) for run in runs)


def waits_for(status: dict) -> str:
    """Whom a node waits for: itself while its sensor warms up, and how many of the others that are not ready."""
    if status["state"] == "Bootstrapped":
        return ""
    others = [node for node in status["missing"] if node != status["node"]]
    itself = ["itself"] if len(others) < len(status["missing"]) else []
    wanted = status["required"] - len(status["ready"]) - len(itself)
    if wanted <= 0:
        return "".join(itself)
    few = f"{wanted} of " if wanted < len(others) else ""
    return ", ".join([*itself, few + ids(others)])


def sample(status: dict) -> str:
    """A node's first sample, or when it is due; of a series the last one, and when the next beat is."""
    if status["sample"] is not None:
        return sample_text(status["sample"]) + beat_text(status)
    if (status["instant_in_us"] or 0) > 0 and status["state"] == "Bootstrapped":
        return f"due in {duration(status['instant_in_us'])}"
    return ""


def beat_text(status: dict) -> str:
    """The last sample's beat and when the next one is, how many were missed and moves of the clock; empty without.

    What came through another board is older than it was when that was true of the next beat.
    """
    series = status.get("series")
    if not series:
        return ""
    text = f", beat {status['sample'].get('n', '?')}"
    if (left_us := series["beat_in_us"]) is not None and left_us > 0 and "via" not in status:
        text += f", next in {duration(left_us)}"
    text += f", {series['missed']} missed" if series["missed"] else ""
    return text + (f", moved {series['moves']} times" if series["moves"] else "")


def sample_text(record: dict) -> str:
    """A sample's record in words: its value, and how long after the agreed instant it was taken."""
    sign = "+" if record["late_us"] >= 0 else ""
    return f"{_value(record['value'])}, {sign}{duration(record['late_us'])}{' late' if record['late'] else ''}"


def _value(value: object) -> str:
    """A sample's value in words: what a dict holds by name."""
    return " ".join(f"{key} {_value(part)}" for key, part in value.items()) if isinstance(value, dict) else f"{value}"


def duration(us: int) -> str:
    """Microseconds as text in a unit that suits them."""
    if abs(us) < 1000:
        return f"{us} us"
    return f"{us / 1000:.1f} ms" if abs(us) < 1_000_000 else f"{us / 1_000_000:.1f} s"


def span(least_us: int, most_us: int) -> str:
    """Bounds of a time as text."""
    return f"at most {duration(most_us)}" if least_us <= 0 else f"{duration(least_us)} to {duration(most_us)}"


def errors(status: dict) -> list[str]:
    """What a node says is wrong."""
    found = ["a second board has this id: give it another, then restart both"] if status["conflict"] else []
    if status["counters"]["foreign"]:
        found.append(
            "heard another swarm, or a node with another quorum, period or list of members "
            f"({status['counters']['foreign']} frames)"
        )
    if outdated := status["counters"].get("outdated"):
        found.append(f"heard older firmware ({outdated} frames): deploy all boards")
    if status.get("application") == "was not started":
        found.append("application.py was not started, since its node started late: reset the board")
    return found + status["errors"]


def lost(status: dict) -> dict[int, int | None]:
    """Whom a node has lost, and for how many seconds at least it has not heard each; None: not since its start."""
    return dict((status.get("presence") or {}).get("lost", ()))


def lost_text(status: dict) -> str:
    """Whom a node has lost, in words; empty for nobody."""
    words = [f"{node} ({'never heard' if s is None else f'{s} s'})" for node, s in lost(status).items()]
    return f"lost {', '.join(words)}" if words else ""
