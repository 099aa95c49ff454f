"""Which modules a board has. Like onboard.py it is sent to the prompt, to run there; nothing there is changed."""

import json
import os
import sys

MARK = ""  # as in onboard.py
_FOLDER = 0x4000


def lacking(modules, slots):
    """Answer those modules that neither the board's files have nor its firmware. What is in slots does not count: a
    version does not see another's."""
    print(MARK + json.dumps([name for name in modules if not has(name, slots)]))


def has(name, slots):
    """Whether the board has a module of that name."""
    elsewhere = [folder for folder in sys.path if folder.split("/")[0] not in slots]
    if any(is_file_of(name, folder) for folder in elsewhere):
        return True
    # What is left is in the firmware, and importing that reads no file; but a module in a slot would come first.
    kept_path, kept = sys.path[:], sys.modules.pop(name, None)
    sys.path[:] = elsewhere
    try:
        __import__(name)
    except ImportError:
        return False
    except Exception:
        pass  # it is there, and does not bear to be imported now
    finally:
        sys.path[:] = kept_path
        sys.modules.pop(name, None)
        if kept:
            sys.modules[name] = kept
    return True


def is_file_of(name, folder):
    """Whether a folder has files of a module of that name."""
    path = folder + "/" + name if folder else name
    for ending in ("", ".py", ".mpy"):
        try:
            if os.stat(path + ending)[0] & _FOLDER or ending:
                return True
        except OSError:
            pass
    return False
