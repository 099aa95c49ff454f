"""Pictures as SVG, written by hand: they need no library, and the same picture gives the same bytes."""

from __future__ import annotations

from pathlib import Path
from xml.sax.saxutils import escape

from swarm.output import writable

COLOURS = ("#4477aa", "#ee6677", "#228833", "#ccbb44", "#66ccee", "#aa3377", "#555555")  # told apart by everybody


def check(path: str | None) -> None:
    """ValueError when a picture cannot be written there, or not in the form that the file's name asks for."""
    if path:
        if not path.endswith(".svg"):
            raise ValueError(f"plot {path!r}: pictures are SVG, name it something.svg")
        writable.check(path)


def save(path: str, picture: str) -> None:
    """Write a picture."""
    writable.write_atomically(Path(path), picture)


class Canvas:
    """SVG elements on a page of that size, in pixels."""

    def __init__(self, width: int, height: int, title: str) -> None:
        self._parts = [
            f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" '
            f'viewBox="0 0 {width} {height}" font-family="sans-serif" font-size="11">',
            f'<rect width="{width}" height="{height}" fill="#ffffff"/>',
        ]
        self.text(width / 2, 16, title, anchor="middle", size=13)

    def text(self, x: float, y: float, words: str, anchor: str = "start", size: int = 11, colour: str = "#222") -> None:
        """Words at a point."""
        self._parts.append(
            f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" font-size="{size}" fill="{colour}">'
            f"{escape(words)}</text>"
        )

    def line(self, x1: float, y1: float, x2: float, y2: float, colour: str = "#cccccc", width: float = 1) -> None:
        """A straight line."""
        self._parts.append(
            f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" stroke="{colour}" stroke-width="{width}"/>'
        )

    def dot(self, x: float, y: float, colour: str, radius: float = 4) -> None:
        """A filled circle."""
        self._parts.append(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{radius}" fill="{colour}"/>')

    def path(self, points: list[tuple[float, float]], colour: str) -> None:
        """A line through points."""
        places = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
        self._parts.append(f'<polyline points="{places}" fill="none" stroke="{colour}" stroke-width="1.8"/>')

    def svg(self) -> str:
        """The picture's text."""
        return "\n".join([*self._parts, "</svg>", ""])


def steps(low: float, high: float, count: int = 6) -> list[float]:
    """Round values that divide a range."""
    span = max(high - low, 1e-9)
    size = 10.0 ** len(str(int(span / count))) / 10 if span >= count else 10.0**-3
    while span / size > count:
        size *= 2.5 if str(size).lstrip("0.").startswith("2") else 2
    first = -(-low // size)
    return [value * size for value in range(int(first), int(high / size) + 1)]
