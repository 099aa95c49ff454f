"""The samples of a series, at every beat of the swarm's clock: taken, said, and kept on flash in batches.

Loaded only where a period is configured.
"""

import json
from time import ticks_diff, ticks_us

import signs
from micropython import const
from samples import Samples

_BATCH_MS = const(60_000)  # samples that come more often are written that long after the first of them,
_BATCH_BYTES = const(4096)  # or when they are so many
_HELD_MS = const(60_000)  # and then wait that long for a calm moment
_GUARD_US = const(1_000_000)  # before a beat nothing is written, or a quarter of the period
_SLOW_US = const(2_000_000)  # in which the swarm speaks up before a beat
_AWAIT_MS = const(10)  # as in runner.py
_LEAD_MAX_MS = const(60_000)
_RECENT = const(16)  # records kept for an application
_FIRST_US = const(500_000_000)  # before T0 nobody knows of it
_NEVER_MS = const(1_000_000)


class Beats(Samples):
    """Takes, says and keeps the samples of an app's series.

    kb: how much of the flash samples may take; period_ms: between two beats. The sensor's lead_ms is how long before
    its beat a sample begins. count: of samples that are done; recent: records of the last ones, while an application
    is there to take them. Raises ValueError for a lead that a sensor cannot have.
    """

    def __init__(self, app, kb, period_ms):
        Samples.__init__(self, app, kb)
        lead_ms = getattr(app.sensor, "lead_ms", 0)
        if not isinstance(lead_ms, int) or not 0 <= lead_ms <= _LEAD_MAX_MS:
            raise ValueError("sensor.py: lead_ms: %r: write a whole number from 0 to %d" % (lead_ms, _LEAD_MAX_MS))
        app.runner.lead_us = lead_ms * 1000
        app.series = self
        self.period_ms = period_ms
        self._batch_ms = _BATCH_MS if period_ms < _BATCH_MS else 0
        self._guard_us = min(period_ms * 250, _GUARD_US)
        self._size = 0  # bytes of the lines that are to be written
        self._clock = app.node.first_sample
        self._n = self._series = -1  # the beat that is or was sampled last
        self._runs = False  # its coroutine
        self._kept = False  # its record is there
        self._moves = 0
        self._time_us = -_FIRST_US
        self.count = 0
        self.recent = []

    def take(self, late_us, late):
        """As Samples.take(), for the beat that is due or next."""
        clock = self._clock
        n = clock.due()
        again = n == self._n and clock.series == self._series
        if again and (self._runs or self._kept):
            return  # an interrupt came between that and the node's knowing
        if self._runs:
            clock.missed += 1
            clock.sampled -= 1  # the node is about to count it
            self._app.note("sample()", RuntimeError("it still runs at a later beat, which is missed"))
            return
        self._n = n
        self._series = clock.series
        self._kept = False
        self._runs = Samples.take(self, late_us, late)

    def done(self, value):
        """As Samples.done()."""
        self._runs = False
        Samples.done(self, value)
        self._kept = True
        self.count += 1
        if self._app.beside:
            self.recent.append(self._app.sample)
            if len(self.recent) > _RECENT:
                del self.recent[0]

    def record(self, value):
        """As Samples.record(), with the series and the beat's number n."""
        return {
            "node": self._app.config["node"],
            "session": self._app.node.session,
            "series": self._series,
            "n": self._n,
            "late_us": self._late_us,
            "value": value,
            "late": self._late,
        }

    def put(self, text):
        """Say a line, and have it written."""
        print(text)
        self._size += len(text)
        self._add(text)

    def tick(self, now):
        """As Samples.tick(): in batches, and not shortly before a beat."""
        calm = self._is_calm()
        clock = self._clock
        if not clock.known:
            return _NEVER_MS
        if clock.moves != self._moves:
            self._moves = clock.moves
            self._tell_move()
        if clock.mark:
            for name in self._app.links:
                self._app.links[name].believed_us = 0  # a report that came late would make the clock creep
        lead_us = self._app.runner.lead_us
        remaining_us = clock.remaining_us(ticks_us()) - lead_us
        signs.slow = signs.slow and remaining_us > _SLOW_US
        if self._lines:
            held_ms = ticks_diff(now, self._line_ms) - self._batch_ms
            due = held_ms >= 0 or self._size >= _BATCH_BYTES
            allowed = remaining_us > self._guard_us and (calm or held_ms >= _HELD_MS)
            if due and allowed or self._size >= 2 * _BATCH_BYTES:  # else no moment is good
                self.write()
        if lead_us and not clock.passed:
            return max(remaining_us // 1000 - _AWAIT_MS, 0)
        return _NEVER_MS

    def _tell_move(self):
        """Keep that the clock was moved, with the beat before."""
        self.put(
            json.dumps(
                {
                    "node": self._app.config["node"],
                    "session": self._app.node.session,
                    "series": self._series if self.count else self._clock.series,
                    "n": self._n if self.count else self._clock.beat,
                    "moved_us": self._clock.moved_us,
                }
            )
        )

    def write(self):
        """Write what is to be written."""
        self._save()
        self._size = 0

    def unwritten(self):
        """Lines that are not on flash yet, as bytes."""
        return self._lines

    def facts(self):
        """What the status tells of the series."""
        clock = self._clock
        return {
            "id": clock.series,
            "period_ms": self.period_ms,
            "beat": clock.due(),
            "beat_in_us": clock.remaining_us(ticks_us()) if clock.known else None,
            "sampled": clock.sampled,
            "missed": clock.missed,
            "moves": clock.moves,
            "moved_us": clock.moved_us,
        }

    def time_us(self):
        """Microseconds since T0 by the swarm's clock; never less than before. Negative before T0.

        Raises RuntimeError while the swarm has not agreed on it.
        """
        clock = self._clock
        if not clock.known:
            raise RuntimeError("the swarm's time is not known yet: this node has not concluded")
        mark = -1
        while mark != clock.mark:  # the node has passed one meanwhile, in a callback
            mark = clock.mark
            ahead_us = ticks_diff(clock._instant_us, ticks_us()) + clock._aim_us
        self._time_us = max(mark * clock.mark_us - ahead_us, self._time_us)
        return self._time_us
