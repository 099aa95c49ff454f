"""Files that are written: whether one can be, asked before the work that is to go into it, and whole or not at all."""

from __future__ import annotations

import contextlib
import os
import tempfile
from pathlib import Path


def check(path: str | Path) -> None:
    """Raise ValueError, which names the remedy, when no file can be written there."""
    path = Path(path)
    if path.is_dir():
        raise ValueError(f"{path}: a folder: name a file")
    if not path.parent.is_dir():
        raise ValueError(f"{path}: there is no folder {path.parent}: make it, or name a file elsewhere")
    # Files are replaced as a whole, so the folder is written to in any case.
    if not os.access(path.parent, os.W_OK) or (path.exists() and not os.access(path, os.W_OK)):
        raise ValueError(f"{path}: may not be written: name a file elsewhere, or change its permissions")


def write_atomically(path: Path, text: str, mode: int = 0o644) -> None:
    """Write a file that is there whole or not at all. mode: its permissions, whatever the umask."""
    path = path.resolve()  # a link stays a link
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")  # readable by its owner only
    try:
        with os.fdopen(handle, "w", encoding="utf-8", newline="\n") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        os.chmod(name, mode)
        os.replace(name, path)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(name)
        raise
