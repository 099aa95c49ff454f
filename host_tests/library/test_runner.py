"""The runner: the sample on its instant whatever the links bring; what an interrupt has cut short is done again."""

import pytest

from faction import runner
from faction.core import BOOTSTRAPPED
from faction.names import COUNTERS
from faction.node import Node
from faction.runner import Runner
from swarm.runtimes.measure import allocation

LEAD_MS = 500
FRAME_US = 2500  # what handling a frame takes on a small board
WRAP = 1 << 30
MALFORMED = COUNTERS.index("malformed")


class Interrupted(BaseException):
    """Stands for Ctrl-C."""


class Clock:
    """The time that the runner sees; it moves when told, and a little with each look."""

    def __init__(self, monkeypatch):
        self.us = WRAP - 100_000  # both ticks wrap during the test
        monkeypatch.setattr(runner, "ticks_us", self.ticks_us)
        monkeypatch.setattr(runner, "ticks_ms", lambda: self.us // 1000 % WRAP)
        monkeypatch.setattr(runner, "sleep_us", self.sleep_us)

    def ticks_us(self):
        self.us += 1
        return self.us % WRAP

    def sleep_us(self, us):
        self.us += us + 999 * (us > 1000)  # as an RP2040 that an interrupt has woken (mp_hal_delay_us)


class Link:
    """A link that always has another frame, of no swarm, as long as flood is set."""

    sent_us = 0
    left_us = None

    def on_receive(self, callback):
        """It calls nobody."""

    def __init__(self, clock):
        self.clock = clock
        self.flood = False
        self.busy = False
        self.closed = 0
        self.sent = []
        self.error = None
        self.kept = []

    def receive_buffer(self):
        return bytearray(250)

    def receive(self, buffer):
        if self.error:
            raise self.error
        self.clock.us += FRAME_US * self.flood
        if self.kept:
            buffer[: len(self.kept[0])] = self.kept[0]
            return len(self.kept.pop(0))
        return 60 * self.flood

    def pending(self):
        return self.flood or self.error

    def free(self):
        return not self.busy

    def send(self, buffer, length):
        if self.error:
            raise self.error
        self.sent.append(bytes(buffer[:length]))
        return self.left_us

    def close(self):
        self.closed += 1


class App:
    """An application that keeps what it is told; what is in `raises` is raised, once, by the method of that name."""

    def __init__(self):
        self.raises = {}
        self.calls = []
        self.warm = True

    def _called(self, name, *arguments):
        if name in self.raises:
            raise self.raises.pop(name)
        self.calls.append((name, *arguments))

    def warm_up(self):
        self._called("warm_up")
        return self.warm

    def take_sample(self, late_us, late):
        self._called("take_sample", late_us, late)

    def changed(self):
        self._called("changed")

    def tick(self, now):
        self._called("tick")
        return 64

    def note(self, where, error):
        self.calls.append(("note", where, str(error)))

    def of(self, name):
        return [call[1:] for call in self.calls if call[0] == name]


@pytest.fixture
def clock(monkeypatch):
    return Clock(monkeypatch)


@pytest.fixture
def alone(clock):
    """A runner of a swarm of one, which concludes at its first tick."""
    links = [Link(clock), Link(clock)]
    made = Runner(Node("alone", [1], 1, 1, bytes(16), 1, lead_ms=LEAD_MS), links, App())
    made.app = made._app
    made.start()
    return made


def run(made, clock, ms):
    """Tick every 4 ms for a while."""
    end = clock.us + ms * 1000
    while clock.us < end:
        before = clock.us
        made.tick()
        clock.us = max(clock.us, before + 4000)


def test_what_came_while_the_board_was_starting_is_of_no_known_age_and_counts_for_nothing(clock):
    link, app = Link(clock), App()
    made = Runner(Node("alone", [1], 1, 1, bytes(16), 1, lead_ms=LEAD_MS), [link], app)
    link.kept = [bytes(46)] * 9
    made.start()
    run(made, clock, 8)
    assert not link.kept and not made.node.counters[MALFORMED]
    link.kept = [bytes(46)]
    run(made, clock, 100)
    assert made.node.counters[MALFORMED] == 1


@pytest.mark.parametrize("flood", (False, True))
def test_the_sample_starts_on_its_instant_even_in_a_burst_of_frames(flood, alone, clock):
    run(alone, clock, 8)
    assert alone.node.machine.state == BOOTSTRAPPED
    for link in alone.links:
        link.flood = flood
    run(alone, clock, LEAD_MS + 200)
    ((late_us, late),) = alone.app.of("take_sample")
    assert 0 <= late_us <= (FRAME_US if flood else 20) and not late
    assert alone.node.first_sample.passed and not alone.node.sample_due


def test_a_frame_goes_to_all_links_when_all_are_free(alone, clock):
    alone.links[1].busy = True
    run(alone, clock, 100)
    assert not alone.links[0].sent and not alone.links[1].sent
    alone.links[1].busy = False
    run(alone, clock, 100)
    assert alone.links[0].sent and alone.links[0].sent == alone.links[1].sent


@pytest.mark.parametrize(
    "told", ((WRAP - 99_000, WRAP - 98_000), (None, WRAP - 99_000), (WRAP - 99_000, None), (None, None))
)
def test_the_node_is_told_when_the_first_link_began_to_send_if_all_know(told, alone, clock):
    for link, left_us in zip(alone.links, told, strict=True):
        link.left_us = left_us
    run(alone, clock, 100)
    assert alone.node.sequence
    # Who has heard it by the link that does not know would count from a moment that is too late.
    assert alone.node.first_sample._left == alone.node.sequence
    assert alone.node.first_sample._left_us == (None if None in told else told[0])


def test_nothing_is_sent_shortly_before_the_instant(alone, clock):
    """A radio may wait longer than a moment for the air, and the callback with it."""
    run(alone, clock, 8)
    for _ in range(LEAD_MS // 4):
        before = clock.us, len(alone.links[0].sent)
        alone.node.trickle.start(alone.node._now)
        alone.node.trickle.due = alone._due = alone.node._now  # it would speak at each tick
        remaining_us = alone.node.first_sample.remaining_us(clock.us % WRAP)
        run(alone, clock, 4)
        spoke = len(alone.links[0].sent) > before[1]
        # From 10 ms before on a tick waits for the instant, and what it says comes after the sample.
        assert spoke == (remaining_us > 30_000 or remaining_us < 10_000), remaining_us
    run(alone, clock, 100)
    assert len(alone.app.of("take_sample")) == 1 and len(alone.links[0].sent) > before[1]


def test_a_tick_with_nothing_to_do_looks_and_goes(alone, clock):
    run(alone, clock, LEAD_MS + 8 * 2048)  # until it is settled
    looks, worked = [], len(alone.app.of("tick"))
    for link in alone.links:
        link.receive = lambda buffer, link=link: looks.append(link) or 0
    run(alone, clock, 2048)
    assert 2048 // 64 <= len(alone.app.of("tick")) - worked <= 2 * 2048 // 64, "of 512 ticks"
    alone.links[1].flood = True
    before = len(looks)
    alone.tick()
    assert len(looks) == before + 2, "what has come is taken at once"


@pytest.mark.parametrize("method", ("warm_up", "changed", "take_sample", "tick"))
def test_what_an_interrupt_cuts_short_is_done_again(method, alone, clock):
    alone.app.raises[method] = Interrupted()
    interrupts = 0
    for _ in range(200):
        try:
            run(alone, clock, 4)
        except Interrupted:
            interrupts += 1
    assert interrupts == 1 and alone.app.of(method)
    assert len(alone.app.of("take_sample")) == 1 and alone.node.ready()
    assert not alone.app.of("note")


@pytest.mark.parametrize("method", ("warm_up", "changed", "take_sample", "tick"))
def test_what_raises_is_noted_and_the_node_goes_on(method, alone, clock):
    alone.app.raises[method] = MemoryError("no room")
    run(alone, clock, 1000)
    ((where, text),) = alone.app.of("note")
    assert text == "no room" and where == {"take_sample": "sample", "changed": "changed"}.get(method, "tick")
    assert len(alone.app.of("take_sample")) == (method != "take_sample")
    assert alone.links[0].sent


@pytest.mark.parametrize("error", (OSError("the radio is off"), MemoryError("no room")))
def test_a_link_that_raises_is_noted_and_the_other_is_served(error, alone, clock):
    alone.links[0].error = error
    heard = alone.links[1].clock.us
    alone.links[1].flood = True
    run(alone, clock, 1000)
    assert set(alone.app.of("note")) == {("receive", str(error)), ("send", str(error))}
    assert alone.node.counters[1] and alone.links[1].clock.us > heard, "the other link's frames are heard"
    assert alone.links[1].sent and not alone.links[0].sent
    assert alone.app.of("take_sample") and alone.app.of("tick")


def test_a_link_that_is_never_free_silences_no_other(alone, clock):
    alone.links[1].busy = True
    run(alone, clock, 1900)
    assert not alone.links[0].sent, "all links say the same, for a while"
    run(alone, clock, 8000)
    assert len(alone.links[0].sent) > 3 and not alone.links[1].sent
    alone.links[1].busy = False
    run(alone, clock, 8000)
    assert alone.links[1].sent


def test_after_stop_a_call_that_was_under_way_does_nothing(alone, clock):
    run(alone, clock, 100)
    links = alone.links
    alone.stop()
    calls = list(alone.app.calls)
    alone.tick()
    alone.stop()
    assert alone.app.calls == calls and [link.closed for link in links] == [1, 1]


def test_changes_are_told_once(alone, clock):
    run(alone, clock, 1000)
    assert len(alone.app.of("changed")) == 1
    alone.node.conflict = True
    run(alone, clock, 100)
    assert len(alone.app.of("changed")) == 2


SETUP = """
from time import ticks_us
from faction.node import Node
from faction.runner import Runner

class Link:
    sent_us = 0
    def on_receive(self, callback):
        pass
    def __init__(self):
        self.left = 0
        self.sent = 0
    def receive_buffer(self):
        return bytearray(250)
    def receive(self, buffer):
        self.sent_us = ticks_us()
        if self.left:
            self.left -= 1
            return 60
        self.left = 3
        return 0
    def pending(self):
        return True
    def free(self):
        return True
    def send(self, buffer, length):
        self.sent += 1

class App:
    def warm_up(self):
        return True
    def take_sample(self, late_us, late):
        pass
    def changed(self):
        pass
    def tick(self, now):
        return 64

node = Node("alone", [1, 2], 1, 1, bytes(16), 1, imin_ms=1)
r = Runner(node, [Link()], App())
r.start()
"""


def test_a_tick_takes_no_memory(micropython):
    assert allocation.per_call(micropython, SETUP, "r.tick()", calls=500) == 0


# A clock of its own, which begins 200 beats before both ticks wrap.
SERIES_SETUP = (
    SETUP.replace("imin_ms=1)", "imin_ms=20, period_ms=400)")
    + """
from array import array
from time import ticks_add
import faction.runner

now = array("I", [(1 << 30) - 20_000_000, (1 << 30) - 20_000])

def move(us):
    now[0] = ticks_add(now[0], us)
    now[1] = ticks_add(now[1], us // 1000)

faction.runner.ticks_us = lambda: now[0]
faction.runner.ticks_ms = lambda: now[1]
faction.runner.sleep_us = lambda us: move(1000)
taken = array("I", [0, 0])

def take(late_us, late):
    taken[0] += 1
    taken[1] += late_us

r._app.take_sample = take
node = r.node = Node("alone", [1, 2], 1, 1, bytes(16), 1, imin_ms=20, period_ms=400)
r.start()

def beat():
    before = taken[0]
    while taken[0] == before:
        move(5000)
        r.tick()

for _ in range(5):
    beat()
taken[1] = 0
"""
)


def test_a_beat_takes_no_memory_and_no_wrap_moves_it():
    """On 32 bits: elsewhere ticks wrap later. The wrap of both comes with the 50th beat."""
    hot = "beat()\nassert taken[1] == 0 and node.first_sample.missed == 0, taken"
    assert allocation.per_call("wasm", SERIES_SETUP, hot, calls=60) == 0


@pytest.fixture
def series(clock):
    """A runner of a swarm of one with a sample a second."""
    links = [Link(clock)]
    made = Runner(Node("alone", [1], 1, 1, bytes(16), 1, lead_ms=LEAD_MS, period_ms=1000), links, App())
    made.app = made._app
    made.start()
    return made


def test_each_beat_has_the_care_of_the_first_sample(series, clock):
    """On its microsecond in a flood of frames, in silence before it, and no matter how long the one before took."""
    run(series, clock, 8)
    for n in range(5):
        series.links[0].flood = n % 2
        before = clock.us
        while len(series.app.of("take_sample")) == n:
            sent = len(series.links[0].sent)
            series.node.trickle.start(series.node._now)
            series.node.trickle.due = series._due = series.node._now  # it would speak at each tick
            remaining_us = series.node.first_sample.remaining_us(clock.us % WRAP)
            run(series, clock, 4)
            spoke = len(series.links[0].sent) > sent
            assert not spoke or remaining_us > 30_000 or remaining_us < 10_000, remaining_us
        assert clock.us - before > 400_000
    assert all(0 <= late_us <= FRAME_US and not late for late_us, late in series.app.of("take_sample"))


@pytest.mark.parametrize("lead_ms", (0, 200, 750, 2500))
def test_a_sample_with_a_lead_begins_that_long_before_each_beat(lead_ms, series, clock):
    begun = []
    series.lead_us = 1000 * lead_ms
    series._app.tick = lambda now: 0  # the firmware's says when the lead begins

    def take(late_us, late):
        begun.append((series.node.first_sample.due(), clock.us, late_us))
        clock.us += 150_000  # what the sensor's call takes

    series._app.take_sample = take
    t0_us = clock.us + 2 + 1000 * LEAD_MS
    run(series, clock, 6000)
    in_time = begun[3:]  # a long lead may have begun before there was an instant
    assert len(in_time) >= 2 and [n for n, _, _ in begun] == list(range(len(begun)))
    for n, at_us, late_us in in_time:
        assert abs(at_us - (t0_us + 1_000_000 * n - 1000 * lead_ms)) <= 100 and 0 <= late_us <= 20, n
    assert series.node.first_sample.missed == 0


@pytest.mark.parametrize("took_ms, numbers, late_ms", ((1700, [0, 1, 3, 4], 0), (1300, [0, 1, 2, 3], 300)))
def test_a_sample_that_overruns_its_period_misses_what_it_cannot_begin_in_time(
    took_ms, numbers, late_ms, series, clock
):
    taken = []

    def take(late_us, late):
        taken.append((series.node.first_sample.due(), late_us))
        clock.us += 1000 * took_ms * (len(taken) == 2)

    series._app.take_sample = take
    while len(taken) < 4:
        run(series, clock, 4)
    run(series, clock, 4)
    assert [n for n, _ in taken] == numbers
    assert abs(taken[2][1] - 1000 * late_ms) < 10_000 and taken[3][1] <= 20
    first = series.node.first_sample
    assert (first.sampled, first.missed) == (4, numbers[-1] - 3)


def test_a_first_sample_with_a_lead_is_taken_once(alone, clock):
    alone.lead_us = 100_000
    run(alone, clock, LEAD_MS + 500)
    assert len(alone.app.of("take_sample")) == 1


def test_an_interrupt_behind_a_sample_with_a_lead_brings_no_other(series, clock):
    series.lead_us = 300_000
    run(series, clock, 2000)
    taken = len(series.app.of("take_sample"))
    acknowledge = series.node.take_sample

    def interrupted(now_us):
        acknowledge(now_us)
        series.node.take_sample = acknowledge
        raise Interrupted

    series.node.take_sample = interrupted
    with pytest.raises(Interrupted):
        run(series, clock, 2000)
    run(series, clock, 500)
    assert len(series.app.of("take_sample")) == taken + 1
