"""What comes of a run."""

from __future__ import annotations

from dataclasses import dataclass, field

from swarm.sim.series.beats import Series
from swarm.sim.series.presence import Found
from swarm.sim.series.records import Gathered


@dataclass
class Result:
    """What came of a run; times in microseconds.

    stranded: nodes that should have concluded and had not within the bound; converge_us: from the last readiness, or
    the last fault after it, to the last conclusion, None when nobody could conclude; frames and bytes: of each node up
    to the last conclusion; frames_sampled: up to the last first sample; frames_after: in after_ms from then on;
    skew_us: spread of the samples that were not late; early_us: how much earlier than the first conclusion asked for
    the first of them was taken, where nothing keeps the swarm apart; event_hash: of everything that happened.
    """

    seed: int
    stranded: int = 0
    false_conclusions: int = 0
    violations: dict[str, int] = field(default_factory=dict)
    words: list[str] = field(default_factory=list)
    converge_us: int | None = None
    frames: list[int] = field(default_factory=list)
    frames_sampled: list[int] = field(default_factory=list)
    frames_after: list[int] = field(default_factory=list)
    bytes: list[int] = field(default_factory=list)
    skew_us: int | None = None
    early_us: int | None = None
    late: int = 0
    events: int = 0
    event_hash: str = ""
    series: Series | None = None
    presence: Found | None = None
    records: Gathered | None = None
