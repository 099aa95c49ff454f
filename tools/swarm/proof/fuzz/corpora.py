"""Coverage-guided fuzzing of everything that takes bytes from outside, and the corpora of inputs that it has found.

A target is a module targets/target_NAME.py of host_tests/fuzz. Its corpus, corpus/NAME.txt, has an input a line, as
Python writes bytes: what took the fuzzer to code that no other input reaches. Each was found from the target's SEEDS by

    python -m swarm.proof.fuzz --corpus 20 --seed 1

which goes on from what is there: it runs each target for so many seconds, and keeps the fewest and shortest inputs that
reach what all have reached. Nothing in them is from outside.
"""

import ast
import json
import os
import re
import shlex
import subprocess
import tempfile
from importlib.util import find_spec
from itertools import accumulate
from pathlib import Path

from swarm import paths, runtimes

FOLDER = paths.ROOT / "host_tests" / "fuzz"
TARGET_FOLDER = FOLDER / "targets"
CORPUS = FOLDER / "corpus"
ON_BOARDS = ("frame", "report", "cobs", "uart", "espnow", "udp", "config")  # also replayed on MicroPython
OF_TOOLS = ("toml", "trace", "vectors", "serial")
TARGETS = ON_BOARDS + OF_TOOLS
HANGS_S = 20  # an input that takes longer fails
_MEMORY_MB = 512  # so does one that takes more
_KEPT = 10_000  # bytes of a corpus: what it begins with, and the shortest inputs that reach something new
_FIRMWARE = paths.FIRMWARE
_TOOLS = paths.ROOT / "tools"


def available():
    """Whether atheris is installed: its wheels are for x86-64 Linux."""
    return find_spec("atheris") is not None


def inputs(target):
    """The corpus of a target."""
    file = CORPUS / f"{target}.txt"
    return [ast.literal_eval(line) for line in file.read_text().splitlines()] if file.exists() else []


def fuzz(target, seed, seconds, runs=-1, code=()):
    """Fuzz a target from its corpus on, for that long, or that many inputs.

    code: folders that go before the repository's own. Returns how many inputs were tried, and what failed, or None.
    """
    with tempfile.TemporaryDirectory(prefix="fuzz-") as folder:
        return _fuzz(target, seed, Path(folder), [f"-max_total_time={seconds}", f"-runs={runs}"], code)[:2]


def extend(target, seed, seconds):
    """Fuzz a target and keep what was found in its corpus; returns as fuzz()."""
    with tempfile.TemporaryDirectory(prefix="fuzz-") as folder:
        tried, failure, program = _fuzz(target, seed, Path(folder), [f"-max_total_time={seconds}"])
        merged = Path(folder, "merged")
        merged.mkdir()
        _libfuzzer(program, ["-merge=1", merged, Path(folder, "seeds"), Path(folder, "found")])
        seeds, lines = (_lines(Path(folder, part)) for part in ("seeds", "merged"))
    lines = seeds + [line for line in lines if line not in seeds]
    ends = accumulate(map(len, lines))
    CORPUS.mkdir(exist_ok=True)
    (CORPUS / f"{target}.txt").write_text("".join(line for line, end in zip(lines, ends, strict=True) if end <= _KEPT))
    return tried, failure


def _lines(folder):
    """The inputs in a folder as lines of a corpus, the shortest first."""
    return sorted((f"{file.read_bytes()!r}\n" for file in folder.iterdir()), key=lambda line: (len(line), line))


def _fuzz(target, seed, folder, options, code=()):
    for name in ("seeds", "found"):
        (folder / name).mkdir()
    for number, data in enumerate(inputs(target)):
        (folder / "found" / str(number)).write_bytes(data)
    program = _program(target, folder, code)
    said = _libfuzzer(program, [f"-seed={seed}", *options, folder / "found", folder / "seeds"])
    done = re.search(r"Done (\d+) runs", said)
    return (int(done[1]), None, program) if done else (0, f"{target}: seed {seed}: {said}", program)


def _program(target, folder, code):
    """The executable file that fuzzes the target."""
    program = folder / "program"
    folders = [FOLDER, TARGET_FOLDER, *code, paths.LIB, _FIRMWARE, _TOOLS]
    line, environment = runtimes.command(
        "cpython", FOLDER / "guided.py", [program, target, folder / "seeds"], paths=folders
    )
    path = shlex.quote(environment["PYTHONPATH"])
    program.write_text(f'#!/bin/sh\nPYTHONPATH={path} exec {shlex.join(line)} "$@"\n')
    program.chmod(0o755)
    return program


def _libfuzzer(program, options):
    """Run it; returns the end of what it said."""
    limits = [f"-timeout={HANGS_S}", f"-rss_limit_mb={_MEMORY_MB}", f"-artifact_prefix={program.parent}{os.sep}"]
    done = subprocess.run([program, *limits, *options], stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    return done.stdout.decode("utf-8", "backslashreplace")[-4000:]


def replay(runtime, targets=None, code=(), every=1):
    """Replay the corpora on a runtime, of each every n-th input; targets: by default all, and on MicroPython those of
    boards.

    Returns {"inputs", "exceptions", "grown", "frames", "first"}: grown are bytes of memory that one round of all inputs
    has kept after another, frames those with a right tag, first what failed first, in words.
    """
    targets = targets or (TARGETS if runtime == "cpython" else ON_BOARDS)
    files = [CORPUS / f"{target}.txt" for target in targets]
    device = paths.SHIMS / "device"
    wasm = [paths.SHIMS / "wasm"] if runtime == "wasm" else []
    folders = [FOLDER, TARGET_FOLDER, *code, *wasm, paths.LIB, _FIRMWARE, *([_TOOLS] if runtime == "cpython" else [])]
    shown = [*files, *sorted(device.glob("*.py"))] if runtime == "wasm" else []
    with tempfile.TemporaryDirectory(prefix="fuzz-") as folder:
        work = "/" if runtime == "wasm" else folder
        arguments = [every, *files, "--", work, device, paths.SHIMS / "cpython"]
        said = runtimes.run(
            runtime, FOLDER / "corpus_script.py", arguments, paths=folders, files=shown, heap=8 << 20, timeout=120
        )
    return json.loads(said.splitlines()[-1])
