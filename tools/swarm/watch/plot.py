"""A picture of samples: a row of axes for each thing that was measured, on the common axis of the agreed instant."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from swarm.output.svg import COLOURS, Canvas, steps
from swarm.watch import plot_series
from swarm.watch.plot_series import number
from swarm.watch.samples import Sample, columns, counted

_RULE = "#888888"
_NAMED = 60  # dots of a row that have their node's number beside them
_TIMES = ((1_000_000.0, "s"), (1000.0, "ms"), (1.0, "us"))
_ROWS = 12  # more things are told, and not drawn
_LEGEND = 12  # runs that are named
_WIDTH, _TOP, _BELOW = 960, 50, 60  # the page's; above the first row; below each
_ONE_HIGH, _HIGH = 290, 160  # a row's axes, alone and among others


@dataclass(frozen=True)
class _Dot:
    sample: Sample
    value: float
    colour: str


def picture(table: Iterable[Sample], title: str) -> str:
    """An SVG picture: values against the time from the agreed instant, those in time and the late ones apart.

    Samples of different instants have different colours. Where there is a series, its own picture.
    """
    table = list(table)
    if any(one.n is not None for one in table):
        return plot_series.picture(table, title)
    names = [name for name in ("value", *columns(table)) if any(number(one, name) is not None for one in table)]
    shown = names[:_ROWS] or ["value"]
    colours = _colours(table)
    high = _ONE_HIGH if len(shown) == 1 else _HIGH
    bottom = _TOP + len(shown) * (high + _BELOW)
    drawn = {id(one) for one in table for name in shown if number(one, name) is not None}
    canvas = Canvas(_WIDTH, bottom + 14 * min(len(colours), _LEGEND + 1), f"{title}: {counted(len(drawn))}")
    for row, name in enumerate(shown):
        dots = [_Dot(one, value, colours[_run(one)]) for one in table if (value := number(one, name)) is not None]
        _row(canvas, _TOP + row * (high + _BELOW), high, dots, name.partition(".")[2] or name)
    words = (
        "time from the agreed instant, as each node has it, to its sample; each dot is a sample, its number the node"
    )
    canvas.text(60, bottom - 10, words)
    left_out = [f"{counted(len(table) - len(drawn))} without a number"] if len(drawn) < len(table) else []
    left_out += [f"{len(names) - _ROWS} more columns"] if len(names) > _ROWS else []
    if left_out:
        canvas.text(930, bottom - 10, f"{', '.join(left_out)} not drawn", "end")
    if len(colours) > 1:
        for line, (run, colour) in enumerate([*colours.items()][:_LEGEND]):
            canvas.dot(64, bottom + 14 * line + 4, colour)
            canvas.text(74, bottom + 14 * line + 8, f"{run}: {counted(sum(_run(one) == run for one in table))}")
        if len(colours) > _LEGEND:
            canvas.text(74, bottom + 14 * _LEGEND + 8, f"and {len(colours) - _LEGEND} earlier ones")
    return canvas.svg()


def _run(one: Sample) -> str:
    """The swarm's run that a sample is of, in words: by the agreed instant, or the session where that is not known."""
    if one.utc:
        return f"agreed for {one.utc}"
    return "of a session that is not known" if one.session is None else f"session {one.session}"


def _colours(table: list[Sample]) -> dict[str, str]:
    """A colour for each run, the latest that is known first."""
    runs = dict.fromkeys(_run(one) for one in sorted(table, key=lambda one: (one.utc, one.session or 0), reverse=True))
    return {run: COLOURS[place % len(COLOURS)] for place, run in enumerate(runs)}


def _row(canvas: Canvas, top: float, high: float, dots: list[_Dot], name: str) -> None:
    """One thing that was measured: in time on the left, late on the right where there is any."""
    values = [dot.value for dot in dots] or [0.0]
    margin = (max(values) - min(values)) * 0.1 or 1.0
    limits = (min(values) - margin, max(values) + margin)
    in_time = [dot for dot in dots if not dot.sample.late]
    late = [dot for dot in dots if dot.sample.late]
    _panel(canvas, (60, top, 420 if late else 870, high), in_time, limits, "in time")
    if late:
        _panel(canvas, (530, top, 420, high), late, limits, "late: bootstrapped after the agreed instant")
    canvas.text(12, top - 12, name, size=12)


def _panel(
    canvas: Canvas,
    box: tuple[float, float, float, float],
    dots: list[_Dot],
    limits: tuple[float, float],
    title: str,
) -> None:
    """A part of a row, on axes of its own for the time and common ones for values. box: left, top, width, height."""
    left, top, width, height = box
    low, high = limits
    times = [dot.sample.late_us for dot in dots]
    first, last = min([0, *times]), max([1, *times])
    unit, name = next(entry for entry in _TIMES if max(-first, last) >= entry[0])
    margin = (last - first) * 0.05
    first, last = first - margin, last + margin

    def across(us: float) -> float:
        return left + width * (us - first) / (last - first)

    def up(value: float) -> float:
        return top + height * (high - value) / (high - low)

    canvas.text(left + width / 2, top - 12, title, "middle")
    for value in steps(low, high):
        canvas.line(left, up(value), left + width, up(value), "#eeeeee")
        canvas.text(left - 6, up(value) + 4, f"{value:g}", "end")
    for value in steps(first / unit, last / unit):
        canvas.line(across(value * unit), top, across(value * unit), top + height, "#eeeeee")
        canvas.text(across(value * unit), top + height + 16, f"{value:g} {name}", "middle")
    canvas.line(across(0), top - 6, across(0), top + height, _RULE, 2)
    for dot in dots:
        canvas.dot(across(dot.sample.late_us), up(dot.value), dot.colour)
        if len(dots) <= _NAMED:
            canvas.text(across(dot.sample.late_us) + 6, up(dot.value) - 5, str(dot.sample.node), size=9)
