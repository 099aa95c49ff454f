"""A swarm of virtual boards on one rig, shaken and read again and again, and what of that went wrong."""

from __future__ import annotations

import random
import re
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import serial
from mpremote.transport_serial import SerialTransport

from swarm.proof.soak import ledger
from swarm.proof.soak.faults import LOOKS, Faults
from swarm.proof.soak.figures import Figures
from swarm.proof.soak.ledger import Boot, Ledger
from swarm.rig.demo.demo import sample_instant
from swarm.rig.demo.run import BOOTSTRAPPED
from swarm.rig.files import prepare
from swarm.rig.personality import true_us
from swarm.rig.rig import Rig
from swarm.serial import targets
from swarm.serial.prompt import run
from swarm.watch import collection, samples

LEAD_MS = 500
LOSS = 0.1  # between bursts
PROGRESS_S = 10.0
LOOK_S = 30.0  # between two readings of all boards; in a short soak more often
SETTLE_S = 60.0  # patience for the swarm after the last fault
# Bytes by which a boot's memory may grow after the first look: by errors that are kept and names, and by the radio's
# own table of senders (peers_table), which a board fills late that heard nobody at first. Then it stays.
KEPT_BYTES = 1024
SENDER_BYTES = 160
RSS_LIMIT = 1 << 20  # bytes by which the memory of the rig or the medium may grow in the second half

_COMMAND = [sys.executable, "-c", "from swarm.cli import main; raise SystemExit(main())"]
_COLLECT_S = 60.0
_TICK_S = 0.05
_RESET_S = 0.5  # after Ctrl-D a board has begun anew
_MEMORY = "import gc\ngc.collect()\nprint('memory', gc.mem_alloc())"


