"""`make soak`: a swarm of virtual boards lives through random reboots, power cuts and bad air; nothing may be lost.

    python -m swarm.proof.soak.soak [--nodes 16] [--minutes 60] [--seed N]

The boards are real MicroPython nodes on one rig. Their samples are fetched by `swarm collect` again and again, as a
user does, and at the end every sample that a node has printed or owed must be in that file, no session may have come
twice, every node must be Bootstrapped, and memory must be what it was. Every random choice comes from the seed; when
which board then does what is up to the computer.

A few boards never lose their power but in an outage of all, of which there are some in the first half: so the second
half has boots that live long. A board that is being read does not lose its power just then: a program that goes on
asking for a prompt would interrupt the board's next start.

Exit status: 0 nothing was lost, 1 something was and is named, 2 used wrongly.
"""

from __future__ import annotations

import argparse
import random
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import serial
from mpremote.transport_serial import SerialTransport

from swarm.proof.soak import ledger
from swarm.proof.soak.ledger import Boot, Ledger
from swarm.rig.demo.demo import sample_instant
from swarm.rig.demo.run import BOOTSTRAPPED
from swarm.rig.files import prepare
from swarm.rig.personality import true_us
from swarm.rig.rig import Rig
from swarm.rig.virtual_board import unix_port_missing
from swarm.serial import targets
from swarm.serial.prompt import run
from swarm.watch import samples

NODES = (2, 32)
LEAD_MS = 500
LOSS = 0.1  # between bursts
PROGRESS_S = 10.0
LOOK_S = 30.0  # between two readings of all boards; in a short soak more often
LOOKS = 5  # at least
GAP_S = 64.0  # mean time from one fault of a board to its next; in a short soak there are more
SETTLE_S = 60.0  # patience for the swarm after the last fault
MEMORY_LIMIT = 2048  # bytes by which a boot's memory may grow: an error that is kept, and names, take some
RSS_LIMIT = 1 << 20  # bytes by which the memory of the rig or the medium may grow in the second half

_COMMAND = [sys.executable, "-c", "from swarm.cli import main; raise SystemExit(main())"]
_COLLECT_S = 60.0
_TICK_S = 0.05
_RESET_S = 0.5  # after Ctrl-D a board has begun anew
_MEMORY = "import gc\ngc.collect()\nprint('memory', gc.mem_alloc())"


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


@dataclass
class Figures:
    """What a soak measured."""

    seed: int
    minutes: float
    boards: int
    soft: int = 0
    cuts: int = 0
    kills: int = 0
    bursts: int = 0
    splits: int = 0
    outages: int = 0
    boots: int = 0
    sessions: int = 0
    samples: int = 0
    collected: int = 0
    worst_s: float = 0.0
    worst_node: str = "none"
    collective: tuple[list[int], list[int]] = ([], [])  # skews in good air and in bad
    memory_drift: int = 0
    memory_boots: int = 0
    longest_s: float = 0.0
    rss: dict[str, tuple[int, int, int]] = field(default_factory=dict)  # after the start, half-way and at the end

    def block(self) -> str:
        """The figures as lines of text."""
        good, bad = (
            f"{len(skews)} in {air} air, max skew {max(skews, default=0) / 1000:.2f} ms"
            for air, skews in zip(("good", "bad"), self.collective, strict=True)
        )
        process = ", ".join(
            f"{name} {end / 2**20:.1f} MB ({_more(start, end)}, {_more(half, end)} in the second half)"
            for name, (start, half, end) in self.rss.items()
        )
        rows = (
            ("seed", self.seed),
            ("minutes", f"{self.minutes:g}"),
            ("boards", self.boards),
            ("reboots", f"{self.soft} by Ctrl-D, {self.cuts} by power cuts of up to half a second"),
            ("kills", f"{self.kills}, {self.outages} outages of all boards"),
            ("bursts", f"{self.bursts} of loss, {self.splits} splits of the air"),
            ("sessions", f"{self.sessions} in {self.boots} boots"),
            ("samples", f"{self.samples} printed, {self.collected} in the file"),
            ("worst re-convergence", f"{self.worst_s:.2f} s ({self.worst_node})"),
            ("collective first samples", f"{good}; {bad}"),
            (
                "memory of boards",
                f"{self.memory_drift:+d} bytes at most, of {self.memory_boots} boots; the longest lived "
                f"{self.longest_s / 60:.1f} min",
            ),
            ("memory of processes", process),
        )
        return "\n".join(f"{name:26}{value}" for name, value in rows)


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
            found += [f"node {number}: {text}" for text in map(_grown, self.ledger.boots[number]) if text]
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
        self.table = samples.load(self.csv)
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


def _grown(boot: Boot) -> str | None:
    """What is wrong with a boot's memory, or None."""
    if (_drift(boot) or 0) > MEMORY_LIMIT:
        return f"session {boot.node.session} holds more memory with time: {boot.memory} bytes"
    return None


def _more(before: int, after: int) -> str:
    return f"{(after - before) / 2**10:+.0f} KB"


def _rss(pid: int) -> int:
    """Bytes of a process in memory; 0 where the system does not tell."""
    try:
        found = re.search(r"VmRSS:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text())
    except OSError:
        return 0
    return int(found[1]) * 1024 if found else 0


def _end(number: int, _frame: object) -> None:
    raise SystemExit(128 + number)


def main(arguments: list[str] | None = None) -> int:
    """Run a soak and print its figures; returns the exit status."""
    parser = argparse.ArgumentParser(prog="make soak", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--nodes", type=int, default=16, metavar="N", help="boards (default: %(default)s)")
    parser.add_argument("--minutes", type=float, default=60.0, metavar="M", help="how long (default: %(default)g)")
    parser.add_argument("--seed", type=int, metavar="N", help="decides every random choice (default: a new one)")
    options = parser.parse_args(arguments)
    if not NODES[0] <= options.nodes <= NODES[1]:
        print(f"make soak: NODES={options.nodes} is outside {NODES[0]} ... {NODES[1]}", file=sys.stderr)
        return 2
    if not 0 < options.minutes <= 10_000:
        print(f"make soak: MINUTES={options.minutes:g} is outside 0 ... 10000", file=sys.stderr)
        return 2
    if missing := unix_port_missing():
        print(f"make soak: {missing}: `make setup` installs it where there is one", file=sys.stderr)
        return 2
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _end)
    seed = options.seed if options.seed is not None else random.SystemRandom().randrange(1_000_000)
    print(f"soak: {options.nodes} boards, {options.minutes:g} minutes, seed {seed}", flush=True)
    with tempfile.TemporaryDirectory(prefix="swarm-soak-") as folder:
        soak = Soak(Path(folder), options.nodes, options.minutes * 60, seed, lambda line: print(line, flush=True))
        try:
            soak.run()
        except KeyboardInterrupt:
            print("make soak: interrupted; every board is off", file=sys.stderr)
            return 130
        except (OSError, EOFError) as error:
            print(f"make soak: {error}", file=sys.stderr)
            return 1
    print(soak.figures.block())
    problems = soak.problems()
    for problem in problems:
        print(f"make soak: {problem} (seed {seed})", file=sys.stderr)
    print(f"{len(problems)} problems, named above" if problems else "nothing was lost, nobody is stuck", flush=True)
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
