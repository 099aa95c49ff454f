"""What the gateway of a demo has gathered: which samples of the others came to it over the air, and how soon."""

from __future__ import annotations

from swarm.rig.demo.beats import Beats

_Key = tuple[int, int, int, int]  # node, session, series and beat


class Gathered:
    """Samples of the first beats.wanted beats that were in time, and which of them the gateway has. beats: of whom."""

    def __init__(self, beats: Beats) -> None:
        self._wanted = beats.wanted
        self._said_us: dict[_Key, int] = {}
        self._came_us: dict[_Key, int] = {}

    def say(self, record: dict, when_us: int) -> None:
        """A node other than the gateway has said its sample."""
        if "n" in record and not record["late"] and record["n"] < self._wanted:
            self._said_us.setdefault(_key(record), when_us)

    def come(self, record: dict, when_us: int) -> int | None:
        """The gateway has said another's; how many microseconds after that, None where that is not known."""
        key = _key(record)
        self._came_us.setdefault(key, when_us)
        return when_us - self._said_us[key] if key in self._said_us else None

    def lacks(self, sessions: dict[int, int | None]) -> list[tuple[int, int]]:
        """Nodes and beats of samples that have not come; sessions: of the nodes that have power, in which what they
        said before they lost it is on flash alone."""
        left = self._said_us.keys() - self._came_us.keys()
        return sorted((node, n) for node, session, _, n in left if sessions.get(node) == session)

    def told(self) -> dict:
        """{"samples": of the others, "gathered": of those, "after_ms": {"p50", "max"} from a node's line to the
        gateway's}."""
        both = self._said_us.keys() & self._came_us.keys()
        after_ms = sorted((self._came_us[key] - self._said_us[key]) / 1000 for key in both)
        half, longest = (after_ms[(len(after_ms) - 1) // 2], after_ms[-1]) if after_ms else (None, None)
        return {
            "samples": len(self._said_us),
            "gathered": len(after_ms),
            "after_ms": {"p50": half, "max": longest},
        }


def _key(record: dict) -> _Key:
    return record["node"], record["session"], record["series"], record["n"]
