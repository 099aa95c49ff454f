"""What a run is made of: the options that a user gives, and all that a seed draws within them."""

from __future__ import annotations

import math
import random
from dataclasses import dataclass, field

from swarm.device.config import NUMBERS
from swarm.sim.boards.profiles import BOARDS
from swarm.sim.series import faults as series_faults
from swarm.sim.series.faults import FAULTS as SERIES_FAULTS

_DRAWN = ("single", "grid", "random", "bus", "mixed")  # what "any" is one of
TOPOLOGIES = (*_DRAWN, "wifi")
FAULTS = {
    "burst": "bursty loss (Gilbert-Elliott)",
    "asymmetric": "links that are worse in one direction",
    "duplicate": "frames that come twice",
    "reorder": "frames that overtake others",
    "corrupt": "frames with flipped bits",
    "delay": "frames that come late",
    "partition": "a swarm that is cut in two, and heals",
    "reboot": "power cycles",
    "loop": "a member that loses power again and again",
    "drift": "clocks up to 200 ppm off",
    "late": "a member that boots seconds after the others",
    "absent": "a member that never comes",
    "unready": "a member that never becomes ready",
    "double": "two boards with one id",
    "foreign": "a board provisioned for another swarm",
    "replay": "a flood of frames recorded in an earlier run",
    "babble": "a node that sends noise",
    "slow": "slow chips, which take milliseconds for a frame",
    "deadline": "a deadline that is too short, and retried",
}


@dataclass(frozen=True)
class Options:
    """What a user asks for; times in the units of their names.

    nodes: fewest and most members, drawn anew for each seed; quorum: how many must be ready, None for all, 0 for a
    random number; topology: one of TOPOLOGIES or "any"; faults: names from FAULTS, or "mixed" for a random few;
    warmup_ms: the longest time from boot to readiness; board: what the boards take for what they do, one of BOARDS;
    frame_us: what they take for each frame besides; after_ms: how long to go on when all is done; period_ms: between
    two samples, for so many hours from the first on, 0 for that alone; round_ms: of a round, 0 for none; gateway: the
    first member gathers what the others measure; protocol: "faction" or a baseline's name.
    """

    nodes: tuple[int, int] = (20, 20)
    quorum: int | None = None
    loss: float = 0.0
    topology: str = "single"
    boot_spread_ms: int = 2000
    warmup_ms: int = 500
    faults: tuple[str, ...] = ()
    hidden_wait_ms: float = 4.0
    stamp_us: int = 1000
    ppm: int = 50
    board: str = BOARDS[0]
    frame_us: int = 0
    lead_ms: int | None = None
    imin_ms: int | None = None
    imax_ms: int | None = None
    redundancy: int | None = None
    echoes: int | None = None
    after_ms: int = 0
    period_ms: int = 0
    hours: float = 0.0
    round_ms: int = 0
    gateway: bool = False
    protocol: str = "faction"

    def __post_init__(self) -> None:
        low, high = self.nodes
        if not 1 <= low <= high <= 680:
            raise ValueError(f"nodes {low}-{high}: 1 to 680, the fewest first")
        if self.quorum is not None and not 0 <= self.quorum <= low:
            raise ValueError(f"quorum {self.quorum}: 1 to the {low} members, or 0 for a random one")
        if not 0 <= self.loss < 1:
            raise ValueError(f"loss {self.loss}: a share of frames, 0 or more and below 1")
        if self.topology not in (*TOPOLOGIES, "any"):
            raise ValueError(f"topology {self.topology!r}: one of {', '.join(TOPOLOGIES)}, any")
        if self.board not in BOARDS:
            raise ValueError(f"board {self.board!r}: one of {', '.join(BOARDS)}")
        for fault in self.faults:
            if fault in SERIES_FAULTS and not self.period_ms:
                raise ValueError(f"fault {fault!r}: befalls a series: give it a period")
            if fault not in (*FAULTS, *SERIES_FAULTS, "mixed"):
                raise ValueError(f"fault {fault!r}: some of {', '.join((*FAULTS, *SERIES_FAULTS))}, or mixed")
        low_ms, high_ms, _ = NUMBERS["period_ms"]
        if self.period_ms and not max(low_ms, 100) <= self.period_ms <= high_ms:
            raise ValueError(f"period of {self.period_ms} ms: 100 to {high_ms}, or 0 for the first sample alone")
        low_ms, high_ms, _ = NUMBERS["round_ms"]
        if self.round_ms and not (self.period_ms and 10_000 <= self.round_ms <= high_ms):
            raise ValueError(f"round of {self.round_ms} ms: 10000 to {high_ms} in a series, or 0 for none")
        if self.gateway and not self.round_ms:
            raise ValueError("a gateway: it gathers what is sampled in series: give it a period and rounds")
        if self.hours < 0 or self.hours and not self.period_ms or self.period_ms and self.protocol != "faction":
            raise ValueError(f"{self.hours} hours: 0 or more, of a swarm of ours with a period")
        for name in ("lead_ms", "imin_ms", "imax_ms", "redundancy", "echoes"):
            if getattr(self, name) is not None and getattr(self, name) < 1:
                raise ValueError(f"{name} {getattr(self, name)}: 1 or more")
        if self.stamp_us < 1:
            raise ValueError(f"stamp of {self.stamp_us} us: 1 or more")
        for name in ("boot_spread_ms", "warmup_ms", "hidden_wait_ms", "ppm", "frame_us"):
            if getattr(self, name) < 0:
                raise ValueError(f"{name} {getattr(self, name)}: 0 or more")


