"""One member of a model-checked swarm: the real Node, put into any state and back, and what must hold of each step.

A state of a member (state.py) is what its node holds (keeper.py), and beside it what the checker alone knows to be
true. Time stands still: a deadline passes when the checker says so, a node may speak whenever the checker lets it, in
place of its Trickle timer, and the first sample's instant stays ahead. Each frame's leaving is reported to its sender
at once.
"""

from __future__ import annotations

from array import array
from typing import Any

from swarm.device.library import (
    BOOTSTRAPPED,
    COUNTERS,
    DEMONSTRATION_KEY,
    STATES,
    TIMED_OUT,
    Node,
    SharedCmac,
)
from swarm.proof.model.keeper import Keeper
from swarm.proof.model.properties import (
    ADOPTION,
    BITS_FALL,
    CONCLUSION_CHANGES,
    CONFLICT,
    COUNTING,
    EXCEPTION,
    FALSE_CONCLUSION,
    GENERATION_FALLS,
    GROWS,
    INSTANT,
    OLD_FRAME,
    ONCE,
    OWN_READINESS,
    REBOOT_COUNTS,
    REFUSED,
    UNPROVED,
    Violation,
)
from swarm.proof.model.state import HEADER, LIVE, MOST, TAG, Said, State, echoes, ids, words
from swarm.sim.invariants import live_sessions

_NOW = 1000  # what all clocks say, in ms and in us
_LEAD_MS = 500
# So begin the names of what is not what a node knows, but makes it speak, or is noted of any sender.
_NOTED = ("_asks", "echoes.", "sessions.heard")
_FAILED = range(1, COUNTERS.index("forged") + 1)
_IGNORED = {COUNTERS.index(name) for name in ("replayed", "stale", "unproved", "own")}


