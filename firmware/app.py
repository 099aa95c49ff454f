"""The application around a board's node: sensor, serial line, LED, samples, watchdog.

It says each change on the serial line, and each sample there as one line of JSON. When the node cannot start, or the
application fails, it says why, on the serial line and by the LED, and the REPL stays reachable.
"""

import json
import os
import sys
from time import ticks_diff, ticks_ms

import board
import machine
from config import load, load_key, make_node
from micropython import const
from store import next_session, open_store

import faction
from faction.core import BOOTSTRAPPED
from faction.frame import DEMONSTRATION_KEY
from faction.node import TIMEOUTS
from faction.runner import Runner
from faction.trace import Trace

SKIP_FILE = "faction.skip"  # while this file is there, the node is not started
SAMPLES_FILE = "samples.jsonl"
_SAMPLES_BYTES = const(4096)  # of samples on flash; the file before that is kept as well
_ERRORS = const(4)  # last errors kept for the status
_BREAK_IN_MS = const(10_000)  # no watchdog before that: time to stop a board that resets itself

# The LED by state: sixteen slots of 64 ms, the first in the lowest bit.
_LED_STATES = (0x0001, 0x0101, 0x5555, 0xFFFF, 0x0F0F)  # Initial, Pinging, Collecting, Bootstrapped, TimedOut
_LED_FAILED = const(0x0015)  # not started, or stopped: a second board carries this id
_SLOT_SHIFT = const(6)


class Led:
    """Shows one pattern on the board's LED, or nothing where there is none."""

    def __init__(self):
        pin = board.LED
        self._pin = None if pin is None else machine.Pin(pin, machine.Pin.OUT)
        self.pattern = 0

    def tick(self, now):
        if self._pin:
            self._pin.value(self.pattern >> (now >> _SLOT_SHIFT & 15) & 1)


class App:
    """One board's application. sensor: the module with warm_up() and sample(); config: of config.load()."""

    def __init__(self, config, key, session, sensor):
        self.config = config
        self.open = key == DEMONSTRATION_KEY
        self.trace = Trace(config["node"], config["members"], config["required"], config["trace"])
        self.links = {name: open_link(name, config) for name in config["links"] or board.LINKS}
        imin_ms = max(link.imin_ms for link in self.links.values())
        self.node = make_node(config, key, session, imin_ms, self.trace)
        self.runner = Runner(self.node, list(self.links.values()), self)
        self.sample = None  # the first sample's record
        self.sampled = False  # and it is complete
        self.errors = []
        self.spawn = None  # how to run a coroutine of the sensor: faction.aio sets it
        self._sensor = sensor
        self._led = Led()
        self._warm = self._warming = False
        self._told_ready = False
        self._told_timeouts = 0
        self._watchdog = None
        self._started = ticks_ms()

    def start_timer(self):
        """Start the node; from now on everything happens in callbacks of a timer."""
        self.introduce()
        self.runner.start_timer(board.TIMER)

    def introduce(self):
        """Say which node of which swarm starts, and whether the swarm has a key of its own."""
        trust = "open" if self.open else "locked"
        self.say("swarm %s %s started session %d" % (self.config["swarm"], trust, self.node.session))

    def say(self, text):
        """Print one line, with the board's clock and the node's id."""
        print("faction:", ticks_ms(), "node", self.config["node"], text)

    # What the runner calls

    def warm_up(self):
        """Whether the sensor is ready."""
        if not self._warm and not self._warming:
            self._warming = True
            self._call("warm_up()", self._sensor.warm_up, self._warmed)
        return self._warm

    def _warmed(self, value):
        self._warming = False
        self._warm = bool(value)

    def take_sample(self, late_us, late):
        """Take the first sample, late_us after the agreed instant; late: the node noticed it only when it was past."""
        self.sample = {"node": self.config["node"], "late_us": late_us, "value": None, "late": late}
        self._call("sample()", self._sensor.sample, self._sampled)

    def _sampled(self, value):
        self.sample["value"] = value
        self.sampled = True
        line = json.dumps(self.sample)
        print(line)
        try:
            append_bounded(SAMPLES_FILE, line)
        except OSError as error:
            self.note(SAMPLES_FILE, error)

    def changed(self):
        """Say what has changed, and show it."""
        node = self.node
        state = node.machine.state
        self._led.pattern = _LED_STATES[state]
        if node.conflict:
            self._led.pattern = _LED_FAILED
            self.say("stopped: a second board carries this id: give one of them another, then restart both")
            return
        if node.ready() and not self._told_ready:
            self._told_ready = True
            self.say("ready")
        timeouts = node.counters[TIMEOUTS]
        if timeouts != self._told_timeouts:
            self._told_timeouts = timeouts
            self.say("TimedOut, missing %s" % " ".join(str(i) for i in node.missing()))
        if state == BOOTSTRAPPED:
            self.say("Bootstrapped")

    def tick(self, now):
        """Show the LED's pattern and feed the watchdog."""
        self._led.tick(now)
        if self._watchdog:
            self._watchdog.feed()
        elif self.config["watchdog_ms"] and ticks_diff(now, self._started) > _BREAK_IN_MS:
            self._watchdog = machine.WDT(timeout=self.config["watchdog_ms"])

    def _call(self, where, function, done):
        """Call a function of the sensor and hand its result to done; an error becomes a note, and the result None."""
        value = None
        try:
            value = function()
            if hasattr(value, "send"):
                if self.spawn is None:
                    raise TypeError("it is async, which needs faction.aio: make it plain, or run the node on asyncio")
                self.spawn(where, value, done)
                return
            json.dumps(value)
        except Exception as error:
            self.note(where, error)
            value = None
        done(value)

    def note(self, where, error):
        """Keep an error for the status, and say it once."""
        text = "%s: %s: %s" % (where, type(error).__name__, error)
        if text not in self.errors:
            self.say("error: " + text)
            self.errors.append(text)
            if len(self.errors) > _ERRORS:
                del self.errors[0]