@dataclass
class Member:
    """What a seed draws for one board."""

    number: int
    boot_us: int
    warmup_us: int | None  # None: it never becomes ready
    offset_us: int
    ppm: int
    frame_us: int


@dataclass
class Plan:
    """One run: its members, who hears whom, and its faults with their times."""

    seed: int
    options: Options
    topology: str
    ids: list[int]
    required: int
    members: list[Member]
    radio: list[int]  # bit sets of places in range of each place
    bus: list[int]
    faults: tuple[str, ...]
    deadline_ms: int = 600_000
    settled_us: int = 0  # from then on nothing else happens to the swarm
    absent: set[int] = field(default_factory=set)
    cycles: list[tuple[int, int, int]] = field(default_factory=list)  # (place, power lost, power back)
    partition: tuple[int, int, int] | None = None  # from, until, bit set of one side
    double: tuple[int, int] | None = None  # (place of the board whose id is taken, boot time)
    # Of a series:
    cut: tuple[int, int, int] | None = None  # as partition
    gathers_from_us: int = 0  # the gateway does nothing before
    deaths: list[tuple[int, int]] = field(default_factory=list)  # (place, power lost)
    jumps: list[tuple[int, int, int]] = field(default_factory=list)  # (place, when, microseconds)
    wild: list[tuple[int, int, int]] = field(default_factory=list)  # (place, when, ppm)


def draw(options: Options, seed: int) -> Plan:
    """The plan of that seed."""
    chance = random.Random(f"{seed}/plan")
    count = chance.randint(*options.nodes)
    topology = options.topology if options.topology != "any" else chance.choice(_DRAWN)
    faults = _faults(options, chance)
    required = count if options.quorum is None else options.quorum or chance.randint(1, count)
    ids = sorted(chance.sample(range(65536), count))
    ppm = 200 if "drift" in faults else options.ppm
    members = [
        Member(
            number=number,
            boot_us=chance.randint(0, options.boot_spread_ms * 1000),
            warmup_us=chance.randint(0, options.warmup_ms * 1000),
            offset_us=chance.randrange(1 << 40),
            ppm=chance.randint(-ppm, ppm),
            frame_us=options.frame_us,
        )
        for number in ids
    ]
    everybody = (1 << count) - 1
    nobody = [0] * count
    all_hear = [everybody & ~(1 << place) for place in range(count)]
    plan = Plan(seed, options, topology, ids, required, members, all_hear, nobody, faults)
    if topology == "grid":
        plan.radio = grid(count)
    elif topology == "random":
        plan.radio = geometric(count, chance)
    elif topology == "bus":
        plan.radio, plan.bus = nobody, all_hear
    elif topology == "mixed":
        plan.radio, plan.bus = _joined(count, chance)
    _draw_faults(plan, chance)
    ready = [member.boot_us + (member.warmup_us or 0) for member in members]
    plan.settled_us = max([plan.settled_us, *ready])
    if options.period_ms:
        series_faults.draw(plan, random.Random(f"{seed}/series"))
    return plan


