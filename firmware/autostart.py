"""What main.py does at each boot: start the node, or say why not; then run the user's application, or leave the REPL.

Both are imported only when they are started, so that a board without the memory for them can say so. The user's
application is application.py beside this file, in the version that runs; without versions it is on the flash's root.
"""

import gc
import os
from time import ticks_diff, ticks_ms

import board
import machine
from signs import FAILED, SLOT_MS, Signs

import faction

SKIP_FILE = "faction.skip"  # while this file is there, the node is not started

_LATE = "was not started"  # an application whose node was not, which only a start of the board mends
_RETRY_MS = 60_000  # after a start that failed for want of memory, radio or storage, or that was interrupted

_FOLDER = __file__.rpartition("autostart.")[0]

_timer = None  # shows by the LED that no node runs
_swarm = None  # of the application, while it runs


def main():
    """Start this board's node, unless a file or a held button says not to, and run the user's application beside it."""
    faction.start = start
    faction.run = run
    reason = _skipped()
    if reason:
        faction.failure = "not started: " + reason
        print("faction:", faction.failure)
        return
    if _has(_FOLDER + "application.py") or _has(_FOLDER + "application.mpy"):
        faction.application = "starts"
    try:
        start()
        if faction.application and faction.app:
            _begin()
    finally:
        if faction.application == "starts":
            faction.application = _LATE


def _begin():
    """Run the user's application, unless it did not end when it was asked to before this boot."""
    from faction.answers import STOP_FILE

    if _has(STOP_FILE):
        os.remove(STOP_FILE)
        faction.application = "was stopped"
        error = RuntimeError("did not stop when asked to, so this boot is without it")
        faction.app.note("application", error)  # type: ignore[attr-defined]
    else:
        run()


def run():
    """Run the user's application beside the node, as at a boot, until a tool or a Ctrl-C stops it."""
    global _swarm
    if not faction.app:
        raise RuntimeError("no node runs on this board: " + faction.failure)
    try:
        from faction import aio

        _swarm = aio.Swarm(faction.app)
        aio.run(_swarm)
    except Exception as error:  # for want of memory, or of asyncio
        faction.application = "failed"
        faction.app.note("application", error)
    finally:
        _swarm = None


def _has(path):
    """Whether there is such a file."""
    try:
        os.stat(path)
    except OSError:
        return False
    return True


def start():
    """Start this board's node as faction.json, faction.key, board.py and sensor.py say, in place of one that runs.

    When that is not possible it says why on the serial line and by the LED.
    """
    try:
        _stop()
        import assembly

        app = assembly.make()
        if _swarm:
            _swarm.adopt(app)
        app.start_timer()
        if faction.application == _LATE:
            app.note("application", RuntimeError("not started, as its node started late: reset the board"))
    except BaseException as error:
        _stop()
        _fail(error)
        if not isinstance(error, Exception):
            raise  # a Ctrl-C


def _stop():
    """Stop whatever runs: a node, even one half started, or the timer that shows that none does."""
    global _timer
    if _timer:
        _timer.deinit()
        _timer = None
    if faction.app:
        app = faction.app
        faction.app = None
        app.runner.stop()


def _skipped():
    """Why the node is not to be started at this boot, or None."""
    if SKIP_FILE in os.listdir():
        return "the file %s is there: remove it and reset" % SKIP_FILE
    if board.BUTTON is not None:
        button = machine.Pin(board.BUTTON, machine.Pin.IN, machine.Pin.PULL_UP)
        if not button.value():
            return "the button is held: release it and reset"
    return None


def _fail(error):
    """Say why no node runs, on the serial line and by the LED."""
    global _timer
    gc.collect()
    faction.failure = "%s: %s" % (type(error).__name__, error)
    interrupted = not isinstance(error, Exception)
    retry = interrupted or isinstance(error, (OSError, MemoryError))
    if interrupted:
        # By hand, or by a tool that met the board at its start: nobody may be there to start it again.
        faction.failure = "the start was interrupted"
    if retry:
        faction.failure += ": tried again every %d s" % (_RETRY_MS // 1000)
    print("faction: error:", faction.failure)
    signs = Signs()
    signs.pattern = FAILED
    failed = ticks_ms()

    def tick(_):
        signs.tick(ticks_ms())
        if retry and ticks_diff(ticks_ms(), failed) > _RETRY_MS:
            start()

    _timer = machine.Timer(board.TIMER)
    _timer.init(mode=machine.Timer.PERIODIC, period=SLOT_MS // 4, callback=tick)
