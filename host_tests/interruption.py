"""Ends a call of the device library by KeyboardInterrupt at a chosen point, as Ctrl-C does on a board.

What an interrupt leaves behind is what had been stored before it; so two points between which nothing is stored are
the same point. The points are therefore: after each store into an attribute or an element, and before each line of
functions that hand their memory to others (C code fills it).
"""

import dis
import functools
import sys
from pathlib import Path

LIB = str(Path(__file__).resolve().parents[1] / "lib" / "faction")
_STORES = ("STORE_ATTR", "STORE_SUBSCR")
_FILLED_BY_C = ("compute", "encode")


@functools.cache
def _stores(code):
    """Offsets of the instructions of a code object that store into an object."""
    return frozenset(found.offset for found in dis.get_instructions(code) if found.opname in _STORES)


def interrupt(call, at):
    """Run call() and interrupt it at its at-th point, counted from 0; returns whether it has got that far."""
    points = Points(at)
    before = sys.gettrace()
    sys.settrace(points.enter)
    try:
        call()
    except KeyboardInterrupt:
        return True
    finally:
        sys.settrace(before)
    return False


class Points:
    """A trace function that counts points and raises at one of them."""

    def __init__(self, at):
        self.left = at
        self.stored = False

    def enter(self, frame, event, _):
        if not frame.f_code.co_filename.startswith(LIB):
            return None
        frame.f_trace_opcodes = True
        return self.step

    def step(self, frame, event, _):
        reached = self.stored or (event == "line" and frame.f_code.co_name in _FILLED_BY_C)
        self.stored = event == "opcode" and frame.f_lasti in _stores(frame.f_code)
        if reached:
            if not self.left:
                raise KeyboardInterrupt
            self.left -= 1
        return self.step
