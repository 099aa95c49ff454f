"""Mutation testing of what decides: each small change of the device code that no test notices is printed.

    python -m swarm.proof.mutation.mutation [--jobs N] [MODULE ...]

Cosmic Ray makes the mutants. Its own way to try one, a whole pytest process over a changed file, would take hours; here
each is tried in a fork of a pytest that has collected all tests: the fork gives the functions of the module that they
have imported the changed code, and no file is ever changed. What a run has found is kept in build/mutation: it goes on
where it was stopped, and tries again only what a change of the code or of the tests may have changed.

Ends with status 1 below MINIMUM percent, or when equivalents.toml explains a mutant that is killed.
"""

import argparse
import ast
import difflib
import gc
import hashlib
import json
import os
import re
import resource
import signal
import sys
import tempfile
import time
import traceback
from collections import Counter
from contextlib import suppress
from functools import cache, partial
from itertools import chain, islice
from pathlib import Path
from types import FunctionType

import parso
import pytest
import tomlkit
from cosmic_ray import plugins
from cosmic_ray.ast import ast_nodes, get_ast
from cosmic_ray.mutating import mutate_code
from cosmic_ray.operators.operator import Example, Operator
from hypothesis import Phase, settings

from swarm.paths import ROOT

TESTS = ROOT / "host_tests"
LIB = ROOT / "lib" / "faction"
KEPT = ROOT / "build" / "mutation" / "verdicts.json"
EXPLAINED = Path(__file__).with_name("equivalents.toml")
MINIMUM = 95  # percent
# A module, and the tests that are meant for it and have to notice its mutants.
MODULES = {
    "core": ("test_core*.py",),
    "node": ("test_node_*.py",),
    "frame": ("test_frame*.py", "test_protocol_document.py"),
    "cmac": ("test_cmac*.py",),
    "trickle": ("test_trickle*.py",),
    "first_sample": ("test_first_sample*.py",),
}
# Of what an operator may become, what is most like it: the rest are noticed anyhow, and would only raise the score.
_BINARY = {
    "Add": ("Sub", "BitOr"),
    "Sub": ("Add", "BitXor"),
    "Mul": ("Add", "FloorDiv"),
    "FloorDiv": ("Mul", "Mod"),
    "Mod": ("BitAnd", "FloorDiv"),
    "RShift": ("LShift", "FloorDiv"),
    "LShift": ("RShift", "Mul"),
    "BitOr": ("BitAnd", "BitXor", "Add"),
    "BitAnd": ("BitOr", "BitXor", "Mod"),
    "BitXor": ("BitOr", "BitAnd"),
}
# Identity of small ints is CPython's own matter.
_IDENTITY = re.compile(r"core/ReplaceComparisonOperator_(Eq|NotEq|Lt|LtE|Gt|GtE)_(Is|IsNot)")
_EXAMPLES = 40  # of a Hypothesis test
_MEMORY = 4 << 30  # bytes of address space of a fork
_SURVIVED, _KILLED, _NO_MUTANT, _FAILED = range(4)  # exit statuses of a fork


class RemoveStatement(Operator):
    """Leaves out an assignment, a call, a return or a raise of a function, which no operator of Cosmic Ray's does."""

    def mutation_positions(self, node):
        if node.type == "simple_stmt" and parso.python.tree.search_ancestor(node, "funcdef"):
            statement = node.children[0]
            if statement.type in ("expr_stmt", "return_stmt", "raise_stmt") or _is_call(statement):
                yield statement.start_pos, statement.end_pos

    def mutate(self, node, _):
        before = node.children[0].get_first_leaf()
        node.children[0] = parso.python.tree.Keyword("pass", before.start_pos, before.prefix)
        return node

    @classmethod
    def examples(cls):
        return (Example("def f():\n    a = 1\n", "def f():\n    pass\n"),)


def _is_call(node):
    return node.type == "atom_expr" and node.children[-1].get_code().startswith("(")


