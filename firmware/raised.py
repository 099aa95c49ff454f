"""An error in words. Only an error needs it: afterwards it is let go, and its memory with it."""

import io
import sys


def describe(error):
    """An error in words, and where it was raised, when that is known: the node itself is compiled without its lines."""
    text = "%s: %s" % (type(error).__name__, error)
    said = io.StringIO()
    sys.print_exception(error, said)  # type: ignore[attr-defined]
    frames = said.getvalue().split('  File "')
    if len(frames) > 1:
        file, place = frames[-1].split("\n")[0].split('"')
        if not place.startswith(", line 1, in ") or place.endswith("<module>"):
            text += " (%s%s)" % (file, place.split(", in ")[0])
    return text
