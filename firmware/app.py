"""The application around a board's node: sensor, serial line, LED, samples, watchdog.

It says each change on the serial line. An error of the sensor or of a link is said once, kept for the status and shown
by the LED; the node goes on.
"""

import select
import sys
from time import ticks_diff, ticks_ms

import signs
from micropython import const

import faction
from faction.runner import Runner

_BOOTSTRAPPED = const(3)  # of core.py: a state
_TIMEOUTS = const(14)  # of node.py: a counter

_NAMED = const(20)  # missing members named on the serial line, which is slow; the status names more
_ERRORS = const(3)  # last errors kept for the status
_STOLEN_MS = const(10_000)  # no call takes that long: the watchdog ends it before
_HANGS_MS = const(500)  # a call of the sensor that an interrupt ends after so long did hang
_READ_MS = const(250)  # within which a port that is read takes something
_INTERRUPTS = const(3)  # of its calls, one after the other: it raises them itself


class App:
    """One board's application. assembly.make() makes it.

    config: of config.load(); is_open: whether the swarm uses the published key; node, links (by name) and trace: what
    it is about; sensor: the module with warm_up() and sample().
    """

    def __init__(self, config, is_open, node, links, trace, sensor):
        self.config = config
        self.open = is_open
        self.node = node
        self.links = links
        self.trace = trace
        self.runner = Runner(node, list(links.values()), self)
        self.sample = None  # the last sample's record, once one is taken
        self.samples = None  # who takes and keeps them, as long as there are some to come: samples.py or beats.py
        self.take_sample = None  # how, for the runner
        self.series = None  # beats.py, where there is a period
        self.gateway = None  # gateway.py, where the swarm has one
        self.presence = None  # presence.py, where there are rounds
        self.errors = []
        self._link_error = None  # the last one that was kept
        self.beside = None  # the user's application on asyncio: faction.aio's Swarm, while it runs
        self.sensor = sensor
        self._signs = signs.Signs()
        self._warm = False
        self._told = False
        self._timed_out = 0
        self._interrupts = 0
        self.unsaid = 0  # lines since somebody has read
        self._port = select.poll()
        self._port.register(sys.stdout, select.POLLOUT)

    def say(self, text):
        """Print one line, with the board's clock and the node's id."""
        self.put("faction: %s node %d %s" % (ticks_ms(), self.config["node"], text))

    def put(self, text):
        """Print a line, unless it had to wait for a reader: then it is counted, and that is said before the next.

        In one string: each piece waits up to 500 ms for a USB port that is open and not read.
        """
        for _ in self._port.ipoll(0 if self.unsaid else _READ_MS):
            if self.unsaid:
                text = "\nfaction: %d lines not read\n%s" % (self.unsaid, text)
                self.unsaid = 0
            print(text)
            return
        self.unsaid += 1

    # What the runner calls. Each may be interrupted at any point, and is then called again.

    def warm_up(self):
        """Whether the sensor is ready."""
        if self._warm is False and self.sensor and self.call("warm_up()", self.sensor.warm_up, self._warmed):
            self._warm = None  # it is a coroutine, and has begun
        return self._warm

    def _warmed(self, value):
        self._warm = bool(value)

    def changed(self):
        """Say what has changed, and show it."""
        node = self.node
        state = node.machine.state
        self._signs.pattern = signs.FAILED if node.conflict or self.errors else signs.STATES[state]
        if node.conflict:
            self.say("stopped: a second board carries this id: give one of them another, then restart both")
            return
        if node.ready() and not self._told:
            self.say("ready")
            self._told = True
        timeouts = node.counters[_TIMEOUTS]
        if timeouts != self._timed_out:
            ids = faction.tell("absent")  # only a time-out needs the names
            more = " ..." if len(ids) > _NAMED else ""
            self.say("TimedOut, missing %s" % " ".join(map(str, ids[:_NAMED])) + more)
            self._timed_out = timeouts
        if state == _BOOTSTRAPPED:
            self.say("Bootstrapped")

    def tick(self, now):
        """Show the LED's pattern, feed the watchdog, and say what went wrong with a link; returns for how many
        milliseconds there is nothing more of that to do."""
        wait_ms = self._signs.tick(now)
        signs.slow = self.sample is not None
        self.look(_STOLEN_MS)
        if self.samples:
            wait_ms = min(wait_ms, self.samples.tick(now))
        near = self.series and self.series.near
        if self.presence and not near:
            self.presence.tick()
        if self.gateway and not near:
            wait_ms = min(wait_ms, self.gateway.tick(now))
        for name in self.links:
            error = self.links[name].error
            if error is not None and error is not self._link_error:
                self._link_error = error
                self.note(name, error)
        if self.beside and not near and self.beside.tick():
            return 0
        return wait_ms

    def look(self, ms):
        """Take the timer back from the user's code, and tell it; as signs.stolen()."""
        if signs.stolen(ms):
            self.note("timer", ValueError("%d is the node's: have your code take another" % signs.board.TIMER))

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
        try:
            import raised

            text = where + ": " + raised.describe(error)
        except MemoryError:
            pass  # that must do
        finally:
            sys.modules.pop("raised", None)
        self.say("error: " + text)
        self.errors.append(text)
        if len(self.errors) > _ERRORS:
            del self.errors[0]

    def call(self, where, function, done):
        """Call a function of the sensor and hand its result to done, that of a coroutine later; whether it is one.

        Whatever it does, the node goes on. The other way into the user's code is raised.health().
        """
        began = ticks_ms()
        signs.watch(1)
        try:
            value = function()
            if hasattr(value, "send"):
                if self.beside:
                    self.beside.spawn(where, value, done)
                    return True
                value = None
                if faction.application != "starts":  # else there will be a loop for it: it is called again until then
                    raise TypeError("it is async, which needs an application.py that runs: make it plain")
            done(value)
            self._interrupts = 0
        except BaseException as error:
            if isinstance(error, KeyboardInterrupt):
                self._interrupts += 1
                if self._interrupts < _INTERRUPTS and ticks_diff(ticks_ms(), began) < _HANGS_MS:
                    raise  # it has met a call by chance, which is done again
                self.sensor = None
                error = RuntimeError("it hangs: not called before a restart")
            try:
                self.note(where, error)
            except BaseException:  # no memory is left, or its text is the user's code as well
                self.sensor = None
                sys.modules.pop("sensor", None)
                self.errors.append("sensor: its error cannot be told: not called before a restart")
            done(None)
        finally:
            signs.watch(0)
        return False
