"""Times the device code on its runtimes: each command, frame received by what comes of it, frame built, COBS encoding,
and a runner's tick that finds nothing to do, without its links; and the memory that each takes.

Beside it, in the same run, a textbook port of the machine with sets and lists, a heartbeat as one writes it by hand,
and the plain loop over 16 bytes that all is counted in. A host's times say little; their ratios hold on a board too.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from swarm import runtimes

SCRIPT = Path(__file__).with_name("bench_script.py")
RECEIVE = SCRIPT.with_name("receive_script.py")  # measures what the budget is about: frames with news and no echo
RECEIVE_BUDGET = 14  # times the 16-byte XOR loop, on the unix port
_ROUNDS = 5  # of each thing the best counts
_SHORTER = 15  # times as short, and as many, are those where the clock is fine


def measure(names: list[str]) -> dict[str, dict[str, Any]]:
    """By runtime: `us`, `bytes` and `xor_loops` (times that loop) of each thing, and `ratios`.

    ValueError for a runtime that is not there.
    """
    found = {}
    for name in names:
        try:
            printed = runtimes.run(name, SCRIPT, [_ROUNDS if name == "wasm" else _ROUNDS * _SHORTER])
        except runtimes.RuntimeMissing as error:
            raise ValueError(str(error)) from None
        values = json.loads(printed.strip().splitlines()[-1])
        time = {what: value[0] for what, value in values.items()}
        found[name] = {
            "us": time,
            "bytes": {what: value[1] for what, value in values.items()},
            "ratios": {"command_to_textbook": time["command"] / time["command_textbook"]},
            "xor_loops": {what: value / time["xor_loop"] for what, value in time.items()},
        }
        if name == "unix":
            found[name]["ratios"]["budgeted_receive_to_xor_loop"] = float(runtimes.run(name, RECEIVE))
    return found


_LINES = (
    ("a command", "command"),
    ("the same, textbook port", "command_textbook"),
    ("46 bytes with news received", "receive"),
    ("  with nothing new", "receive_same"),
    ("  replayed", "receive_replayed"),
    ("  forged", "receive_forged"),
    ("46 bytes built", "build"),
    ("46 bytes COBS encoded", "cobs_encode"),
    ("a tick without anything to do", "idle_tick"),
    ("heartbeat by hand received", "receive_by_hand"),
    ("heartbeat by hand built", "build_by_hand"),
    ("XOR loop over 16 bytes", "xor_loop"),
)


def table(found: dict[str, dict[str, Any]], board_us: dict[str, int]) -> str:
    """The numbers for reading. board_us: what was measured of an RP2040, by the same names."""
    lines = ["x: times the XOR loop over 16 bytes of the same runtime; RP2040: what was measured of that chip.", ""]
    for name, values in found.items():
        lines.append(f"{name:32} {'us':>8} {'bytes':>8} {'x':>6} {'RP2040 us':>10} {'x':>6}")
        for words, key in _LINES:
            loops = values["xor_loops"][key]
            line = f"  {words:30} {values['us'][key]:8.2f} {values['bytes'][key]:8.1f} {loops:6.1f}"
            if key in board_us:
                line += f" {board_us[key]:10} {board_us[key] / board_us['xor_loop']:6.1f}"
            lines.append(line)
        if name == "wasm":
            lines.append("  (this runtime has no AES: that of the frames is a shim in plain MicroPython)")
        ratios = values["ratios"]
        lines.append(f"  a command takes {ratios['command_to_textbook']:.2f} times the textbook port's time")
        if "budgeted_receive_to_xor_loop" in ratios:
            lines.append(
                "  receiving 46 bytes that are news and hold no echo takes "
                f"{ratios['budgeted_receive_to_xor_loop']:.1f} XOR loops (budget {RECEIVE_BUDGET})"
            )
        lines.append("")
    return "\n".join(lines)
