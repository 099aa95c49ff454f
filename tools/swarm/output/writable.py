"""Files that are written: whether one can be, asked before the work that is to go into it, and whole or not at all."""

from __future__ import annotations

import contextlib
import errno
import os
import tempfile
from pathlib import Path

from swarm.output import readable


def check(path: str | Path) -> None:
    """Raise ValueError, which names the remedy, when no file can be written there."""
    path = Path(path)
    if path.exists() and (found := readable.kind(path.stat())):
        raise ValueError(f"{path}: {found}: name a file")
    if not path.parent.is_dir():
        raise ValueError(f"{path}: there is no folder {path.parent}: make it, or name a file elsewhere")
    # Files are replaced as a whole, so the folder is written to in any case.
    if not os.access(path.parent, os.W_OK) or (path.exists() and not os.access(path, os.W_OK)):
        raise ValueError(f"{path}: may not be written: name a file elsewhere, or change its permissions")


def write_atomically(path: Path, text: str | bytes, mode: int = 0o644) -> None:
    """Write a file, text in UTF-8, that is there whole or not at all. mode: its permissions, whatever the umask.

    OSError, which names the file, when that fails; what is no plain file is never replaced by one.
    """
    data = text.encode() if isinstance(text, str) else text
    target = path.resolve()  # a link stays a link
    try:
        if target.exists() and (found := readable.kind(target.stat())):
            raise FileExistsError(errno.EEXIST, f"is {found}, and stays one")
        handle, name = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.")  # readable by its owner only
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            os.chmod(name, mode)
            os.replace(name, target)
        except BaseException:
            with contextlib.suppress(OSError):
                os.unlink(name)
            raise
    except OSError as error:
        raise OSError(error.errno, error.strerror or str(error), str(path)) from None
