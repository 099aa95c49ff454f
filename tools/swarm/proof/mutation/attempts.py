"""Tries mutants, each in a fork of a pytest that has collected all tests, with the tests that are meant for it."""

import ast
import gc
import json
import os
import signal
import time
from collections import Counter
from contextlib import suppress
from functools import partial
from itertools import islice

import pytest
from hypothesis import Phase, settings

from swarm.proof.mutation.device import Device
from swarm.proof.mutation.forks import KILLED, NO_MUTANT, SURVIVED, ended, fork, result, tell
from swarm.proof.mutation.modules import MODULES, files
from swarm.proof.mutation.mutants import change
from swarm.proof.mutation.verdicts import Verdicts

_EXAMPLES = 40  # of a Hypothesis test


class Attempts:
    """A pytest plugin that, in place of running the tests that have been collected, tries mutants with them."""

    def __init__(self, found, sources, jobs):
        self._found, self._sources, self._jobs = found, sources, jobs
        self._usual = {}
        self._kills = Counter()  # by function, "" for all, and test
        self._failed = False
        self.verdicts = Verdicts()

    def pytest_configure(self, config):
        """Let Hypothesis give the same few examples each time, and not look for smaller ones."""
        same = {"derandomize": True, "database": None, "phases": (Phase.explicit, Phase.generate)}
        settings.register_profile("mutation", max_examples=_EXAMPLES, deadline=None, **same)
        settings.load_profile("mutation")

    def pytest_runtest_logreport(self, report):
        """Note that a test has failed."""
        self._failed |= report.failed

    def pytest_runtestloop(self, session):
        """Try the mutants of which nothing is known yet."""
        if session.testsfailed:
            raise session.Failed("the tests cannot be collected")
        self._items = {item.nodeid: item for item in session.items}
        gc.freeze()
        todo = [mutant for each in self._found.values() for mutant in each if not self.verdicts[mutant]]
        if todo:
            self._rehearse()
            self._attempt(todo)
        return True

    def _promise(self, function, test):
        """How likely a test is to notice a mutant of a function, for its time."""
        killed = 10 * self._kills[function, test] + self._kills["", test] + 0.1
        return killed / (0.005 + self._usual.get(test, 0))

    def _run(self, modules, told, function="", hint=None, took=None):
        """In a fork: run the tests of modules, the most promising first, until one fails; whether none has."""
        names = {file.name for module in modules for file in files(MODULES[module])}
        items = [item for item in self._items.values() if item.path.name in names]
        items.sort(key=lambda item: self._promise(function, item.nodeid), reverse=True)
        if hint in self._items:
            items.insert(0, self._items[hint])
        for item in items:
            os.ftruncate(told, 0)
            os.pwrite(told, item.nodeid.encode(), 0)
            # Of CPU time, since the machine may have other work; the signal's default ends the process.
            signal.setitimer(signal.ITIMER_PROF, 1 + 4 * self._usual.get(item.nodeid, 5))
            began = time.process_time()
            try:
                item.config.hook.pytest_runtest_protocol(item=item, nextitem=None)
            except KeyboardInterrupt:  # of a test that interrupts, where the mutant lets it through
                return False
            if self._failed:
                return False
            if took is not None:
                took[item.nodeid] = time.process_time() - began
        signal.setitimer(signal.ITIMER_PROF, 0)
        return True

    def _device(self, module):
        return Device(module, self._sources[module])

    def _try(self, mutant, hint, told):
        """In a fork: returns its exit status."""
        source = self._sources[mutant.module]
        mutated = mutant.applied(source)
        signal.setitimer(signal.ITIMER_PROF, 5)
        try:
            imported = self._device(mutant.module).become(mutated)
        except SyntaxError:
            return NO_MUTANT
        if not imported or not self._run([mutant.module], told, mutant.function, hint):
            return KILLED
        tell(told, change(source, mutated))
        return SURVIVED

    def _rehearse(self):
        """Run all tests on the code as it is, and on each module without any: they must pass and fail."""

        def unchanged(told):
            took = {}
            for module in self._found:
                self._device(module).become(self._sources[module])
            passed = self._run(self._found, told, took=took)
            if passed:
                tell(told, took)
            return SURVIVED if passed else KILLED

        def emptied(told, module):
            self._device(module).become(_without_code(self._sources[module]))
            return SURVIVED if self._run([module], told) else KILLED

        code, said = ended(*fork(unchanged))
        if code != SURVIVED:
            pytest.exit(f"{said} fails on the code as it is: mend that first", 1)
        self._usual = json.loads(said)
        for module in self._found:
            code, _ = ended(*fork(partial(emptied, module=module)))
            assert code == KILLED, f"{module}: its tests do not use it"

    def _attempt(self, todo):
        """Try mutants, so many at a time, and write down what is found; prints how far it is."""
        running, done, began, total = {}, 0, time.monotonic(), len(todo)
        todo = iter(todo)
        told_at = began
        try:
            while True:
                for mutant in islice(todo, self._jobs - len(running)):
                    pid, told = fork(partial(self._try, mutant, self.verdicts.hint(mutant)))
                    running[pid] = mutant, told
                if not running:
                    return
                pid, status = os.wait()
                mutant, told = running.pop(pid)
                self.verdicts[mutant] = code, said = result(told, status)
                if code == KILLED:
                    self._kills[mutant.function, said] += 1
                    self._kills["", said] += 1
                done += 1
                now = time.monotonic()
                if now - told_at > 15:
                    told_at = now
                    left = (now - began) / done * (total - done)
                    print(f"  {mutant.module}: {done} of {total} tried, about {left / 60:.0f} min left", flush=True)
                    self.verdicts.save()
        finally:
            for pid in running:
                with suppress(ProcessLookupError, ChildProcessError):  # it may have ended at this moment
                    os.kill(pid, signal.SIGKILL)
                    os.waitpid(pid, 0)
            self.verdicts.save()


def _without_code(source):
    """The source with functions that all do nothing but raise."""
    tree = ast.parse(source)
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef):
            node.body = ast.parse("raise NotImplementedError").body
    return ast.unparse(tree)
