"""A search breadth first: every state that steps lead to, and the shortest way to each."""

from __future__ import annotations

import gc
from array import array
from collections.abc import Callable, Hashable, Iterable
from typing import Generic, TypeVar

State = TypeVar("State", bound=Hashable)
_REPORT = 1 << 14  # states from one report to the next


class Walk(Generic[State]):
    """What a search has met: order (the states, as they were met), transitions and depth so far; at: the place in order
    of the state whose steps are being tried."""

    def __init__(self) -> None:
        self.order: list[State] = []
        self.transitions = 0
        self.depth = 0
        self.at = 0
        self._parents = array("L")

    def run(
        self,
        first: State,
        steps: Callable[[State], Iterable[tuple[object, State]]],
        note: Callable[[], None],
        deepest: int = 0,
    ) -> None:
        """Meet everything, or all that is no deeper than deepest, if not 0; steps: what may happen in a state, and the
        states after it; note: called now and then."""
        collecting = gc.isenabled()
        gc.disable()  # it would look through millions of tuples, of which none refers back to itself
        try:
            self._run(first, steps, note, deepest)
        finally:
            if collecting:
                gc.enable()

    def _run(
        self,
        first: State,
        steps: Callable[[State], Iterable[tuple[object, State]]],
        note: Callable[[], None],
        deepest: int,
    ) -> None:
        order, parents = self.order, self._parents
        order.append(first)
        parents.append(0)
        seen = {first}
        deeper = 1  # where the next depth begins
        while self.at < len(order):
            if self.at == deeper:
                self.depth += 1
                deeper = len(order)
                if self.depth == deepest:
                    break
            for _, after in steps(order[self.at]):
                self.transitions += 1
                if after not in seen:
                    seen.add(after)
                    order.append(after)
                    parents.append(self.at)
            self.at += 1
            if not self.at % _REPORT:
                note()

    def way(self, at: int) -> list[State]:
        """The states from the first to that at a place in order."""
        path = []
        while at:
            path.append(self.order[at])
            at = self._parents[at]
        return [*self.order[:1], *reversed(path)]
