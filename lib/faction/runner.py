"""Runs a node on a board from a periodic timer: main.py returns, and the REPL is free while the node lives on."""

import json
import sys
from time import ticks_ms, ticks_us

import machine
from micropython import const

import faction
from faction.config import load, load_key
from faction.core import BOOTSTRAPPED
from faction.frame import DEMONSTRATION_KEY
from faction.names import members
from faction.node import TIMEOUTS, Node
from faction.store import FileStore, NvsStore, next_session

PERIOD_MS = const(4)
_FRAMES = const(32)  # handled in one call, so that a flood does not hold up the rest
_SPIN_US = const(12_000)  # this close to the first sample's instant, wait for it
_ERRORS = const(4)  # last errors kept


class Runner:
    """Drives one node: its links, its application's sensor, and what it says on the serial line.

    config: of config.check(); links: dict of link objects by name; sensor: has warm_up(), which returns True once the
    sensor is ready, and sample(), which returns a value for JSON. Links, timer and application are served in callbacks
    of the scheduler, one after the other.
    """

    def __init__(self, config, key, session, links, sensor):
        self.config = config
        self.open = key == DEMONSTRATION_KEY
        self.node = Node(
            config["swarm"],
            config["members"],
            config["node"],
            config["required"],
            key,
            session,
            deadline_ms=config["deadline_ms"],
            retry=config["on_timeout"] == "retry",
            lead_ms=config["lead_ms"],
            linger_ms=config["linger_ms"],
            imin_ms=max(link.imin_ms for link in links.values()),
        )
        self.links = links
        self._links = list(links.values())
        self._rx = [link.receive_buffer() for link in self._links]
        self.sensor = sensor
        self.sample = None
        self.errors = []
        self._tx = bytearray(self.node.frame.max_length)
        self._warm = False
        self._told_ready = self._told_conflict = False
        self._told_state = self._told_timeouts = 0
        self._timer = None

    def start(self, timer_id):
        """Start the node, and call it from the timer with that id and from the link."""
        self.node.start(ticks_ms(), ticks_us())
        self._say(
            "swarm %s %s started session %d"
            % (self.config["swarm"], "open" if self.open else "locked", self.node.session)
        )
        tick = self._tick
        for link in self._links:
            link.on_receive(tick)
        self._timer = machine.Timer(timer_id)
        self._timer.init(mode=machine.Timer.PERIODIC, period=PERIOD_MS, callback=tick)

    def stop(self):
        """Stop the node for good: its timer and its links."""
        if self._timer:
            self._timer.deinit()
            self._timer = None
        for link in self._links:
            link.close()

    def _tick(self, _):
        for i in range(len(self._links)):
            self._receive(self._links[i], self._rx[i])
        self._wait_for_instant()
        self.node.tick(ticks_ms(), ticks_us())
        if self.node.sample_due:
            self._take_sample()
        if self._free():
            length = self.node.poll(ticks_ms(), ticks_us(), self._tx)
            if length:
                for link in self._links:
                    link.send(self._tx, length)
        if not self.node.ready():
            self._warm_up()
        self._tell()

    def _receive(self, link, buffer):
        for _ in range(_FRAMES):
            length = link.receive(buffer)
            if not length:
                return
            self.node.receive(buffer, length, ticks_ms(), ticks_us(), link.sent_us)

    def _free(self):
        for link in self._links:  # noqa: SIM110 - all() would need a generator, which takes memory
            if not link.free():
                return False
        return True

    def _wait_for_instant(self):
        """Let the first sample start on its microsecond and not on the next tick."""
        first = self.node.first_sample
        if first.passed or not first.known or self.node.machine.state != BOOTSTRAPPED:
            return
        if first.remaining_us(ticks_us()) < _SPIN_US:
            while first.remaining_us(ticks_us()) > 0:
                pass

    def _warm_up(self):
        if not self._warm:
            try:
                self._warm = bool(self.sensor.warm_up())
            except Exception as error:
                self._note("warm_up()", error)
        if self._warm:
            self.node.complete_local(ticks_ms(), ticks_us())

    def _take_sample(self):
        late_us = self.node.take_sample(ticks_us())
        value = None
        try:
            value = self.sensor.sample()
        except Exception as error:
            self._note("sample()", error)
        self.sample = {
            "node": self.config["node"],
            "late_us": late_us,
            "value": value,
            "late": self.node.sampled_late,
        }
        print(json.dumps(self.sample))

    def _tell(self):
        """Say on the serial line what has changed since the last call; takes memory only then."""
        node = self.node
        if node.ready() and not self._told_ready:
            self._told_ready = True
            self._say("ready")
        if node.counters[TIMEOUTS] != self._told_timeouts:
            self._told_timeouts = node.counters[TIMEOUTS]
            self._say("TimedOut, missing " + self._missing())
        if node.machine.state == BOOTSTRAPPED and self._told_state != BOOTSTRAPPED:
            self._told_state = BOOTSTRAPPED
            self._say("Bootstrapped")
        if node.conflict and not self._told_conflict:
            self._told_conflict = True
            self._say("stopped: a second board carries this id: give one of them another, then restart both")

    def _missing(self):
        ready = members(self.node.machine.ids, self.node.bitmaps[self.node.frame.width :])
        return " ".join(str(i) for i in self.node.machine.ids if i not in ready)

    def _note(self, where, error):
        """Keep an error for the status, and say it once."""
        text = "%s: %s: %s" % (where, type(error).__name__, error)
        if text not in self.errors:
            self._say("error: " + text)
            self.errors.append(text)
            if len(self.errors) > _ERRORS:
                del self.errors[0]

    def _say(self, text):
        print("faction:", ticks_ms(), "node", self.config["node"], text)


def open_link(name, config, board):
    """Open the link of that name. Raises OSError or ValueError when the board does not have it."""
    if name == "espnow":
        from faction.links.espnow import EspNowLink

        return EspNowLink(config, board)
    from faction.links.uart import UartLink

    return UartLink(config, board)


def start():
    """Start this board's node as faction.json, faction.key and board.py say; returns the runner.

    When that is not possible it says why on the serial line and returns None, and the REPL stays reachable.
    """
    try:
        import board
        import sensor

        config = load()
        key = load_key()
        store = NvsStore() if sys.platform == "esp32" else FileStore()
        session = next_session(store)
        links = {name: open_link(name, config, board) for name in config["links"] or board.LINKS}
        runner = Runner(config, key, session, links, sensor)
        runner.start(board.TIMER)
    except Exception as error:
        faction.failure = "%s: %s" % (type(error).__name__, error)
        print("faction: error:", faction.failure)
        return None
    faction.runner_in_use = runner
    return runner
