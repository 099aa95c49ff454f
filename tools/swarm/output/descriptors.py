"""How many files this process may have open: a port takes five, and some systems let a program have 256."""

from __future__ import annotations

from contextlib import suppress

_ENOUGH = 4096


def allow_more() -> None:
    """Let this process and its children have as many files open as its user may, up to what boards can need."""
    with suppress(ImportError, OSError, ValueError):  # Windows has no such limit; some systems' own is lower than told
        import resource

        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        enough = _ENOUGH if hard == resource.RLIM_INFINITY else min(_ENOUGH, hard)
        if soft < enough:
            resource.setrlimit(resource.RLIMIT_NOFILE, (enough, hard))
