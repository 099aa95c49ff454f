"""Frozen as main.py: MicroPython runs that in place of a main.py on the flash, so this one runs yours, if there is one.

Without one the node starts as everywhere else: firmware/main.py is frozen beside this, as a module of its own.
"""

import os
import sys

if "main.py" in os.listdir():
    execfile("main.py")  # as MicroPython does it: in this namespace, which is the prompt's afterwards
else:
    import firmware.main

    del firmware, sys.modules["firmware.main"], sys.modules["firmware"]  # a main.py is run once
