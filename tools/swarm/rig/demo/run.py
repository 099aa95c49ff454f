"""Follows a demo: turns the lines that boards print, and the rig's events, into what each node did and when.

Times are true microseconds. A node's own tick stamps are converted with its clock, which the rig that made it knows.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field

from swarm.rig.demo.beats import Beats
from swarm.rig.demo.gathered import Gathered
from swarm.rig.personality import Clock

# A line may follow something a prompt printed, so the node's part is searched for.
_EVENT = re.compile(r"faction: (\d+) node (\d+) (.*)$")
_ERROR = re.compile(r"faction: (?:\d+ node \d+ )?error: (.*)$")
_SAMPLE = re.compile(r'\{[^{}]*"late_us"[^{}]*\}\s*$')
_SESSION = re.compile(r"started session (\d+)")
BOOTSTRAPPED, TIMED_OUT = "Bootstrapped", "TimedOut"


@dataclass
class Node:
    """What one node did since it last started."""

    node: int
    powered: bool = False
    boots: int = 0
    clock: Clock | None = None
    pid: int | None = None
    session: int | None = None
    ready_us: int | None = None
    conclusion: str | None = None
    concluded_us: int | None = None
    sample: dict | None = None
    sample_us: int | None = None
    latest: dict | None = None  # the last sample's record
    error: str | None = None
    output: list[str] = field(default_factory=list)

    def finished(self, retries: bool) -> bool:
        """Whether nothing more is to come: sampled, or timed out for good, or in error."""
        if self.error is not None:
            return True
        if self.conclusion == TIMED_OUT and not retries:
            return True
        return self.conclusion == BOOTSTRAPPED and self.sample is not None

    def succeeded(self) -> bool:
        """Whether it concluded Bootstrapped, took its first sample, and reported no error."""
        return self.error is None and self.conclusion == BOOTSTRAPPED and self.sample is not None


class Run:
    """A demo's nodes. `story` gets a line of text for each thing that happens.

    beats: of a series, that each node is to sample before it is done. via: the node that gathers what the others
    measure, None: nobody does.
    """

    def __init__(self, nodes: list[int], beats: int = 0, via: int | None = None) -> None:
        self.beats = Beats(beats)
        self.gathered = Gathered(self.beats)
        self.via = via
        self.nodes = {node: Node(node) for node in nodes}
        self.start_us: int | None = None
        self.pids: list[int] = []
        self.story: list[str] = []
        self.sampled: list[tuple[Node, dict, int]] = []  # nodes, their samples and when those were said, since a look
        self.switched = 0  # how many of the power switches that were asked for have been made

    def take(self, event: dict) -> None:
        """Take one event of the rig."""
        if event["event"] == "boot":
            self._boot(event)
        elif event["event"] == "off":
            self.nodes[event["node"]].powered = False
            self._tell(event["t_us"], event["node"], "loses power")
        elif event["event"] == "line":
            self._line(self.nodes[event["node"]], event["t_us"], event["line"])
        elif event["event"] == "switched":
            self.switched += 1

    def _tell(self, when_us: int, node: int, what: str) -> None:
        start_us = self.start_us if self.start_us is not None else when_us
        self.story.append(f"{(when_us - start_us) / 1e6:7.3f} s  node {node} {what}")

    def _boot(self, event: dict) -> None:
        node = self.nodes[event["node"]]
        self.nodes[event["node"]] = Node(
            node.node,
            powered=True,
            boots=node.boots + 1,
            clock=Clock(event["base_us"], event["offset_us"], event["ppb"]),
            pid=event["pid"],
            output=node.output,
        )
        self.pids.append(event["pid"])
        if self.start_us is None:
            self.start_us = event["t_us"]
        self._tell(event["t_us"], node.node, "gets power" if event["kind"] == "power" else "is reset")

    def _line(self, node: Node, when_us: int, line: str) -> None:
        node.output.append(line)
        error = _ERROR.search(line)
        if error:
            node.error = error[1]
            self._tell(when_us, node.node, f"error: {error[1]}")
            return
        sample = _SAMPLE.search(line)
        if sample:
            self._sample(node, when_us, sample[0])
            return
        found = _EVENT.search(line)
        if not found or int(found[2]) != node.node or node.clock is None:
            return
        happened_us = node.clock.true_of_ticks_ms(int(found[1]), when_us)
        what = found[3]
        session = _SESSION.search(what)
        if session:
            node.session = int(session[1])
        elif what == "ready":
            node.ready_us = happened_us
        elif what.startswith((BOOTSTRAPPED, TIMED_OUT)):
            node.conclusion, node.concluded_us = what.split(",")[0], happened_us
        elif what.startswith("stopped"):
            node.error = what
        self._tell(happened_us, node.node, what)

    def _sample(self, node: Node, when_us: int, text: str) -> None:
        try:
            sample = json.loads(text)
        except ValueError:
            return
        if node.node == self.via and sample.get("node") in self.nodes and sample["node"] != self.via and "n" in sample:
            after_us = self.gathered.come(sample, when_us)
            soon = "" if after_us is None else f", {after_us / 1000:.0f} ms after it was measured"
            self._tell(when_us, node.node, f"has beat {sample['n']} of node {sample['node']}: {sample['value']}{soon}")
            return
        if sample.get("node") != node.node or (node.sample is not None and "n" not in sample):
            return
        if self.via is not None and node.node != self.via:
            self.gathered.say(sample, when_us)
        if node.sample is None:
            node.sample, node.sample_us = sample, when_us
        node.latest = sample
        self.sampled.append((node, sample, when_us))
        instant = f"beat {sample['n']}" if "n" in sample else "the agreed instant"
        late = "late" if sample["late"] else f"{sample['late_us']} us from {instant}"
        self._tell(when_us, node.node, f"samples {sample['value']}, {late}")

    def live(self) -> list[Node]:
        """The nodes that have power."""
        return [node for node in self.nodes.values() if node.powered]

    def finished(self, retries: bool) -> bool:
        """Whether every live node is done, and there is one."""
        live = self.live()
        done = bool(live) and all(node.finished(retries) and self._has_beats(node) for node in live)
        return done and not self.not_gathered()

    def _has_beats(self, node: Node) -> bool:
        """Whether a node has sampled as far as it is to, or never will."""
        return node.sample is None or node.latest is None or node.latest.get("n", 0) >= self.beats.wanted - 1

    def not_gathered(self) -> list[tuple[int, int]]:
        """Nodes and beats of samples that are still to come to the gateway, while it has power."""
        sessions = {node.node: node.session for node in self.live()}
        return self.gathered.lacks(sessions) if self.via in sessions else []

    def converged_ms(self) -> float | None:
        """Last conclusion minus last readiness among live nodes, or None when a node has not bootstrapped."""
        live = self.live()
        ready = [node.ready_us for node in live if node.ready_us is not None]
        concluded = [node.concluded_us for node in live if node.concluded_us is not None]
        if not live or len(concluded) < len(live) or len(ready) < len(live) or not all(n.succeeded() for n in live):
            return None
        return round((max(concluded) - max(ready)) / 1000, 1)

    def skew_us(self) -> int | None:
        """Latest minus earliest true instant of the samples that were not declared late; None below two of them."""
        instants = [
            node.sample_us
            for node in self.live()
            if node.sample is not None and not node.sample["late"] and node.sample_us is not None
        ]
        return max(instants) - min(instants) if len(instants) > 1 else None
