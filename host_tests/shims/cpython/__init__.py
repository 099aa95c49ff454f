"""What the device library needs and CPython lacks: install() makes it importable.

The stand-ins behave as the documented modules of the boards do, errors and limits included, so that code that passes
here has not leaned on anything a board does not have.
"""

import sys
import time


def install():
    """Make `micropython` and `cryptolib` importable and give `time` the ticks functions. Safe to call again."""
    from shims.cpython import cryptolib, micropython, ticks

    sys.modules.setdefault("micropython", micropython)
    sys.modules.setdefault("cryptolib", cryptolib)
    for name in ticks.NAMES:
        setattr(time, name, getattr(ticks, name))
