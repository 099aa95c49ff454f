# What a virtual board's files are, as a manifest: the node and where things are. Nothing is frozen on this board.

include("../manifest.py")
module("board.py")
