"""The deadline, with both answers to it, and the silence after linger_ms."""

import pytest

from faction.core import DEADLINE_EXPIRED, PARTICIPATION_OBSERVED, READY_OBSERVED, TIMED_OUT
from swarm_fixture import IMIN_MS, PERIOD, Board, Swarm

SWARM = Swarm(range(1, 6), 3)
A, SESSION = 3, 40


def board_of(retry, **options):
    return Board(SWARM, A, SESSION, deadline_ms=1000, retry=retry, **options)


@pytest.fixture(params=(0, PERIOD - 500, PERIOD - 1), ids=("", "wrap", "wrap at once"))
def ms(request):
    return request.param


@pytest.mark.parametrize("retry", (True, False))
def test_the_deadline_is_counted_from_the_start(retry, ms):
    board = board_of(retry, ms=ms)
    board.pass_ms(999)
    assert board.counter("timeouts") == 0
    assert board.state == "Pinging"
    board.pass_ms(1)
    assert board.counter("timeouts") == 1


def test_halt_stays_timed_out_and_does_not_become_ready(ms):
    board = board_of(False, ms=ms)
    board.prove(2, 5, ready=(2, 4))
    board.pass_ms(1000)
    assert board.state == "TimedOut"
    board.complete()
    assert not board.node.ready()
    assert board.state == "TimedOut"
    board.pass_ms(10_000)
    assert board.counter("timeouts") == 1
    sent = board.speak()
    assert (sent.kind, sent.timed_out, sent.bootstrapped) == (0x21, True, False)
    assert board.samples == []


def test_a_completion_at_the_deadline_comes_too_late():
    board = board_of(False)
    board.true_us += 1_000_000
    board.complete()
    assert board.state == "TimedOut"
    assert not board.node.ready()


def test_a_frame_at_the_deadline_comes_too_late():
    board = board_of(False)
    board.complete()
    board.true_us += 1_000_000
    board.prove(2, 5, ready=(2, 4))
    assert board.state == "TimedOut"
    assert board.ready == {A, 2, 4}


def test_halt_goes_on_relaying_also_as_one_that_was_ready():
    board = board_of(False)
    board.complete()
    board.pass_ms(1000)
    assert board.state == "TimedOut"
    assert board.reaction(SWARM.frame(2, 5, ready=(2, 4), heard=(A,), echoes=[(A, SESSION)])) == "reset"
    assert board.state == "TimedOut"
    sent = board.speak(IMIN_MS)
    assert (sent.kind, sent.timed_out, sent.ready) == (0x22, True, {A, 2, 4})


def test_halt_keeps_its_machine_in_a_new_generation():
    board = board_of(False)
    board.complete()
    board.pass_ms(1000)
    board.prove(2, 5, generation=4, ready=(2, 4, A))
    assert board.state == "TimedOut"
    assert board.node.knowledge.generation == 4
    assert board.ready == {A, 2, 4}


def test_retry_begins_with_a_fresh_machine_that_knows_what_the_node_knows(ms):
    class Observer:
        expired = 0

        def observe(self, machine, before, command, peer_id):
            self.expired += command == DEADLINE_EXPIRED and machine.state == TIMED_OUT
            assert (command, peer_id) != (READY_OBSERVED, A), "of itself a node says that it has completed"

        def observe_rejection(self, machine, command, peer_id):
            assert command == PARTICIPATION_OBSERVED, "collecting, the machine takes no participation in"

    observer = Observer()
    board = board_of(True, ms=ms, observer=observer)
    board.complete()
    board.prove(2, 5, ready=(2,))
    board.pass_ms(1000)
    assert (observer.expired, board.counter("timeouts")) == (1, 1)
    assert board.state == "Collecting"
    assert SWARM.ids(board.node.machine.collecting) == {A, 2}
    assert board.speak().timed_out
    board.prove(2, 5, 2, ready=(2, 4))
    assert board.state == "Bootstrapped"
    assert not board.speak().timed_out, "the last attempt has not"


