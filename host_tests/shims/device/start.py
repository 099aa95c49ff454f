"""What the firmware of a virtual board does at power-on: interrupts on, boot.py, main.py, and then comes the prompt.

The launcher runs this file. After a soft reset from the raw REPL main.py is not run, as on a device: that is how
mpremote gets a quiet board.
"""

import sys

import micropython

if sys.implementation.name == "micropython":
    sys.path[:] = [sys.path[0], "", ".frozen", "./lib"]  # a board's own, whose "/" is its folder, after these shims
    import _os
    import _tasks

    sys.modules["os"] = _os
    sys.modules["_asyncio"] = _tasks
else:
    sys.path[1:1] = ["", "./lib"]

import _chip
import machine  # noqa: F401 - its timers hook into the wake-ups
import utime

_QUIET_US = 250  # while a program runs, its VM offers to run callbacks all the time: this often is enough


def _skip(_):
    pass


_work = (_skip, _chip.run)
_last = [0]
_skipped = [0]  # offers since then: while a prompt or a loop waits there are none


def _wake(_):
    # There is no jump here, and only at a jump does MicroPython raise a pending Ctrl-C: so it reaches the program that
    # runs, not this, and this is always queued again.
    micropython.schedule(_wake, 0)
    now = utime.ticks_us()
    due = now - _last[0] >= _QUIET_US
    _last[0] = _last[0] + (now - _last[0]) * due
    runs = _skipped[0] > 0
    _skipped[0] = (_skipped[0] + 1) * (1 - due)
    _work[due](runs)


def _start(name):
    try:
        with open(name):
            pass
    except OSError:
        return
    try:
        execfile(name, globals())  # noqa: F821 - MicroPython's
    except SystemExit:
        raise
    except BaseException as error:  # noqa: BLE001 - the device prints it and goes on to the prompt
        sys.print_exception(error)


if sys.implementation.name == "micropython":
    micropython.schedule(_wake, 0)  # on CPython the signals' handlers do this work
_start("boot.py")
if not (_chip.BOOT == "soft" and _chip._parameter("SWARM_RAW_REPL", 0)):
    _start("main.py")
