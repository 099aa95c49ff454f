"""faction: sensor nodes agree when enough of them are ready, and take their first sample together.

At a board's REPL: faction.status() prints one screen about its node, faction.status_line() one line, faction.trace()
the last transitions of its machine; faction.status_dict() returns what status() shows, for programs, and
faction.swarm_time() the time in a series; faction.restart() starts the node again with what faction.json says now,
faction.run() the application beside it once it was stopped.
"""

import sys

__version__ = "1.0.0"
PERIOD_MS = 2  # between two calls of a node's runner
_REPORT = ("report", "faction.names")

app = None  # the application that main.py has started: it has config, node, links, runner, trace, sample, errors
failure = "main.py has not started one"  # why there is none
application = None  # type: str | None # what the user's application.py does: "runs", "has returned", "failed", ...; None: there is none


def _not_run():
    raise RuntimeError("main.py has not run: reset the board")


start = _not_run  # starts the application again; main.py sets it
run = _not_run  # runs the user's application.py, as at a boot, until it is stopped; main.py sets it


def status():
    """Print one screen about this board's node."""
    tell("screen")


def status_line():
    """Print one line about this board's node."""
    tell("line")


def status_dict():
    """What status() shows, as a dict. Raises RuntimeError when no node runs."""
    return tell("facts")


def trace():
    """Print the last transitions of this node's machine as lines of JSON, for `swarm replay`."""
    tell("trace")


def tell(what):
    """Have the report tell that, and let go of the report and its names: they take a sixth of what the node does."""
    let_go(_REPORT)  # of what another call, which this one has interrupted, has loaded only half
    import report

    try:
        return getattr(report, what)(app, failure)
    finally:
        let_go(_REPORT)


def swarm_time():
    """Microseconds since the first beat by the clock that the swarm shares in a series; never less than before.

    Raises RuntimeError, which says why, when there is none.
    """
    return in_series().time_us()


def in_series():
    """The series of this board's node, of beats.py. Raises RuntimeError, which says why, when there is none."""
    if not app or not app.series:
        raise RuntimeError("no series: give the swarm a period_ms, and deploy" if app else failure)
    return app.series


def let_go(modules):
    """Forget modules that are not needed all the time, and their memory with them."""
    for name in modules:
        sys.modules.pop(name, None)
        globals().pop(name[8:], None)  # what an import of faction.something has set here


def restart():
    """Start this board's node again, as at a boot: with a new session and what faction.json says now."""
    start()
