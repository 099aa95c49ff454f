"""Run the README's walk-through, from a box of boards to an own application, on virtual boards; compare it with it.

Every command of the text is run as a user would type it, in a folder of its own, and what it prints is what the README
must show. What differs from run to run (ports, session numbers, samples, dates) is left out of the comparison.
"""

from __future__ import annotations

import difflib
import json
import os
import re
import shlex
import subprocess
import sys
import tempfile
import textwrap
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from swarm.description import project
from swarm.paths import ROOT

README = ROOT / "README.md"
BOARDS = 3  # in the README
_MARKS = ("<!-- walkthrough -->\n", "<!-- /walkthrough -->\n")
_COLUMNS = "110"
_WIDTH = 118  # of the README's text
_STEP_S = 60.0  # for one command
_SAMPLE_S = 30.0  # until every node has its first sample
_RESTARTS = ("swarm deploy", "mpremote")  # commands after which nodes start


@dataclass(frozen=True)
class Step:
    """A step: what it is for, the commands that a user types, and the files that are written before, by path.

    fails: the command that is to end with 1.
    """

    title: str
    words: str
    commands: tuple[str, ...]
    files: Mapping[str, str] = field(default_factory=dict)
    fails: str = ""


_DRIVER = """\
from machine import ADC


def celsius():
    return 27 - (ADC(ADC.CORE_TEMP).read_u16() * 3.3 / 65535 - 0.706) / 0.001721
"""
_SENSOR = """\
import thermometer


def warm_up():  # called until it returns True: then this node is ready
    return thermometer.celsius() > 15


def sample():  # called at each beat, and once when a deploy tries it
    return round(thermometer.celsius(), 1)  # a number, text, list or dict: whatever JSON can hold
"""
_APPLICATION = """\
async def main(swarm):
    await swarm.bootstrapped()  # raises RuntimeError, which says why, once there is nothing to wait for
    async for record in swarm.samples():
        print("my own turn, with beat", record["n"], record["value"])
"""


def steps(boards: int) -> tuple[Step, ...]:
    """The steps, for so many boards."""
    return (
        Step(
            "A box of boards",
            "Here they are virtual, and run on until `swarm board --stop`. Real ones are plugged in, and get "
            "MicroPython first: `swarm flash --board ESP32_GENERIC --port /dev/ttyUSB0`.",
            (f"swarm board --virtual --count {boards} --dir boards --background",),
        ),
        Step(
            "Describe the swarm",
            "For real boards: `--board ESP32_GENERIC --ports /dev/ttyUSB*`. `--period` has them sample each 2 s; "
            "without it they do so once. Quorum, deadline and channel are in swarm.toml; `swarm check` tells a "
            "mistake there.",
            ("swarm init --name greenhouse --board VIRTUAL --ports boards/ports/* --period 2000",),
        ),
        Step(
            "Put the node onto every board",
            "One board tries it, then the others follow all at once; a second time only what differs is sent.",
            ("swarm deploy --all",),
        ),
        Step(
            "Watch the swarm",
            "A sample's second figure is its lateness, from its beat on as that node has it; how far samples are apart "
            "is the skew. One look here; without `--once` it is a live view, with keys that `?` lists.",
            ("swarm monitor --all --once",),
        ),
        Step(
            "Fetch the samples",
            "A row a sample, and one a beat; a second time what is new is added, and `--follow` goes on, with `--exec "
            "COMMAND` and `--mqtt URL` to hand each on. `--plot samples.svg` draws them; `--out samples.db` is a "
            "database. One board is enough where step 2 had `--gateway any`: `swarm collect --via PORT`.",
            ("swarm collect --all --wide beats.csv", "head -2 samples.csv", "tail -1 beats.csv"),
        ),
        Step(
            "Your own sensor, with a driver",
            "They lie beside swarm.toml; `lib/` holds files and packages. A driver from the net is given to each board "
            "once, where no deploy touches it: `mpremote connect PORT resume mip install bme280`. What is imported and "
            "in neither place is told before anything is sent.",
            ("swarm deploy --all",),
            {"lib/thermometer.py": _DRIVER, "sensor.py": _SENSOR},
        ),
        Step(
            "A sensor with a mistake",
            "What can be checked here is, before a board is touched. What only a board can tell, the first one does, "
            "which then goes back to the version before by itself; the others are left alone.",
            (
                "sed -i.good 's/(thermometer.celsius/(thermometer.celcius/' sensor.py",
                "swarm deploy --all",
                "mv sensor.py.good sensor.py; swarm monitor --all --once | head -1",
            ),
            fails="swarm deploy --all",
        ),
        Step(
            "Your own application",
            "It runs on asyncio beside the node, which goes on whatever this does; `warm_up()` and `sample()` may be "
            "`async` then. A look leaves it running, a deploy and a reset start it again. **Ctrl-C stops it**, that of "
            "mpremote too: `faction.run()` at the prompt starts it then.",
            ("swarm deploy --all", "swarm status 1", "mpremote connect boards/ports/1 reset", "swarm doctor"),
            {"application.py": _APPLICATION},
        ),
    )


class WalkthroughError(Exception):
    """A step failed; the message holds the command and what it printed."""


def split(readme: str) -> tuple[str, str, str]:
    """A README before, in and after the walk-through. WalkthroughError when the marks around that are missing."""
    before, start, rest = readme.partition(_MARKS[0])
    shown, end, after = rest.partition(_MARKS[1])
    if not start or not end:
        raise WalkthroughError(f"{README.name} has no {_MARKS[0].strip()} ... {_MARKS[1].strip()}: put the marks in")
    return before + start, shown, end + after


