"""What every test may use: the device library on CPython, the runtimes by name, a home and a temporary folder of its
own, so that nothing that runs beside the suite or lies in this user's home is seen by it."""

import contextlib
import gc
import signal
import sys
import tempfile
import threading

import pytest
from hypothesis import settings

import shims.cpython
import summary
from requirements import require
from swarm import runtimes

shims.cpython.install()

# A failing example is printed with the seed that repeats it; time limits per example only fail on busy machines.
settings.register_profile("project", deadline=None, print_blob=True)
settings.load_profile("project")

# A shell ignores Ctrl-C in what it starts with `&`, and programs inherit that: those that tests interrupt would go on.
if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# What Python has compiled is kept, by the programs that the tests start as well: they are a thousand, and there are 115
# files of tests, which each of pytest's processes would compile anew.
sys.dont_write_bytecode = False

# What a user may have set for programs that the tests start.
_USERS_OWN = ("PYTHONDONTWRITEBYTECODE", "XDG_CONFIG_HOME", "XDG_CACHE_HOME", "XDG_DATA_HOME", "XDG_STATE_HOME")
_USERS_OWN += ("XDG_RUNTIME_DIR",)
_USERS_OWN += ("NO_COLOR", "FORCE_COLOR", "CLICOLOR", "CLICOLOR_FORCE", "COLUMNS", "LINES", "PYTHONWARNINGS")


# In library: these look at something else, or take what decides through hours, where no line is run that no other runs.
_BESIDE = ("test_aio", "test_runner", "test_node_interrupts", "test_node_endurance", "test_node_replay")
_BESIDE += ("test_node_reports", "test_node_series", "test_node_deadline", "test_node_haste")
_BESIDE += ("test_core_model", "test_trickle", "test_cobs")
_SHORT = ("node", "sim", "description", "verbs")


@contextlib.contextmanager
def unmeasured():
    """Coverage pauses. By hand, since pytest-cov's marker pauses one of the two measurements that it begins in each
    process of pytest-xdist."""
    tracer, thread_tracer = sys.gettrace(), threading.gettrace()
    sys.settrace(None)
    threading.settrace(None)
    try:
        yield
    finally:
        sys.settrace(tracer)
        threading.settrace(thread_tracer)


@pytest.hookimpl(wrapper=True)
def pytest_collection():
    """What is measured is imported, which runs its first lines, before some hundred files are that are not."""
    import faction.node
    import faction.remote.rounds  # noqa: F401 - these, and what they import, decide

    with unmeasured():
        return (yield)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item):
    """Coverage is asked for of those of the library's tests alone that look at what decides: it slows all Python to a
    third, and the others prove no line."""
    if "library" in item.path.parts and item.path.parent.name != "links" and item.path.stem not in _BESIDE:
        return (yield)
    with unmeasured():
        return (yield)


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items):
    """Files of many short tests come last, so that no process waits for another's last long file."""
    items.sort(key=lambda item: item.path.parent.name in _SHORT)


def pytest_collection_finish():
    """What pytest holds of 4,000 tests stays to the end: looking through it for garbage again and again is in vain."""
    gc.collect()
    gc.freeze()


def pytest_terminal_summary(terminalreporter):
    """At the end, what each folder's tests have shown."""
    summary.write(terminalreporter)


@pytest.fixture(scope="session", autouse=True)
def own_folders(tmp_path_factory):
    """A home and a temporary folder for this process and all that it starts: boards that a demo left running are
    written down in the one, configurations and caches lie in the other."""
    with pytest.MonkeyPatch.context() as patch:
        for name in _USERS_OWN:
            patch.delenv(name, raising=False)
        patch.setenv("HOME", str(tmp_path_factory.mktemp("home")))
        patch.setenv("TMPDIR", str(tmp_path_factory.mktemp("t")))
        patch.setattr(tempfile, "tempdir", None)  # looked up anew
        patch.setenv("SWARM_ALARM_MS", "8")  # boards that stand there take a third of the processor
        yield


@pytest.fixture(params=runtimes.NAMES)
def runtime(request):
    """Each of the runtimes: cpython, unix, wasm."""
    return require(request.param)


@pytest.fixture(params=[name for name in runtimes.NAMES if name != "cpython"])
def micropython(request):
    """Each MicroPython runtime: unix (64-bit) and wasm (32-bit)."""
    return require(request.param)
