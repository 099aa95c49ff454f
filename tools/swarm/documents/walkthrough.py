"""Run the README's walk-through, from a box of boards to the first CSV, on virtual boards; compare it with the README.

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
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
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


@dataclass(frozen=True)
class Step:
    """A step: what it is for, and the commands that a user types."""

    title: str
    words: str
    commands: tuple[str, ...]


def steps(boards: int) -> tuple[Step, ...]:
    """The eight steps, for so many boards."""
    return (
        Step(
            "A box of boards",
            "Here they are virtual, and run on until `swarm board --stop`. Real ones are plugged in, and get "
            "MicroPython first: `swarm flash --board ESP32_GENERIC --port /dev/ttyUSB0`.",
            (f"swarm board --virtual --count {boards} --dir boards --background",),
        ),
        Step(
            "Describe the swarm",
            "For real boards: `--board ESP32_GENERIC --ports /dev/ttyUSB*`. Quorum, deadline and channel are in "
            "swarm.toml, each with its meaning.",
            ("swarm init --name greenhouse --board VIRTUAL --ports boards/ports/*",),
        ),
        Step(
            "Check the description",
            "Edit swarm.toml first if need be; a mistake is told with its line.",
            ("swarm check",),
        ),
        Step(
            "Put the node onto every board",
            "All at once, compiled for each board. Write your own sensor.py beside swarm.toml and it goes with them; a "
            "second time only what differs is sent.",
            ("swarm deploy --all",),
        ),
        Step(
            "Look at every node",
            "The nodes go on meanwhile. A sample's second figure is its lateness, from the agreed instant on as "
            "that node has it; how far samples are apart is the skew, which the next step measures.",
            ("swarm status --all",),
        ),
        Step(
            "Watch the swarm",
            "One look here; without `--once` it is a live view, with keys that `?` lists.",
            ("swarm monitor --all --once",),
        ),
        Step(
            "Have it examined",
            "What is wrong is told with what to type. Dead boards are replaced in one command: `swarm replace 3 --port "
            "/dev/ttyUSB5`.",
            ("swarm doctor",),
        ),
        Step("Fetch the samples", "`--plot samples.svg` draws them.", ("swarm collect --all", "cat samples.csv")),
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
        lines += [*textwrap.wrap(f"**{number}. {step.title}.** {step.words}", _WIDTH), "```console"]
        for command in step.commands:
            lines += [f"$ {command}", *_sorted(execute(command, folder, environment))]
            if command.startswith("swarm deploy"):
                _await_samples(folder, environment)
        lines += ["```", ""]
    return "\n".join(lines)


def execute(command: str, folder: Path, environment: dict[str, str]) -> list[str]:
    """Run one command in a shell; the lines it printed. WalkthroughError when it fails."""
    with tempfile.TemporaryFile("w+") as said:  # boards in the background hold it, where a pipe would not end
        done = subprocess.run(
            command, shell=True, cwd=folder, env=environment, stdout=said, stderr=said, timeout=_STEP_S
        )
        said.seek(0)
        told = said.read()
    if done.returncode:
        raise WalkthroughError(f"`{command}` ended with {done.returncode}:\n{told}")
    return [line.rstrip() for line in told.splitlines()]


def _await_samples(folder: Path, environment: dict[str, str]) -> None:
    """A reader takes a moment between two steps; sensors warm up in it, and the swarm samples."""
    deadline = time.monotonic() + _SAMPLE_S
    command = f"swarm status --all --json --swarm {shlex.quote(str(folder / project.FILE))}"
    while True:
        told = json.loads("\n".join(execute(command, folder, environment)))
        if all(status["sample"] for status in told.values()):
            return
        if time.monotonic() > deadline:
            states = {port: status["state"] for port, status in told.items()}
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
        (r"-?\d+(\.\d+)?, [-+]?\d+(\.\d+)? [mu]?s( late)?", "VALUE"),
        (r"skew (at most )?[\d.]+ \w+( to [\d.]+ \w+)?", "skew N"),
        (r"^(\d+),\d+,-?\d+,-?[\d.]+,[01],[-\dT:.]+Z$", r"\1,SESSION,LATE_US,VALUE,LATE,DATE"),
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
