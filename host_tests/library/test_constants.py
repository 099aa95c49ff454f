"""Modules of the device code keep copies of each other's constants, which cost no names there: they are the same."""

import re

import pytest

from faction import core, frame, names
from swarm.paths import FIRMWARE, LIB

_CONSTANT = re.compile(r"^(_?[A-Z_]+) = const\((0x[0-9A-Fa-f]+|[0-9_]+)\)", re.MULTILINE)
STATES = ("INITIAL", "PINGING", "COLLECTING", "BOOTSTRAPPED", "TIMED_OUT")
COMMANDS = ("PARTICIPATION_OBSERVED", "READY_OBSERVED", "LOCAL_PARTICIPATION_COMPLETED", "DEADLINE_EXPIRED")
FLAGS = ("INSTANT", "FOLLOW_UP")
VALUES = {name: getattr(core, name) for name in STATES + COMMANDS}
VALUES |= {name: getattr(frame, f"{name}_FLAG") for name in FLAGS}
VALUES |= {f"{name}_FLAG": getattr(frame, f"{name}_FLAG") for name in (*FLAGS, "BOOTSTRAPPED", "TIMED_OUT")}
VALUES |= {name.upper(): names.COUNTERS.index(name) for name in ("timeouts", "unproved", "own", "sent", "suppressed")}
VALUES |= {"LACKS": 1, "CLAIMS": 2, "MOVED": 4, "NAMES": 8, "APART": 16, "MISFIT": frame._MISFIT}


@pytest.mark.parametrize("path", [*sorted((LIB / "faction").glob("*.py")), FIRMWARE / "app.py"], ids=lambda p: p.stem)
def test_a_copy_is_what_it_copies(path):
    for name, value in _CONSTANT.findall(path.read_text()):
        bare = name.lstrip("_")
        assert bare not in VALUES or int(value, 0) == VALUES[bare], f"{path.name}: {name} = {value}"


def test_copies_are_found():
    found = _CONSTANT.findall((LIB / "faction" / "node.py").read_text())
    assert len([name for name, _ in found if name.lstrip("_") in VALUES]) > 10
