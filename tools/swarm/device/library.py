"""The real device library, imported under CPython with the shims that stand for MicroPython's modules."""

import sys

from swarm import paths

for _folder in (paths.SHIMS.parent, paths.LIB):
    if str(_folder) not in sys.path:
        sys.path.insert(0, str(_folder))

from shims import cpython  # noqa: E402

cpython.install()

from faction import names  # noqa: E402
from faction import sessions as _sessions  # noqa: E402
from faction.cmac import Cmac  # noqa: E402
from faction.core import (  # noqa: E402
    ACCEPTED,
    BOOTSTRAPPED,
    COLLECTING,
    DEADLINE_EXPIRED,
    INITIAL,
    LOCAL_PARTICIPATION_COMPLETED,
    PARTICIPATION_OBSERVED,
    PINGING,
    READY_OBSERVED,
    TABLE,
    TIMED_OUT,
    Faction,
)
from faction.description import IMIN_MS, default_lead_ms  # noqa: E402
from faction.first_sample import _LIMIT_US as LIMIT_US  # noqa: E402
from faction.frame import DEMONSTRATION_KEY, FOLLOW_UP_FLAG, INSTANT_FLAG, max_length  # noqa: E402
from faction.knowledge import Knowledge  # noqa: E402
from faction.names import COMMANDS, COUNTERS, STATES  # noqa: E402
from faction.node import Node  # noqa: E402
from faction.remote.envelope import REPORT, Envelope  # noqa: E402
from faction.remote.node import RemoteNode  # noqa: E402
from faction.remote.presence import Presence  # noqa: E402
from faction.remote.records import Records  # noqa: E402
from faction.remote.reports import Reports  # noqa: E402
from faction.remote.rounds import NEVER, RoundFrame, Rounds  # noqa: E402
from faction.series import SwarmClock  # noqa: E402
from faction.sessions import Echoes, Sessions  # noqa: E402

__all__ = [
    "ACCEPTED",
    "BOOTSTRAPPED",
    "COLLECTING",
    "COMMANDS",
    "COUNTERS",
    "DEADLINE_EXPIRED",
    "DEMONSTRATION_KEY",
    "FOLLOW_UP_FLAG",
    "IMIN_MS",
    "INITIAL",
    "INSTANT_FLAG",
    "LIMIT_US",
    "LOCAL_PARTICIPATION_COMPLETED",
    "NEVER",
    "PARTICIPATION_OBSERVED",
    "PINGING",
    "READY_OBSERVED",
    "REPORT",
    "Reports",
    "Rounds",
    "STATES",
    "TABLE",
    "TIMED_OUT",
    "Cmac",
    "Echoes",
    "Envelope",
    "Faction",
    "Knowledge",
    "Node",
    "Presence",
    "Records",
    "RemoteNode",
    "RoundFrame",
    "Sessions",
    "SharedCmac",
    "SwarmClock",
    "altered",
    "default_lead_ms",
    "limit_echoes",
    "max_length",
    "names",
]


_ECHOES = _sessions._ECHOES


def limit_echoes(count: int | None) -> None:
    """Let every node of this process put at most count echoes in a frame; None: as many as on a board."""
    _sessions._ECHOES = _ECHOES if count is None else count


def altered(**classes: type) -> type[Node]:
    """A Node of which some parts, by their attributes, are of other classes, from which it has its name too."""

    base = RemoteNode if {"rounds", "reports"} & classes.keys() else Node

    def __init__(self, *args, **kwargs):
        base.__init__(self, *args, **kwargs)
        for part, part_class in classes.items():
            getattr(self, part).__class__ = part_class
        self.frame.old = self.sessions.old  # of its class

    return type("".join(part_class.__name__ for part_class in classes.values()), (base,), {"__init__": __init__})


class SharedCmac(Cmac):
    """The real Cmac, which remembers tags for all nodes of one run: a frame that hundreds hear is computed once.

    It gives the same tags, which a test compares; the nodes of a run share one key.
    """

    _KEPT = 4096

    def __init__(self, key, capacity, known):
        super().__init__(key, capacity)
        self._known = known

    def compute(self, buffer, length):
        """As Cmac.compute()."""
        message = bytes(buffer[:length])
        tag = self._known.get(message)
        if tag is None:
            super().compute(buffer, length)
            if len(self._known) >= self._KEPT:
                self._known.clear()
            self._known[message] = bytes(self.tag)
        else:
            self.tag[:] = tag
