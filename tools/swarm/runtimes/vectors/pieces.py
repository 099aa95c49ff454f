"""Replays machine vectors piece by piece on a device behind a prompt: a board at a port, or one under emulation.

The device gets core.py stripped and a dozen lines that print its state after each command; what the state should have
been stays on the host, which compares. So 9 KB of heap and MicroPython 1.9 are enough.
"""

import json
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any, Protocol

from swarm import paths, runtimes
from swarm.device.library import names
from swarm.serial.strip import strip

_STEPS = 16  # sent at once

# Runs on MicroPython 1.9 too: no f-strings, no bytes.hex.
_HELPER = """
def _h(data):
    return "".join(["%02x" % byte for byte in data])

def _run(steps):
    for step in steps.split(","):
        command, peer = [int(part) for part in step.split()]
        result = m.process(command, peer)
        sets = _h(m.outcomes[:m.outcome_count]), _h(m.pinging), _h(m.collecting)
        print("= %d %d %d %d o%s p%s c%s" % ((result, m.state, m.completed, m.required_count) + sets))
"""


class Device(Protocol):
    """What can run code: a prompt of its own, and how many members its memory holds."""

    max_members: int | None

    def load(self, source: str) -> None:
        """Make the names that source defines available to execute()."""

    def execute(self, code: str) -> str:
        """Run code and return what it printed. runtimes.ScriptFailed when it raises, or the device does not answer."""


class _Machine:
    """A machine as the device described it, for names.py."""

    def __init__(self, ids: list[int], said: str) -> None:
        numbers, sets = said.split()[:4], said.split()[4:]
        self.result, self.state, completed, self.required_count = map(int, numbers)
        self.completed = bool(completed)
        self.ids = ids
        self.outcomes, self.pinging, self.collecting = (bytes.fromhex(part[1:]) for part in sets)
        self.outcome_count = len(self.outcomes)


@contextmanager
def prepared(device: Device) -> Iterator[Device]:
    """The device with the machine and the helper on it."""
    device.load(strip((paths.LIB / "faction" / "core.py").read_text()))
    device.execute(_HELPER)
    yield device


def replay(device: Device, entries: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """Replay one vector; entries as vectors.py makes them: the machine, then its steps.

    Yields for each entry {part: value} of what came out otherwise, empty when all is as expected.
    """
    peer_id, peers, required_count = entries[0]["machine"]
    code = f"m = None\ntry:\n m = Faction({peer_id}, {peers}, {required_count})\n print('=', list(m.ids))\n"
    said = _answers(device.execute(code + "except Exception as error:\n print('!', error)"))
    if len(said) != 1 or said[0].startswith("!"):
        wrong = {"config": f"the machine refuses this config: {said[0][2:] if said else 'no answer'}"}
        yield from [wrong] * len(entries)
        return
    ids = json.loads(said[0][2:])
    yield {} if ids == sorted(peers) else {"config": f"the machine's ids are {ids}"}
    commands = entries[1:]
    for start in range(0, len(commands), _STEPS):
        part = commands[start : start + _STEPS]
        text = ",".join(f"{names.COMMANDS.index(step['command'])} {step.get('peer_id', 0)}" for step in part)
        answers = _answers(device.execute(f"_run('{text}')"))
        if len(answers) != len(part):
            raise runtimes.ScriptFailed(f"the device answered {len(answers)} of {len(part)} steps: {answers}")
        for step, answer in zip(part, answers, strict=True):
            yield _compare(step, _Machine(ids, answer[2:]))


def _answers(output: str) -> list[str]:
    """The device's lines; a node that runs there may print others meanwhile."""
    return [line.strip() for line in output.splitlines() if line.startswith(("= ", "! "))]


def _compare(step: dict[str, Any], machine: _Machine) -> dict[str, Any]:
    got = {
        "result": names.RESULTS[machine.result],
        "outcomes": names.outcomes(machine, step.get("peer_id")),
        "view": names.view(machine),
        "admissible": names.admissible(machine),
    }
    # As JSON, true is not 1.
    return {part: value for part, value in got.items() if _text(value) != _text(step[part])}


def _text(value: Any) -> str:
    return json.dumps(value, sort_keys=True)


def too_large(device: Device, entries: Iterable[dict[str, Any]]) -> str | None:
    """Why a vector cannot be replayed on the device, or None."""
    first = next(iter(entries))
    if "machine" not in first:
        return "not a vector of the machine"
    if device.max_members and len(first["machine"][1]) > device.max_members:
        return f"more than {device.max_members} members"
    return None
