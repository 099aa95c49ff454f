"""Times the device code on its runtimes: each command, frame received and frame built, and the memory that each takes.

Beside it, in the same run, a textbook port of the machine with sets and lists, and the plain loop over 16 bytes that
the budget for receiving is counted in. A host's times say little; their ratios hold on a board too.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from swarm import runtimes

SCRIPT = Path(__file__).with_name("bench_script.py")
RECEIVE = SCRIPT.with_name("receive_script.py")  # measures what the budget is about: frames with news and no echo
RECEIVE_BUDGET = 14  # times the 16-byte XOR loop, on the unix port
_ROUNDS = 5


def measure(names: list[str]) -> dict[str, dict[str, Any]]:
    """By runtime: `us` and `bytes` of each thing, and `ratios`. ValueError for a runtime that is not there."""
    found = {}
    for name in names:
        try:
            printed = runtimes.run(name, SCRIPT, [_ROUNDS])
        except runtimes.RuntimeMissing as error:
            raise ValueError(str(error)) from None
        values = json.loads(printed.strip().splitlines()[-1])
        time = {what: value[0] for what, value in values.items()}
        found[name] = {
            "us": time,
            "bytes": {what: value[1] for what, value in values.items()},
            "ratios": {
                "command_to_textbook": time["command"] / time["command_textbook"],
                "receive_to_xor_loop": time["receive"] / time["xor_loop"],
                "build_to_xor_loop": time["build"] / time["xor_loop"],
            },
        }
        if name == "unix":
            found[name]["ratios"]["budgeted_receive_to_xor_loop"] = float(runtimes.run(name, RECEIVE))
    return found


_LINES = (
    ("a command", "command"),
    ("the same, textbook port", "command_textbook"),
    ("46 bytes received, with echo", "receive"),
    ("46 bytes built, with echo", "build"),
    ("XOR loop over 16 bytes", "xor_loop"),
)


def table(found: dict[str, dict[str, Any]]) -> str:
    """The numbers for reading."""
    lines = []
    for name, values in found.items():
        lines.append(f"{name:32} {'us':>8} {'bytes':>8}")
        for words, key in _LINES:
            lines.append(f"  {words:30} {values['us'][key]:8.2f} {values['bytes'][key]:8.1f}")
        if name == "wasm":
            lines.append("  (this runtime has no AES: that of the frames is a shim in plain MicroPython)")
        ratios = values["ratios"]
        lines += [
            f"  a command takes {ratios['command_to_textbook']:.2f} times the textbook port's time",
            f"  receiving takes {ratios['receive_to_xor_loop']:.1f} XOR loops",
            f"  building takes {ratios['build_to_xor_loop']:.1f} XOR loops",
        ]
        if "budgeted_receive_to_xor_loop" in ratios:
            lines.append(
                "  receiving 46 bytes that are news and hold no echo takes "
                f"{ratios['budgeted_receive_to_xor_loop']:.1f} XOR loops (budget {RECEIVE_BUDGET})"
            )
        lines.append("")
    return "\n".join(lines)