@cache
def operators():
    """The mutation operators, by name."""
    found = {}
    for name in plugins.operator_names():
        operator = plugins.get_operator(name)
        if not operator.arguments() and not _IDENTITY.fullmatch(name) and _is_likely(*name.split("_")):
            found[name] = operator()
    found["RemoveStatement"] = RemoveStatement()
    return found


def _is_likely(kind, before="", becomes=""):
    return kind != "core/ReplaceBinaryOperator" or becomes in _BINARY.get(before, ())


class Mutant:
    """One change of a module: the nth place at which an operator can be applied.

    name tells it from all others, and stays when lines are added elsewhere.
    """

    def __init__(self, module, function, operator, nth, name):
        self.module, self.function, self.operator, self.nth, self.name = module, function, operator, nth, name


def mutants(module, source):
    """All mutants of a module, in the order of its lines."""
    lines, found, names = source.splitlines(), [], Counter()
    nodes = list(ast_nodes(get_ast(source)))
    for operator, instance in operators().items():
        places = (place for node in nodes for place in instance.mutation_positions(node))
        for nth, ((row, column), _) in enumerate(places):
            text = lines[row - 1]
            column -= len(text) - len(text.lstrip())
            function = function_at(source, row)
            name = f"{module}|{function}|{text.strip()}|{column}|{operator}"
            names[name] += 1
            found.append((row, Mutant(module, function, operator, nth, f"{name}|{names[name]}")))
    return [mutant for _, mutant in sorted(found, key=lambda entry: entry[0])]


def function_at(source, row):
    """Name of the innermost class or function, with those around it, at a line; "" outside of all."""
    names, body = [], _statements(source)
    while body:
        inner = [n for n in body if isinstance(n, (ast.ClassDef, ast.FunctionDef)) and n.lineno <= row <= n.end_lineno]
        names += [n.name for n in inner]
        body = inner[0].body if inner else ()
    return ".".join(names)


@cache
def _statements(source):
    return ast.parse(source).body


def change(source, mutated):
    """What differs, as (row, the lines as they are, the lines as they would be), each in one line."""
    before, after, rows = [], [], []
    old, new = source.splitlines(), mutated.splitlines()
    for tag, a, b, c, d in difflib.SequenceMatcher(None, old, new, autojunk=False).get_opcodes():
        if tag != "equal":
            rows.append(a + 1)
            before += old[a:b]
            after += new[c:d]
    return rows[0], _one_line(before), _one_line(after)


def _one_line(lines):
    return re.sub(r"\s+", " ", " ".join(lines)).strip()


class Device:
    """A module that the tests have imported, to be changed in place: they keep its classes."""

    def __init__(self, module, source):
        self.original = sys.modules[f"faction.{module}"]
        self._path, self._source = str(LIB / f"{module}.py"), source

    def become(self, source):
        """Give all functions the code that they have in another source of the module, and all constants its values,
        wherever they have been imported; whether that source can be imported at all. SyntaxError if it is none."""
        code = compile(source, self._path, "exec")
        before, after = ({"__name__": self.original.__name__} for _ in range(2))
        exec(compile(self._source, self._path, "exec"), before)
        try:
            exec(code, after)
        except Exception:
            return False
        for name, value in after.items():
            now = getattr(self.original, name, None)
            if isinstance(value, FunctionType) and value.__module__ == self.original.__name__:
                _take(now, value)
            elif isinstance(value, type) and value.__module__ == self.original.__name__:
                for method, function in vars(value).items():
                    if isinstance(function, FunctionType):
                        _take(vars(now)[method], function)
            elif isinstance(value, (int, bytes)) and value != before[name]:
                setattr(self.original, name, value)
                for other in _importers(self.original.__name__, name):
                    setattr(other, name, value)
        return True


def _importers(module, name):
    """The modules of the device and of the tests that import a name from a module."""
    files = ((m, Path(getattr(m, "__file__", None) or "")) for m in list(sys.modules.values()))
    return [
        m for m, file in files if (file.parent == LIB or TESTS in file.parents) and (module, name) in _imported(file)
    ]


