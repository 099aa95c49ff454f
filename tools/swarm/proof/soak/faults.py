"""What befalls the boards of a soak, and when."""

from __future__ import annotations

import random
from dataclasses import dataclass

LOOKS = 5  # readings of all boards in a soak, at least
GAP_S = 64.0  # mean time from one fault of a board to its next; in a short soak there are more


@dataclass
class Faults:
    """What happens to the boards when: from the seed alone. seconds: for which; nodes, steady: all, and those that only
    an outage reaches."""

    seed: int
    seconds: float
    nodes: list[int]
    steady: list[int]

    def plan(self) -> list[tuple[float, str, dict]]:
        """(seconds from the start, what, how), in order: soft {"node"}, cut {"node", "off_s": [..]}, loss {"share",
        "for_s"}, split {"groups", "for_s"}, outage {"on_s": {node: ..}}."""
        chance = random.Random(f"soak/{self.seed}")
        shaken = [node for node in self.nodes if node not in self.steady]
        plan: list[tuple[float, str, dict]] = []
        at = 0.0
        while True:
            at += chance.expovariate(len(shaken) / min(GAP_S, self.seconds / LOOKS))
            if at >= self.seconds:
                break
            plan.append((at, *self._fault(chance, shaken)))
        outages = max(1, round(self.seconds / 600))
        for number in range(outages):  # one in each part of the first half
            at = (number + chance.random()) * self.seconds / 2 / outages
            plan.append((at, "outage", {"on_s": {node: chance.uniform(0.05, 1.5) for node in self.nodes}}))
        return sorted(plan, key=lambda entry: entry[0])

    def _fault(self, chance: random.Random, shaken: list[int]) -> tuple[str, dict]:
        kind = chance.choices(("soft", "cut", "kill", "stutter", "loss", "split"), (30, 20, 15, 10, 15, 10))[0]
        brief = self.seconds / 60  # a short soak has short faults
        if kind == "soft":
            return "soft", {"node": chance.choice(shaken)}
        if kind == "cut":
            return "cut", {"node": chance.choice(shaken), "off_s": [chance.uniform(0.02, 0.5)], "on_s": []}
        if kind == "kill":
            off_s = chance.uniform(1, 1 + min(30.0, 6 * brief))
            return "kill", {"node": chance.choice(shaken), "off_s": [off_s], "on_s": []}
        if kind == "stutter":  # power comes and goes, in the middle of the start or around the sample
            times = chance.randint(2, 5)
            return "cut", {
                "node": chance.choice(shaken),
                "off_s": [chance.uniform(0.02, 0.3) for _ in range(times)],
                "on_s": [chance.uniform(0.02, 2.0) for _ in range(times - 1)],
            }
        for_s = chance.uniform(0.5, 0.5 + min(10.0, 3 * brief))
        if kind == "loss":
            return "loss", {"share": chance.uniform(0.5, 1), "for_s": for_s}
        mixed = chance.sample(self.nodes, len(self.nodes))
        middle = chance.randint(1, len(mixed) - 1)
        return "split", {"groups": [mixed[:middle], mixed[middle:]], "for_s": for_s}
