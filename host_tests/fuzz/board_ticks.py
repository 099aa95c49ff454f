"""Import it before faction: the time module then has the ticks of a 32-bit board, where it has others.

The 64-bit unix port's wrap at 2^62. The last argument of the script is the folder of the CPython shims, whose ticks.py
is what a board does.
"""

import sys
import time

MASK = (1 << 30) - 1

if time.ticks_add(MASK, 1):
    sys.path.append(sys.argv[-1])
    import ticks

    sys.path.pop()  # the other shims there are for CPython alone
    _clock = time.ticks_us
    ticks.ticks_us = lambda: _clock() & MASK
    ticks.ticks_ms = lambda: _clock() // 1000 & MASK
    sys.modules["time"] = ticks