@cache
def _imported(file):
    froms = [node for node in ast.walk(ast.parse(file.read_text())) if isinstance(node, ast.ImportFrom)]
    return {(node.module, alias.name) for node in froms for alias in node.names if alias.asname is None}


def _take(function, other):
    function.__code__, function.__defaults__ = other.__code__, other.__defaults__


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
        self._failed |= report.failed

    def pytest_runtestloop(self, session):
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
        names = {file.name for module in modules for file in _files(MODULES[module])}
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
        mutated = mutate_code(source, operators()[mutant.operator], mutant.nth)
        signal.setitimer(signal.ITIMER_PROF, 5)
        try:
            imported = self._device(mutant.module).become(mutated)
        except SyntaxError:
            return _NO_MUTANT
        if not imported or not self._run([mutant.module], told, mutant.function, hint):
            return _KILLED
        _tell(told, change(source, mutated))
        return _SURVIVED

    def _rehearse(self):
        """Run all tests on the code as it is, and on each module without any: they must pass and fail."""

        def unchanged(told):
            took = {}
            for module in self._found:
                self._device(module).become(self._sources[module])
            passed = self._run(self._found, told, took=took)
            if passed:
                _tell(told, took)
            return _SURVIVED if passed else _KILLED

        def emptied(told, module):
            self._device(module).become(_without_code(self._sources[module]))
            return _SURVIVED if self._run([module], told) else _KILLED

        code, said = _ended(*_fork(unchanged))
        if code != _SURVIVED:
            pytest.exit(f"{said} fails on the code as it is: mend that first", 1)
        self._usual = json.loads(said)
        for module in self._found:
            code, _ = _ended(*_fork(partial(emptied, module=module)))
            assert code == _KILLED, f"{module}: its tests do not use it"

    def _attempt(self, todo):
        """Try mutants, so many at a time, and write down what is found; prints how far it is."""
        running, done, began, total = {}, 0, time.monotonic(), len(todo)
        todo = iter(todo)
        told_at = began
        try:
            while True:
                for mutant in islice(todo, self._jobs - len(running)):
                    pid, told = _fork(partial(self._try, mutant, self.verdicts.hint(mutant)))
                    running[pid] = mutant, told
                if not running:
                    return
                pid, status = os.wait()
                mutant, told = running.pop(pid)
                self.verdicts[mutant] = code, said = _result(told, status)
                if code == _KILLED:
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


def _files(patterns):
    return [file for pattern in patterns for file in sorted(TESTS.rglob(pattern))]


def _without_code(source):
    """The source with functions that all do nothing but raise."""
    tree = ast.parse(source)
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef):
            node.body = ast.parse("raise NotImplementedError").body
    return ast.unparse(tree)


def _tell(told, value):
    os.ftruncate(told, 0)
    os.pwrite(told, json.dumps(value).encode(), 0)


def _fork(work):
    """Run work(told) in a fork, whose exit status it returns; the pid, and the file that it tells by."""
    told = tempfile.TemporaryFile()  # noqa: SIM115 - _result() closes it
    pid = os.fork()
    if pid:
        return pid, told
    status = _FAILED
    try:
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, signal.SIG_DFL)
        resource.setrlimit(resource.RLIMIT_AS, (_MEMORY, _MEMORY))
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, 1)
        os.dup2(nowhere, 2)
        status = work(told.fileno())
    except BaseException:
        _tell(told.fileno(), traceback.format_exc())
    finally:
        os._exit(status)


def _ended(pid, told):
    return _result(told, os.waitpid(pid, 0)[1])


def _result(told, status):
    """(how a fork has ended, what it told)."""
    told.seek(0)
    said = told.read().decode()
    told.close()
    code = os.waitstatus_to_exitcode(status)
    if code in (-signal.SIGPROF, -signal.SIGSEGV, -signal.SIGABRT):  # a test that did not end, or broke the interpreter
        code = _KILLED
    elif not _SURVIVED <= code < _FAILED:
        raise RuntimeError(f"an attempt has failed with {code}: {said}")
    return code, said