class Soak:
    """One soak in a folder. progress: called with a line of text every ten seconds.

    Afterwards `ledger`, `statuses`, `table` and `figures` tell what happened, and problems() what of that is wrong.
    """

    def __init__(
        self, folder: Path, nodes: int, seconds: float, seed: int, progress: Callable[[str], None] = lambda _: None
    ) -> None:
        self.nodes = list(range(1, nodes + 1))
        self.steady = self.nodes[: max(1, nodes // 8)]
        self.folder, self.seconds, self.seed = folder, seconds, seed
        self.csv = folder / "samples.csv"
        self.ledger = Ledger(self.nodes, LEAD_MS)
        self.figures = Figures(seed, round(seconds / 60, 2), nodes)
        self.statuses: dict[int, dict] = {}
        self.table: list[samples.Sample] = []
        self.ended_us = 0
        self._progress = progress
        self._count: Counter[str] = Counter()
        self._bad_air: list[tuple[int, int]] = []
        self._air_clears = 0.0  # when a burst of loss or a split is over; 0: there is none
        self._switched = dict.fromkeys(self.nodes, 0.0)  # when each board has its power for good
        self._sizes: dict[str, list[int]] = {"rig": [], "medium": []}  # bytes in memory, at each look
        self._next_progress = 0.0
        self._lay()

    def _lay(self) -> None:
        for node in self.nodes:
            config = {"swarm": "soak", "members": self.nodes, "node": node, "lead_ms": LEAD_MS}
            prepare(self._flash(node), config)

    def _flash(self, node: int) -> Path:
        return self.folder / f"board-{node}"

    def run(self) -> None:
        """Run it; raises OSError or EOFError when the rig fails."""
        weather = {"loss": LOSS, "delay_ms": 1.0}
        with Rig({node: self._flash(node) for node in self.nodes}, self.seed, weather=weather) as rig:
            self.rig = rig
            self._start = time.monotonic()
            plan = Faults(self.seed, self.seconds, self.nodes, self.steady).plan()
            chance = random.Random(f"start/{self.seed}")
            for node in self.nodes:
                rig.power(node, True, chance.uniform(0, 1500))
            self._await(self._all_sampled, SETTLE_S)
            self._look()
            self._shake(plan)
            self._await(self._all_sampled, SETTLE_S)
            self._look()
            self.ended_us = true_us()
            self._measure()

    def problems(self) -> list[str]:
        """What went wrong, by name."""
        found = self.ledger.problems(self.table, self.ended_us) + ledger.stuck(self.statuses)
        for number in self.nodes:
            grown = [_grown(boot, len(self.nodes)) for boot in self.ledger.boots[number]]
            found += [f"node {number}: {text}" for text in grown if text]
        for name, (_, half, end) in self.figures.rss.items():
            if end - half > RSS_LIMIT:
                found.append(f"the memory of the {name} grew from {half} to {end} bytes in the second half")
        return found

    # Time

    def _shake(self, plan: list[tuple[float, str, dict]]) -> None:
        """Let the faults of the plan happen, and read the boards in between."""
        look_s = min(LOOK_S, self.seconds / LOOKS)
        start = time.monotonic()
        next_look = start + look_s
        while (now := time.monotonic()) < start + self.seconds:
            self._listen()
            while plan and start + plan[0][0] <= now:
                _, kind, how = plan.pop(0)
                self._happen(kind, how)
            if self._air_clears and now >= self._air_clears:
                self._clear_air()
            if now >= next_look:
                self._look()
                next_look = time.monotonic() + look_s
        self._clear_air()

    def _listen(self, wait_s: float = _TICK_S) -> None:
        """Take what the boards say, and report progress."""
        for event in self.rig.events(wait_s):
            self.ledger.take(event)
        for boot in self.ledger.sampled:
            boot.node.sample_us = sample_instant(self.rig, boot.node.node, boot.node.sample_us)
        self.ledger.sampled.clear()
        now = time.monotonic()
        if now >= self._next_progress:
            self._next_progress = now + PROGRESS_S
            self._progress(self._line(now - self._start))

    def _line(self, passed_s: float) -> str:
        boots = self.ledger.all_boots()
        live = [boot for number in self.nodes if (boot := self.ledger.current(number))]
        there = sum(boot.node.conclusion == BOOTSTRAPPED for boot in live)
        taken = sum(boot.node.sample is not None for boot in boots)
        return (
            f"{passed_s:6.0f} s  {len(live)} of {len(self.nodes)} boards have power, {there} Bootstrapped; "
            f"{len(boots)} boots, {taken} samples, {sum(self._count.values())} faults"
        )

    def _await(self, done: Callable[[], bool], seconds: float) -> None:
        """Listen until all power is there and done(), or for that time: problems() tells what is not done then."""
        powered = max(self._switched.values())
        end = max(time.monotonic(), powered) + seconds
        while (now := time.monotonic()) < end and not (now > powered and done()):
            self._listen()

    def _all_sampled(self) -> bool:
        boots = [self.ledger.current(number) for number in self.nodes]
        return all(boot is not None and boot.node.succeeded() for boot in boots)

    # Faults

    def _happen(self, kind: str, how: dict) -> None:
        self._count[kind] += 1
        if kind == "soft":
            self._soft_reset(how["node"])
        elif kind == "outage":
            for node, on_s in how["on_s"].items():
                self._cut(node, [on_s], [])
        elif kind in ("cut", "kill"):
            self._cut(how["node"], how["off_s"], how["on_s"])
        else:
            self._spoil_air(kind, how)

    def _cut(self, node: int, off_s: list[float], on_s: list[float]) -> None:
        """Take a board's power for as long as off_s says, again and again with on_s in between."""
        after_s = 0.0
        for off, on in zip(off_s, [*on_s, 0.0], strict=True):
            self.rig.power(node, False, after_s * 1000)
            after_s += off
            self.rig.power(node, True, after_s * 1000)
            after_s += on
        self._switched[node] = max(self._switched[node], time.monotonic() + after_s)

    def _soft_reset(self, node: int) -> None:
        """What Ctrl-C and Ctrl-D do at the serial line; to a board without power, nothing."""
        with serial.Serial(self.rig.ports[node], exclusive=True) as port:
            port.write(b"\r\x03\x04")
        self._switched[node] = max(self._switched[node], time.monotonic() + _RESET_S)

    def _spoil_air(self, kind: str, how: dict) -> None:
        if not self._air_clears:
            self._bad_air.append((true_us(), 0))
        if kind == "loss":
            self.rig.medium.do("weather", loss=how["share"])
        else:
            self.rig.medium.do("partition", groups=how["groups"])
        self._air_clears = max(self._air_clears, time.monotonic() + how["for_s"])

    def _clear_air(self) -> None:
        self.rig.medium.do("weather", loss=LOSS)
        self.rig.medium.do("partition", groups=[])
        if self._air_clears:
            self._bad_air[-1] = (self._bad_air[-1][0], true_us())
            self._air_clears = 0.0

    # Reading the boards

    def _look(self) -> None:
        """Fetch the samples of all boards that have their power for good, and read their status and memory."""
        for name, sizes in self._sizes.items():
            sizes.append(_rss({"rig": self.rig.pid, "medium": self.rig.medium_pid}[name]))
        now = time.monotonic()
        calm = [number for number in self.nodes if self._switched[number] < now]
        end = now + ledger.START_US / 1e6
        while time.monotonic() < end and not all(map(self._shows_prompt, calm)):
            self._listen()
        self.statuses = {number: {"error": "it has no power, or no prompt"} for number in self.nodes}
        asked = [number for number in calm if self._shows_prompt(number)]
        if not asked:
            return
        self._collect([self.rig.ports[number] for number in asked])
        for target, status in targets.ask_all(
            [targets.Target(str(number), self.rig.ports[number], number) for number in asked], _memory
        ):
            number = int(target.label)
            self.statuses[number] = status
            if "memory" in status and status["sample"] is not None:  # earlier it has more to come
                self.ledger.boots[number][-1].memory.append(status["memory"])

    def _collect(self, ports: list[str]) -> None:
        """`swarm collect` from these ports. What it could not fetch is missing in the file, and found missing there."""
        command = [*_COMMAND, "collect", "--out", str(self.csv)]
        for port in ports:
            command += ["--port", port]
        with subprocess.Popen(command, stdout=subprocess.DEVNULL) as process:
            limit = time.monotonic() + _COLLECT_S
            while process.poll() is None and time.monotonic() < limit:
                self._listen()
            process.kill()

    def _shows_prompt(self, number: int) -> bool:
        boot = self.ledger.current(number)
        return boot is not None and boot.prompt

    # Figures

    def _measure(self) -> None:
        """Fill in the figures."""
        self._listen(0)
        self.table = collection.load(self.csv).samples
        figures, boots = self.figures, self.ledger.all_boots()
        figures.soft, figures.cuts, figures.kills = (self._count[kind] for kind in ("soft", "cut", "kill"))
        figures.bursts, figures.splits, figures.outages = (self._count[kind] for kind in ("loss", "split", "outage"))
        figures.boots = len(boots)
        figures.sessions = len({(boot.node.node, boot.node.session) for boot in boots if boot.node.session})
        figures.samples = sum(boot.node.sample is not None for boot in boots)
        figures.collected = len(self.table)
        if worst := self.ledger.reconverged(self._bad_air):
            figures.worst_s, node = worst
            figures.worst_node = f"node {node.node}, session {node.session}"
        figures.collective = self.ledger.collective(self._bad_air)
        drifts = [drift for boot in boots if (drift := _drift(boot)) is not None]
        figures.memory_boots = len(drifts)
        figures.memory_drift = max(drifts, default=0)
        figures.longest_s = max(((boot.end_us or self.ended_us) - boot.start_us) / 1e6 for boot in boots)
        figures.rss = {name: (sizes[0], sizes[len(sizes) // 2], sizes[-1]) for name, sizes in self._sizes.items()}


def _memory(transport: SerialTransport, port: str, _status: dict) -> dict:
    """The bytes that a board's memory holds; asked twice, since being asked for the first time takes some."""
    for _ in range(2):
        found = re.search(r"memory (\d+)", run(transport, port, _MEMORY))
    return {"memory": int(found[1])} if found else {}


def _drift(boot: Boot) -> int | None:
    """Bytes by which a boot's memory has grown between the first look and the last, None for one that was too short."""
    return boot.memory[-1] - boot.memory[0] if len(boot.memory) > 1 else None


def _grown(boot: Boot, boards: int) -> str | None:
    """What is wrong with a boot's memory, or None."""
    if (_drift(boot) or 0) > KEPT_BYTES + SENDER_BYTES * (boards - 1):
        return f"session {boot.node.session} holds more memory with time: {boot.memory} bytes"
    return None


def _rss(pid: int) -> int:
    """Bytes of a process in memory; 0 where the system does not tell."""
    try:
        found = re.search(r"VmRSS:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text())
    except OSError:
        return 0
    return int(found[1]) * 1024 if found else 0
