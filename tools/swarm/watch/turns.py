"""Whose turn it is to be asked by the live view: boards each at its port, or all of a swarm through one of them."""

from __future__ import annotations

import contextlib
import time
from concurrent.futures import Future, ThreadPoolExecutor, wait
from queue import Empty, SimpleQueue

from mpremote.transport_serial import SerialTransport

from swarm.serial import targets, via
from swarm.serial.port import GONE
from swarm.serial.targets import Target
from swarm.watch import instants

_SHARE = 10  # a board that answers slowly is asked less often, so that it spends at most a tenth of its time on that
_TURN_S = 1.0  # so long the others are asked one after the other, before the port is free for as long
_AGAIN_S = 0.1  # an interrupt that meets a callback of the node's ends nothing


class Turns:
    """Boards that are asked at their ports, all at the same time, each about every so many seconds."""

    def __init__(self, chosen: list[Target], every_s: float) -> None:
        self._every_s = every_s
        self._due_s = dict.fromkeys(chosen, 0.0)
        self._asking: dict[Future, Target] = {}
        self._pool = ThreadPoolExecutor(min(len(chosen), targets.AT_ONCE))

    def begin(self, now_s: float) -> None:
        """Have every board asked whose turn it is."""
        for target, due_s in self._due_s.items():
            if due_s <= now_s:
                self._due_s[target] = float("inf")
                self._asking[self._pool.submit(_ask_timed, target)] = target

    def ended(self, now_s: float) -> list[tuple[Target, dict | None]]:
        """The answers that have come since."""
        came: list[tuple[Target, dict | None]] = []
        for job in [job for job in self._asking if job.done()]:
            target = self._asking.pop(job)
            answer, took_s = job.result()
            came.append((target, answer))
            rest_s = 0.0 if "error" in answer else took_s * _SHARE
            self._due_s[target] = now_s + max(self._every_s, rest_s)
        return came

    def end(self) -> None:
        """Ask no more; whoever is asked has its prompt left in order."""
        self._pool.shutdown(cancel_futures=True)


class TurnsVia:
    """As Turns, of a whole swarm through the board at a port: each turn asks that board itself, so that it is known at
    once who is lost or back, and then some of the others, those first that were not for longest."""

    def __init__(self, port: str, every_s: float) -> None:
        self._own = Target(port, port)
        self._every_s = every_s
        self._due_s = 0.0
        self._job: Future | None = None
        self._pool = ThreadPoolExecutor(1)
        self._came: SimpleQueue[tuple[Target, dict | None]] = SimpleQueue()
        self._asked_s: dict[Target, float] = {}
        self._transport: SerialTransport | None = None  # while another is asked through it
        self._ends = False

    def begin(self, now_s: float) -> None:
        """Begin a turn, when it is time for one."""
        if self._job is None and self._due_s <= now_s:
            self._job = self._pool.submit(self._turn)

    def ended(self, now_s: float) -> list[tuple[Target, dict | None]]:
        """The answers that have come since; None of a member that is to be asked."""
        came = []
        if self._job and self._job.done():
            took_s = self._job.result()
            self._job = None
            self._due_s = now_s + max(self._every_s - took_s, took_s)
        with contextlib.suppress(Empty):
            while True:
                came.append(self._came.get_nowait())
        return came

    def end(self) -> None:
        """Ask no more, and interrupt what is being asked."""
        self._ends = True
        while self._job and wait([self._job], _AGAIN_S).not_done:
            if transport := self._transport:
                with contextlib.suppress(*GONE):
                    via.interrupt(transport)
        self._pool.shutdown()

    def _turn(self) -> float:
        begun_s = time.monotonic()
        answer = targets.ask(self._own, self._look, self._look)
        if "error" in answer:
            self._came.put((self._own, answer))
        return time.monotonic() - begun_s

    def _look(self, transport: SerialTransport, port: str, status: dict) -> dict:
        others = via.others_of(port, status)
        own = {**status, **instants.read(transport, port, status), "seen": time.time()}
        self._came.put((self._own, own))
        for target in others:
            self._came.put((target, via.lost(status, target.node)))
        there = [target for target in others if not via.lost(status, target.node)]
        end_s = time.monotonic() + _TURN_S
        for target in sorted(there, key=lambda target: self._asked_s.get(target, 0.0)):
            if self._ends or time.monotonic() > end_s:
                break
            self._asked_s[target] = time.monotonic()
            self._transport = transport
            answer = via.ask(transport, port, status, target.node)
            self._transport = None
            if not self._ends:
                self._came.put((target, answer))
        return {}


def _ask_timed(target: Target) -> tuple[dict, float]:
    """A board's answer, and the seconds that took."""
    start_s = time.monotonic()
    return targets.ask(target, instants.read, instants.read_by_line), time.monotonic() - start_s
