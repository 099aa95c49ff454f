"""Boards that sample in series on one rig, reset and cut from power meanwhile, and what of that went wrong."""

from __future__ import annotations

import json
import random
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from swarm.rig.demo.demo import sample_instant
from swarm.rig.demo.run import Run
from swarm.rig.files import prepare
from swarm.rig.rig import Rig
from swarm.serial.port import BoardError
from swarm.serial.prompt import raw_repl, run
from swarm.watch import collection

LOSS = 0.1
OFF_MS = 300
PATIENCE_S = 60.0  # for the swarm at its beginning and at its end
_COMMAND = [sys.executable, "-c", "from swarm.cli import main; raise SystemExit(main())"]
_LOOKS = 6  # collections meanwhile
_FLASH = ("samples.jsonl.old", "samples.jsonl")

Key = tuple[int, int, int, int]  # node, session, series and beat of a record


class Campaign:
    """One campaign in a folder. progress: called with a line of text at each collection.

    Every faults_s seconds, 0 for none, a board's node is restarted, which loses nothing, or the board cut from power.
    Afterwards lost is how many records power cuts have taken, spreads_us has the true time between the first and the
    last sample of each beat, clocks_us that between the first and the last of the beat's instants as nodes have it,
    which a host that keeps a board waiting does not widen, and problems() what went wrong.
    """

    def __init__(
        self,
        folder: Path,
        nodes: int,
        seconds: float,
        period_ms: int,
        faults_s: float,
        seed: int,
        progress: Callable[[str], None] = lambda _: None,
    ) -> None:
        self.folder, self.seconds, self.period_ms, self.seed = folder, seconds, period_ms, seed
        self.csv = folder / "samples.csv"
        self._run = Run(list(range(1, nodes + 1)))
        self.said: dict[Key, int] = {}  # when each record was said
        self.spreads_us: list[int] = []
        self.clocks_us: list[int] = []
        self.cuts = self.restarts = self.lost = 0
        self._cut: dict[int, set[int]] = {}  # by node the sessions that a power cut ended
        self._collected: set[Key] = set()  # said before the last collection began
        self._wrong: list[str] = []
        # By beat and node: when it sampled, and when that beat was by its clock.
        self._true_us: dict[tuple[int, int], dict[int, tuple[int, int]]] = {}
        self._faults_s = faults_s
        self._progress = progress
        self._boards = {node: folder / f"board-{node}" for node in self._run.nodes}
        for node, home in self._boards.items():
            members = list(self._boards)
            prepare(home, {"swarm": "series", "members": members, "node": node, "period_ms": period_ms})

    def go(self) -> None:
        """Run it; raises OSError or EOFError when the rig fails."""
        chance = random.Random(f"series/{self.seed}")
        with Rig(self._boards, self.seed, weather={"loss": LOSS, "delay_ms": 1.0}) as self._rig:
            for node in self._boards:
                self._rig.power(node, True)
            self._listen_until(self._all_sample, PATIENCE_S)
            begun = time.monotonic()
            looks = [begun + self.seconds * (look + 1) / _LOOKS for look in range(_LOOKS)]
            fault = begun + self._faults_s if self._faults_s else float("inf")
            while time.monotonic() < begun + self.seconds:
                self._listen()
                if time.monotonic() >= fault:
                    fault += self._faults_s
                    self._fault(chance)
                if time.monotonic() >= looks[0]:
                    looks.pop(0)
                    self._collect()
            self._listen_until(self._all_sample, PATIENCE_S)
            self._collect()
            for node in self._boards:
                self._leave(node)
            self._listen(1.0)
        self._check()

    def problems(self) -> list[str]:
        """What went wrong."""
        return self._wrong

    # Meanwhile

    def _listen(self, wait_s: float = 0.05) -> None:
        for event in self._rig.events(wait_s):
            self._run.take(event)
        while self._run.sampled:
            node, record, said_us = self._run.sampled.pop(0)
            if "n" not in record:
                continue
            key = (record["node"], record["session"], record["series"], record["n"])
            if key in self.said:
                self._wrong.append(f"node {key[0]} samples beat {key[3]} of session {key[1]} twice")
            self.said[key] = said_us
            true_us = sample_instant(self._rig, node.node, said_us)
            if true_us is not None and not record["late"]:
                self._true_us.setdefault(key[2:], {})[node.node] = (true_us, true_us - record["late_us"])

    def _listen_until(self, done: Callable[[], bool], seconds: float) -> None:
        end = time.monotonic() + seconds
        while not done():
            if time.monotonic() > end:
                self._wrong.append(f"not all nodes sample within {seconds:.0f} s: {self._words()}")
                return
            self._listen()

    def _all_sample(self) -> bool:
        """Whether each node has power and sampled in this session at a beat that all did."""
        last = [node.latest for node in self._run.live()]
        whole = len(last) == len(self._boards) and all(one is not None and not one["late"] for one in last)
        return whole and len({one["series"] for one in last if one}) == 1

    def _words(self) -> str:
        return "; ".join(f"node {node.node}: {' | '.join(node.output[-2:])}" for node in self._run.nodes.values())

    def _fault(self, chance: random.Random) -> None:
        node = chance.choice(list(self._boards))
        known = self._run.nodes[node]
        if not known.powered or known.session is None or known.latest is None:
            return
        if chance.random() < 0.5:
            self.cuts += 1
            self._cut.setdefault(node, set()).add(known.session)
            self._rig.power(node, False)
            self._rig.power(node, True, OFF_MS)
        else:
            self.restarts += 1
            self._leave(node, restart=True)

    def _leave(self, node: int, restart: bool = False) -> None:
        """Have a board's node stop in order, which writes what it holds, and start again."""
        code = "import faction\nfaction.restart()" if restart else "import autostart\nautostart.stop()"
        port = self._rig.ports[node]
        try:
            with raw_repl(port) as transport:  # mpremote by itself waits for ever when a record comes in between
                run(transport, port, code)
        except BoardError as error:
            self._wrong.append(f"node {node} does not take a command: {error}")

    def _collect(self) -> None:
        self._collected = set(self.said)
        ports = [word for node in self._boards for word in ("--port", self._rig.ports[node])]
        arguments = ["collect", *ports, "--out", str(self.csv)]
        process = subprocess.Popen([*_COMMAND, *arguments], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        while process.poll() is None:
            self._listen()
        assert process.stdout is not None
        self._progress(process.stdout.read().strip().rpartition("\n")[2])

    # At the end

    def _check(self) -> None:
        """Each record that was said is on flash and in the CSV once, but for what a power cut has taken: the last."""
        for taken in self._true_us.values():
            if len(taken) > 1:
                sampled, beats = zip(*taken.values(), strict=True)
                self.spreads_us.append(max(sampled) - min(sampled))
                self.clocks_us.append(max(beats) - min(beats))
        held = [one.key for one in collection.load(self.csv).samples]
        flash = [key for home in self._boards.values() for key in _on_flash(home)]
        for place, keys in (("flash", flash), ("CSV", held)):
            for key, count in Counter(keys).items():
                if count > 1:
                    self._wrong.append(f"{_words(key)} is {count} times in the {place}")
                if key not in self.said:
                    self._wrong.append(f"{_words(key)} is in the {place} and was never said")
        kept = set(flash) | set(held)
        latest: dict[tuple, int] = {}
        for node, session, series, n in kept:
            latest[node, session, series] = max(n, latest.get((node, session, series), -1))
        for key in sorted(self.said):
            if key[1] in self._cut.get(key[0], ()):
                if key not in kept:
                    self.lost += 1
                    if key[3] < latest.get(key[:3], -1):
                        self._wrong.append(f"{_words(key)} is lost, and a later one is not")
                continue
            if key not in flash:
                self._wrong.append(f"{_words(key)} is not on flash")
            if key in self._collected and key not in held:
                self._wrong.append(f"{_words(key)} is not in the CSV")


def _words(key: tuple[int | None, ...]) -> str:
    return f"node {key[0]}, session {key[1]}, beat {key[3]}"


def _on_flash(home: Path) -> list[Key]:
    """The records in a board's files."""
    keys = []
    for name in _FLASH:
        path = home / name
        for line in path.read_text().splitlines() if path.exists() else ():
            try:
                record = json.loads(line)
            except ValueError:
                continue
            if "value" in record:
                keys.append((record["node"], record["session"], record["series"], record["n"]))
    return keys
