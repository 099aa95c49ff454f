"""What the tools ask of a board before anything else. It is sent to the prompt behind onboard.py, whose functions it
uses, and changes nothing."""
# ruff: noqa: F821

import sys
from binascii import hexlify

import machine

# Files of the root that a version has its own of, or that decide what runs without one.
_OF_ROOT = ("sensor", "application", "autostart", "faction")


def survey():
    """Answer what this board is, what its main.py is to run, what it runs, and what lies in its root beside that."""
    faction = sys.modules.get("faction")
    runs = getattr(faction, "app", None) is not None
    root = [name for name in names(".", False) if name.split(".")[0] in _OF_ROOT]
    root += [name + "/" for name in names(".", True) if name == "faction"]
    facts = {
        "version": list(sys.implementation.version)[:3],
        "mpy": getattr(sys.implementation, "_mpy", 0),
        "platform": sys.platform,
        "machine": getattr(sys.implementation, "_machine", ""),
        "hardware": hexlify(machine.unique_id()).decode(),
        "pointed": read(POINTER),  # the slot that main.py runs; None when it runs what was copied by hand, or is frozen
        "main": hash_file("main.py"),
        "runs_from": faction.__file__ if runs else None,
        "errors": list(faction.app.errors) if runs else [],
        "before": read("faction.back") or read("faction.trial"),
        "root": root,
        "sensor": hash_file("sensor.py"),
    }
    answer(facts)
