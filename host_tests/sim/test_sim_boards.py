"""Boards that cost what real ones cost: when they hear and speak, and what they miss meanwhile."""

from types import SimpleNamespace

import pytest

from swarm.device.library import COUNTERS
from swarm.sim import baselines, benchmark, campaign
from swarm.sim.boards.honest import HonestBoard
from swarm.sim.boards.profiles import ESP32, PROFILES, RP2040
from swarm.sim.kernel import Clock, Kernel
from swarm.sim.media import Bus, Radio
from swarm.sim.plan import Options
from swarm.sim.run import Run

TICK = RP2040.period_us
BOOT = 1_300
NEWS = RP2040.news_us + RP2040.radio_us  # a frame from the radio
FRAME = bytes(46)


class Link:
    """A link that notes when a frame was given to it; it leaves when the test says so."""

    in_ring = staticmethod(Radio.in_ring)
    ring_bytes = staticmethod(Radio.ring_bytes)
    airtime_us = staticmethod(Radio.airtime_us)
    BYTE_US = 0

    def __init__(self, kernel):
        self.kernel = kernel
        self.free = True
        self.given = []

    def can_send(self, board):
        return self.free

    def send(self, board, frame, payload):
        self.given.append(self.kernel.now)


class Line(Link):
    """The same as a line."""

    SPREAD_US = 0
    in_ring = staticmethod(Bus.in_ring)
    ring_bytes = staticmethod(Bus.ring_bytes)
    airtime_us = staticmethod(Bus.airtime_us)
    BYTE_US = Bus.BYTE_US


class Stub:
    """A node that notes when it is given a frame, and speaks once at `speaks_at` (milliseconds)."""

    def __init__(self, outcome):
        self.first_sample = baselines._NoInstant()
        self.machine = SimpleNamespace(state=1)
        self.trickle = SimpleNamespace(due=0)
        self.knowledge = SimpleNamespace(bitmaps=bytearray(8))
        self.sessions = SimpleNamespace(live=bytes(4))
        self.frame = SimpleNamespace(echo_count=0)
        self.counters = [0] * len(COUNTERS)
        self.conflict = self.sample_due = False
        self.speaks_at = 1 << 28
        self.heard = []
        self.told = None
        self._outcome = outcome

    def start(self, now, now_us):
        pass

    tick = start

    def complete_local(self, now, now_us):
        self.told = now_us

    def left(self, left_us):
        pass

    def receive(self, buffer, length, now, now_us, sent_us):
        self.heard.append((now_us, sent_us))
        if self._outcome in COUNTERS:
            self.counters[COUNTERS.index(self._outcome)] += 1
        if self._outcome not in ("forged", "foreign"):
            self.counters[0] += 1
        if self._outcome == "news":
            known = int.from_bytes(self.knowledge.bitmaps, "little")
            self.knowledge.bitmaps[:] = (2 * known + 1).to_bytes(8, "little")

    def wait_ms(self, now, now_us):
        return max(0, self.speaks_at - now)

    def poll(self, now, now_us, buffer):
        length = 0 if now < self.speaks_at else 46
        self.speaks_at = 1 << 28 if length else self.speaks_at
        return length


class Watch:
    def booted(self, board):
        pass

    ready = changed = booted

    def hearing(self, board, payload):
        pass

    heard = sends = lost_power = sampled = hearing


def made(outcome="news", link=Link, profile=RP2040, ours=True, stamp_us=1000, members=8):
    kernel = Kernel(1)
    node = Stub(outcome)
    board = HonestBoard(kernel, 1, 0, Clock(0, 0), lambda _: node, Watch(), stamp_us, 0, profile, members, ours)
    board.links.append(link(kernel))
    kernel.at(BOOT, board.boot, None)
    return board, node


def hear(board, *times):
    for when in times:
        board.kernel.at(when, board.hear, board.links[0], FRAME, None)


def test_a_frame_waits_for_the_tick_and_the_next_for_the_work_on_it():
    board, node = made()
    hear(board, BOOT + 10 * TICK + 1, BOOT + 10 * TICK + 700)
    board.kernel.run(100_000)
    first = BOOT + 11 * TICK
    assert [now for now, _ in node.heard] == [first, first + NEWS]


