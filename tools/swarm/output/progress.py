"""How far work is that takes a while."""

from __future__ import annotations

import sys
from contextlib import contextmanager


@contextmanager
def progress(total: int, what: str):
    """A progress bar on standard error, if that is a terminal; yields a function to call after each step."""
    if total < 10 or not sys.stderr.isatty():
        yield lambda *_: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn(what), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True)) as bar:
        task = bar.add_task(what, total=total)
        yield lambda *_: bar.advance(task)