def test_retry_of_a_node_that_is_not_ready():
    board = board_of(True)
    board.prove(2, 5, ready=(2, 4))
    board.pass_ms(1000)
    assert board.state == "Pinging"
    assert SWARM.ids(board.node.machine.pinging) == {A, 2, 4}
    board.complete()
    assert board.state == "Bootstrapped"


def test_retry_has_a_new_deadline_each_time(ms):
    board = board_of(True, ms=ms)
    for attempt in range(5):
        board.pass_ms(999)
        assert board.counter("timeouts") == attempt
        board.pass_ms(1)
        assert board.counter("timeouts") == attempt + 1


def test_before_a_deadline_no_frame_says_timed_out():
    board = board_of(True)
    assert not any(sent.timed_out for sent in board.pass_ms(999))


@pytest.mark.parametrize("retry", (True, False))
def test_a_node_that_has_concluded_has_no_deadline(retry):
    board = board_of(retry)
    board.complete()
    board.prove(2, 5, ready=(2, 4))
    board.pass_ms(5000)
    assert board.state == "Bootstrapped"
    assert board.counter("timeouts") == 0


def test_before_its_start_a_node_has_no_deadline():
    board = Board(SWARM, A, deadline_ms=10, start=False, true_us=10**9)
    board.node.start(*board.now)
    assert board.counter("timeouts") == 0


@pytest.mark.parametrize("retry", (True, False))
def test_the_deadline_does_not_wait_for_a_link(retry):
    board = board_of(retry)
    board.true_us += 1_000_000
    board.node.tick(*board.now)
    assert board.counter("timeouts") == 1
    assert board.counter("sent") == 0
    assert board.speak().timed_out


# linger_ms


def test_linger_is_counted_from_the_conclusion(ms):
    board = Board(SWARM, A, SESSION, linger_ms=3000, ms=ms)
    board.pass_ms(700)
    board.complete()
    assert board.pass_ms(4000), "not from completion, and not from the start"
    board.prove(2, 5, ready=(2, 4))
    assert board.state == "Bootstrapped"
    assert board.pass_ms(1999)
    board.prove(2, 5, 2, ready=(2, 4, 5))
    assert board.pass_ms(1000), "and not from the last frame heard"
    assert not board.node._silent
    board.pass_ms(1)
    assert board.node._silent
    assert board.pass_ms(5000) == []


def test_linger_zero_is_for_ever():
    board = Board(SWARM, A, SESSION, linger_ms=0)
    board.complete()
    board.prove(2, 5, ready=(2, 4))
    board.pass_ms(20_000)
    assert board.pass_ms(5000)


def test_a_silent_node_listens_and_does_not_begin_again_when_ticks_wrap():
    board = Board(SWARM, A, SESSION, linger_ms=100)
    board.complete()
    board.prove(2, 5, ready=(2, 4))
    board.pass_ms(200)
    board.prove(2, 5, 2, ready=(2, 4, 5))
    assert board.ready == {A, 2, 4, 5}
    board.true_us += (PERIOD // 2 + 50) * 1000
    assert board.pass_ms(3000) == []


def test_a_silent_node_still_takes_its_first_sample():
    board = Board(SWARM, A, SESSION, linger_ms=100, lead_ms=500)
    board.complete()
    board.prove(2, 5, ready=(2, 4))
    board.pass_ms(501)
    assert [late for _, _, late in board.samples] == [False]


@pytest.mark.parametrize("retry, silent", ((False, True), (True, False)))
def test_a_time_out_is_a_conclusion_only_for_who_halts(retry, silent):
    board = board_of(retry, linger_ms=100)
    board.pass_ms(1100)
    assert (board.pass_ms(5000) == []) == silent


def test_a_silent_or_stopped_node_does_not_ask_to_be_polled_at_once():
    silent = Board(SWARM, A, SESSION, linger_ms=100)
    silent.complete()
    silent.prove(2, 5, ready=(2, 4))
    silent.pass_ms(3000)
    stopped = Board(SWARM, A, SESSION, deadline_ms=100_000)
    stopped.hear(SWARM.frame(A, SESSION + 1))
    stopped.pass_ms(3000)
    for board in (silent, stopped):
        assert board.node.wait_ms(*board.now) >= 1000
