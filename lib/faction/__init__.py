"""faction: sensor nodes agree when enough of them are ready, and take their first sample together.

At a board's REPL: faction.status() prints one screen; faction.status_dict() returns the same for programs.
"""

__version__ = "0.1.0"

runner_in_use = None  # the Runner that main.py has started
failure = None  # why it could not


def status():
    """Print one screen about this board's node."""
    from faction.report import screen

    print(screen(runner_in_use, failure))


def status_dict():
    """What status() shows, as a dict. Raises RuntimeError when no node runs."""
    from faction.report import facts

    return facts(runner_in_use, failure)
