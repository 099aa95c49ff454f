"""The swarm of a run: a plan made into boards with real nodes, on media in their weather."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from swarm.device import config as device_config
from swarm.device.library import DEMONSTRATION_KEY, Node, RemoteNode, SharedCmac, limit_echoes
from swarm.sim import baselines
from swarm.sim.boards.board import Board
from swarm.sim.boards.honest import HonestBoard
from swarm.sim.boards.ideal import IdealBoard
from swarm.sim.boards.profiles import PROFILES
from swarm.sim.kernel import Clock, Kernel
from swarm.sim.media import AccessPoint, Bus, Medium, Radio
from swarm.sim.plan import Options, draw
from swarm.sim.weather import Weather

NAME = "demo"
FIRST_SESSION = 1000  # of a member's first boot; an earlier run's are below
_TAG = 8
_BRIDGE = 255  # Trickle's redundancy of a node with several links: one side's word must not silence it on the other


class Swarm:
    """The swarm of one seed, before anything happens to it: no media until lay_media(), no boards until add().

    ours: whether its nodes speak our protocol; boards: the members, in the order of their places, and whoever has taken
    a member's id; imin_ms: Trickle's shortest interval.
    """

    radio: Medium
    bus: Bus
    weather: Weather

    def __init__(self, options: Options, seed: int, node_class: type | None = None) -> None:
        self.options = options
        self.kernel = Kernel(seed)
        self.plan = draw(options, seed)
        self.imin_ms = self._imin_ms()
        self.boards: list[Board] = []
        self.media: list[Medium] = []
        # The baselines have neither our frames nor our promises: only their conclusions are looked at.
        self.ours = options.protocol == "faction"
        limit_echoes(options.echoes)
        ours = RemoteNode if options.round_ms else Node
        self._node_class = node_class or baselines.CLASSES.get(options.protocol, ours)
        self._tags: dict[bytes, bytes] = {}
        self._sessions: dict[int, int] = {}

    def _imin_ms(self) -> int:
        """Trickle's shortest interval: at least four times what a frame with a few echoes takes on the slowest link."""
        imin_ms = self.options.imin_ms or device_config.imin_ms(
            "udp" if self.plan.topology == "wifi" else "espnow", 0, 0
        )
        if any(self.plan.bus):
            length = 24 + 2 * ((len(self.plan.ids) + 7) // 8) + 2 * 6 + _TAG
            imin_ms = max(imin_ms, -(-4 * Bus.airtime_us(length) // 1000))
        return imin_ms

    def lay_media(self) -> None:
        """Make the media that reach the plan's places, all of which must be known by now."""
        kernel, plan = self.kernel, self.plan
        self.weather = Weather(kernel, plan)
        air = AccessPoint if plan.topology == "wifi" else Radio
        profile = PROFILES.get(self.options.board)
        late = profile.late_reports if profile else 0
        self.radio = air(kernel, plan.radio, self.weather, round(self.options.hidden_wait_ms * 1000), late)
        self.bus = Bus(kernel, plan.bus, self.weather)
        self.media = [medium for medium in (self.radio, self.bus) if any(medium.in_range)]

    def add(self, number: int, place: int, clock: Clock, make: Callable, watch: Any, frame_us: int = 0) -> Board:
        """A board on whatever media reach that place."""
        options = self.options
        what = self.kernel, number, place, clock, make, watch, options.stamp_us, frame_us
        profile = PROFILES.get(options.board)
        board: Board = HonestBoard(*what, profile, len(self.plan.ids), self.ours) if profile else IdealBoard(*what)
        for medium in self.media:
            if medium.in_range[place]:
                board.links.append(medium)
                medium.attach(board)
        return board

    def make_member(self, board: Board) -> Any:
        """A member's node at a boot, in its next session."""
        node = self.make_node(board.number, self._next_session(board.number))
        if len(board.links) > 1 and self.ours:
            node.trickle.redundancy = _BRIDGE  # as the boards' runner does
        return node

    def _next_session(self, number: int) -> int:
        session = self._sessions[number] = self._sessions.get(number, FIRST_SESSION - 1) + 1
        return session

    def make_node(self, number: int, session: int, name: str = NAME) -> Any:
        """A node of the run's class as the options want it."""
        options = self.options
        remote: dict[str, Any] = {"round_ms": options.round_ms} if options.round_ms else {}
        if options.gateway:
            remote["gather"] = number == self.plan.ids[0] and not self.plan.gathers_from_us
        node = self._node_class(
            name,
            self.plan.ids,
            number,
            self.plan.required,
            DEMONSTRATION_KEY,
            session,
            deadline_ms=self.plan.deadline_ms,
            lead_ms=options.lead_ms,
            imin_ms=self.imin_ms,
            period_ms=options.period_ms,
            **remote,
        )
        if self.ours:
            node.frame._cmac = SharedCmac(DEMONSTRATION_KEY, node.frame.max_length - _TAG, self._tags)
            if options.imax_ms:
                node.trickle.imax_ms = options.imax_ms
            if options.redundancy:
                node.trickle.redundancy = options.redundancy
        return node
