"""Starts this board's node and returns: the node runs on from a timer, and the REPL is free."""

import autostart

autostart.main()
