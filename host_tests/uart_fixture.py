"""Boards with a UART on one bus, in simulated time: the device's link over the shim of machine.UART over the bus."""

import contextlib
import importlib.util
import os
import random
import sys
import types

from shims.cpython import ticks
from swarm.paths import LIB, SHIMS
from swarm.rig.bus import Bus

DEVICE = SHIMS / "device"
PERIOD_US = 4_000  # of the runner's timer
BAUD = 115_200


@contextlib.contextmanager
def _instead(modules, environment):
    """Some modules and environment variables in place of what is there."""
    there = {name: sys.modules.get(name) for name in modules}
    variables = dict(os.environ)
    sys.modules.update(modules)
    os.environ.update(environment)
    try:
        yield
    finally:
        for name, module in there.items():
            if module is None:
                del sys.modules[name]
            else:
                sys.modules[name] = module
        os.environ.clear()
        os.environ.update(variables)


def _module(name, path=None, **contents):
    if path is None:
        module = types.ModuleType(name)
        vars(module).update(contents)
        return module
    spec = importlib.util.spec_from_file_location(name, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


class Pin:
    """A pin that tells the line each change of its level."""

    OUT = 3

    def __init__(self, line, number, mode, value):
        self._line, self._number = line, number
        self.value(value)

    def value(self, level):
        self._line.levels.append((self._line.true_us, self._number, level))


class Board:
    """One board: `uart_module` has its UART class; open_link() makes its link. Sends what is in `outbox` when it can;
    what it has received is in `inbox`, as (true time, frame, sent_us of the link in true time)."""

    def __init__(self, line, node, chip, single_wire):
        self.line, self.node = line, node
        self.offset_us = line.random.randrange(ticks.PERIOD)
        self.next_us = line.true_us + line.random.randrange(PERIOD_US)
        self.link = None
        self.inbox, self.outbox = [], []
        self.sent_us = []
        utime = _module("utime", ticks_us=lambda: line.true_us, sleep_us=line.sleep)
        environment = {"SWARM_NODE": str(node), "SWARM_UART_CHIP": chip, "SWARM_SINGLE_WIRE": str(int(single_wire))}
        with _instead({"utime": utime}, environment):
            self.chip = _module("_chip", DEVICE / "_chip.py")
            with _instead({"_chip": self.chip}, {}):
                self.uart_module = _module("_uart", DEVICE / "_uart.py")
        self.chip.air.transmit = lambda datagram: line.take(self, datagram)
        self.chip.air.poll = line.deliver

    def ticks_us(self):
        self.line.true_us += 1  # a call takes time, so that a loop that waits for a tick ends
        return (self.line.true_us + self.offset_us) % ticks.PERIOD

    def ticks_ms(self):
        return (self.line.true_us + self.offset_us) // 1000 % ticks.PERIOD

    def open_link(self, members=5, baud=BAUD, **uart):
        """Give the board its link; members: how many the swarm has."""
        pin = lambda *arguments, **named: Pin(self.line, *arguments, **named)  # noqa: E731
        pin.OUT = Pin.OUT
        with _instead({"machine": _module("machine", UART=self.uart_module.UART, Pin=pin)}, {}):
            module = _module("uart_link", LIB / "faction" / "links" / "uart.py")
        module.ticks_us, module.ticks_ms = self.ticks_us, self.ticks_ms
        config = {"baud": baud, "members": list(range(1, members + 1)), "node": self.node}
        data = {"id": 1, "tx": 4, "rx": 5, "de": None, "single_wire": False, **uart}
        self.link = module.UartLink(config, types.SimpleNamespace(UART=data))
        self.buffer = self.link.receive_buffer()
        return self.link

    def tick(self):
        """What the runner does at each tick of its timer."""
        self.receive()
        if self.link.free() and self.outbox:
            before, now_us = self.line.bus.stations[self.node].sent, self.line.true_us
            frame = bytearray(self.outbox.pop(0))
            self.link.send(frame, len(frame))
            if self.line.bus.stations[self.node].sent > before:
                self.sent_us.append(now_us)

    def receive(self):
        while True:
            length = self.link.receive(self.buffer)
            if not length:
                return
            sent_us = self.line.true_us - ticks.ticks_diff(self.ticks_us(), self.link.sent_us)
            self.inbox.append((self.line.true_us, bytes(self.buffer[:length]), sent_us))

    @property
    def frames(self):
        """The frames that came in, in order."""
        return [frame for _, frame, _ in self.inbox]


class Line:
    """The bus and its boards; time passes by run()."""

    def __init__(self, seed, noise=0.0):
        self.seed = seed
        self.random = random.Random(f"line/{seed}")
        self.bus = Bus(seed, noise)
        self.true_us = 0
        self.boards = []
        self.levels = []  # (true time, pin, level)

    def board(self, node, chip="esp32", single_wire=False):
        """Another board, its UART not made yet."""
        board = Board(self, node, chip, single_wire)
        self.boards.append(board)
        return board

    def linked(self, nodes, chip="esp32", single_wire=False, members=5, baud=BAUD, **uart):
        """Boards with links, for those nodes."""
        boards = [self.board(node, chip, single_wire) for node in nodes]
        for board in boards:
            board.open_link(members, baud, single_wire=single_wire, **uart)
        return boards

    def take(self, board, datagram):
        """What the medium does with a datagram of a board."""
        kind = chr(datagram[0])
        if kind == "U":
            self.bus.attach(board.node, int.from_bytes(datagram[7:11], "little"), bool(datagram[11]))
        elif kind == "B":
            self.bus.write(board.node, datagram[7:], self.true_us)

    def deliver(self):
        for node, data in self.bus.take_due(self.true_us):
            for board in self.boards:
                if board.node == node:
                    for listener in board.chip.air.listeners:
                        listener(b"B" + data, 0, len(data) + 1)

    def sleep(self, us):
        self.true_us += max(1, us)

    def noise(self, data, baud=BAUD):
        """Bytes from something that is no board."""
        self.bus.attach("noise", baud)
        self.bus.write("noise", data, self.true_us)

    def run(self, ms, tick=Board.tick):
        """Let time pass, with tick(board) at each tick of each board's timer."""
        end_us = self.true_us + ms * 1000
        while True:
            board = min(self.boards, key=lambda board: board.next_us)
            if board.next_us > end_us:
                break
            # A call that took time makes the ticks behind it late, and those that were missed are not made up for.
            self.true_us = max(self.true_us, board.next_us)
            board.next_us += (self.true_us - board.next_us) // PERIOD_US * PERIOD_US + PERIOD_US
            tick(board)
        self.true_us = max(self.true_us, end_us)