@contextmanager
def place() -> Iterator[tuple[Path, dict[str, str]]]:
    """A folder for a walk-through and the environment of its commands; at the end its boards are switched off."""
    with tempfile.TemporaryDirectory(prefix="swarm-walkthrough-") as name:
        folder = Path(name) / "greenhouse"
        folder.mkdir()
        binaries = Path(sys.executable).parent
        # With a folder for temporary files of its own it knows of no other boards in the background.
        environment = dict(os.environ, TMPDIR=name, COLUMNS=_COLUMNS, PATH=f"{binaries}:{os.environ['PATH']}")
        try:
            yield folder, environment
        finally:
            stop = ["swarm", "board", "--stop"]
            subprocess.run(stop, cwd=folder, env=environment, capture_output=True, timeout=_STEP_S)


def walk(todo: tuple[Step, ...], folder: Path, environment: dict[str, str]) -> str:
    """Take the steps one after the other; the README's text of them. WalkthroughError when one fails."""
    lines = []
    for number, step in enumerate(todo, 1):
        lines += textwrap.wrap(f"**{number}. {step.title}.** {step.words}", _WIDTH)
        for name, text in step.files.items():
            (folder / name).parent.mkdir(exist_ok=True)
            (folder / name).write_text(text)
            lines += ["```python", f"# {name}", *text.splitlines(), "```"]
        lines.append("```console")
        for command in step.commands:
            lines += [f"$ {command}", *_sorted(execute(command, folder, environment, command == step.fails))]
            if command.startswith(_RESTARTS):
                _await_samples(folder, environment)
        lines += ["```", ""]
    return "\n".join(lines)


def execute(command: str, folder: Path, environment: dict[str, str], fails: bool = False) -> list[str]:
    """Run one command in a shell; the lines it printed. WalkthroughError when it fails, or does not where it is to."""
    with tempfile.TemporaryFile("w+") as said:  # boards in the background hold it, where a pipe would not end
        done = subprocess.run(
            command, shell=True, cwd=folder, env=environment, stdout=said, stderr=said, timeout=_STEP_S
        )
        said.seek(0)
        told = said.read()
    if done.returncode != fails:
        raise WalkthroughError(f"`{command}` ended with {done.returncode}:\n{told}")
    return [line.rstrip() for line in told.splitlines()]


def _await_samples(folder: Path, environment: dict[str, str]) -> None:
    """A reader takes a moment between two steps; sensors warm up in it, and the swarm samples."""
    deadline = time.monotonic() + _SAMPLE_S
    command = f"swarm status --all --json --swarm {shlex.quote(str(folder / project.FILE))}"
    while True:
        told = json.loads("\n".join(execute(command, folder, environment)))
        if all(status.get("sample") and not status["missing"] for status in told.values()):
            return
        if time.monotonic() > deadline:
            states = {port: status.get("state", status) for port, status in told.items()}
            raise WalkthroughError(f"no first sample of every node in {_SAMPLE_S:g} s: {states}")
        time.sleep(0.2)


def _sorted(lines: list[str]) -> list[str]:
    """The lines with runs of nodes in their order: boards that are deployed together are done in any."""
    result: list[str] = []
    run: list[str] = []
    for line in [*lines, ""]:
        if re.match(r"node \d+: ", line):
            run.append(line)
        else:
            result += [*sorted(run), line]
            run = []
    return result[:-1]


# What differs from run to run, and what stands for it in a comparison.
_VARYING = tuple(
    (re.compile(pattern), name)
    for pattern, name in (
        (r"seed \d+", "seed N"),
        (r"/dev/(pts/|ttys)\d+", "PORT"),
        (r"session \d+", "session N"),
        # A busy host has its boards miss a beat, or be moved.
        (r"(?<=, beat )\d+(, next in [\d.]+ [mu]?s)?(, \d+ missed)?(, moved \d+ times)?", "N"),
        (r"-?\d+(\.\d+)?, [-+]?\d+(\.\d+)? [mu]?s( late)?(, beat N)?", "VALUE"),
        (r"beat \d+ next, \d+ missed", "beat N next"),
        (r"\d+ samples?, \d+ new", "N samples"),
        (r"(?<=VALUE) +\d+$", " REBOOTS"),
        (r"skew (at most )?[\d.]+ \w+( to [\d.]+ \w+)?", "skew N"),
        (r"^\d+,\d+,\d+,\d+,[-\dT:.]+Z,[\d.]+(e-\d+)?,-?\d+,-?[\d.]+,[01]$", "SAMPLE"),
        (r"^\d+,\d+,[-\dT:.]+Z,[\d.]+(e-\d+)?(,[-\d.]*)+$", "BEAT"),
        (r" +", " "),
    )
)


def normalise(text: str) -> list[str]:
    """The lines of a walk-through without what differs from run to run."""
    lines = []
    for line in text.splitlines():
        for pattern, name in _VARYING:
            line = pattern.sub(name, line)
        lines.append(line.rstrip())
    return lines


def compare(shown: str, text: str) -> list[str]:
    """How what is shown differs from a walk-through's text, as a diff; empty when it does not."""
    return list(difflib.unified_diff(normalise(shown), normalise(text), README.name, "what happens", lineterm=""))
