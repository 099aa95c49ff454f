"""What a demo is to be: how many nodes on which links, what each is told, and when each has power."""

from __future__ import annotations

import random
from dataclasses import dataclass, field

BOOT_SPREAD_MS = 1500
REBOOT_OFF_MS = 50  # how long a reboot leaves a board without power
ROUND_MS = 10_000  # where samples go over the air: the shortest, so that who goes is soon named
RETRIES = 3  # deadlines that nodes which try again are followed for


@dataclass(frozen=True)
class Settings:
    """What a demo is to be. kills, reboots: (node, ms after the first power-on) of a power cut for good, or short."""

    nodes: int
    link: str  # espnow, uart, udp or mixed
    required: int  # how many must be ready
    loss: float  # share of messages that a listener loses
    deadline_ms: int
    on_timeout: str  # halt or retry
    seed: int
    kills: list[tuple[int, int]] = field(default_factory=list)
    reboots: list[tuple[int, int]] = field(default_factory=list)
    period_ms: int = 0  # of a series
    beats: int = 0  # of it, that the nodes are followed for
    via: int | None = None  # the node that gathers what the others measure

    @property
    def patience_ms(self) -> int:
        """How long after their start the nodes are followed."""
        deadlines = RETRIES if self.on_timeout == "retry" else 1
        return self.deadline_ms * deadlines + self.period_ms * self.beats


def links_of(link: str, node: int, nodes: int) -> list[str]:
    """The links of one of so many nodes in a demo with that link."""
    if link != "mixed":
        return [link]
    joint = nodes // 2
    return ["espnow"] * (node <= joint) + ["uart"] * (node >= joint)


def config_of(settings: Settings, node: int) -> dict:
    """What a node's faction.json says in such a demo; the node's own defaults hold for the rest."""
    config = {
        "swarm": "demo",
        "members": list(range(1, settings.nodes + 1)),
        "node": node,
        "required": settings.required,
        "deadline_ms": settings.deadline_ms,
        "on_timeout": settings.on_timeout,
        "links": links_of(settings.link, node, settings.nodes),
        "period_ms": settings.period_ms,
    }
    return config if settings.via is None else {**config, "round_ms": ROUND_MS, "gateway": [settings.via]}


def switches(settings: Settings) -> list[tuple[float, int, bool]]:
    """When each node's power goes on and off: (ms after the first power-on, node, on), in order."""
    chance = random.Random(f"boots/{settings.seed}")
    boots = {node: chance.uniform(0, BOOT_SPREAD_MS) for node in range(1, settings.nodes + 1)}
    for node, ms in settings.kills + settings.reboots:
        boots[node] = min(boots[node], ms / 2)  # a board that is to lose its power at that time has it before
    first = min(boots.values())
    planned = [(ms - first, node, True) for node, ms in boots.items()]
    planned += [(float(ms), node, False) for node, ms in settings.kills + settings.reboots]
    planned += [(float(ms + REBOOT_OFF_MS), node, True) for node, ms in settings.reboots]
    return sorted(planned)