class Verdicts:
    """What has been found, kept from run to run.

    It holds as long as nothing has changed of the tests and of what they import: of a killed mutant the test that
    killed it, of a survivor all of its module's. A test that has killed a mutant is tried first the next time.
    """

    def __init__(self):
        self._kept = json.loads(KEPT.read_text()) if KEPT.exists() else {}
        self._files = {file.name: _digest(_closure(file)) for file in _files(chain(*MODULES.values()))}
        self._modules = {module: [self._files[file.name] for file in _files(MODULES[module])] for module in MODULES}

    def __getitem__(self, mutant):
        """{"code", "said"} if it still holds, else None."""
        kept = self._kept.get(mutant.name)
        return kept if kept and kept["of"] == self._of(mutant, kept["code"], kept["said"]) else None

    def hint(self, mutant):
        """The test that killed it before, or None."""
        kept = self._kept.get(mutant.name)
        return kept["said"] if kept and kept["code"] == _KILLED else None

    def __setitem__(self, mutant, found):
        code, said = found
        self._kept[mutant.name] = {"code": code, "said": said, "of": self._of(mutant, code, said)}

    def save(self):
        """Write all to the file."""
        part = KEPT.with_suffix(".part")
        part.write_text(json.dumps(self._kept, indent=0))
        part.replace(KEPT)

    def _of(self, mutant, code, said):
        file = said.split("::")[0].split("/")[-1]
        return self._files[file] if code == _KILLED and file in self._files else self._modules[mutant.module]


def _closure(file):
    """A test's file and all of the project's that it imports, those of the device among them."""
    found, new = set(), [file, TESTS / "conftest.py", *TESTS.glob("shims/cpython/*.py")]
    while new:
        file = new.pop()
        if file not in found and file.exists():
            found.add(file)
            for module, name in _imported(file):
                for path in (f"{module}.py".replace(".", "/", module.count(".")), f"{module}/{name}.py"):
                    new += [folder / path for folder in (TESTS, TESTS / "fixtures", ROOT / "lib")]
    return sorted(found)


def _digest(files):
    return hashlib.sha256(b"".join(file.read_bytes() for file in files)).hexdigest()[:16]


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
            if kept["code"] == _KILLED:
                count["killed"] += 1
            elif kept["code"] == _SURVIVED:
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
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("modules", nargs="*", metavar="MODULE", help=f"of {', '.join(MODULES)}; default: all")
    parser.add_argument("--jobs", type=int, default=os.cpu_count(), help="attempts at a time; default: one a core")
    options = parser.parse_args()
    modules = options.modules or list(MODULES)
    if unknown := set(modules) - MODULES.keys():
        parser.error(f"{', '.join(sorted(unknown))}: not one of {', '.join(MODULES)}")
    if options.jobs < 1:
        parser.error(f"--jobs {options.jobs}: give at least 1")
    KEPT.parent.mkdir(parents=True, exist_ok=True)
    os.chdir(ROOT)
    sources = {module: (LIB / f"{module}.py").read_text() for module in MODULES}
    found = {module: mutants(module, sources[module]) for module in modules}
    attempts = Attempts(found, sources, options.jobs)
    print(f"{sum(map(len, found.values()))} mutants", flush=True)
    quiet = ["-s", "-q", "--no-header", "--no-summary", "--tb=native", "-p", "no:cacheprovider", "-p", "no:pytest_cov"]
    tests = map(str, _files(dict.fromkeys(chain(*MODULES.values()))))
    status = pytest.main([*quiet, "-k", "not unix and not wasm", *tests], plugins=[attempts])
    if status != pytest.ExitCode.OK:
        return 130 if status == pytest.ExitCode.INTERRUPTED else 1
    return report(modules, found, sources, attempts.verdicts)


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    sys.exit(main())
