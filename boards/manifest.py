# Manifest of the node: the library and the firmware, for every board's own manifest.
#
# main.py is frozen, so the board is a node as soon as faction.json is on it. A sensor.py on the board's flash comes
# before the frozen one, and so does a board.py; boot.py is left to the user.

import os

include("../manifest.py")
for name in sorted(os.listdir("../firmware")):
    if name.endswith(".py") and name != "boot.py":
        module(name, base_path="../firmware")
