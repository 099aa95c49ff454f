"""Fuzzing and differential checks on every runtime: what `make fuzz` runs, and the tests a tenth of it.

    python -m swarm.proof.fuzz --frames 1000000 [--seed N]

First come the targets of corpora.py, guided by coverage, and their corpora on each runtime, a line of counts for
each; then random frames and timings. It ends with one line of totals, and with status 1 when anything was found.

    python -m swarm.proof.fuzz --corpus SECONDS [--seed N]

lets the guided fuzzer look for so long at each target, and keeps what it finds in the corpora.
"""

import argparse
import json
import random
import sys
from concurrent.futures import ThreadPoolExecutor

from swarm import runtimes
from swarm.proof.fuzz import corpora, nodes

ON_WASM = 50  # there cryptolib is slow plain Python: it gets one frame in so many
STEP = 10  # frames to a step of the differential check
GUIDED = 20_000  # for so many frames each target gets a second of guided fuzzing


def _check(runtime, frames, seed):
    """Both checks on one runtime, as (runtime, totals, digests)."""
    if runtime == "wasm":
        frames //= ON_WASM
    totals = nodes.fuzz(runtime, frames, seed)
    print(f"{runtime}: {json.dumps(totals)}", flush=True)
    steps = max(nodes.PRINTED, frames // (STEP if runtime != "wasm" else STEP // 5))
    digests, said = nodes.differential(runtime, steps, seed)
    print(f"{runtime}: {steps} steps: {list(digests.values())[-1]} {json.dumps(said)}", flush=True)
    return runtime, totals, digests


def _guided(seed, seconds):
    """All targets, guided by coverage, and their corpora on each runtime; returns (exceptions, heap growth)."""
    failures = grown = 0
    if corpora.available():
        with ThreadPoolExecutor(2) as pool:
            for target, (tried, failure) in zip(
                corpora.TARGETS,
                pool.map(lambda target: corpora.fuzz(target, seed, seconds), corpora.TARGETS),
                strict=True,
            ):
                print(f"{target}: {tried} inputs in {seconds} s: {failure or 'nothing found'}", flush=True)
                failures += failure is not None
    else:
        print("not guided by coverage: no atheris for this platform; `make setup` installs it where there is one")
    for runtime in runtimes.NAMES:
        said = corpora.replay(runtime)
        print(f"{runtime}: corpora: {json.dumps(said)}", flush=True)
        failures += said["exceptions"]
        grown += said["grown"]
    return failures, grown


def _extend(seed, seconds):
    """Extend every corpus; returns the exit status."""
    failures = 0
    for target in corpora.TARGETS:
        before = len(corpora.inputs(target))
        tried, failure = corpora.extend(target, seed, seconds)
        kept = len(corpora.inputs(target))
        print(f"{target}: {tried} inputs tried, {kept} kept, {before} before: {failure or 'nothing found'}", flush=True)
        failures += failure is not None
    return 1 if failures else 0


def main():
    """The command line; returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m swarm.proof.fuzz", description=__doc__.splitlines()[0])
    parser.add_argument("--frames", type=int, default=1_000_000, help="on CPython and the unix port; 1/50 on 32 bits")
    parser.add_argument("--seed", type=int, help="default: another one each time, which is printed")
    parser.add_argument("--corpus", type=int, metavar="SECONDS", help="extend the corpora, and nothing else")
    options = parser.parse_args()
    seed = options.seed or random.randrange(1, 1 << 30)
    if options.frames < 1 or not 1 <= seed < 1 << 30:
        parser.error(f"--frames {options.frames} --seed {seed}: give a positive number, and a seed of 1 ... 2^30 - 1")
    print(f"seed {seed}", flush=True)
    if options.corpus:
        return _extend(seed, options.corpus)
    exceptions, grown = _guided(seed, max(1, options.frames // GUIDED))
    with ThreadPoolExecutor(2) as pool:
        done = list(pool.map(lambda runtime: _check(runtime, options.frames, seed), runtimes.NAMES))
    found = {name: sum(totals[name] for _, totals, _ in done) for name in ("exceptions", "changes", "grown", "lost")}
    found["exceptions"] += exceptions
    found["grown"] += grown
    differ = sum(nodes.differences(done[0][2], digests) for _, _, digests in done[1:])
    frames = ", ".join(f"{totals['frames']} on {runtime}" for runtime, totals, _ in done)
    print(
        f"frames: {frames}; exceptions: {found['exceptions']}; state changes: {found['changes']}; "
        f"heap growth: {found['grown']}; frames lost beside noise: {found['lost']}; differences: {differ}"
    )
    return 1 if any(found.values()) or differ else 0


if __name__ == "__main__":
    sys.exit(main())
