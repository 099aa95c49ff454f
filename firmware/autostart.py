"""What main.py does at each boot: start the node, or say why not; then run the user's application, or leave the REPL.

Both are imported only when they are started, so that a board without the memory for them can say so. The user's
application is application.py beside this file, in the version that runs; without versions it is on the flash's root.
"""

import gc
import os
import sys
from time import ticks_diff, ticks_ms

import machine
import signs

import faction

# After a start that failed for want of memory, radio or storage, or that was interrupted, and after the watchdog's
# reset: whatever hangs would do so again, and tools get in meanwhile.
_RETRY_MS = 60_000

left = False  # main.py has left the version that ran before this start, whatever that did


def main():
    """Start this board's node, unless a file or a held button says not to, and run the user's application beside it."""
    faction.start = start
    faction.run = run
    import hindrance

    hindrance.outlive()
    del sys.modules["hindrance"]
    reason = hindrance.wish()
    if reason:
        faction.failure = "not started: " + reason
        print("faction: " + faction.failure)
        return
    error = hindrance.hang(left)
    if error:
        _fail(error, machine.reset)
        return
    print("faction: starting")  # a start takes seconds, and a tool that hears nothing would ask: a Ctrl-C would end it
    files = os.listdir(__file__.rpartition("autostart.")[0][:-1] or ".")
    if "application.py" in files or "application.mpy" in files:
        faction.application = "starts"
    start()
    if faction.application == "starts":
        try:
            run()
        except BaseException as error:  # for want of memory, or an interrupt before it was loaded
            faction.application = "failed"
            faction.app.note("application", error)  # type: ignore[attr-defined]


def run():
    """Run the user's application.py beside this board's node until a tool or a Ctrl-C stops it."""
    from faction import aio

    aio.run(faction.app)


def start():
    """Start this board's node as faction.json, faction.key, board.py and sensor.py say, in place of one that runs.

    When that is not possible it says why on the serial line and by the LED.
    """
    try:
        beside = faction.app and faction.app.beside  # type: ignore[attr-defined]
        stop()
        import assembly

        app, started = assembly.make()
        if beside:
            beside.adopt(app)
        app.runner.start()
        app.say(started)  # late, since who reads it may interrupt
        signs.beat(app.runner.tick)  # from now on everything happens in callbacks
    except BaseException as error:
        stop()
        _fail(error, start)
        if not isinstance(error, Exception):
            raise  # a Ctrl-C


def stop():
    """Stop whatever runs: a node, even one half started, or what shows that none does, and tries again."""
    signs.beat(None)
    if faction.app:
        app = faction.app
        app.runner.stop()
        if app.samples:
            app.samples.write()  # no callback comes any more, and nobody else is at work
        faction.app = None


def _fail(error, function):
    """Say why no node runs, on the serial line and by the LED; function: called where a later start may do better."""
    gc.collect()
    if faction.application == "starts":
        faction.application = "was not started"  # it has the prompt's place, which only a boot gives it
    faction.failure = "%s: %s" % (type(error).__name__, error)
    interrupted = not isinstance(error, Exception)
    retry = interrupted or isinstance(error, (OSError, MemoryError))
    if interrupted:
        # By hand, or by a tool that met the board at its start: nobody may be there to start it again.
        faction.failure = "the start was interrupted"
    if retry:
        faction.failure += ": tried again every %d s" % (_RETRY_MS // 1000)
    print("faction: error: " + faction.failure)
    shown = signs.Signs()
    shown.pattern = signs.FAILED
    failed = ticks_ms()

    def tick():
        shown.tick(ticks_ms())
        if signs.calm() and retry and ticks_diff(ticks_ms(), failed) > _RETRY_MS:
            function()

    signs.beat(tick)
