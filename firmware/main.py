"""Starts this board's node and returns: the node runs on from a timer, and the REPL is free.

`swarm deploy` keeps two versions in two folders, and the file faction.slot names the one to run: whatever cuts a
transfer, one whole version runs. Without that file the node is what was copied beside this one by hand.
"""

import sys

try:
    with open("faction.slot") as file:
        folder = file.read() + "/"
    sys.path.insert(0, folder + "lib")
    sys.path.insert(0, folder[:-1])
except OSError:
    folder = ""

import app  # noqa: E402 - from the folder that was found

app.main(folder)
