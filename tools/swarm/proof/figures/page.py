"""FIGURES.md's section: made of tables and plots, and written between its marks."""

from __future__ import annotations

import shutil
from pathlib import Path

from swarm.output import writable
from swarm.paths import ROOT

PAGE = ROOT / "FIGURES.md"
PLOTS = ROOT / "tools" / "figures"
MARKS = ("<!-- figures -->\n", "<!-- /figures -->\n")
_SECTION = """\
`make figures` makes all of this again, with the full tuning and comparison; each row also has its own command.

{words}

{campaigns}

![Distributions of waits, frames and skew](tools/figures/distributions.svg)

`swarm sim --nodes 20 --loss 0.1 --board ideal --seeds 200 --plot distributions.svg`

{honest}

{series}

How a swarm grows to the frame's limit of 680 members, where nodes hear only those near them:

{grown}

![Wait and frames from 10 to 680 nodes](tools/figures/growth.svg)

Beside other protocols in the same simulator, on ideal boards and with the same seeds: the published one (PING, then
READY, every 100 ms, silent once concluded), the same but never silent (repeating), and all-to-all heartbeats, each 100
and each 50 ms. Medians; frames of a node; `x` is theirs over ours.

{compared}

`swarm bench --board ideal` prints this in full, with bytes, skew and a settled swarm's frames a minute; without
`--board` the same of ESP32 boards.

The frontier between wait and frames, on boards esp32: each row has one value of the Trickle timer or the number of
echoes away from what nodes use. Wait in ms, p50 / p99 / max, and frames of a node in the mean, until the last
conclusion.

{tuned}

![Wait and frames over Trickle's shortest interval](tools/figures/tuning.svg)

One run: five nodes, one of which loses power on the way.

![A lane a node, from boot to first sample](tools/figures/run.svg)

`{lanes}`
"""


class PageError(Exception):
    """FIGURES.md cannot be written; the message says why."""


def section(**parts: str) -> str:
    """What stands between the marks. words explain the tables' columns, lanes is the command of the run's plot; the
    others are tables: campaigns, honest, series, grown, compared, tuned."""
    return _SECTION.format(**parts)


def split(text: str) -> tuple[str, str, str]:
    """The page before, in and after the figures. PageError when the marks around them are missing."""
    before, start, rest = text.partition(MARKS[0])
    shown, end, after = rest.partition(MARKS[1])
    if not start or not end:
        raise PageError(f"{PAGE.name} has no {MARKS[0].strip()} ... {MARKS[1].strip()}: put the marks in")
    return before + start, shown, end + after


def write(text: str, folder: Path) -> None:
    """Put the section into FIGURES.md, and the plots of that folder beside the others. PageError without marks."""
    before, _, after = split(PAGE.read_text(encoding="utf-8"))
    PLOTS.mkdir(exist_ok=True)
    for picture in sorted(folder.glob("*.svg")):
        shutil.copyfile(picture, PLOTS / picture.name)
    writable.write_atomically(PAGE, before + text + after)