def test_what_comes_during_the_work_is_heard_in_the_same_tick():
    board, node = made()
    hear(board, BOOT + TICK, BOOT + TICK + 100)
    board.kernel.run(100_000)
    assert [now for now, _ in node.heard] == [BOOT + TICK, BOOT + TICK + NEWS]


def test_a_tick_that_overruns_the_next_is_followed_by_it_at_once():
    board, node = made()
    tick = BOOT + TICK
    busy_until = tick + 2 * NEWS + RP2040.tick_us
    hear(board, tick, tick + 1, busy_until - 100)
    board.kernel.run(100_000)
    assert busy_until > tick + TICK and node.heard[-1][0] == busy_until


@pytest.mark.parametrize(
    "outcome, took_us",
    (
        ("news", RP2040.news_us), ("nothing new", RP2040.same_us), ("replayed", RP2040.replayed_us),
        ("stale", RP2040.replayed_us), ("forged", RP2040.forged_us), ("foreign", RP2040.refused_us),
    ),
)  # fmt: skip
def test_a_frame_takes_what_comes_of_it(outcome, took_us):
    board, node = made(outcome)
    hear(board, BOOT + TICK, BOOT + TICK)
    board.kernel.run(100_000)
    assert node.heard[1][0] - node.heard[0][0] == took_us + RP2040.radio_us


def test_a_frame_without_a_tag_takes_less_and_one_on_a_line_more():
    took = []
    for tagged in (False, True):
        board, node = made(ours=False)
        node.tagged = tagged
        hear(board, BOOT + TICK, BOOT + TICK)
        board.kernel.run(100_000)
        took.append(node.heard[1][0] - node.heard[0][0])
    assert took[0] == RP2040.hand_receive_us + RP2040.radio_us < NEWS / 3
    assert took[1] == took[0] + RP2040.tag_us < NEWS
    board, node = made(link=Line)
    hear(board, BOOT + TICK, BOOT + TICK)
    board.kernel.run(100_000)
    assert node.heard[1][0] - node.heard[0][0] == RP2040.news_us + 46 * RP2040.decode_us


def test_the_ring_is_bounded_and_the_newest_is_dropped():
    board, node = made(members=4)
    hear(board, *range(BOOT + TICK + 1, BOOT + TICK + 41))
    board.kernel.run(300_000)
    room = Radio.ring_bytes(4) // Radio.in_ring(46)
    assert len(node.heard) == room < 40 and board.dropped == 40 - room


def test_readiness_is_told_at_a_tick():
    board, node = made()
    board.kernel.at(BOOT + 3 * TICK + 5, board._complete, 1)
    board.kernel.run(100_000)
    assert board.ready_at == BOOT + 3 * TICK + 5 and node.told == BOOT + 4 * TICK


def test_it_speaks_from_a_tick_and_hears_nothing_until_the_radio_has_sent():
    board, node = made()
    node.speaks_at = 21
    board.kernel.run(40_000)
    tick = BOOT + 10 * TICK
    given = tick + RP2040.before_us + RP2040.build_us + RP2040.radio_us
    assert board.links[0].given == [given] and board.frames == 1
    hear(board, 41_000)
    board.kernel.at(60_000, board.left, 59_000)
    held = {}
    node.tick = lambda now, now_us: held.setdefault(now_us, board.held_us)
    board.kernel.run(100_000)
    ended = 60_000 + RP2040.tick_us - RP2040.before_us
    assert [now for now, _ in node.heard] == [ended]
    assert held[ended] == ended - tick, "a sample that falls in that time is late by no fault of the node"


@pytest.mark.parametrize("tagged", (False, True))
def test_a_frame_by_hand_is_built_sooner_but_for_a_tag(tagged):
    board, node = made(ours=False)
    node.speaks_at = 21
    node.tagged = tagged
    board.kernel.run(40_000)
    built = BOOT + 10 * TICK + RP2040.hand_tick_us + RP2040.hand_build_us + tagged * RP2040.tag_us
    assert board.links[0].given == [built + RP2040.radio_us]


