"""What a board keeps of its samples: lines of JSON on flash, as many as samples_kb has room for.

Let go once the first sample is written, and its memory with it, where no more are to come; beats.py is about more.
"""

import json
import os
from time import ticks_diff, ticks_ms, ticks_us

import signs
from micropython import const

import faction

FILE = "samples.jsonl"
OLD = FILE + ".old"  # the file before that one
_ENOSPC = const(28)  # which errno does not have everywhere; LittleFS says it on every board
_HELD_MS = const(60_000)  # a line that is to be written waits that long for a calm moment
_LEAD_MAX_MS = const(60_000)
_AWAIT_MS = const(10)  # as in runner.py
_NEVER_MS = const(1_000_000)


class Samples:
    """Takes an app's first sample, writes it to flash, and then says it: what was said is there if the power goes.

    kb: how much of the flash samples may take, in KB. The sensor's lead_ms, if it has one, is how long before its
    instant a sample begins. Raises ValueError for a lead that a sensor cannot have.
    """

    def __init__(self, app, kb):
        lead_ms = getattr(app.sensor, "lead_ms", 0)
        if not isinstance(lead_ms, int) or not 0 <= lead_ms <= _LEAD_MAX_MS:
            raise ValueError("sensor.py: lead_ms: %r: write a whole number from 0 to %d" % (lead_ms, _LEAD_MAX_MS))
        app.runner.lead_us = lead_ms * 1000
        self._app = app
        self._bytes = kb * 512  # in each of two files
        self._lines = []  # that are to be written,
        self._line_ms = ticks_ms()  # and since when
        self._writes = False  # just now
        self._text = None  # what is said then
        self._late_us = 0
        self._late = False
        self._done = self.done
        app.samples = self
        app.take_sample = self.take

    def take(self, late_us, late):
        """Take a sample, late_us after its instant; late: the node noticed that only when it was past. Whether it has
        only begun, since it is a coroutine."""
        self._late_us = late_us
        self._late = late
        app = self._app
        if app.sensor:
            return app.call("sample()", app.sensor.sample, self._done)
        self.done(None)
        return False

    def done(self, value):
        """Keep what the sensor has returned."""
        try:
            check_json(value)
        except Exception as error:
            self._app.note("sample()", error)
            value = None
        self._app.sample = record = self.record(value)
        self.put(json.dumps(record))

    def record(self, value):
        """A sample of that value as it is kept."""
        return {
            "node": self._app.config["node"],
            "session": self._app.node.session,
            "late_us": self._late_us,
            "value": value,
            "late": self._late,
        }

    def put(self, text):
        """Have a line written."""
        self._lines.clear()  # an interrupt has had it taken again
        self._add(text)
        self._text = text

    def _add(self, text):
        data = (text + "\n").encode()
        if len(data) > self._bytes:
            error = "%d bytes: more than the %d that this file holds: return less" % (len(data), self._bytes)
            self._app.note(FILE, ValueError(error))
            return
        if not self._lines:
            self._line_ms = ticks_ms()
        self._lines.append(data)

    def tick(self, now):
        """Write what is to be written, when that does no harm; returns for how many milliseconds there is no more to
        do."""
        calm = self.is_calm()
        if self._text and (calm or ticks_diff(now, self._line_ms) >= _HELD_MS):
            self.write()
        return self._wait_ms()

    def _wait_ms(self):
        """Milliseconds until a sample with a lead is to begin; of one without the node knows."""
        first = self._app.node.first_sample
        lead_us = self._app.runner.lead_us
        if not lead_us or not first.known or first.passed or first.done:
            return _NEVER_MS
        return max((first.remaining_us(ticks_us()) - lead_us) // 1000 - _AWAIT_MS, 0)

    def is_calm(self):
        """Whether writing does no harm now, as far as links and files go.

        Not while a frame comes or goes on a line, since an RP2040 is deaf and dumb for tens of milliseconds while it
        writes, nor within a file operation of the foreground.
        """
        uart = self._app.links.get("uart")
        return signs.calm() and (uart is None or uart.free())

    def write(self):
        """Write and say the sample, and be let go."""
        if self._text:
            self._save()
            self._app.put(self._text)
            self._text = self._app.samples = self._app.take_sample = None
            faction.let_go(("samples",))

    def _save(self):
        if self._writes:
            return  # this has come in a callback, within the foreground's own
        self._writes = True
        try:
            append_bounded(self._lines, self._bytes)
        except Exception as error:
            self._lines.clear()
            self._app.note(FILE, error)
        finally:
            self._writes = False


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


def append_bounded(lines, limit):
    """Move lines, bytes with their ends, from a list to the file of samples; one that would have limit bytes takes the
    place of the one before it, and so does one where the flash is full before. A line that a power cut has cut short
    stays by itself.

    Raises OSError when the file system does not take them.
    """
    while lines:
        try:
            size = os.stat(FILE)[6]
        except OSError:
            size = 0  # there is none yet
        count = 0
        total = size
        while count < len(lines) and (not total or total + len(lines[count]) < limit):
            total += len(lines[count])
            count += 1
        try:
            if count:
                _append(lines, count, size)
                del lines[:count]
                continue
        except OSError as error:
            if error.errno != _ENOSPC or not size:
                raise
        os.rename(FILE, OLD)


def _append(lines, count, size):
    """Append the first lines to a file of that size. When it is closed all are there; before that none (LittleFS)."""
    with open(FILE, "a+b") as file:
        if size:
            file.seek(size - 1)
            if file.read(1) != b"\n":
                file.write(b"\n")
        for number in range(count):
            file.write(lines[number])