def _faults(options: Options, chance: random.Random) -> tuple[str, ...]:
    if "mixed" not in options.faults:
        return options.faults
    drawn = chance.sample(sorted(FAULTS), chance.randint(0, 4))
    if options.period_ms:
        drawn += chance.sample(sorted(SERIES_FAULTS), chance.randint(0, 2))
    return tuple(sorted({*drawn, *options.faults} - {"mixed"}))


def grid(count: int) -> list[int]:
    """Who hears whom on a grid that is as square as can be: the neighbours left, right, above and below."""
    columns = math.ceil(math.sqrt(count))
    near = [0] * count
    for place in range(count):
        for other in (place + 1, place + columns):
            if other < count and (other == place + columns or other % columns):
                near[place] |= 1 << other
                near[other] |= 1 << place
    return near


def geometric(count: int, chance: random.Random) -> list[int]:
    """Who hears whom among random points of a square: those within the radius that just connects them, and a little."""
    points = [(chance.random(), chance.random()) for _ in range(count)]
    radius = math.sqrt(1.2 * math.log(max(count, 2)) / (math.pi * count))
    while True:
        near = [0] * count
        for place, (x, y) in enumerate(points):
            for other in range(place):
                if (points[other][0] - x) ** 2 + (points[other][1] - y) ** 2 < radius**2:
                    near[place] |= 1 << other
                    near[other] |= 1 << place
        if reached(near, 0) == (1 << count) - 1:
            return near
        radius *= 1.1


def reached(near: list[int], start: int) -> int:
    """Bit set of the places that are connected with start, itself included."""
    known = 1 << start
    fresh = [start]
    while fresh:
        new = near[fresh.pop()] & ~known
        known |= new
        fresh += [place for place in range(len(near)) if new >> place & 1]
    return known


def _joined(count: int, chance: random.Random) -> tuple[list[int], list[int]]:
    """A radio half and a wired half of a swarm, with one or two boards in both."""
    bridges = min(chance.randint(1, 2), count)
    split = chance.randint(0, count - bridges)
    wireless = (1 << split + bridges) - 1
    wired = (1 << count) - (1 << split)
    radio = [wireless & ~(1 << place) if wireless >> place & 1 else 0 for place in range(count)]
    bus = [wired & ~(1 << place) if wired >> place & 1 else 0 for place in range(count)]
    return radio, bus


def _draw_faults(plan: Plan, chance: random.Random) -> None:
    count = len(plan.members)
    quiet_us = plan.options.boot_spread_ms * 1000
    if "late" in plan.faults:
        chance.choice(plan.members).boot_us = quiet_us + chance.randint(1_000_000, 6_000_000)
    if "absent" in plan.faults:
        plan.absent.add(chance.randrange(count))
    if "unready" in plan.faults:
        chance.choice(plan.members).warmup_us = None
    if "slow" in plan.faults:
        for member in chance.sample(plan.members, chance.randint(1, count)):
            member.frame_us += chance.randint(500, 4000)
    if "deadline" in plan.faults:
        plan.deadline_ms = chance.randint(200, 2000)
    if "reboot" in plan.faults:
        for _ in range(chance.randint(1, 3)):
            _cycle(plan, chance.randrange(count), chance.randint(0, quiet_us + 3_000_000), chance)
    if "loop" in plan.faults:
        place = chance.randrange(count)
        lost_us = chance.randint(0, quiet_us)
        for _ in range(chance.randint(5, 15)):
            lost_us = _cycle(plan, place, lost_us, chance) + chance.randint(20_000, 400_000)
    if "partition" in plan.faults:
        start = chance.randint(0, quiet_us)
        end = start + chance.randint(200_000, 5_000_000)
        plan.partition = start, end, chance.randrange(1 << count)
        plan.settled_us = max(plan.settled_us, end)
    if "double" in plan.faults:
        plan.double = chance.randrange(count), chance.randint(0, quiet_us + 1_000_000)
        plan.settled_us = max(plan.settled_us, plan.double[1])


def _cycle(plan: Plan, place: int, lost_us: int, chance: random.Random) -> int:
    """Power lost then and back a while later; returns when it is back."""
    back_us = lost_us + chance.randint(1_000, 1_500_000)
    plan.cycles.append((place, lost_us, back_us))
    warmup_us = plan.members[place].warmup_us or 0
    plan.settled_us = max(plan.settled_us, back_us + warmup_us)
    return back_us
