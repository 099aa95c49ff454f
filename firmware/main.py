"""Starts this board's node, which runs on from a timer, and the user's application beside it; else the REPL is free.

`swarm deploy` keeps two versions in two folders, and the file faction.slot names the one to run: whatever cuts a
transfer, one whole version runs. Without that file the node is what was copied beside this one by hand, or what is
frozen into the firmware.

What runs is the user's before what is ours: a version that was deployed, with its application.py or none; else
application.py on the flash; else the node alone.

A version that is new names the one before in faction.trial, and from its first start on in faction.back. A deploy that
has seen it run removes that; else the version before runs from the next start on.
"""

import os
import sys

left = False
try:
    os.rename("faction.back", "faction.slot")
    left = True
except OSError:
    try:
        os.rename("faction.trial", "faction.back")
    except OSError:
        pass  # no version is on trial
try:
    with open("faction.slot") as file:
        slot = file.read()
    if "lib" in os.listdir(slot):  # a version of faction 1.0: its library is there
        sys.path.insert(0, slot + "/lib")
    sys.path.insert(0, slot)
except OSError:
    pass  # a node copied by hand, or frozen into the firmware

import autostart  # noqa: E402 - of the slot, if there is one

autostart.left = left
autostart.main()
