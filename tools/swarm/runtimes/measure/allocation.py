"""Measures what device code takes from MicroPython's heap.

    per_call("wasm", setup="from faction.core import Faction; m = Faction(0, [0, 1], 2)", hot="m.process(4)")

Nothing is collected during a measurement (on unix because it is switched off, on wasm because that runtime collects
only between calls), so a difference of gc.mem_alloc() counts every byte taken, garbage included. What it cannot show
are frames of more than 11 words of state, which are given back on return: frames_on_stack.words() does.
"""

import ast
import tempfile
from pathlib import Path

from swarm import runtimes

CALLS = 100

_PER_CALL = """
{setup}
import gc
import micropython

def _hot():
{hot}

def _repeat(calls):
    while calls:
        _hot()
        calls -= 1

def _measure(calls):
    before = gc.mem_alloc()
    _repeat(calls)
    return gc.mem_alloc() - before

def _locked(calls):
    micropython.heap_lock()
    try:
        _repeat(calls)
    finally:
        micropython.heap_unlock()

gc.disable()
_repeat(2)  # the first calls may intern names or grow a table
_measure(0)
#%%
gc.collect()
#%%
_taken = _measure({calls})
print(_taken)
if not _taken:
    _locked({calls})
"""

_LOCKED = """
import gc
import micropython

gc.disable()

def _locked(repeat, calls):
    micropython.heap_lock()
    try:
        repeat(calls)
    finally:
        micropython.heap_unlock()

def _result(repeat, calls):
    before = gc.mem_alloc()
    repeat(calls)
    taken = gc.mem_alloc() - before
    if not taken:
        _locked(repeat, calls)
    return taken / calls
"""

_EACH = """
def _hot():
{hot}

def _repeat(calls):
    while calls:
        _hot()
        calls -= 1

_error = None
try:
    exec({setup!r})
    _repeat(2)
except Exception as error:
    _error = repr(error)
#%%
gc.collect()
#%%
try:
    print({{ {name!r}: _error or _result(_repeat, {calls}) }})
except Exception as error:
    print({{ {name!r}: repr(error) }})
"""

_HELD = """
{setup}
import gc

_kept = None
_marks = []

def _mark():
    gc.collect()

def _read():
    _marks.append(gc.mem_alloc())

_read()
_marks.clear()
_mark()
#%%
_read()
#%%
_mark()
#%%
_kept = {expression}
#%%
_mark()  # by itself: what the call before has left on the stack would be taken for a reference
#%%
_mark()
#%%
_read()
#%%
print(_marks[1] - _marks[0])
"""


def per_call(runtime, setup, hot, *, calls=CALLS, **where):
    """Bytes that one execution of `hot` takes, averaged over calls; 0 only when not one of them took any.

    setup: code at module level; hot: statements, the body of a function, which see setup's globals. The hot code is
    also run under heap_lock when it took nothing, where any allocation raises. where: paths, files, heap of
    runtimes.run(). Raises runtimes.ScriptFailed when the code fails, or allocates only under heap_lock.
    """
    return int(_run(runtime, _PER_CALL.format(setup=setup, hot=_body(hot), calls=calls), where)) / calls


def each(runtime, cases, *, calls=CALLS, **where):
    """{name: bytes} of many cases {name: (setup, hot)}, in one run; each as by per_call.

    A case that fails, or allocates only under heap_lock, has the error as its value instead.
    """
    cells = [_EACH.format(name=name, setup=setup, hot=_body(hot), calls=calls) for name, (setup, hot) in cases.items()]
    said = [line for line in _run(runtime, "#%%\n".join([_LOCKED, *cells]), where).splitlines() if line[:1] == "{"]
    return {name: value for line in said for name, value in ast.literal_eval(line).items()}


def held(runtime, setup, expression, **where):
    """Bytes that the value of expression keeps from the heap, once garbage is gone; setup and where as above."""
    *_, said = _run(runtime, _HELD.format(setup=setup, expression=expression), where).splitlines()
    return int(said)


def _body(statements):
    return "".join(f"    {line}\n" for line in statements.strip("\n").splitlines())


def _run(runtime, code, where):
    with tempfile.TemporaryDirectory() as folder:
        script = Path(folder, "measured.py")
        script.write_text(code)
        return runtimes.run(runtime, script, **where)
