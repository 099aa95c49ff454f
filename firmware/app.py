"""The application around a board's node: sensor, serial line, LED, samples, watchdog.

It says each change on the serial line, and each sample there as one line of JSON. An error of the sensor or of a link
is said once, kept for the status and shown by the LED; the node goes on.
"""

import json
import os
import sys
from time import ticks_diff, ticks_ms

import board
import machine
import signs
from micropython import const
from tracing import Trace

import faction
from faction.core import BOOTSTRAPPED
from faction.frame import DEMONSTRATION_KEY
from faction.node import TIMEOUTS, Node
from faction.runner import Runner

_FOLDER = __file__.rpartition("app.")[0]  # of this version: faction.json and faction.key are there too
SAMPLES_FILE = "samples.jsonl"
_SAMPLES_BYTES = const(4096)  # of samples on flash; the file before that is kept as well
_ERRORS = const(4)  # last errors kept for the status
_BREAK_IN_MS = const(10_000)  # no watchdog before that: time to stop a board that resets itself


class App:
    """One board's application. sensor: the module with warm_up() and sample(); config: of config.load().

    Raises ValueError or OSError, which say what to do, when a link cannot be opened.
    """

    def __init__(self, config, key, session, sensor):
        self.config = config
        self.open = key == DEMONSTRATION_KEY
        self.trace = Trace(config["node"], config["members"], config["required"], config["trace"])
        self.links = {name: open_link(name, config) for name in config["links"] or board.LINKS}
        imin_ms = max(link.imin_ms for link in self.links.values())
        self.node = make_node(config, key, session, imin_ms, self.trace)
        self.runner = Runner(self.node, list(self.links.values()), self)
        self.sample = None  # the first sample's record, once it is taken
        self.errors = []
        self.spawn = None  # how to run a coroutine of the sensor: faction.aio sets it
        self._sensor = sensor
        self._signs = signs.Signs()
        self._warm = self._warming = False
        self._late_us = 0
        self._late = False
        self._told_ready = False
        self._told_timeouts = 0
        self._young = config["watchdog_ms"] > 0  # the watchdog is still to be started
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

    # What the runner calls. Each may be interrupted at any point, and is then called again.

    def warm_up(self):
        """Whether the sensor is ready."""
        if not self._warm and not self._warming:
            self._warming = self._call("warm_up()", self._sensor.warm_up, self._warmed)
        return self._warm

    def _warmed(self, value):
        self._warming = False
        self._warm = bool(value)

    def take_sample(self, late_us, late):
        """Take the first sample, late_us after the agreed instant; late: the node noticed it only when it was past."""
        self._late_us = late_us
        self._late = late
        self._call("sample()", self._sensor.sample, self._sampled)

    def _sampled(self, value):
        try:
            check_json(value)
        except Exception as error:
            self.note("sample()", error)
            value = None
        record = {"node": self.config["node"], "late_us": self._late_us, "value": value, "late": self._late}
        line = json.dumps(record)
        print(line)
        self.sample = record
        try:
            append_bounded(SAMPLES_FILE, line)
        except (OSError, ValueError) as error:
            self.note(SAMPLES_FILE, error)

    def changed(self):
        """Say what has changed, and show it."""
        node = self.node
        state = node.machine.state
        self._signs.pattern = signs.FAILED if node.conflict else signs.STATES[state]
        if node.conflict:
            self.say("stopped: a second board carries this id: give one of them another, then restart both")
            return
        if node.ready() and not self._told_ready:
            self.say("ready")
            self._told_ready = True
        timeouts = node.counters[TIMEOUTS]
        if timeouts != self._told_timeouts:
            self.say("TimedOut, missing %s" % " ".join(str(i) for i in node.missing()))
            self._told_timeouts = timeouts
        if state == BOOTSTRAPPED:
            self.say("Bootstrapped")

    def tick(self, now):
        """Show the LED's pattern, feed the watchdog, and start it when the time to break in is over."""
        self._signs.tick(now)
        if self._young and ticks_diff(now, self._started) > _BREAK_IN_MS:
            signs.start_watchdog(self.config["watchdog_ms"])
            self._young = False

    def note(self, where, error):
        """Keep an error for the status, say it, and show by the LED that there is one.

        One of the same kind at the same place is said no more, however its text varies: it may come at each tick.
        """
        self._signs.pattern = signs.FAILED
        kind = "%s: %s: " % (where, type(error).__name__)
        for text in self.errors:
            if text.startswith(kind):
                return
        text = kind + str(error)
        self.say("error: " + text)
        self.errors.append(text)
        if len(self.errors) > _ERRORS:
            del self.errors[0]

    def _call(self, where, function, done):
        """Call a function of the sensor and hand its result to done, that of a coroutine later; whether it is one."""
        try:
            value = function()
            if hasattr(value, "send"):
                if self.spawn is None:
                    raise TypeError("it is async, which needs faction.aio: make it plain, or run the node on asyncio")
                self.spawn(where, value, done)
                return True
        except Exception as error:
            self.note(where, error)
            value = None
        done(value)
        return False


