"""Replays corpora on any runtime: no input may raise, and none may leave memory behind.

Arguments: which part of each corpus is taken (4: every fourth input), the corpora, whose names are their targets', then
"--", a folder for files, and the folders of the shims of boards and of CPython. Each input is run, on MicroPython in
each of three rounds, on wasm, which is slow, in the second and the third every third one: memory grows if after each of
them more is allocated than after the one before. It ends early when several have failed. Prints a JSON line with what
was seen.
"""

import gc
import json
import sys

import board_ticks  # noqa: F401 - before the library asks for ticks
import subject

ENOUGH = 5  # failures
PART = 20  # inputs between two collections on wasm
# Bytes that a round may seem to keep: MicroPython takes what looks like a pointer for one. That may be to a whole node,
# but not in each round.
GROWN = 64


def load(path):
    """(function, input) for each line of a corpus."""
    name = path.split("/")[-1].split(".")[0]
    run = __import__("target_" + name).run
    with open(path) as file:
        return [(name, run, eval(line)) for line in file]


files = sys.argv[2 : sys.argv.index("--")]
entries = [entry for path in files for entry in load(path)[:: int(sys.argv[1])]]
script = list(entries)
ends = [len(script)]  # of the rounds
if hasattr(gc, "mem_alloc"):
    gc.disable()  # a collection in the middle would hide what a call takes
    for _ in range(2):
        script += entries[::3] if sys.platform == "webassembly" else entries
        ends.append(len(script))
held = []  # after each round, where the runtime tells
at = 0
exceptions = 0
first = None


def more():
    """Some inputs; returns whether any are left, and prints the totals when none are."""
    global at, exceptions, first
    if at == ends[len(held)]:
        held.append(gc.mem_alloc() if hasattr(gc, "mem_alloc") else 0)
    if at == len(script) or exceptions >= ENOUGH:
        grown = min(held[i + 1] - held[i] for i in range(len(held) - 1)) if len(held) > 1 else 0
        said = {"inputs": len(entries), "exceptions": exceptions, "grown": grown if grown > GROWN else 0}
        print(json.dumps(dict(said, frames=subject.sealed_frames, first=first)))
        return False
    for _ in range(min(PART, ends[len(held)] - at)):
        name, run, data = script[at]
        try:
            run(data)
        except Exception as error:
            exceptions += 1
            first = first or f"{name}: {error!r}: input {data!r}"
        at += 1
    gc.collect()
    return True


if sys.platform != "webassembly":
    while more():
        pass
