"""The medium: a process through which the virtual boards hear each other, and which alone keeps true time.

Boards and whoever steers speak datagrams to its port on loopback. A board's begin with one letter, and those to a
board with their length (see host_tests/shims/device/_chip.py). Control messages begin with "{": JSON with a "do",
answered by JSON.

    {"do": "stats"}                               frames, per-board counts, last frame of each board, weather, time
    {"do": "weather", "loss": 0.3, ...}           change some of Weather's fields
    {"do": "partition", "groups": [[1, 2], [3]]}  boards of different groups do not hear each other; [] heals
    {"do": "record", "on": true}                  keep every message from now on (at most RECORD_MAX)
    {"do": "recorded", "from": 0}                 some recorded messages from that index on, and how many there are
    {"do": "inject", "channel": 1, "frame": "hex"}   send a message, say a recorded one, from a radio that is no board
    {"do": "readings", "node": 3}                 ADC conversions of a board: [true time in us, raw], newest last
    {"do": "quit"}

Messages share the channel: one waits until the channel is free, as carrier sense makes it. Beside the air there is one
serial bus (bus.py), on which the weather's loss is the share of frames that noise changes for a listener.
"""

from __future__ import annotations

import argparse
import contextlib
import heapq
import json
import select
import socket
import sys
from collections import deque
from dataclasses import asdict, dataclass, field

from swarm.rig import air
from swarm.rig.bus import Bus, frame_of
from swarm.rig.launcher import die_with_parent
from swarm.rig.personality import true_us

RECORD_MAX = 200_000
READINGS_KEPT = 256
_REPLY_MESSAGES = 100  # recorded messages in one answer, so that it fits a datagram
RSSI = -40
_MAC_PREFIX = b"\x02\xfa\xc7\x10"
STRANGER = b"\x02\xfa\xc7\x66\x00\x00"  # a radio that is none of the boards


def mac_of(node: int) -> bytes:
    """Address of board `node`'s radio."""
    return _MAC_PREFIX + node.to_bytes(2, "big")


def node_of(mac: bytes) -> int:
    """Board whose radio has this address."""
    return int.from_bytes(mac[4:], "big")


@dataclass
class Board:
    """What the medium knows of one board's radio and UART."""

    address: tuple[str, int] | None = None
    channel: int = 0
    frames: int = 0
    heard: int = 0
    lost: int = 0
    last_frame: bytes = b""
    last_us: int = 0
    readings: deque = field(default_factory=lambda: deque(maxlen=READINGS_KEPT))


