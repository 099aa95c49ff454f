"""Random frames and timings at nodes on every runtime: what they do of it, and whether all do the same."""

import json

from swarm import paths, runtimes

SCRIPTS = paths.ROOT / "host_tests" / "fuzz"
PRINTED = 1000  # steps of a differential run from one digest to the next
_HEAP = 8 << 20


def fuzz(runtime, frames, seed, lib=paths.LIB):
    """Throw that many frames at nodes on a runtime; returns the totals of fuzz_script.py."""
    return json.loads(_run(runtime, "fuzz_script.py", frames, seed, lib))


def differential(runtime, steps, seed, lib=paths.LIB):
    """Let nodes live that many steps on a runtime; returns the digests by step, and what differential_script.py saw."""
    *lines, said = _run(runtime, "differential_script.py", steps, seed, lib).splitlines()
    return dict(line.split() for line in lines), json.loads(said)


def differences(one, other):
    """How many digests of the shorter of two differential runs are not those of the longer."""
    return sum(one[step] != other[step] for step in one.keys() & other.keys())


def _run(runtime, script, count, seed, lib):
    folders = [SCRIPTS, *([paths.SHIMS / "wasm"] if runtime == "wasm" else []), lib]
    arguments = [seed, count, paths.SHIMS / "cpython"]
    return runtimes.run(runtime, SCRIPTS / script, arguments, paths=folders, heap=_HEAP, timeout=60 + count / 100)
