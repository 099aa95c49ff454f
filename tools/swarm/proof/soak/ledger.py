"""What a soak keeps account of: every boot of every board, the samples that were promised, and what was lost of that.

A boot has promised a sample when it has printed it, or has been Bootstrapped for so long that its instant is over.
Every such sample must be in the files that `swarm collect` has written; sessions must rise with each boot; and at the
end nobody is stuck. Times are true microseconds.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

from swarm.rig.demo.run import BOOTSTRAPPED, Node, Run
from swarm.watch.samples import Sample

START_US = 10_000_000  # a board with power has said its session by then
_OVERDUE_US = 2_000_000  # a sample that has not been taken so long after its instant is not going to be
_SAME_INSTANT_US = 1_000_000  # samples in time that are no further apart belong to one agreed instant
_PROMPT = 'Type "help()"'  # what MicroPython says last before its prompt
# What the Ctrl-C of a soft reset does to a start; its Ctrl-D then begins a new boot. A board for which it does not has
# power and starts no session.
_INTERRUPTED = "the start was interrupted"
_OUTPUT_KEPT = 20  # lines of a board


@dataclass
class Boot:
    """One boot: what the node did in it, from when to when (None: it goes on), and whether its prompt has come."""

    node: Node
    start_us: int
    end_us: int | None = None
    prompt: bool = False
    memory: list[int] = field(default_factory=list)  # bytes taken after a collection, at each look


class Ledger:
    """The account of a soak of these nodes. lead_ms: as in their configuration."""

    def __init__(self, nodes: Iterable[int], lead_ms: int) -> None:
        self.run = Run(list(nodes))
        self.boots: dict[int, list[Boot]] = {node: [] for node in self.run.nodes}
        self.sampled: list[Boot] = []  # boots whose sample line has come since somebody took them from here
        self._lead_us = lead_ms * 1000

    def take(self, event: dict) -> None:
        """Take one event of the rig."""
        if event["event"] not in ("boot", "off", "line"):
            return
        number = event["node"]
        if event["event"] != "line" and self.boots[number] and self.boots[number][-1].end_us is None:
            self.boots[number][-1].end_us = event["t_us"]
        self.run.take(event)
        node = self.run.nodes[number]
        if event["event"] == "boot":
            self.boots[number].append(Boot(node, event["t_us"]))
        elif event["event"] == "line" and _PROMPT in event["line"]:
            self.boots[number][-1].prompt = True
        if self.run.sampled:
            self.sampled.append(self.boots[number][-1])
        # An hour's story is not kept: the soak watches its own memory as well.
        self.run.sampled.clear()
        self.run.story.clear()
        self.run.pids.clear()
        del node.output[:-_OUTPUT_KEPT]

    def all_boots(self) -> list[Boot]:
        """Every boot so far."""
        return [boot for boots in self.boots.values() for boot in boots]

    def current(self, number: int) -> Boot | None:
        """A node's boot that goes on, None while it has no power."""
        boots = self.boots[number]
        return boots[-1] if boots and boots[-1].end_us is None else None

    def problems(self, table: list[Sample], now_us: int) -> list[str]:
        """What was lost or repeated, by name. table: what was collected."""
        found = []
        counted = Counter((sample.node, sample.session) for sample in table)
        found += [f"node {node} sampled {n} times in session {s}" for (node, s), n in counted.items() if n > 1]
        kept = {(sample.node, sample.session, sample.late_us) for sample in table}
        for number, boots in self.boots.items():
            highest = 0
            for boot in boots:
                session = boot.node.session
                if session is not None:
                    if session <= highest:
                        found.append(f"node {number} started session {session}, and {highest} was before it")
                    highest = max(highest, session)
                found += self._of_boot(number, boot, kept, now_us)
        return found

    def _of_boot(self, number: int, boot: Boot, kept: set[tuple[int, int | None, int]], now_us: int) -> list[str]:
        node = boot.node
        name = f"node {number}, session {node.session}"
        end_us = boot.end_us or now_us
        if node.error is not None and not node.error.startswith(_INTERRUPTED):
            return [f"{name}: {node.error}"]
        if node.session is None and end_us - boot.start_us > START_US:
            return [f"node {number}: had power for {(end_us - boot.start_us) / 1e6:.0f} s and started no session"]
        if node.sample is not None:
            if (number, node.session, node.sample["late_us"]) not in kept:
                return [f"{name}: its sample {node.sample['value']} is lost: it is in no file"]
        elif node.conclusion == BOOTSTRAPPED and node.concluded_us is not None:
            waited_us = end_us - node.concluded_us
            if waited_us > self._lead_us + _OVERDUE_US:
                return [f"{name}: Bootstrapped for {waited_us / 1e6:.0f} s, and no sample"]
        return []

    def reconverged(self, bad_air: Iterable[tuple[int, int]]) -> tuple[float, Node] | None:
        """The longest time in seconds that a ready node waited for Bootstrapped, with its node; None without any.

        bad_air: stretches (from, to) of it. They do not count, nor does the time in which another node is off or warms
        up: nobody can conclude then.
        """
        stretches = sorted([*bad_air, *self._unready()])
        worst = None
        for boot in self.all_boots():
            node = boot.node
            if node.ready_us is None or node.concluded_us is None or node.conclusion != BOOTSTRAPPED:
                continue
            waited_s = _uncovered_us(node.ready_us, node.concluded_us, stretches) / 1e6
            if worst is None or waited_s > worst[0]:
                worst = (waited_s, node)
        return worst

    def _unready(self) -> list[tuple[int, int]]:
        """Stretches in which a node is off or warms up: from the end of a boot in which it was ready to the next."""
        stretches = []
        for boots in self.boots.values():
            since_us = boots[0].start_us if boots else 0
            for boot in boots:
                if boot.node.ready_us is not None:
                    stretches.append((since_us, boot.node.ready_us))
                    since_us = boot.end_us or boot.node.ready_us
        return stretches

    def collective(self, bad_air: Iterable[tuple[int, int]]) -> tuple[list[int], list[int]]:
        """Of each instant at which several nodes sampled in time: from the first of these samples to the last.

        First those that were agreed on in good air, then those in bad air: who hears of an instant only when it has
        heard enough to conclude for itself has named another by then.
        """
        stretches = list(bad_air)
        instants = sorted(
            boot.node.sample_us
            for boot in self.all_boots()
            if boot.node.sample is not None and not boot.node.sample["late"] and boot.node.sample_us is not None
        )
        groups: list[list[int]] = []
        for instant in instants:
            if not groups or instant - groups[-1][0] > _SAME_INSTANT_US:
                groups.append([])
            groups[-1].append(instant)
        skews: tuple[list[int], list[int]] = ([], [])
        for group in groups:
            if len(group) > 1:
                agreed_us = group[0] - 2 * self._lead_us
                bad = any(since < group[-1] and agreed_us < to for since, to in stretches)
                skews[bad].append(group[-1] - group[0])
        return skews


def _uncovered_us(start_us: int, end_us: int, stretches: Iterable[tuple[int, int]]) -> int:
    """How much of the time from start to end no stretch covers; they are in order of their beginnings."""
    free_us = 0
    for since_us, to_us in stretches:
        if since_us >= end_us:
            break
        free_us += max(0, since_us - start_us)
        start_us = max(start_us, to_us)
    return free_us + max(0, end_us - start_us)


def stuck(statuses: dict[int, dict]) -> list[str]:
    """Which nodes are not where they must be at the end, by their statuses; {"error": why} for one that has none."""
    found = []
    for number, status in sorted(statuses.items()):
        if "error" in status:
            found.append(f"node {number} does not answer: {status['error']}")
        elif status["conflict"]:
            found.append(f"node {number} is in conflict: it takes another board for one with its id")
        elif status["state"] != BOOTSTRAPPED:
            found.append(f"node {number} is stuck: {status['state']}, missing {status['missing']}")
        elif status["sample"] is None:
            found.append(f"node {number} is Bootstrapped and took no sample")
        found += [f"node {number} reports: {text}" for text in status.get("errors", ())]
    return found
