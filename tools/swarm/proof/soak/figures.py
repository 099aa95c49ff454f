"""What a soak measured, in figures."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass
class Figures:
    """What a soak measured."""

    seed: int
    minutes: float
    boards: int
    soft: int = 0
    cuts: int = 0
    kills: int = 0
    bursts: int = 0
    splits: int = 0
    outages: int = 0
    boots: int = 0
    sessions: int = 0
    samples: int = 0
    collected: int = 0
    worst_s: float = 0.0
    worst_node: str = "none"
    collective: tuple[list[int], list[int]] = ([], [])  # skews in good air and in bad
    memory_drift: int = 0
    memory_boots: int = 0
    longest_s: float = 0.0
    rss: dict[str, tuple[int, int, int]] = field(default_factory=dict)  # after the start, half-way and at the end

    def block(self) -> str:
        """The figures as lines of text."""
        good, bad = (
            f"{len(skews)} in {air} air, max skew {max(skews, default=0) / 1000:.2f} ms"
            for air, skews in zip(("good", "bad"), self.collective, strict=True)
        )
        process = ", ".join(
            f"{name} {end / 2**20:.1f} MB ({_more(start, end)}, {_more(half, end)} in the second half)"
            for name, (start, half, end) in self.rss.items()
        )
        rows = (
            ("seed", self.seed),
            ("minutes", f"{self.minutes:g}"),
            ("boards", self.boards),
            ("reboots", f"{self.soft} by Ctrl-D, {self.cuts} by power cuts of up to half a second"),
            ("kills", f"{self.kills}, {self.outages} outages of all boards"),
            ("bursts", f"{self.bursts} of loss, {self.splits} splits of the air"),
            ("sessions", f"{self.sessions} in {self.boots} boots"),
            ("samples", f"{self.samples} printed, {self.collected} in the file"),
            ("worst re-convergence", f"{self.worst_s:.2f} s ({self.worst_node})"),
            ("collective first samples", f"{good}; {bad}"),
            (
                "memory of boards",
                f"{self.memory_drift:+d} bytes at most, of {self.memory_boots} boots; the longest lived "
                f"{self.longest_s / 60:.1f} min",
            ),
            ("memory of processes", process),
        )
        return "\n".join(f"{name:26}{value}" for name, value in rows)


def _more(before: int, after: int) -> str:
    return f"{(after - before) / 2**10:+.0f} KB"
