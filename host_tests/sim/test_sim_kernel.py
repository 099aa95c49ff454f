"""The simulator's parts: time, clocks, media and who hears whom."""

import random

import pytest

from swarm.sim.kernel import Clock, Kernel
from swarm.sim.media import Bus, Radio
from swarm.sim.plan import Options, draw, geometric, grid, reached
from swarm.sim.weather import Weather


class Ear:
    """A board that only listens, and sends what it is told."""

    def __init__(self, place):
        self.place = self.number = place
        self.life = 1
        self.heard = []
        self.departures = []
        self.woken = 0

    def hear(self, medium, frame, payload):
        self.heard.append((medium.kernel.now, frame))

    def left(self, start):
        self.departures.append(start)

    def wake(self):
        self.woken += 1


def air(in_range, medium=Radio, hidden_us=0, **more):
    kernel = Kernel(1)
    link = medium(kernel, in_range, Weather(kernel, draw(Options(nodes=(2, 2)), 1)), hidden_us, **more)
    ears = [Ear(place) for place in range(len(in_range))]
    for ear in ears:
        link.attach(ear)
    return kernel, link, ears


def frames(ear):
    return [frame for _, frame in ear.heard]


def test_events_run_in_the_order_of_their_times_then_of_their_making():
    kernel = Kernel(1)
    seen = []
    for when, name in ((5, "c"), (3, "a"), (5, "d"), (4, "b"), (9, "late")):
        kernel.at(when, seen.append, name)
    kernel.run(8)
    assert seen == ["a", "b", "c", "d"]


def test_random_streams_do_not_disturb_each_other():
    one, other = Kernel(7), Kernel(7)
    one.random("x").random()
    assert one.random("y").random() == other.random("y").random()
    assert Kernel(8).random("y").random() != other.random("y").random()


@pytest.mark.parametrize("seed", range(5))
def test_a_clock_is_read_back(seed):
    chance = random.Random(seed)
    clock = Clock(chance.randrange(1 << 40), chance.randint(-200, 200))
    for _ in range(200):
        now = chance.randrange(1 << 40)
        when = clock.when(clock.local_us(now))
        assert clock.local_us(when) >= clock.local_us(now) and abs(when - now) <= 1, f"seed {seed}, now {now}"


def test_a_frame_reaches_those_in_range_after_its_air_time():
    kernel, link, ears = air([0b010, 0b101, 0b010])
    link.send(ears[0], b"x" * 46, None)
    kernel.run(10_000)
    # The long preamble and 43 bytes around the message, at 1 Mbit/s.
    assert ears[1].heard == [(192 + (43 + 46) * 8, b"x" * 46)]
    assert not ears[0].heard and not ears[2].heard
    assert ears[0].departures == [0], "a link that does not hide its waiting knows it exactly"


def test_two_at_once_collide_where_both_are_heard():
    kernel, link, ears = air([0b010, 0b101, 0b010])  # the outer two do not hear each other
    link.send(ears[0], b"a" * 40, None)
    kernel.at(300, link.send, ears[2], b"b" * 40, None)
    kernel.run(10_000)
    assert not ears[1].heard


def test_one_that_is_heard_is_waited_for():
    kernel, link, ears = air([0b110, 0b101, 0b011])
    link.send(ears[0], b"a" * 40, None)
    kernel.at(300, link.send, ears[1], b"b" * 40, None)
    kernel.run(10_000)
    assert frames(ears[2]) == [b"a" * 40, b"b" * 40]


def test_one_that_has_only_just_begun_is_not_sensed():
    kernel, link, ears = air([0b110, 0b101, 0b011])
    link.send(ears[0], b"a" * 40, None)
    kernel.at(Radio.SENSE_US - 1, link.send, ears[1], b"b" * 40, None)
    kernel.run(10_000)
    assert not ears[2].heard


