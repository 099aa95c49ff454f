"""Run a board's trace again on this machine, and report the first outcome that differs.

A trace is what `faction.trace()` prints at a board's prompt. The file may be all that came from the serial line: other
lines, prompts before a line and carriage returns are passed over, and each trace in it is replayed.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import count

from swarm.device.library import ACCEPTED, Faction, names


class TraceError(Exception):
    """A trace cannot be replayed; the message names the line and what to do."""


@dataclass
class Trace:
    """One trace of a file. line: number of its first line; config, view and steps: as printed by the board."""

    line: int
    config: dict
    view: dict
    promised: int
    steps: list[tuple[int, dict]] = field(default_factory=list)  # line number and step


def read(lines: Iterable[str]) -> Iterator[Trace]:
    """The traces among the lines of a capture. TraceError for one with lines missing, or whose values make no trace."""
    trace: Trace | None = None
    for number, line in enumerate(lines, 1):
        entry = _entry(line)
        if "config" in entry and "view" in entry:
            if trace:
                yield _whole(trace)
            trace = Trace(number, entry["config"], entry["view"], entry.get("steps", 0))
        elif "step" in entry and "command" in entry and trace:
            trace.steps.append((number, entry))
    if trace:
        yield _whole(trace)


def _entry(line: str) -> dict:
    """The JSON object in a line, whatever stands before it; an empty one when there is none."""
    start = line.find('{"')
    if start < 0:
        return {}
    try:
        entry = json.loads(line[start:])
    except (ValueError, RecursionError):
        return {}
    return entry if isinstance(entry, dict) else {}


def _whole(trace: Trace) -> Trace:
    numbers = [step["step"] for _, step in trace.steps]
    if type(trace.promised) is not int:
        raise TraceError(f"line {trace.line}: steps {trace.promised!r}: no number: capture the trace again")
    # Whatever number the line promises, no more is looked at than is there.
    if len(numbers) != trace.promised or numbers != list(range(1, len(numbers) + 1)):
        there = {number for number in numbers if type(number) is int}
        missing = next(number for number in count(1) if number not in there)
        complete = missing > trace.promised
        what = f"steps are not 1 to {trace.promised} in order" if complete else f"step {missing} is missing"
        raise TraceError(f"line {trace.line}: {what}: capture the trace again")
    return trace


def replay(trace: Trace) -> str | None:
    """Run a trace; None when every outcome is as traced, else what differs first. TraceError: its values make none."""
    try:
        machine = begin(trace.config, trace.view)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise TraceError(f"line {trace.line}: no machine begins like this ({error}): capture the trace again") from None
    for number, step in trace.steps:
        try:
            difference = _step(machine, step)
            if difference:
                peer = f" {step['peer_id']}" if step["command"].endswith("Observed") else ""
                return f"line {number}: step {step['step']}, {step['command']}{peer} in {step['before']}: {difference}"
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise TraceError(f"line {number}: no step of a trace ({error}): capture the trace again") from None
    return None


def begin(config: dict, view: dict) -> Faction:
    """A machine with the given configuration, in the state that a view shows."""
    machine = Faction(config["peer_id"], config["peers"], config["required_count"])
    for bitmap, peers in ((machine.pinging, view["pinging_peers"]), (machine.collecting, view["collecting_peers"])):
        for peer in peers:
            at = machine.index(peer)
            if at < 0:
                raise ValueError(f"peer id {peer}: not a member")
            bitmap[at >> 3] |= 1 << (at & 7)
    machine.pinging_count = len(view["pinging_peers"])
    machine.collecting_count = len(view["collecting_peers"])
    machine.completed = view["is_pinging_completed"]
    machine.state = names.STATES.index(view["peer_state"])
    return machine


def _step(machine: Faction, step: dict) -> str | None:
    """Do a step; None when it comes out as traced, else the difference."""
    if step["before"] == "Initial":
        machine.reset()  # the node has begun again with a fresh machine
    before = names.STATES[machine.state]
    if before != step["before"]:
        return f"the state before it is {before} here"
    if machine.process(names.COMMANDS.index(step["command"]), step["peer_id"]) != ACCEPTED:
        return "it is rejected here"
    outcomes = names.outcomes(machine, step["peer_id"])
    here = (outcomes[0]["outcome"], len(outcomes), names.STATES[machine.state])
    traced = (step["first_outcome"], step["outcomes"], step["after"])
    if here == traced:
        return None
    return "{} first of {} and then {}, traced {} first of {} and then {}".format(*here, *traced)
