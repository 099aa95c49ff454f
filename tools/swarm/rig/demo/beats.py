"""The beats of a demo's series: who sampled each, how far apart in true time, and which a node has missed."""

from __future__ import annotations


class Beats:
    """What was sampled at each beat. wanted: how many of them count."""

    def __init__(self, wanted: int) -> None:
        self.wanted = wanted
        self._true_us: dict[tuple[int, int], dict[int, int]] = {}  # by series and beat, and by node in time
        self._taken: dict[tuple[int, int, int], set[int]] = {}  # by node, session and series: the beats

    def take(self, record: dict, true_us: int | None) -> None:
        """Take a node's sample, and when that was."""
        if "n" not in record:
            return
        run = (record["node"], record["session"], record["series"])
        self._taken.setdefault(run, set()).add(record["n"])
        if not record["late"] and true_us is not None:
            self._true_us.setdefault((record["series"], record["n"]), {})[record["node"]] = true_us

    def told(self) -> list[dict]:
        """Each beat: its number, how many nodes sampled it in time, and the microseconds between the first and the last
        of them, None below two."""
        beats = []
        for (_, n), nodes in sorted(self._true_us.items()):
            if n < self.wanted:
                spread_us = max(nodes.values()) - min(nodes.values()) if len(nodes) > 1 else None
                beats.append({"n": n, "nodes": len(nodes), "spread_us": spread_us})
        return beats

    def missed(self) -> list[tuple[int, int]]:
        """Nodes and beats that they have missed between two that they sampled in one session: no fault is to blame."""
        return [
            (node, n)
            for (node, _, _), taken in self._taken.items()
            for n in range(min(taken), min(max(taken), self.wanted - 1))
            if n not in taken
        ]