def check_json(value):
    """Raise TypeError for what JSON cannot hold: MicroPython's json writes something for it all the same."""
    if isinstance(value, (list, tuple)):
        for item in value:
            check_json(item)
    elif isinstance(value, dict):
        for key in value:
            if not isinstance(key, str):
                raise TypeError("key %r: JSON cannot hold it: make it text" % (key,))
            check_json(value[key])
    elif isinstance(value, float):
        if value - value:  # not a number, or infinite
            raise TypeError("%r: JSON cannot hold it: return a finite number" % value)
    elif not (value is None or isinstance(value, (bool, int, str))):
        raise TypeError("%s: JSON cannot hold it: return numbers, text, lists or dicts" % type(value).__name__)


def open_link(name, config):
    """Open the link of that name, `espnow` or `uart`. Raises OSError or ValueError when the board cannot have it."""
    try:
        if name == "espnow":
            from faction.links.espnow import EspNowLink as Link
        else:
            from faction.links.uart import UartLink as Link  # type: ignore[assignment]
    except ImportError as error:
        raise ValueError("%s cannot have the link %s (%s): write another in links" % (board.NAME, name, error))
    try:
        return Link(config, board)
    except OSError as error:
        raise OSError("link %s did not start (%s): reset the board, by power if need be" % (name, error))


def append_bounded(path, line):
    """Append a line to a file on flash; a full file takes the place of the one before it.

    Raises OSError when the file system does not take it, ValueError for a line that is no shorter than a full file.
    """
    data = (line + "\n").encode()
    if len(data) > _SAMPLES_BYTES:
        raise ValueError("%d bytes: more than the %d that this file holds" % (len(data), _SAMPLES_BYTES))
    try:
        full = os.stat(path)[6] + len(data) > _SAMPLES_BYTES
    except OSError:
        full = False  # there is none yet
    if full:
        os.rename(path, path + ".old")
    with open(path, "ab") as file:
        file.write(data)


def make_node(config, key, session, imin_ms, observer=None):
    """The node that a configuration describes; imin_ms: of its slowest link."""
    return Node(
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
        imin_ms=imin_ms,
        observer=observer,
    )


def load_sensor():
    """The user's sensor module, afresh: a restart begins its warm-up again. Raises ValueError, naming what is wrong."""
    sys.modules.pop("sensor", None)
    try:
        import sensor
    except Exception as error:
        raise ValueError("sensor.py: %s: %s: mend it, then reset" % (type(error).__name__, error))
    for name in ("warm_up", "sample"):
        if not hasattr(sensor, name):
            raise ValueError("sensor.py: has no %s(): write it" % name)
    return sensor


def make():
    """The application that faction.json, faction.key, board.py and sensor.py describe, in a new session.

    Raises ValueError or OSError, which say what to do, when that is not possible.
    """
    sensor = load_sensor()
    faction.app = App(*_settings(), sensor)  # type: ignore[assignment]
    return faction.app


def _settings():
    """This board's configuration, key and new session. What reads them is needed no more, and gives its memory back."""
    try:
        from config import load, load_key
        from store import next_session, open_store

        config = load(_FOLDER + "faction.json", machine.unique_id())
        return config, load_key(_FOLDER + "faction.key"), next_session(open_store(sys.platform))
    finally:
        sys.modules.pop("config", None)
        sys.modules.pop("store", None)
