# What is frozen into this board's firmware: what the official build freezes, the node, and where things are.

include("$(PORT_DIR)/boards/manifest.py")
include("../manifest.py")
module("board.py")