class Medium:
    """The air and the bus as an object: give it datagrams and the time, and it says which datagrams to send when."""

    def __init__(self, seed: int, weather: air.Weather) -> None:
        self.seed = seed
        self.weather = weather
        self.bus = Bus(seed, weather.loss)
        self.boards: dict[bytes, Board] = {}
        self.groups: dict[int, int] = {}
        self.frames = 0
        self.busy_until: dict[int, int] = {}
        self.recording = False
        self.recorded: list[dict] = []
        self.quit = False
        self._due: list[tuple[int, int, tuple[str, int], bytes]] = []
        self._order = 0

    def next_due_us(self) -> float | None:
        """When the next datagram is to leave, or None."""
        due = (self._due[0][0] if self._due else None, self.bus.next_due_us())
        return min((when_us for when_us in due if when_us is not None), default=None)

    def take_due(self, now_us: int) -> list[tuple[tuple[str, int], bytes]]:
        """The datagrams that are to leave by now, as (address, bytes)."""
        for mac, data in self.bus.take_due(now_us):
            receiver = self.boards[mac]
            receiver.heard += data.count(0)  # as many frames have ended
            if receiver.address is not None:
                self._at(now_us, receiver.address, b"B" + data)
        out = []
        while self._due and self._due[0][0] <= now_us:
            _, _, address, datagram = heapq.heappop(self._due)
            out.append((address, datagram))
        return out

    def _at(self, when_us: int, address: tuple[str, int], datagram: bytes) -> None:
        self._order += 1
        heapq.heappush(self._due, (when_us, self._order, address, len(datagram).to_bytes(2, "little") + datagram))

    def receive(self, datagram: bytes, address: tuple[str, int], now_us: int) -> bytes | None:
        """Take one datagram; an answer for its sender, or None."""
        if datagram[:1] == b"{":
            return self._answer(datagram, now_us)
        kind, mac = datagram[:1], datagram[1:7]
        if len(mac) != 6 or mac[:4] != _MAC_PREFIX:
            return None
        board = self.boards.setdefault(mac, Board())
        if kind == b"T" and len(datagram) == 8:
            board.address, board.channel = address, datagram[7]
        elif kind == b"A" and len(datagram) == 17:
            raw, when_us = int.from_bytes(datagram[7:9], "little"), int.from_bytes(datagram[9:], "little")
            board.readings.append((when_us, raw))
        elif kind == b"X" and len(datagram) >= 14:
            board.address, board.channel = address, datagram[13]
            self.transmit(mac, datagram[7:13], datagram[13], datagram[14:], now_us)
        elif kind == b"U" and len(datagram) == 12:
            board.address = address
            self.bus.attach(mac, int.from_bytes(datagram[7:11], "little"), bool(datagram[11]))
        elif kind == b"B" and mac in self.bus.stations:
            self._write(mac, datagram[7:], now_us)
        return None

    def _write(self, source: bytes, data: bytes, now_us: int) -> None:
        """Put bytes from `source`, a frame or a part of one, on the bus."""
        self.bus.write(source, data, now_us)
        if data.endswith(b"\0"):
            board = self.boards[source]
            board.frames += 1
            board.last_frame, board.last_us = frame_of(data), now_us
            self.frames += 1

    def transmit(self, source: bytes, target: bytes, channel: int, message: bytes, now_us: int) -> None:
        """Put a message from `source` on the air."""
        board = self.boards.setdefault(source, Board())
        number = board.frames
        board.frames += 1
        board.last_frame, board.last_us = message, now_us
        self.frames += 1
        if self.recording and len(self.recorded) < RECORD_MAX:
            entry = {"t_us": now_us, "source": node_of(source), "channel": channel, "frame": message.hex()}
            self.recorded.append(entry)
        start_us = max(now_us, self.busy_until.get(channel, 0))
        end_us = start_us + air.airtime_us(len(message))
        self.busy_until[channel] = end_us
        answered = target == air.BROADCAST
        for mac, receiver in self.boards.items():
            if mac == source or receiver.channel != channel or receiver.address is None:
                continue
            if target not in (air.BROADCAST, mac) or not self._connected(source, mac):
                continue
            copies = air.arrivals(self.seed, self.weather, source, mac, number, message)
            receiver.lost += not copies
            receiver.heard += len(copies)
            answered = answered or bool(copies)
            for copy in copies:
                datagram = b"R" + source + bytes((RSSI & 0xFF,)) + copy.message
                self._at(end_us + copy.after_us, receiver.address, datagram)
        if board.address is not None:
            self._at(end_us, board.address, b"D" + bytes((answered,)))

    def _connected(self, one: bytes, other: bytes) -> bool:
        if not self.groups:
            return True
        return self.groups.get(node_of(one), -1) == self.groups.get(node_of(other), -1)

    def _answer(self, datagram: bytes, now_us: int) -> bytes:
        question = None
        try:
            request = json.loads(datagram)
            question = request.pop("question", None)
            reply = self._do(request, now_us)
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            reply = {"error": f"{type(error).__name__}: {error}"}
        if question is not None:
            reply["question"] = question
        return json.dumps(reply).encode()

    def _do(self, request: dict, now_us: int) -> dict:
        verb = request.get("do")
        if verb == "stats":
            return {
                "now_us": now_us,
                "frames": self.frames,
                "weather": asdict(self.weather),
                "boards": {
                    str(node_of(mac)): {
                        "channel": board.channel,
                        "frames": board.frames,
                        "heard": board.heard,
                        "lost": board.lost,
                        "readings": len(board.readings),
                        "last_us": board.last_us,
                        "last_frame": board.last_frame.hex(),
                    }
                    for mac, board in sorted(self.boards.items())
                    if mac != STRANGER
                },
            }
        if verb == "weather":
            changes = {name: value for name, value in request.items() if name != "do"}
            self.weather = air.Weather(**{**asdict(self.weather), **changes})
            self.bus.noise = self.weather.loss
            return {"weather": asdict(self.weather)}
        if verb == "partition":
            self.groups = {node: index for index, group in enumerate(request["groups"]) for node in group}
            return {"groups": request["groups"]}
        if verb == "record":
            self.recording = bool(request["on"])
            return {"recording": self.recording, "count": len(self.recorded)}
        if verb == "recorded":
            first = int(request.get("from", 0))
            return {"count": len(self.recorded), "messages": self.recorded[first : first + _REPLY_MESSAGES]}
        if verb == "inject":
            self.transmit(STRANGER, air.BROADCAST, int(request["channel"]), bytes.fromhex(request["frame"]), now_us)
            return {"frames": self.frames}
        if verb == "readings":
            board = self.boards.get(mac_of(int(request["node"])), Board())
            return {"readings": list(board.readings)}
        if verb == "quit":
            self.quit = True
            return {"quit": True}
        raise ValueError(f"do {verb!r} is unknown; see the head of medium.py")


def serve(medium: Medium, link: socket.socket) -> None:
    """Run the medium on a bound socket until it is told to quit."""
    link.setblocking(False)
    while not medium.quit:
        due_us = medium.next_due_us()
        wait_s = 1.0 if due_us is None else max(0.0, (due_us - true_us()) / 1e6)
        # select's time-out has microseconds, epoll's and poll's only milliseconds.
        select.select([link], [], [], wait_s)
        while True:
            try:
                datagram, address = link.recvfrom(65536)
            except (BlockingIOError, ConnectionError):
                break
            reply = medium.receive(datagram, address, true_us())
            if reply is not None:
                _send(link, address, reply)
        for address, datagram in medium.take_due(true_us()):
            _send(link, address, datagram)


def _send(link: socket.socket, address: tuple[str, int], datagram: bytes) -> None:
    # A board that has lost power, or whose socket is full: the air does not care.
    with contextlib.suppress(BlockingIOError, ConnectionError):
        link.sendto(datagram, address)


def main(arguments: list[str] | None = None) -> int:
    """Run a medium; prints its port on standard output."""
    parser = argparse.ArgumentParser(prog="python -m swarm.rig.medium", description="the air between virtual boards")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--weather", default="{}", help="JSON with some of loss, duplicate, reorder, corrupt, delay_ms")
    options = parser.parse_args(arguments)
    die_with_parent()
    link = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    link.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
    link.bind(("127.0.0.1", 0))
    print(link.getsockname()[1], flush=True)
    serve(Medium(options.seed, air.Weather(**json.loads(options.weather))), link)
    return 0


if __name__ == "__main__":
    sys.exit(main())
