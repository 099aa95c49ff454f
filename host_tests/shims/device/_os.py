"""`os` of a virtual board, where the unix port's is unlike a chip's file system.

The unix port does not know that the path "" is the current folder, without which `mpremote cp FILE FILE :` finds no
destination; and its ilistdir() tells no sizes, so that `mpremote fs ls` shows all files as empty.
"""

import uos
from uos import *  # noqa: F403 - the rest is the unix port's


def stat(path):
    """Status of a file or folder, as a tuple of 10."""
    return uos.stat(path or ".")


def ilistdir(path=""):
    """What is in a folder: tuples of name, type, 0 and size."""
    folder = path or "."
    for entry in uos.ilistdir(folder):
        size = 0 if entry[1] == 0x4000 else uos.stat(folder + "/" + entry[0])[6]
        yield entry[0], entry[1], 0, size
