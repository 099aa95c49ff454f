"""What befalls a series: faults at some time of it, drawn from a seed."""

from __future__ import annotations

import random
from typing import Any

FAULTS = {
    "restart": "power cycles all along the series",
    "cut": "a swarm that is cut in two for an hour, and heals",
    "away": "a member that is off for a day",
    "jump": "a clock that jumps",
    "gateway": "a gateway that comes when half of the time is over",
    "death": "members that lose power for good",
    "wild": "a clock that begins to run thousands of ppm wrong",
}
_HOUR_US = 3_600_000_000


def draw(plan: Any, chance: random.Random) -> None:
    """What befalls a series, in its middle: before that it has to begin, and after it to come together again."""
    count = len(plan.members)
    whole_us = round(plan.options.hours * _HOUR_US)

    def moment(lasts_us: int = 0) -> int:
        return plan.settled_us + chance.randint(whole_us // 10, max(whole_us * 8 // 10 - lasts_us, whole_us // 10))

    if "restart" in plan.faults:
        for _ in range(chance.randint(3, 10)):
            lost_us = moment()
            plan.cycles.append((chance.randrange(count), lost_us, lost_us + chance.randint(1_000, 30_000_000)))
    if "cut" in plan.faults:
        lasts_us = min(_HOUR_US, whole_us // 2)
        start_us = moment(lasts_us)
        plan.cut = start_us, start_us + lasts_us, chance.randrange(1 << count)
    if "away" in plan.faults:
        lasts_us = min(24 * _HOUR_US, whole_us // 2)
        lost_us = moment(lasts_us)
        plan.cycles.append((chance.randrange(count), lost_us, lost_us + lasts_us))
    if "gateway" in plan.faults:
        plan.gathers_from_us = plan.settled_us + whole_us // 2
    if "death" in plan.faults:
        for place in chance.sample(range(count), chance.randint(1, max(count // 5, 1))):
            plan.deaths.append((place, moment()))
    if "jump" in plan.faults:
        by_us = round(10 ** chance.uniform(4, 8.5)) * chance.choice((-1, 1))
        plan.jumps.append((chance.randrange(count), moment(), by_us))
    if "wild" in plan.faults:
        ppm = chance.randint(1000, 10_000) * chance.choice((-1, 1))
        plan.wild.append((chance.randrange(count), moment(), ppm))
