"""Pictures of runs: one run in lanes, the distributions of many, and curves through their figures."""

from __future__ import annotations

from swarm.output.svg import COLOURS, Canvas, steps
from swarm.sim.plan import Options
from swarm.sim.result import Result
from swarm.sim.run import Run

_MARKS = {
    "boots": "#555555",
    "hears": "#66ccee",
    "ready": "#ccbb44",
    "concludes": "#228833",
    "samples": "#aa3377",
    "loses power": "#ee6677",
    "starts over": "#ee9944",
    "times out": "#332288",
    "stops": "#000000",
}
_FRAME = "#4477aa"
_LEFT, _TOP, _WIDTH = 70, 40, 900


def lanes(run: Run, events: list[tuple[int, int, str, str]]) -> str:
    """One run: a lane a node, from boot to first sample, with a tick for each frame."""
    numbers = sorted({node for _, node, _, _ in events})
    height = _TOP + 18 * len(numbers) + 60
    plan = run.plan
    canvas = Canvas(_LEFT + _WIDTH + 30, height, f"seed {plan.seed}: {len(plan.ids)} nodes, {plan.required} required")
    end = max((time for time, *_ in events), default=1) or 1
    bottom = _TOP + 18 * len(numbers)
    for value in steps(0, end / 1000, 8):
        x = _LEFT + _WIDTH * value * 1000 / end
        canvas.line(x, _TOP - 6, x, bottom, "#eeeeee")
        canvas.text(x, bottom + 14, f"{value:g} ms", "middle")
    rows = {number: _TOP + 18 * row + 9 for row, number in enumerate(numbers)}
    for number, y in rows.items():
        canvas.text(_LEFT - 8, y + 4, str(number), "end")
        canvas.line(_LEFT, y, _LEFT + _WIDTH, y)
    heard: set[int] = set()
    for time, node, what, _ in events:
        x, y = _LEFT + _WIDTH * time / end, rows[node]
        if what == "sends":
            canvas.line(x, y - 6, x, y, _FRAME)
        elif what == "knows" and node not in heard:
            heard.add(node)
            canvas.dot(x, y, _MARKS["hears"])
        elif what in _MARKS:
            canvas.dot(x, y, _MARKS[what])
    x = float(_LEFT)
    for what, colour in _MARKS.items():
        canvas.dot(x, height - 18, colour)
        canvas.text(x + 8, height - 14, what)
        x += 90
    canvas.line(x, height - 24, x, height - 18, _FRAME)
    canvas.text(x + 8, height - 14, "frame")
    return canvas.svg()


def distributions(options: Options, found: list[Result]) -> str:
    """A campaign: how long swarms took, how many frames nodes sent, how far apart the first samples were."""
    panels = [
        ("last readiness to last conclusion, ms", [r.converge_us / 1000 for r in found if r.converge_us is not None]),
        ("frames a node until the last conclusion", [float(frames) for r in found for frames in r.frames]),
        ("spread of first samples, ms", [r.skew_us / 1000 for r in found if r.skew_us is not None]),
    ]
    low, high = options.nodes
    size = str(low) if low == high else f"{low} to {high}"
    canvas = Canvas(960, 300, f"{len(found)} runs of {size} nodes, {options.loss:.0%} loss, {options.topology}")
    for index, (title, values) in enumerate(panels):
        _cumulative(canvas, 40 + index * 310, 50, 260, 200, title, sorted(values), COLOURS[index])
    return canvas.svg()


def _cumulative(canvas: Canvas, x: int, y: int, width: int, height: int, title: str, values, colour: str) -> None:
    """The share of values at or below each value."""
    canvas.text(x + width / 2, y - 8, title, "middle")
    for share in (0, 0.25, 0.5, 0.75, 1):
        at = y + height * (1 - share)
        canvas.line(x, at, x + width, at, "#eeeeee")
        canvas.text(x - 4, at + 4, f"{share:.0%}", "end", 9)
    if not values:
        canvas.text(x + width / 2, y + height / 2, "none", "middle")
        return
    top = values[-1] or 1.0
    for value in steps(0, top, 5):
        canvas.text(x + width * value / top, y + height + 14, f"{value:g}", "middle", 9)
    points = [(float(x), float(y + height))]
    for i, value in enumerate(values, 1):
        if i == len(values) or values[i] != value:  # thousands of frame counts are a few dozen different ones
            at = x + width * value / top
            points += [(at, points[-1][1]), (at, y + height * (1 - i / len(values)))]
    canvas.path(points, colour)


def curves(title: str, panels: list[tuple[str, str, dict[str, list[tuple[float, float]]]]]) -> str:
    """Panels side by side, each (name of x, name of y, named lines through points), on axes that start at zero."""
    canvas = Canvas(480 * len(panels), 340, title)
    for index, (x_name, y_name, lines) in enumerate(panels):
        _curves(canvas, 480 * index + 60, x_name, y_name, lines)
    return canvas.svg()


def _curves(canvas: Canvas, x: int, x_name: str, y_name: str, lines: dict[str, list[tuple[float, float]]]) -> None:
    y, width, height = 50, 390, 210
    right = max((px for points in lines.values() for px, _ in points), default=1) or 1
    top = max((py for points in lines.values() for _, py in points), default=1) or 1
    for value in steps(0, top):
        at = y + height * (1 - value / top)
        canvas.line(x, at, x + width, at, "#eeeeee")
        canvas.text(x - 6, at + 4, f"{value:g}", "end")
    for value in steps(0, right, 8):
        canvas.text(x + width * value / right, y + height + 16, f"{value:g}", "middle")
    canvas.text(x + width / 2, y + height + 34, x_name, "middle")
    canvas.text(x - 40, y - 12, y_name)
    for index, (name, points) in enumerate(lines.items()):
        colour = COLOURS[index % len(COLOURS)]
        places = [(x + width * px / right, y + height * (1 - py / top)) for px, py in sorted(points)]
        canvas.path(places, colour)
        for px, py in places:
            canvas.dot(px, py, colour, 2.5)
        canvas.line(x + index * 150, 322, x + index * 150 + 16, 322, colour, 2)
        canvas.text(x + index * 150 + 22, 326, name)