def open_link(name, config):
    """Open the link of that name, `espnow` or `uart`. Raises OSError or ValueError when the board cannot have it."""
    try:
        if name == "espnow":
            from faction.links.espnow import EspNowLink

            return EspNowLink(config, board)
        from faction.links.uart import UartLink

        return UartLink(config, board)
    except ImportError as error:
        raise ValueError("%s cannot have the link %s (%s): write another in links" % (board.NAME, name, error))


def append_bounded(path, line):
    """Append a line to a file on flash; a full file takes the place of the one before it."""
    try:
        if os.stat(path)[6] + len(line) >= _SAMPLES_BYTES:
            os.rename(path, path + ".old")
    except OSError:
        pass  # there is no file yet
    with open(path, "a") as file:
        file.write(line + "\n")


_folder = ""  # where faction.json and faction.key are, with a slash at its end
_blinker = None  # the timer that shows by the LED that no node runs


def _skipped():
    """Why the node is not to be started at this boot, or None."""
    if SKIP_FILE in os.listdir():
        return "the file %s is there: remove it and reset" % SKIP_FILE
    if board.BUTTON is not None:
        button = machine.Pin(board.BUTTON, machine.Pin.IN, machine.Pin.PULL_UP)
        if not button.value():
            return "the button is held: release it and reset"
    return None


def make():
    """The application that faction.json, faction.key, board.py and sensor.py describe, in a new session.

    Raises ValueError or OSError, which say what to do, when that is not possible.
    """
    import sensor

    config = load(_folder + "faction.json", machine.unique_id())
    faction.app = App(  # type: ignore[assignment]
        config, load_key(_folder + "faction.key"), next_session(open_store(sys.platform)), sensor
    )
    return faction.app


def start():
    """Start this board's node as faction.json, faction.key and board.py say, in place of one that runs.

    When that is not possible it says why on the serial line and by the LED.
    """
    global _blinker
    if faction.app:
        faction.app.runner.stop()
        faction.app = None
    if _blinker:
        _blinker.deinit()
        _blinker = None
    try:
        make().start_timer()
    except Exception as error:
        _fail(error)


def _fail(error):
    """Say why no node runs, on the serial line and by the LED."""
    global _blinker
    faction.failure = "%s: %s" % (type(error).__name__, error)
    print("faction: error:", faction.failure)
    led = Led()
    led.pattern = _LED_FAILED
    _blinker = machine.Timer(board.TIMER)
    _blinker.init(mode=machine.Timer.PERIODIC, period=1 << _SLOT_SHIFT, callback=lambda _: led.tick(ticks_ms()))


def main(folder=""):
    """What main.py does at each boot. folder: where faction.json and faction.key are, as "folder/"."""
    global _folder
    _folder = folder
    faction.start = start
    reason = _skipped()
    if reason:
        faction.failure = "not started: " + reason
        print("faction:", faction.failure)
    else:
        start()
