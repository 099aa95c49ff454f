"""Whose flash is to be asked for samples that did not come over the air, and when: rarely, and one member at a time.

A beat is missed once it is so long ago that its record comes no more (PROTOCOL.md, Reports: four beats), or 30 s. What
a member's flash has told is all that there is of it up to then, so that a beat that nobody sampled is asked for once.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, field

_BEATS = 4  # for which a record is told,
_PATIENCE_S = 30.0  # but no longer than that
_SHARE = 10  # between two questions is so often the time that the one before took,
_REST_S = 10.0  # and at least that
_AGAIN_S = 20.0  # a member that has not answered is asked again after that, and then after twice as long each time,
_SELDOM_S = 600.0  # up to that
_SPREAD = 0.5, 1.5  # times such a wait, so that two that ask each other at the same time do not do so for ever
_ANYWAY_S = 3600.0  # each is asked so often: of moves of its clock no gap tells


@dataclass
class _Member:
    tried_s: float | None = None  # when it was asked last
    due_s: float = 0.0  # before that it is not asked
    failed: int = 0  # times one after the other
    settled: int | None = None  # up to that beat there is nothing more to come; None: its flash was not read yet
    came: set[int] = field(default_factory=set)  # beats after that


class Gaps:
    """What came of each member, and of which something is missing. Times are seconds of one clock."""

    def __init__(self, chance: random.Random | None = None) -> None:
        self._chance = chance or random.Random()
        self._members: dict[int, _Member] = {}
        self._lost: set[int] = set()
        self._rest_s = 0.0
        self._series: int | None = None
        self._period_s = self._beat = self._at_s = 0.0

    def tell(self, now_s: float, members: list[int], lost: set[int], series: dict | None) -> None:
        """What a status tells: who is a member, who is lost, and which beat it is."""
        for member in members:
            self._members.setdefault(member, _Member())
        self._lost = lost
        if series is None:
            return
        if series["id"] != self._series:
            for one in self._members.values():
                one.settled = None
                one.came.clear()
        self._series, self._period_s = series["id"], series["period_ms"] / 1000
        self._beat, self._at_s = series["beat"], now_s

    def came(self, node: int, series: int | None, n: int | None) -> None:
        """A record has come: its member is there."""
        one = self._members.get(node)
        if one is None:
            return
        if one.failed:
            one.failed, one.due_s = 0, 0.0
        if n is not None and series == self._series and (one.settled is None or n > one.settled):
            one.came.add(n)

    def next(self, now_s: float) -> int | None:
        """The member to ask now: at the beginning each in turn, then one that a beat is missing of."""
        for node, one in self._members.items():
            if one.tried_s is None:
                return node
        if now_s < self._rest_s:
            return None
        wanted = [
            (one.tried_s, node)
            for node, one in self._members.items()
            if node not in self._lost and now_s >= one.due_s and one.tried_s is not None and self._lacks(one, now_s)
        ]
        return min(wanted)[1] if wanted else None

    def asked(self, node: int, begun_s: float, now_s: float, answered: bool) -> None:
        """A member was asked, from then till now."""
        one = self._members[node]
        one.tried_s = begun_s
        self._rest_s = now_s + max(_SHARE * (now_s - begun_s), _REST_S)
        if not answered:
            one.due_s = now_s + min(_AGAIN_S * 2**one.failed, _SELDOM_S) * self._chance.uniform(*_SPREAD)
            one.failed += 1
            return
        one.failed, one.due_s = 0, 0.0
        one.settled = max(self._past(begun_s), -1 if one.settled is None else one.settled)
        one.came = {n for n in one.came if n > one.settled}

    def _lacks(self, one: _Member, now_s: float) -> bool:
        if one.settled is None or now_s - (one.tried_s or 0.0) >= _ANYWAY_S:
            return True
        while one.settled + 1 in one.came:
            one.settled += 1
            one.came.remove(one.settled)
        return one.settled < self._past(now_s)

    def _past(self, now_s: float) -> int:
        """The last beat whose record comes no more, if it has not come."""
        if self._series is None:
            return -1
        ago_s = now_s - self._at_s - min(_BEATS * self._period_s, _PATIENCE_S)
        return int((self._beat * self._period_s + ago_s) // self._period_s) - 1
