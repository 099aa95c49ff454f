"""All samples of a swarm through one board, as they come: what each member has kept, then the records that the board
prints, and of what did not come that way what the flash of its member has.
"""

from __future__ import annotations

import queue
import threading
import time
from contextlib import suppress
from dataclasses import replace

from mpremote.transport import TransportError
from mpremote.transport_serial import SerialTransport

from swarm.following.gaps import Gaps
from swarm.serial import targets, via
from swarm.serial.port import GONE, BoardError
from swarm.serial.prompt import enter
from swarm.serial.tap import tapped
from swarm.serial.targets import Target
from swarm.watch import instants, samples
from swarm.watch.fetch import Fetch

_LOOK_S = 20.0  # after that the board is asked again how it is, and told to gather on
_AGAIN_S = 1.0  # after a board that does not answer is tried again
_WAIT_S = 0.2  # for what comes

Told = tuple[Target, dict]  # as targets.ask_all(); of a member that was asked with "place", for via.Places


class Air(threading.Thread):
    """Listens to the board at a port until stop(); a port that goes away is tried until it is back.

    places: up to where each member's flash was read; they stay as they are.
    """

    def __init__(self, port: str, places: via.Places) -> None:
        super().__init__(daemon=True)
        self._own = Target(port, port)
        self._places = dict(places)
        self._told: queue.SimpleQueue[Told] = queue.SimpleQueue()
        self._ends = threading.Event()
        self._transport: SerialTransport | None = None
        self._gaps = Gaps()
        self._status: dict = {}
        self._fetch = Fetch()
        self._look_s = 0.0

    def take(self, wait_s: float = 0.0) -> list[Told]:
        """What has come; waits so long for the first of it."""
        found = []
        with suppress(queue.Empty):
            found.append(self._told.get(timeout=wait_s) if wait_s else self._told.get_nowait())
            while True:
                found.append(self._told.get_nowait())
        return found

    def stop(self) -> None:
        """Leave the board in peace, in the middle of a question too; take() then has what is left."""
        self._ends.set()
        with suppress(*GONE, AttributeError):
            via.interrupt(self._transport)  # type: ignore[arg-type]
        self.join()

    def run(self) -> None:
        """See threading.Thread."""
        while not self._ends.is_set():
            try:
                answer = targets.ask(self._own, self._listen, self._listen)
            except Exception as error:  # so that the one that waits is told
                answer = {"error": f"{self._own.port}: {error!r}", "kind": "failed"}
            if "error" in answer and not self._ends.is_set():
                self._told.put((self._own, answer))
                self._ends.wait(_AGAIN_S)

    def _listen(self, transport: SerialTransport, port: str, status: dict) -> dict:
        self._own = replace(self._own, label=str(status["node"]))
        self._transport = transport
        try:
            with tapped(transport, self._line):
                self._look_s = 0.0
                while not self._ends.is_set():
                    if time.monotonic() >= self._look_s:
                        self._look(transport, port, via.status_of(transport, port))
                        self._look_s = time.monotonic() + _LOOK_S
                    elif (member := self._gaps.next(time.monotonic())) is not None:
                        self._ask(transport, port, member)
                    else:
                        self._wait(transport, port)
        finally:
            self._transport = None
        return {}

    def _wait(self, transport: SerialTransport, port: str) -> None:
        """Read what comes until there is something to ask."""
        transport.serial.timeout = _WAIT_S
        end_s = self._look_s
        while not self._ends.is_set() and time.monotonic() < end_s and self._gaps.next(time.monotonic()) is None:
            transport.serial.read(1)
            transport.serial.read(transport.serial.in_waiting)
        if not transport.in_raw_repl:
            return
        try:
            enter(transport)  # the sign that code is taken was read with the rest
        except TransportError as error:
            raise BoardError(f"{port}: the board stopped answering ({error})", "silent") from error

    def _look(self, transport: SerialTransport, port: str, status: dict) -> None:
        """Have the board gather on, and tell how it is and when its beats are."""
        self._status = status
        via.gather(transport, port, status)
        clock_s = time.time() - time.monotonic()
        self._told.put(
            (self._own, {**status, "lines": [], "clock_s": clock_s} | instants.read(transport, port, status))
        )
        others = [target.node for target in via.others_of(port, status) if target.node is not None]
        lost = {node: answer for node in others if (answer := via.lost(status, node))}
        for node, answer in lost.items():
            self._told.put((_member(node), answer))
        self._gaps.tell(time.monotonic(), [status["node"], *others], set(lost), status.get("series"))

    def _ask(self, transport: SerialTransport, port: str, member: int) -> None:
        """Ask a member for what it has kept since it was asked last."""
        begun_s = time.monotonic()
        if member == self._status["node"]:
            answer = {**self._status, **self._fetch.prompt(transport, port, self._status)}
            found, _ = samples.parse(answer)
            if found:
                self._fetch = Fetch(samples.newest(found))
            self._told.put((self._own, answer))
        else:
            answer = via.ask(transport, port, self._status, member, self._places)
            if self._ends.is_set():  # then it may be that alone
                return
            if "error" not in answer:
                answer["place"] = self._places[member]
            elif answer["kind"] == "failed":
                via.status_of(transport, port)  # else it is the board at the port
            self._told.put((_member(member), answer))
        self._gaps.asked(member, begun_s, time.monotonic(), "error" not in answer)

    def _line(self, line: str) -> None:
        """Take a line that the board has printed."""
        if "started session" in line and "faction: " in line:  # and its prompt is no raw REPL any more
            raise BoardError(f"{self._own.port}: the board has restarted", "silent")
        if '"series"' not in line:
            return
        answer = {"session": None, "sample": None, "lines": [line.rstrip("\r")]}
        found, _ = samples.parse(answer)
        for one in found:
            self._gaps.came(one.node, one.series, one.n)
        nodes = [one.node for one in found] or [one.node for one in samples.moves(answer)]
        if nodes:
            node = nodes[0]
            target = self._own if node == self._status.get("node") else _member(node)
            self._told.put((target, {"node": node, **answer}))


def _member(node: int) -> Target:
    return Target(str(node), None, node)
