"""Starts this board's node and returns: the node runs on from a timer, and the REPL is free.

`swarm deploy` keeps two versions in two folders, and the file faction.slot names the one to run: whatever cuts a
transfer, one whole version runs. Without that file the node is what was copied beside this one by hand.
"""

import sys

try:
    with open("faction.slot") as file:
        slot = file.read()
    sys.path.insert(0, slot + "/lib")
    sys.path.insert(0, slot)
except OSError:
    pass  # a node copied by hand, or frozen into the firmware

import autostart  # noqa: E402 - of the slot, if there is one

autostart.main()
