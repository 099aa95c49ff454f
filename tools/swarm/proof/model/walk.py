"""A search breadth first: every state that steps lead to, and the shortest way to each."""

from __future__ import annotations

import gc
from array import array
from collections.abc import Callable, Hashable, Iterable
from dataclasses import dataclass
from typing import Generic, TypeVar

from swarm.proof.model.properties import Violation

State = TypeVar("State", bound=Hashable)
_REPORT = 1 << 14  # states from one report to the next


@dataclass
class Found:
    """What a search has found. bounds: of it, as printed; depth: steps from the start to the state that is furthest
    from it; ends: combinations of members' states in which the faults ended; rounds: the most that any of them took to
    agree, 0 where that is not counted; node_states and frames: of single members; violation: None, or the first, with
    the shortest trace to it."""

    bounds: object
    states: int = 0
    transitions: int = 0
    depth: int = 0
    ends: int = 0
    rounds: int = 0
    node_states: int = 0
    frames: int = 0
    violation: Violation | None = None
    trace: tuple[str, ...] = ()

    def __str__(self) -> str:
        took = f", which took {self.rounds} rounds at most" if self.rounds else ""
        return (
            f"{self.bounds}: {self.states} states, {self.transitions} transitions, depth {self.depth}, "
            f"{int(self.violation is not None)} violations, liveness checked from {self.ends} states{took}"
        )


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
