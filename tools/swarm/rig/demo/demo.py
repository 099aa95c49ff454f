"""Runs a demo: lays the boards, switches them, follows them to their first samples, and judges how it went."""

from __future__ import annotations

import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

from swarm.rig.demo.plan import Settings, config_of, switches
from swarm.rig.demo.run import BOOTSTRAPPED, TIMED_OUT, Run
from swarm.rig.demo.udp import NETWORK, PASSWORD, Ear, free_port, lay_access_point
from swarm.rig.files import prepare
from swarm.rig.rig import Rig
from swarm.serial import kept
from swarm.serial.port import BoardError
from swarm.serial.prompt import raw_repl
from swarm.serial.status import read_runtime, read_status

JITTER_MS = 1.0  # a message comes up to this much later than its air time
GRACE_MS = 3_000  # from the deadline to the end of patience
_LOOK_S = 0.05  # between two looks at what the boards do


class Demo:
    """A demo's boards: a context manager that leaves no process and no file behind, unless keep() is called.

    stays: the boards are to run on. `run` is what the nodes did, `rig` what they stand on, `in_time` whether all was
    done before patience ended; `statuses` and `runtimes` are by node, once ask() has read them.
    """

    def __init__(self, settings: Settings, runtime: str, stays: bool = False) -> None:
        self.settings = settings
        self.run = Run(list(range(1, settings.nodes + 1)), settings.beats, settings.via)
        self.in_time = False
        self.statuses: dict[int, dict] = {}
        self.runtimes: dict[int, dict] = {}
        self._stays = stays
        self._ear: Ear | None = None
        with ExitStack() as cleanup:
            directory = Path(tempfile.mkdtemp(prefix="swarm-demo-"))
            cleanup.callback(shutil.rmtree, directory, ignore_errors=True)
            boards = {node: directory / f"node-{node}" for node in self.run.nodes}
            more: dict = {}
            if settings.link == "udp":
                more = {"ssid": NETWORK, "udp_port": free_port()}
                self._ear = Ear(more["udp_port"])
                cleanup.callback(self._ear.close)
                lay_access_point(directory)
            for node, home in boards.items():
                prepare(home, {**config_of(settings, node), **more}, wifi=PASSWORD if more else None)
            weather = {"loss": settings.loss, "delay_ms": JITTER_MS}
            self.rig = Rig(boards, settings.seed, runtime, weather, remove=directory, silent=stays)
            cleanup.callback(self.rig.close)
            self._cleanup = cleanup.pop_all()

    def __enter__(self) -> Demo:
        return self

    def __exit__(self, *_: object) -> None:
        self._cleanup.close()

    def follow(self) -> Iterator[None]:
        """Switch the boards on and take what they do, until all is done or patience has ended; yields at each look."""
        planned = switches(self.settings)
        for after_ms, node, on in planned:
            self.rig.power(node, on, after_ms)
        patience_s = (planned[-1][0] + self.settings.patience_ms + GRACE_MS) / 1000
        start_s = time.monotonic()
        while True:
            for event in self.rig.events(_LOOK_S):
                self.run.take(event)
            while self.run.sampled:
                node, record, said_us = self.run.sampled.pop()
                true_us = sample_instant(self.rig, node.node, said_us)
                self.run.beats.take(record, true_us)
                if record is node.sample:
                    node.sample_us = true_us
            now_s = time.monotonic() - start_s
            self.in_time = self.run.switched == len(planned) and self.run.finished(self.settings.on_timeout == "retry")
            yield
            if self.in_time or now_s > patience_s:
                return

    def air(self) -> dict:
        """What was said: the medium's statistics, or what was heard on the network that stands in for it."""
        return self._ear.stats() if self._ear else self.rig.medium.do("stats")

    def ask(self) -> None:
        """Read each live node's status and runtime over its prompt; a node that does not answer is in error."""
        for node in self.run.live():
            port = self.rig.ports[node.node]
            try:
                with raw_repl(port) as transport:
                    self.runtimes[node.node] = read_runtime(transport, port)
                    self.statuses[node.node] = read_status(transport, port)
            except BoardError as error:
                node.error = node.error or str(error)

    def result(self) -> dict:
        """How it went, for programs; with the boards' ports when they are to run on."""
        live = self.run.live()
        result = {
            "nodes": self.settings.nodes,
            "bootstrapped": sum(node.conclusion == BOOTSTRAPPED for node in live),
            "timed_out": sum(node.conclusion == TIMED_OUT for node in live),
            "converged_ms": self.run.converged_ms(),
            "skew_us": self.run.skew_us(),
            "samples": [node.sample for node in live if node.sample is not None],
            "frames_sent": self.air()["frames"],
            "runtime": {str(node): runtime for node, runtime in self.runtimes.items()},
            "pids": [*self.run.pids, self.rig.medium_pid, self.rig.pid],
            "seed": self.settings.seed,
        }
        if self.settings.beats:
            result["beats"] = self.run.beats.told()
        if self.settings.via is not None:
            result["gathered"] = self.run.gathered.told()
        if self._stays:
            result["ports"] = {str(node): port for node, port in self.rig.ports.items()}
        return result

    def problem(self) -> str | None:
        """Why this was no success, or None."""
        live = self.run.live()
        bad = [node for node in live if not node.succeeded()]
        if not live:
            return "no node has power at the end"
        if not bad:
            return self._beats_problem()
        names = ", ".join(str(node.node) for node in bad)
        required = self.settings.required
        if len(live) < required:
            return f"{len(live)} nodes have power and {required} are required: node {names} cannot bootstrap"
        if not self.in_time:
            words = " | ".join(bad[0].output[-4:]) or "none"
            return f"node {names} did not bootstrap and sample in time; last words: {words}"
        return f"node {names} did not bootstrap and sample"

    def _beats_problem(self) -> str | None:
        """What was wrong with the series of nodes that all sample, or None."""
        lacks = self.run.not_gathered()
        if lacks:
            words = ", ".join(f"beat {n} of node {node}" for node, n in lacks)
            return f"node {self.settings.via} has not gathered {words}"
        if not self.in_time:
            return f"not all nodes sampled {self.settings.beats} beats in time"
        missed = [f"node {node} beat {n}" for node, n in self.run.beats.missed()]
        return f"missed without a fault to blame: {', '.join(missed)}" if missed else None

    def keep(self) -> None:
        """Have the boards run on when this process ends, and write down that they do."""
        self.rig.keep()
        kept.save(self.rig.pid, self.rig.medium_port, self.rig.ports)
        self._cleanup.pop_all()


def sample_instant(rig: Rig, node: int, line_us: int | None) -> int | None:
    """True time of a sample: of the last conversion of the node's ADC before its sample line came out."""
    readings = [when_us for when_us, _ in rig.medium.do("readings", node=node)["readings"]]
    before = [when_us for when_us in readings if line_us is not None and when_us <= line_us]
    return max(before) if before else None
