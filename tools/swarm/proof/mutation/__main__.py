"""Mutation testing of what decides: each small change of the device code that no test notices is printed.

    python -m swarm.proof.mutation [--jobs N] [MODULE ...]

Cosmic Ray makes the mutants. Its own way to try one, a whole pytest process over a changed file, would take hours; here
each is tried in a fork of a pytest that has collected all tests: the fork gives the functions of the module that they
have imported the changed code, and no file is ever changed. What a run has found is kept in build/mutation: it goes on
where it was stopped, and tries again only what a change of the code or of the tests may have changed.

Ends with status 1 below MINIMUM percent, or when equivalents.toml explains a mutant that is killed.
"""

import argparse
import json
import os
import signal
import sys
from collections import Counter
from itertools import chain
from pathlib import Path

import pytest
import tomlkit

from swarm.paths import ROOT
from swarm.proof.mutation.attempts import Attempts
from swarm.proof.mutation.forks import KILLED, SURVIVED
from swarm.proof.mutation.modules import LIB, MODULES, files
from swarm.proof.mutation.mutants import function_at, mutants

EXPLAINED = Path(__file__).with_name("equivalents.toml")
MINIMUM = 95  # percent


def explained():
    """What equivalents.toml explains: a set of (module, function, line, what it becomes)."""
    entries = tomlkit.parse(EXPLAINED.read_text()).unwrap()["mutant"]
    return {(e["module"], e["function"], e["line"], becomes) for e in entries for becomes in e["becomes"]}


def report(modules, found, sources, verdicts):
    """Print the survivors and the table; returns the exit status."""
    reasons = {key for key in explained() if key[0] in modules}
    table, left, used = [], [], set()
    for module in modules:
        count = Counter()
        for mutant in found[module]:
            kept = verdicts[mutant]
            if kept["code"] == KILLED:
                count["killed"] += 1
            elif kept["code"] == SURVIVED:
                row, line, becomes = json.loads(kept["said"])
                key = module, function_at(sources[module], row), line, becomes
                used.add(key)
                count["explained" if key in reasons else "survived"] += 1
                if key not in reasons:
                    left.append((row, key))
        table.append((module, count))
    for row, (module, function, line, becomes) in left:
        print(f"\n{module}.py:{row} {function}\n-   {line}\n+   {becomes}")
    unused = sorted(reasons - used)
    for module, function, line, becomes in unused:
        print(f"\n{EXPLAINED.name}: not a survivor, take it out: {module} {function}: {line} -> {becomes}")
    print(f"\n{'module':14}{'mutants':>9}{'killed':>9}{'survived':>10}{'explained':>11}{'score':>9}")
    total = sum((count for _, count in table), Counter())
    for module, count in [*table, ("all", total)]:
        print(
            f"{module:14}{count.total():9}{count['killed']:9}{count['survived']:10}{count['explained']:11}"
            f"{score(count):8.1f} %"
        )
    low = [module for module, count in table if score(count) < MINIMUM]
    if low:
        print(f"below {MINIMUM} %: {', '.join(low)}")
    return 1 if low or unused else 0


def score(count):
    """Percent of the mutants without an explanation that are killed."""
    return 100 * count["killed"] / max(1, count["killed"] + count["survived"])


def main():
    """The command line; returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m swarm.proof.mutation", description=__doc__.splitlines()[0])
    parser.add_argument("modules", nargs="*", metavar="MODULE", help=f"of {', '.join(MODULES)}; default: all")
    parser.add_argument("--jobs", type=int, default=os.cpu_count(), help="attempts at a time; default: one a core")
    options = parser.parse_args()
    modules = options.modules or list(MODULES)
    if unknown := set(modules) - MODULES.keys():
        parser.error(f"{', '.join(sorted(unknown))}: not one of {', '.join(MODULES)}")
    if options.jobs < 1:
        parser.error(f"--jobs {options.jobs}: give at least 1")
    os.chdir(ROOT)
    sources = {module: (LIB / f"{module}.py").read_text() for module in MODULES}
    found = {module: mutants(module, sources[module]) for module in modules}
    attempts = Attempts(found, sources, options.jobs)
    print(f"{sum(map(len, found.values()))} mutants", flush=True)
    quiet = ["-s", "-q", "--no-header", "--no-summary", "--tb=native", "-p", "no:cacheprovider", "-p", "no:pytest_cov"]
    tests = map(str, files(dict.fromkeys(chain(*MODULES.values()))))
    status = pytest.main([*quiet, "-k", "not unix and not wasm", *tests], plugins=[attempts])
    if status != pytest.ExitCode.OK:
        return 130 if status == pytest.ExitCode.INTERRUPTED else 1
    return report(modules, found, sources, attempts.verdicts)


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    sys.exit(main())
