"""What comes before what on a board, and what is to be said of that: a version that was deployed, then what lies in the
root of its flash, then what is frozen into its firmware. firmware/README.md tells it to users.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from swarm import boards
from swarm.deploy import payload
from swarm.deploy.own_code import APPLICATION, SENSOR
from swarm.deploy.trial import SLOTS
from swarm.paths import FIRMWARE

CONFIGURATION, KEY = "faction.json", "faction.key"


def overridden(facts: dict[str, Any]) -> list[str]:
    """Files of the user's in the root that a version has its own of, or does without; facts: of onboard_survey."""
    root = facts["root"]
    found = [name for name in (SENSOR, APPLICATION) if {name, name.replace(".py", ".mpy")} & set(root)]
    if SENSOR in root and facts["sensor"] == payload.hash_of((FIRMWARE / SENSOR).read_bytes()):
        found.remove(SENSOR)  # nothing of the user's
    return found


def would_open(facts: dict[str, Any]) -> bool:
    """Whether a locked node would start open without its version: by a faction.json in the root that has no key."""
    return CONFIGURATION in facts["root"] and KEY not in facts["root"]


def is_mixed(facts: dict[str, Any]) -> bool:
    """Whether firmware of the root runs on the library that is frozen: the root comes before that, its lib after it."""
    root = facts["root"]
    folder = (facts["runs_from"] or "lib/faction/__init__.").rpartition("faction/__init__.")[0].rstrip("/")
    copied = {"autostart.py", "autostart.mpy"} & set(root) and "faction/" not in root
    return bool(copied) and folder not in SLOTS and not folder.endswith("lib")


def notes(facts: dict[str, Any], place: Path) -> list[str]:
    """What to say when a board gets its first version; place: where the user's files are to be."""
    said = []
    if boards.FROZEN in facts["machine"]:
        said.append("this version comes before the node that is frozen into its firmware")
    if names := overridden(facts):
        verb = "is" if len(names) == 1 else "are"
        said.append(f"{' and '.join(names)} in its root {verb} not used any more: what is to run lies in {place}")
    return said