def test_nobody_hears_while_sending():
    kernel, link, ears = air([0b010, 0b101, 0b010])
    link.send(ears[0], b"a" * 40, None)
    kernel.at(5, link.send, ears[1], b"b" * 200, None)
    kernel.run(10_000)
    assert not ears[0].heard and not ears[1].heard and frames(ears[2]) == [b"b" * 200]


def test_a_link_that_says_when_it_is_free_wakes_the_board():
    kernel, link, ears = air([0b10, 0b01])
    assert link.can_send(ears[1])
    link.send(ears[0], b"a" * 40, None)
    said = []
    kernel.at(300, lambda: said.append(link.can_send(ears[1])))
    kernel.run(10_000)
    assert said == [False] and ears[1].woken == 1
    assert link.can_send(ears[1])


def test_a_hidden_wait_takes_the_frame_and_keeps_it():
    kernel, link, ears = air([0b10, 0b01], hidden_us=4000)
    link.send(ears[0], b"a" * 46, None)
    assert not link.can_send(ears[0])
    kernel.run(10_000)
    (when, _), *rest = ears[1].heard
    assert not rest and 904 <= when <= 4904 and link.can_send(ears[0])
    (left,) = ears[0].departures
    assert 0 <= when - 904 - left <= 250, "the link's margin: never too late"


def test_a_late_report_tells_nothing_or_is_believed_within_bounds():
    kernel, link, ears = air([0b10, 0b01], hidden_us=4000, late_reports=1)
    for number in range(200):
        kernel.at(20_000 * number, link.send, ears[0], b"a" * 46, None)
    kernel.run(4_000_000)
    began = [when - 904 for when, _ in ears[1].heard]
    late = [left - start for left, start in zip(ears[0].departures, began, strict=True) if left is not None]
    assert 0 < len(late) < 150 and ears[0].woken == 200, "the rest tell nothing"
    assert min(late) >= 2000 - 3250 and 1000 < max(late) <= 2000


def test_a_frame_in_a_link_goes_with_the_power():
    kernel, link, ears = air([0b10, 0b01], hidden_us=4000)
    link.send(ears[0], b"a" * 46, None)
    ears[0].life = 2
    kernel.run(10_000)
    assert not ears[1].heard and link.can_send(ears[0]) and ears[0].departures == []


def test_a_bus_takes_ten_bits_a_byte():
    kernel, link, ears = air([0b10, 0b01], medium=Bus)
    link.send(ears[0], b"x" * 46, None)
    kernel.run(10_000)
    assert ears[1].heard == [(48 * 10 * 1_000_000 // 115_200, b"x" * 46)]


def test_a_grid_has_four_neighbours():
    near = grid(9)
    assert [mask.bit_count() for mask in near] == [2, 3, 2, 3, 4, 3, 2, 3, 2]
    assert near[4] == 1 << 1 | 1 << 3 | 1 << 5 | 1 << 7


@pytest.mark.parametrize("count", (1, 2, 5, 50, 300))
def test_random_graphs_are_connected_both_ways(count):
    near = geometric(count, random.Random(count))
    assert reached(near, 0) == (1 << count) - 1
    assert all(near[b] >> a & 1 == near[a] >> b & 1 for a in range(count) for b in range(a))


@pytest.mark.parametrize(
    "wrong",
    (
        {"nodes": (0, 1)}, {"nodes": (5, 2)}, {"nodes": (681, 681)}, {"quorum": 21}, {"quorum": -1}, {"loss": 1.0},
        {"loss": -0.1}, {"topology": "ring"}, {"board": "pc"}, {"faults": ("fire",)}, {"stamp_us": 0},
        {"warmup_ms": -1},
    ),
)  # fmt: skip
def test_options_that_make_no_sense_are_refused_by_value(wrong):
    value = next(iter(wrong.values()))
    shown = value[0] if isinstance(value, tuple) else value
    with pytest.raises(ValueError, match=str(shown).replace(".", r"\.")):
        Options(**wrong)
