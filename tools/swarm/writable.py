"""Whether a file can be written, asked before the work is done that is to go into it."""

from __future__ import annotations

import os
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
