"""Files that are read: a plain one, of a size that fits into memory, whatever the name leads to."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path

_MOST = 64 << 20  # bytes; the largest firmware has 4 MB
_KINDS = ((stat.S_ISDIR, "a folder"), (stat.S_ISFIFO, "a pipe"), (stat.S_ISSOCK, "a socket"))


def read(path: str | Path, plain: bool = True) -> bytes:
    """What a file holds. OSError, with words and the path, for what is none, cannot be read, or is too large.

    plain: refuse devices, and pipes, for which one might wait for ever.
    """
    with open(os.open(path, os.O_RDONLY | (getattr(os, "O_NONBLOCK", 0) if plain else 0)), "rb") as file:
        if plain and (found := kind(os.fstat(file.fileno()))):
            raise OSError(errno.EINVAL, f"{found}, where a file is wanted", str(path))
        data = file.read(_MOST + 1)
    if len(data) > _MOST:
        raise OSError(errno.EFBIG, f"more than {_MOST >> 20} MB", str(path))
    return data


def kind(status: os.stat_result) -> str | None:
    """What something is that is no plain file, in words; None for a plain file."""
    if stat.S_ISREG(status.st_mode):
        return None
    return next((words for matches, words in _KINDS if matches(status.st_mode)), "a device")


def text(path: str | Path) -> str:
    """The text of a file in UTF-8, without the mark that some editors put in front. OSError as read(), ValueError."""
    return read(path).decode("utf-8-sig")