@pytest.mark.parametrize("free, frames", ((True, 1), (False, 0)))
def test_on_a_line_a_frame_gives_way_to_who_talks_and_is_not_waited_for(free, frames):
    board, node = made(link=Line)
    node.speaks_at = 21
    built = BOOT + 10 * TICK + RP2040.before_us + RP2040.build_us
    board.kernel.at(built, setattr, board.links[0], "free", free)
    hear(board, built + 10 * TICK)
    board.kernel.run(100_000)
    assert board.frames == len(board.links[0].given) == frames and len(node.heard) == 1
    if free:
        assert board.links[0].given == [built + 46 * RP2040.encode_us]


@pytest.mark.parametrize("stamp_us", (1, 1000))
def test_the_radio_stamps_to_one_grain_however_long_a_frame_waits(stamp_us):
    board, node = made(stamp_us=stamp_us)
    times = [BOOT + TICK + 137 * i for i in range(12)]
    hear(board, *times)
    board.kernel.run(100_000)
    late = [sent + Radio.airtime_us(46) - came for came, (_, sent) in zip(times, node.heard, strict=True)]
    assert min(late) >= 0 and max(late) <= stamp_us


def test_a_line_tells_to_the_byte_what_it_has_seen_coming_and_the_rest_when_it_is_read():
    airtime = Bus.airtime_us(46)
    for came in range(BOOT + 5 * TICK, BOOT + 6 * TICK, 61):
        board, node = made(link=Line)
        hear(board, came)
        board.kernel.run(100_000)
        assert 0 <= node.heard[0][1] - (came - airtime) < 87
    board, node = made(link=Line)
    board.kernel.at(BOOT + 5 * TICK + 1500, board.hear, board.links[0], bytes(8), None)  # whole between two ticks
    board.kernel.run(100_000)
    assert node.heard[0] == (BOOT + 6 * TICK, BOOT + 6 * TICK - Bus.airtime_us(8))


def test_the_time_for_a_frame_that_an_option_gives_comes_on_top():
    plain, slow = (
        sum(Run(Options(nodes=(4, 4), boot_spread_ms=50, frame_us=us), seed).run().converge_us for seed in range(1, 9))
        for us in (0, 3000)
    )
    assert slow > plain + 8 * 3000


@pytest.mark.parametrize("protocol", benchmark.PROTOCOLS)
@pytest.mark.parametrize("board, topology", (("esp32", "single"), ("rp2040", "bus")))
def test_every_protocol_concludes_on_every_board(board, topology, protocol):
    options = Options(nodes=(5, 5), boot_spread_ms=300, board=board, topology=topology, protocol=protocol)
    found = [Run(options, seed).run() for seed in range(1, 5)]
    assert found == [Run(options, seed).run() for seed in range(1, 5)]
    stranded = sum(result.stranded > 0 for result in found)
    assert stranded < 4 if protocol == "published" else not stranded and not campaign.failures(found)


def test_a_tag_takes_honest_boards_time_and_ideal_ones_none():
    def waits(board, protocol):
        options = Options(nodes=(5, 5), board=board, protocol=protocol)
        return [Run(options, seed).run().converge_us for seed in range(1, 9)]

    assert sum(waits("esp32", "tagged")) > sum(waits("esp32", "heartbeat")) + 8 * 2 * 500
    assert waits("ideal", "tagged") == waits("ideal", "heartbeat")


@pytest.mark.parametrize("board", PROFILES)
def test_mixed_faults_break_nothing(board):
    options = Options(nodes=(2, 12), quorum=0, loss=0.1, topology="any", faults=("mixed",), board=board)
    found = campaign.run(options, range(1, 13), campaign.cores())
    assert not campaign.failures(found) and sum(result.converge_us is not None for result in found) > 6


def test_honest_boards_take_longer_than_ideal_ones_and_their_ticks_fall_apart():
    def wait(board):
        return campaign.summary(
            options := Options(nodes=(5, 5), loss=0.1, board=board), campaign.run(options, range(1, 21), 1)
        )["converge_ms"]["p50"]

    assert wait("esp32") > wait("ideal") + 4
    run = Run(Options(nodes=(12, 12), boot_spread_ms=5), 1)
    run.run()
    assert len({board._timer_us % TICK // 250 for board in run.boards}) > 6
    assert ESP32.period_us == TICK
