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


@contextmanager
def meter(what: str):
    """Bars on standard error, if that is a terminal, of several works at once; yields a function to call with a work's
    name, how much is done, and how much there is in all."""
    if not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bars:
        tasks: dict = {}

        def told(name: object, done: int, total: int) -> None:
            if name not in tasks:
                tasks[name] = bars.add_task(f"{what} node {name}", total=total)
            bars.update(tasks[name], completed=min(done, total), total=total)

        yield told


@contextmanager
def waiting(what: str):
    """A line on standard error, if that is a terminal; yields a function to call with the node that is at work."""
    if not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console

    with Console(stderr=True).status(what) as status:
        yield lambda node: status.update(f"{what} node {node}")
