"""A picture of samples in series: axes for each thing that was measured, with a line a node, over the beats."""

from __future__ import annotations

import math

from swarm.output.svg import COLOURS, Canvas, steps
from swarm.watch import samples
from swarm.watch.samples import Sample, columns, counted

_ROWS = 12  # more things are told, and not drawn
_NODES = 14  # lines that are named
_WIDTH, _TOP, _BELOW, _HIGH, _LEFT = 960, 50, 50, 160, 60
_GAP = 1.5  # periods without a sample, after which a line begins anew

_Line = list[tuple[float, float]]


def number(one: Sample, name: str) -> float | None:
    """What is drawn of a sample in a row, by its column; None for what is no number."""
    try:
        found = float(one.value if name == "value" else one.parts.get(name, ""))
    except ValueError:
        return None
    return found if math.isfinite(found) else None


def picture(table: list[Sample], title: str) -> str:
    """An SVG picture of the samples of the latest series: values over its beats, and how far apart those of one beat
    were taken, by what nodes say of their lateness."""
    series = max((one for one in table if one.n is not None), key=lambda one: one.utc).series
    table = [one for one in table if one.series == series and one.n is not None]
    names = [name for name in ("value", *columns(table)) if any(number(one, name) is not None for one in table)]
    rows: list[tuple[str, dict[int, _Line]]] = [(name, _lines(table, name)) for name in names[:_ROWS]]
    rows.append(("ms between the earliest and the latest of a beat, by the nodes' lateness", {0: _spread(table)}))
    nodes = sorted({one.node for one in table})
    words = f"{title}: {counted(len(table))} of series {series}"
    canvas = Canvas(_WIDTH, _TOP + len(rows) * (_HIGH + _BELOW) + 20, words)
    beats = [one.n or 0 for one in table]
    for place, (name, lines) in enumerate(rows):
        colours = {node: COLOURS[nodes.index(node) % len(COLOURS)] if node in nodes else "#222222" for node in lines}
        _row(canvas, _TOP + place * (_HIGH + _BELOW), name, (min(beats), max(beats)), lines, colours)
    for place, node in enumerate(nodes[:_NODES]):
        canvas.text(_LEFT + 62 * place, _TOP - 14, f"node {node}", colour=COLOURS[place % len(COLOURS)])
    began = min((one.utc for one in table if one.utc), default="")
    canvas.text(_LEFT, _TOP + len(rows) * (_HIGH + _BELOW) + 8, f"beats of the series{', from ' * bool(began)}{began}")
    if len(names) > _ROWS:
        canvas.text(930, _TOP + len(rows) * (_HIGH + _BELOW) + 8, f"{len(names) - _ROWS} more columns not drawn", "end")
    return canvas.svg()


def _lines(table: list[Sample], name: str) -> dict[int, _Line]:
    """By node its beats and what it measured there."""
    lines: dict[int, _Line] = {}
    for one in table:
        value = number(one, name)
        if value is not None and one.n is not None:
            lines.setdefault(one.node, []).append((one.n, value))
    return {node: sorted(line) for node, line in lines.items()}


def _spread(table: list[Sample]) -> _Line:
    """Milliseconds between the least and the greatest lateness, by beat, where two nodes sampled in time."""
    found = []
    for (_, n, _), nodes in samples.by_beat(table).items():
        taken = [one.late_us for one in nodes.values() if not one.late]
        if n is not None and len(taken) > 1:
            found.append((float(n), (max(taken) - min(taken)) / 1000))
    return sorted(found)


def _row(
    canvas: Canvas,
    top: float,
    name: str,
    beats: tuple[int, int],
    lines: dict[int, _Line],
    colours: dict[int, str],
) -> None:
    """One thing over the beats: lines by node, which end where samples are missing."""
    values = [value for line in lines.values() for _, value in line] or [0.0]
    margin = (max(values) - min(values)) * 0.1 or 1.0
    low, high = min(values) - margin, max(values) + margin
    first, last = beats[0], max(beats[1], beats[0] + 1)
    width = _WIDTH - _LEFT - 30

    def place(point: tuple[float, float]) -> tuple[float, float]:
        across = _LEFT + width * (point[0] - first) / (last - first)
        return across, top + _HIGH * (high - point[1]) / (high - low)

    canvas.text(12, top - 2, name.removeprefix(samples.PART), size=12)
    for value in steps(low, high):
        canvas.line(_LEFT, place((first, value))[1], _LEFT + width, place((first, value))[1], "#eeeeee")
        canvas.text(_LEFT - 6, place((first, value))[1] + 4, f"{value:g}", "end")
    for beat in steps(first, last):
        canvas.line(place((beat, 0))[0], top, place((beat, 0))[0], top + _HIGH, "#eeeeee")
        canvas.text(place((beat, 0))[0], top + _HIGH + 16, f"{beat:g}", "middle")
    for node, line in lines.items():
        piece: _Line = []
        for point in line:
            if piece and point[0] - piece[-1][0] > _GAP:
                _draw(canvas, [place(one) for one in piece], colours[node])
                piece = []
            piece.append(point)
        _draw(canvas, [place(one) for one in piece], colours[node])


def _draw(canvas: Canvas, points: _Line, colour: str) -> None:
    """A line, or a dot where a sample stands alone."""
    if len(points) > 1:
        canvas.path(points, colour)
    elif points:
        canvas.dot(*points[0], colour, 2)