class Member:
    """The member at that place, from 0, of a swarm with the ids 1 to members.

    node_class: Node, or one that breaks a rule on purpose; tags: one dict for all members, as SharedCmac has it.
    redundancy: consistent frames after which a node keeps silent.
    Every step takes a state and returns the one after it. It raises Violation when a property does not hold.
    """

    def __init__(
        self, place: int, members: int, required: int, retry: bool, node_class: type[Node], tags: dict
    ) -> None:
        if members > MOST:
            raise ValueError(f"{members} members: at most {MOST}")
        self.place = place
        self._bit = 1 << place
        self._members = members
        self._required = required
        self._retry = retry
        self._node_class = node_class
        self._tags = tags
        self._buffer = bytearray(250)
        self._node = self._new(1)
        self.redundancy = self._node.trickle.redundancy
        self._keeper = Keeper(self._node)
        self._sizes = self._keeper.sizes()
        self._at = {name: at for at, name in enumerate(self._keeper.names)}
        self._knows = [not name.startswith(_NOTED) for name in self._keeper.names]

    def _new(self, session: int) -> Any:
        node = self._node_class(
            "model", range(1, self._members + 1), self.place + 1, self._required, DEMONSTRATION_KEY, session,
            retry=self._retry, lead_ms=_LEAD_MS,
        )  # fmt: skip
        node.frame._cmac = SharedCmac(DEMONSTRATION_KEY, node.frame.max_length - TAG, self._tags)
        node.trickle.poll = lambda now: True
        node.start(_NOW, _NOW)
        return node

    # What a state says

    def value(self, state: State, name: str) -> Any:
        """An attribute of the node or, as "machine.state", of a part; buffers are bytes."""
        return state.kept[self._at[name]]

    def generation(self, state: State) -> int:
        """Its generation."""
        return self.value(state, "knowledge.generation")

    def bitmaps(self, state: State) -> int:
        """Participation and, 8 bits up, readiness."""
        return int.from_bytes(self.value(state, "knowledge.bitmaps"), "little")

    def ready(self, state: State) -> bool:
        """Whether it truly is ready in this life."""
        return state.vouched[self.place] == state.life

    def words(self, state: State) -> str:
        """What it is in and what it knows."""
        return (
            f"{STATES[self.value(state, 'machine.state')]} in session {state.life}, "
            f"{'ready' if self.ready(state) else 'not ready'}; "
            f"knows generation {self.generation(state)}, {words(self.bitmaps(state))}"
        )

    # Steps

    def boot(self, life: int) -> State:
        """Power up for the life-th time."""
        nothing = (0,) * self._members
        return State(Keeper(self._new(life)).save(), life, 0, nothing, ((0, 0),) * self._members, nothing, nothing)

    def complete(self, state: State) -> State:
        """Its own participation is complete."""
        self._keeper.restore(state.kept)
        self._call(self._node.complete_local, _NOW, _NOW)
        vouched = state.vouched
        if self.value(state, "machine.state") != TIMED_OUT:
            vouched = _replaced(vouched, self.place, state.life)
        return self._after(state, vouched=vouched)

    def expire(self, state: State) -> State:
        """Its deadline passes."""
        self._keeper.restore(state.kept)
        self._node.deadline = _NOW
        self._call(self._node.tick, _NOW, _NOW)
        return self._after(state, expired=state.expired + 1)

    def speak(self, state: State, suppressed: bool = False) -> tuple[State, Said | None]:
        """It may send a frame now; suppressed: it has heard enough frames in this interval that told nothing new. None:
        it stays silent."""
        self._keeper.restore(state.kept)
        node = self._node
        node.trickle.heard = node.trickle.redundancy if suppressed else 0
        length = self._call(node.poll, _NOW, _NOW, self._buffer)
        if not length:
            return self._after(state), None
        self._call(node.left, _NOW)
        after = self._after(state)
        data = bytes(self._buffer[:length])
        kind, _, _, _, _, sequence, generation, _ = HEADER.unpack_from(data)
        bitmaps = data[HEADER.size] | data[HEADER.size + 1] << 8
        ready = kind & 15 == 2
        live = [0] * self._members
        for member, session in echoes(data):
            rightly = state.heard[member - 1][0] or state.told[member - 1]
            if session >= LIVE and session - LIVE == rightly:
                live[member - 1] = rightly
        return after, Said(
            data, self.place, state.life, sequence, generation, ready, bitmaps, state.vouched, tuple(live)
        )

    def hear(self, state: State, said: Said) -> tuple[State, bool]:
        """It hears a frame; the second value: and counts it as one that told nothing new."""
        self._keeper.restore(state.kept)
        node = self._node
        node.trickle.heard = 0
        before = node.counters[:]
        self._call(node.receive, said.data, len(said.data), _NOW, _NOW, _NOW)
        rose = [i for i in range(len(before)) if node.counters[i] > before[i]]
        for i in _FAILED:
            if i in rose:
                raise Violation(REFUSED, f"to node {self.place + 1} it is {COUNTERS[i]}")
        consistent = node.trickle.heard > 0
        told = state.told[said.sender]
        old = bool(said.old & self._bit) and not 0 < told <= said.life
        repeated = said.sender == self.place or (said.life, said.sequence) <= state.heard[said.sender]
        ignored = not _IGNORED.isdisjoint(rose)
        if old or repeated or ignored:
            after = self._after(state)
            if after is not state:
                self._check_unchanged(state, after, ONCE if repeated else OLD_FRAME if old else UNPROVED)
            return after, consistent
        after = self._after(
            state,
            vouched=tuple(map(max, state.vouched, said.vouched)),
            heard=_replaced(state.heard, said.sender, (said.life, said.sequence)),
            met=_replaced(state.met, said.sender, state.met[said.sender] or said.life),
            told=tuple([min(pair) or max(pair) for pair in zip(state.told, said.live, strict=True)]),
        )
        self._check_heard(state, after, said)
        return after, consistent

    def _call(self, method: Any, *arguments: Any) -> Any:
        try:
            return method(*arguments)
        except Exception as error:
            raise Violation(EXCEPTION, f"{error!r} in node {self.place + 1}'s {method.__name__}()") from error

    def _after(self, before: State, **truth: Any) -> State:
        """The node's state now, which comes after that one, checked; the same object when nothing has changed."""
        after = before._replace(kept=self._keeper.save(), **truth)
        if after == before:
            return before
        self._check(before, after)
        return after

    # Properties

    def _check(self, before: State, after: State) -> None:
        """What must hold of any step."""
        me = f"node {self.place + 1}"
        was, now = self.value(before, "machine.state"), self.value(after, "machine.state")
        if was >= BOOTSTRAPPED and now != was:
            raise Violation(CONCLUSION_CHANGES, f"{me} went from {STATES[was]} to {STATES[now]}")
        generation = self.generation(before)
        if self.generation(after) < generation:
            raise Violation(GENERATION_FALLS, f"{me} went from {generation} to {self.generation(after)}")
        lost = self.bitmaps(before) & ~self.bitmaps(after)
        if lost and self.generation(after) == generation:
            raise Violation(BITS_FALL, f"{me} forgot {words(lost)} in generation {generation}")
        if bool(self.bitmaps(after) >> 8 & self._bit) != self.ready(after):
            raise Violation(OWN_READINESS, f"{me} knows: {words(self.bitmaps(after))}")
        for member in range(self._members):
            if self.bitmaps(after) >> 8 >> member & 1 and not self._vouched(after, member):
                raise Violation(REBOOT_COUNTS, f"to {me}, node {member + 1} is ready as before its reboot")
        counted = self.value(after, "machine.collecting")[0]
        if now < BOOTSTRAPPED and counted & ~(self.bitmaps(after) >> 8):
            raise Violation(COUNTING, f"{me} counts {ids(counted)} and knows: {words(self.bitmaps(after))}")
        if now == BOOTSTRAPPED and was != now:
            self._check_conclusion(after, counted)
        known = self.value(after, "first_sample.known")
        remaining = self._node.first_sample.remaining_us(_NOW)
        if known < max(self.value(before, "first_sample.known"), now == BOOTSTRAPPED):
            raise Violation(INSTANT, f"{me} knows none")
        if known and remaining != _LEAD_MS * 1000:
            raise Violation(INSTANT, f"{me}'s is {remaining} us ahead, not {_LEAD_MS * 1000}")
        if self.value(after, "conflict"):
            raise Violation(CONFLICT, f"{me} stands still")
        if self._keeper.sizes() != self._sizes:
            raise Violation(GROWS, f"{me}'s containers were of {self._sizes}, are of {self._keeper.sizes()}")

    def _vouched(self, state: State, member: int) -> bool:
        """Whether that member has become ready, as far as this node may believe: in a session that it had to do with,
        and after the last reboot that it has noticed. A node that has met a member only since its reboot may believe
        another, which has not noticed that: nobody could tell that from readiness that is new.
        """
        life = state.heard[member][0]
        return state.vouched[member] >= (life if life > state.met[member] else 1)

    def _check_conclusion(self, state: State, counted: int) -> None:
        """It has just concluded: it is ready, and rightly counts enough."""
        me = f"node {self.place + 1}"
        if not self.ready(state):
            raise Violation(FALSE_CONCLUSION, f"{me} is not ready")
        rightly = sum(1 << member for member in range(self._members) if self._vouched(state, member))
        rightly &= counted
        if rightly.bit_count() < self._required:
            enough = f"{self._required} required"
            raise Violation(FALSE_CONCLUSION, f"{me} counts {ids(counted)}, rightly only {ids(rightly)}; {enough}")

    def _check_unchanged(self, before: State, after: State, broken: str) -> None:
        """A frame that does not count may make the node speak; one that has counted already not even that."""
        changed = [
            name
            for at, name in enumerate(self._keeper.names)
            if before.kept[at] != after.kept[at] and (self._knows[at] or broken == ONCE)
        ]
        live = [
            live_sessions(array("I", self.value(state, "sessions.heard")), self.value(state, "sessions.live"))
            for state in (before, after)
        ]
        if live[0] != live[1] and not changed:
            changed.append("sessions.heard")
        if changed:
            raise Violation(broken, f"it changed node {self.place + 1}'s {', '.join(changed)}")

    def _check_heard(self, before: State, after: State, said: Said) -> None:
        """A frame has counted."""
        me = f"node {self.place + 1}"
        if self.generation(after) > self.generation(before):
            allowed = self._bit | self._bit << 8
            if self.generation(after) == said.generation:
                allowed |= said.bitmaps
            if self.bitmaps(after) & ~allowed:
                raise Violation(ADOPTION, f"{me} knows: {words(self.bitmaps(after))}")


def _replaced(values: tuple, at: int, value: Any) -> tuple:
    return values[:at] + (value,) + values[at + 1 :]
