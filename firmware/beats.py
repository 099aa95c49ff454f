"""The samples of a series, at every beat of the swarm's clock: taken, said, and kept on flash in batches.

Loaded only where a period is configured.
"""

import json
from time import ticks_diff, ticks_us

import signs
from micropython import const
from samples import Samples

import faction

_BATCH_MS = const(60_000)  # samples that come more often are written that long after the first of them,
_BATCH_BYTES = const(4096)  # or when they are so many
_HELD_MS = const(60_000)  # and then wait that long for a calm moment
_GUARD_US = const(1_000_000)  # before a beat nothing is written, or a quarter of the period
_SLOW_US = const(2_000_000)  # in which the swarm speaks up before a beat
_NEAR_US = const(30_000)  # in which a slow serial line would hold it up
_LOOK_MS = const(500)  # the swarm's clock may be corrected while an application waits
_RECENT = const(16)  # records kept for an application
_FIRST_US = const(500_000_000)  # before T0 nobody knows of it


class Beats(Samples):
    """Takes, says and keeps the samples of an app's series.

    kb: as for Samples; period_ms: between two beats. near: whether one is so near that nobody is to say much on the
    serial line; count: of samples that are done; recent: records of the last ones, while an application is there to
    take them.
    """

    def __init__(self, app, kb, period_ms):
        Samples.__init__(self, app, kb)
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
        self.near = False
        self.count = 0
        self.recent = []

    def take(self, late_us, late):
        """As Samples.take(), for the beat that is due or next."""
        clock = self._clock
        n = clock.due()
        again = n == self._n and clock.series == self._series
        if again and (self._runs or self._kept):
            return  # an interrupt has kept the node from knowing
        if self._runs:
            clock.missed += 1
            clock.sampled -= 1  # the node is about to count it
            self._app.note("sample()", RuntimeError("it still runs at a later beat, which is missed"))
            return
        if late:
            self._tell_move()  # which has brought this beat: the one before it is the one sampled last
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
        if self._app.gateway:
            self._app.gateway.sampled(self._app.sample)
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
        self._app.put(text)
        self._size += len(text)
        self._add(text)

    def tick(self, now):
        """As Samples.tick(): in batches, and not shortly before a beat."""
        calm = self.is_calm()
        clock = self._clock
        if not clock.known:
            return self._wait_ms()
        self._tell_move()
        if clock.mark:
            for name in self._app.links:
                self._app.links[name].believed_us = 0  # a report that came late would make the clock creep
        remaining_us = clock.remaining_us(ticks_us()) - self._app.runner.lead_us
        signs.slow = signs.slow and remaining_us > _SLOW_US
        self.near = 0 < remaining_us < _NEAR_US
        if self._lines:
            held_ms = ticks_diff(now, self._line_ms) - self._batch_ms
            due = held_ms >= 0 or self._size >= _BATCH_BYTES
            far = remaining_us > self._guard_us or self._app.node.conflict  # which has no more beats
            if due and far and (calm or held_ms >= _HELD_MS) or self._size >= 2 * _BATCH_BYTES:
                self.write()
        return self._wait_ms()

    def _tell_move(self):
        """Keep that the clock was moved, if it was, with the beat before."""
        clock = self._clock
        if clock.moves == self._moves:
            return
        self._moves = clock.moves
        self.put(
            json.dumps(
                {
                    "node": self._app.config["node"],
                    "session": self._app.node.session,
                    "series": self._series if self.count else clock.series,
                    "n": self._n if self.count else clock.beat,
                    "moved_us": clock.moved_us,
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

    def status(self):
        """The same in words."""
        clock = self._clock
        if not clock.known:
            return "not begun"
        left_us = clock.remaining_us(ticks_us())
        text = "%d sampled, %d missed, beat %d " % (clock.sampled, clock.missed, clock.due())
        text += "in %d ms" % (left_us // 1000) if left_us > 0 else "is due"
        if clock.moves:
            text += ", %d moves, last %d us" % (clock.moves, clock.moved_us)
        return text

    def records(self, swarm):
        """The records from now on, for an application: aio's Swarm has it."""
        return Records(swarm)

    async def until(self, swarm, n):
        """Have an application wait for beat n. Raises RuntimeError, which says why, when it will not come."""
        from asyncio import sleep_ms

        left_us = 1
        while left_us > 0:
            await swarm.wait()
            clock = swarm.app.node.first_sample  # a restart makes another
            if clock.known:
                left_us = (n << clock.shift) * clock.mark_us - faction.swarm_time()
                await sleep_ms(max(min(left_us // 1000 - faction.PERIOD_MS, _LOOK_MS), 0))

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
            time_us = clock.time_us(ticks_us())
        self._time_us = max(time_us, self._time_us)
        return self._time_us


class Records:
    """The records of a board's samples, in their order, from now on: a dict each, with node, session, series, n (the
    beat's number), late_us, value and late.

    The last 16 are kept for an application that takes them more slowly than they come. dropped: how many it has not
    taken in time; each time that is said on the serial line.
    """

    def __init__(self, swarm):
        self._swarm = swarm
        self._series = faction.in_series()
        self._next = self._series.count
        self.dropped = 0

    def __aiter__(self):
        return self

    async def __anext__(self):
        while True:
            series = faction.in_series()
            if series is not self._series:  # a restart has made another
                self._series = series
                self._next = 0
            count = series.count
            if self._next == count:
                await self._swarm.wait()
                continue
            lost = max(count - self._next - len(series.recent), 0)
            record = series.recent[self._next + lost - count]
            if count == series.count:  # else another has come meanwhile, in a callback
                break
        self._next += lost + 1
        if lost:
            self.dropped += lost
            self._swarm.app.say("dropped %d samples: the application takes them too slowly" % lost)
        return record
