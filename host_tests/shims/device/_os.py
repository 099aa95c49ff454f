"""`os` of a virtual board. The unix port does not know that the path "" is the current folder, which boards do know:
without that `mpremote cp FILE FILE :` finds no destination."""

import uos
from uos import *  # noqa: F403 - the rest is the unix port's


def stat(path):
    """Status of a file or folder, as a tuple of 10."""
    return uos.stat(path or ".")
