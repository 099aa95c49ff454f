"""An access point in the simulator: what it keeps, when it passes it on, and what swarms make of that."""

from types import SimpleNamespace

import pytest

from swarm.rig import air
from swarm.sim import media
from swarm.sim.kernel import Kernel
from swarm.sim.media import AccessPoint
from swarm.sim.plan import Options, draw
from swarm.sim.run import Run

FRAME = bytes(46)


class Board:
    """A board that notes when it hears what, and when its frames have left."""

    def __init__(self, kernel, point, place):
        self.kernel, self.place, self.number, self.life = kernel, place, place, 1
        self.heard, self.gone = [], []
        point.attach(self)

    def hear(self, link, frame, payload):
        self.heard.append((self.kernel.now, payload))

    def left(self, start):
        self.gone.append(start)

    def wake(self):
        pass


@pytest.fixture
def cell():
    """An access point and three boards."""
    kernel = Kernel(3)
    weather = SimpleNamespace(arrive=lambda medium, sender, hearer, sent: hearer.hear(medium, sent.frame, sent.payload))
    point = AccessPoint(kernel, [0b110, 0b101, 0b011], weather, 0)
    return kernel, point, [Board(kernel, point, place) for place in range(3)]


def test_frames_wait_for_the_beacon_and_reach_all_others_at_one_moment(cell):
    kernel, point, (one, two, three) = cell
    kernel.at(1000, point.send, one, FRAME, "first")
    kernel.at(1000, point.send, two, FRAME, "second")
    kernel.run(250_000)
    assert one.gone == [None], "when it leaves nobody knows"
    beacon = point._begun if point._begun > 3000 else point._begun + point.BEACON_US
    ((at, what),) = one.heard
    assert what == "second" and two.heard[0][1] == "first"
    assert three.heard == [two.heard[0], (at, "second")], "one broadcast for all"
    took = air.airtime_us(83 + point.HEADS)
    assert beacon + took <= two.heard[0][0] <= beacon + took + 1000 and at >= two.heard[0][0] + took


def test_what_a_board_that_lost_power_had_given_stays_where_it_was(cell):
    kernel, point, (one, two, _) = cell
    kernel.at(1000, point.send, one, FRAME, "first")
    kernel.at(1001, setattr, one, "life", 2)
    kernel.run(250_000)
    assert not two.heard and not one.gone and point.can_send(one)


def test_swarms_conclude_over_it_and_sample_within_a_beacon():
    for seed in range(1, 4):
        result = Run(Options(nodes=(8, 8), loss=0.1, topology="wifi", board="rp2040"), seed).run()
        assert not any(result.violations.values()), result.words
        assert not result.stranded and not result.late and result.skew_us < AccessPoint.BEACON_US
        assert 0 <= result.converge_us < 1_000_000


def test_random_faults_break_nothing_that_must_hold():
    for seed in range(8):
        options = Options(nodes=(2, 8), quorum=0, loss=0.1, topology="wifi", faults=("mixed",), board="ideal")
        result = Run(options, seed).run()
        assert not any(result.violations.values()), (seed, result.words)


def test_any_topology_is_none_that_came_later():
    """What a seed draws stays what it was."""
    drawn = {draw(Options(topology="any"), seed).topology for seed in range(60)}
    assert drawn == {"single", "grid", "random", "bus", "mixed"} and media.AccessPoint.QUEUE == 4
