"""Draws the readiness machine from the table that it executes, as Mermaid text for lib/README.md."""

from swarm.device import library

_REFUSED = "-"
_ANSWERED = "?"


def machine() -> tuple[bytes, tuple[str, ...], tuple[str, ...]]:
    """The table of lib/faction/core.py, and the names of its states and commands."""
    return library.TABLE, library.STATES, library.COMMANDS


def draw(table: bytes, states: tuple[str, ...], commands: tuple[str, ...]) -> str:
    """The diagram of a table: an arrow for each pair of states, with the commands that lead from one to the other.

    A command that goes elsewhere once the required count is reached has two arrows. Probe, which every state answers
    and which changes nothing, is left out, and so is what a state rejects.
    """
    arrows: dict[tuple[int, int], list[str]] = {}
    for state in range(len(states)):
        for command, label in enumerate(commands):
            at = (state * len(commands) + command) * 3
            action, below, reached = table[at : at + 3].decode()
            if action in (_REFUSED, _ANSWERED):
                continue
            if below == reached:
                arrows.setdefault((state, int(below)), []).append(label)
            else:
                arrows.setdefault((state, int(below)), []).append(f"{label}, below the required count")
                arrows.setdefault((state, int(reached)), []).append(f"{label}, required count reached")
    lines = ["stateDiagram-v2", f"    [*] --> {states[0]}"]
    lines += [f"    {states[a]} --> {states[b]}: {'<br>'.join(labels)}" for (a, b), labels in sorted(arrows.items())]
    starts = {a for a, _ in arrows}
    lines += [f"    {name} --> [*]" for state, name in enumerate(states) if state not in starts]
    return "\n".join(lines)
