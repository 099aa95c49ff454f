# Manifest of the node: the library and the firmware, for every board's own manifest.
#
# A main.py is frozen, so the board is a node as soon as faction.json is on it: the one in the folder frozen, which runs
# a main.py of the flash where there is one. All else on the flash comes before what is frozen; boot.py is the user's.

import os

include("../manifest.py")
for name in sorted(os.listdir("../firmware")):
    if name.endswith(".py") and name not in ("boot.py", "main.py"):
        module(name, base_path="../firmware")
module("firmware/main.py", base_path="..")
module("main.py", base_path="frozen")
