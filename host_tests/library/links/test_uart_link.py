"""The UART link: who talks when, what noise costs, RS-485 drivers, single wires, both chips, and no memory."""

import contextlib
import random
import statistics
import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import frames_on_stack
from faction.cobs import encode
from faction.core import BOOTSTRAPPED
from faction.frame import max_length
from faction.node import Node
from swarm.paths import LIB
from swarm.runtimes.measure import allocation
from uart_fixture import BAUD, PERIOD_US, Line

LINK = LIB / "faction" / "links" / "uart.py"
CHIPS = ("esp32", "rp2")
SEEDS = range(4)
BYTE_US = 10 * 1e6 / BAUD
SHORT, LONG = 34, 82  # frames of a swarm of five, without echoes and with eight
DE = 7


def some_frame(chance, node, length=None):
    """A frame that begins with its sender's id; many zeros, as frames have them."""
    body = (chance.choice((0, 0, chance.randrange(256))) for _ in range((length or chance.randint(SHORT, LONG)) - 1))
    return bytes((node, *body))


def exchange(line, boards, count=20, ms=4000):
    """Have every board send count frames; returns {node: its frames}."""
    chance = random.Random(f"frames/{line.seed}")
    sent = {board.node: [some_frame(chance, board.node) for _ in range(count)] for board in boards}
    for board in boards:
        board.outbox += sent[board.node]
    line.run(ms)
    assert not any(board.outbox for board in boards), f"seed {line.seed}: frames are left"
    return sent


def wire(frame):
    """A frame as it is on the wire."""
    out = bytearray(len(frame) + 2)
    encode(frame, len(frame), out, f"{len(frame)}s")
    return bytes(out)


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("single_wire", [False, True])
@pytest.mark.parametrize("chip", CHIPS)
def test_frames_reach_everybody_else_once_and_in_order(chip, single_wire, seed):
    line = Line(seed)
    boards = line.linked((1, 2, 3), chip, single_wire)
    sent = exchange(line, boards)
    for board in boards:
        for other in boards:
            frames = [frame for frame in board.frames if frame[0] == other.node]
            wanted = [] if other is board else sent[other.node]
            yielded = other.link.counters()["yielded"]
            if not line.bus.collisions:
                assert len(frames) == len(wanted) - yielded * (other is not board), (seed, board.node, other.node)
            missing = [frame for frame in wanted if frame not in frames]
            assert [frame for frame in wanted if frame in frames] == frames, (seed, "changed, twice or out of order")
            assert len(missing) <= 2 * line.bus.collisions + yielded, seed
        counters = board.link.counters()
        assert counters["sent"] + counters["yielded"] == 20 and not counters["stuck"], (seed, counters)
        assert counters["received"] == len(board.frames)


@pytest.mark.parametrize("seed", SEEDS[:2])
def test_a_busy_bus_loses_few_frames(seed):
    """Six nodes that always have something to say use the line and rarely collide."""
    line = Line(seed)
    boards = line.linked(range(1, 7), random.Random(seed).choice(CHIPS), members=6)
    sent = exchange(line, boards, count=30, ms=6000)
    received = sum(len(board.frames) for board in boards)
    total = 5 * sum(len(frames) for frames in sent.values())
    assert received >= 0.85 * total, (seed, line.bus.collisions, received / total)


@pytest.mark.parametrize("seed", SEEDS)
def test_the_time_of_sending_is_never_too_early_and_seldom_a_tick_late(seed):
    line = Line(seed)
    sender, *others = line.linked((1, 2, 3, 4))
    late = []
    chance = random.Random(seed)
    for length in [SHORT, LONG] * 30:
        sender.outbox.append(some_frame(chance, 1, length))
        line.run(chance.randint(40, 60))
        for board in others:
            late.append((length, board.inbox[-1][2] - sender.sent_us[-1]))
    assert all(0 <= us <= PERIOD_US + 500 for _, us in late), (seed, min(late), max(late))
    # A frame that takes longer than a tick is caught while it comes in.
    assert all(us <= 1000 for length, us in late if length == LONG), seed
    assert statistics.median(us for length, us in late if length == SHORT) <= 1000, seed


def test_a_burst_is_stamped_frame_by_frame():
    """The bytes behind a frame's end mark tell how long ago that came."""
    line = Line(1)
    one, other = line.linked((1, 2))
    frames = [wire(some_frame(random.Random(i), 1, SHORT)) for i in range(3)]
    other.next_us = 1_000_000_000
    line.bus.write(1, b"".join(frames), 1000)
    line.sleep(20_000)
    read_us = line.true_us
    other.receive()
    assert len(other.inbox) == 3
    for i, (_, _, sent_us) in enumerate(other.inbox):
        before_us = (3 - i) * len(frames[0]) * BYTE_US
        assert 0 <= sent_us - (read_us - before_us) <= 0.006 * before_us + 100, i


@pytest.mark.parametrize(
    ("baud", "members", "imin_ms"), [(115_200, 5, 30), (1_000_000, 5, 20), (9600, 5, 351), (115_200, 680, 88)]
)
def test_the_shortest_interval_is_four_of_the_longest_frames(baud, members, imin_ms):
    (board,) = Line(1).linked((1,), members=members, baud=baud)
    assert board.link.imin_ms == imin_ms >= 16
    assert imin_ms / 1000 >= 4 * (max_length(members) + 2) * 10 / baud
    assert board.link.mtu == 250 >= max_length(members)


@pytest.mark.parametrize("chip", CHIPS)
@pytest.mark.parametrize(("baud", "members"), [(1200, 680), (9600, 5), (115_200, 5), (115_200, 680), (3_000_000, 5)])
def test_rings_hold_four_frames_and_what_comes_in_a_32nd_of_a_second(chip, baud, members):
    (board,) = Line(1).linked((1,), chip, members=members, baud=baud)
    uart = board.link._uart
    assert uart._rxbuf >= max(256, 4 * (max_length(members) + 2), baud / 320 - 1)
    assert uart._txbuf >= 2 * (max_length(members) + 2), "so that no write waits or is short"


def test_a_late_tick_loses_no_byte():
    line = Line(1)
    one, other = line.linked((1, 2))
    sent = [some_frame(random.Random(i), 1, SHORT) for i in range(8)]
    other.next_us = 30_000
    line.bus.write(1, b"".join(wire(frame) for frame in sent), 0)
    line.run(60)
    assert other.frames == sent


# Noise


@settings(max_examples=40)
@given(st.binary(min_size=1, max_size=400), st.integers(0, 2**32))
def test_noise_and_then_silence_costs_no_frame(noise, seed):
    line = Line(seed)
    one, other = line.linked((1, 2))
    frame = some_frame(random.Random(seed), 1)
    line.noise(noise)
    line.run(100)
    one.outbox.append(frame)
    line.run(100)
    assert other.frames[-1:] == [frame]


@settings(max_examples=40)
@given(st.binary(min_size=1, max_size=400), st.integers(0, 2**32))
def test_noise_that_touches_a_frame_costs_that_frame_only(noise, seed):
    line = Line(seed)
    one, other = line.linked((1, 2))
    chance = random.Random(seed)
    before, touched, after = (some_frame(chance, 1) for _ in range(3))
    line.bus.write(1, wire(before) + noise + wire(touched) + wire(after), 0)
    line.run(150)
    assert other.frames[0] == before and other.frames[-1] == after
    assert len(other.frames) <= 3 + noise.count(0)


def test_a_run_without_end_is_thrown_away_up_to_the_next_end_mark_and_counted_once():
    line = Line(1)
    one, other = line.linked((1, 2))
    frame = some_frame(random.Random(1), 1)
    line.bus.write(1, b"\x55" * 5000 + b"\0" + wire(frame), 0)
    line.run(600)
    assert other.frames == [frame]
    assert other.link.counters()["noise"] == 1 and len(other.buffer) == LONG + 1


def test_end_marks_alone_are_nothing():
    line = Line(1)
    one, other = line.linked((1, 2))
    line.bus.write(1, bytes(300), 0)
    line.run(100)
    assert other.frames == [] and other.link.counters()["noise"] == 0


def test_a_call_reads_the_line_once_however_much_comes():
    line = Line(1)
    one, other = line.linked((1, 2))
    uart, reads = other.link._uart, []
    uart.any = lambda: reads.append(1) or 300
    uart.readinto = lambda buffer, count: count  # for ever 0x00, the end mark
    for calls in range(1, 20):
        assert other.link.receive(other.buffer) == 0
        assert len(reads) == calls


# Talking


def test_nobody_talks_while_bytes_come_in_nor_for_a_random_time_after():
    silences = {}
    for node in range(1, 6):
        line = Line(node)
        one, other = line.linked((9, node))
        other.outbox.append(some_frame(random.Random(1), node))
        line.bus.write(9, wire(some_frame(random.Random(2), 9, LONG)) * 3, 0)
        end_us = 3 * (LONG + 2) * BYTE_US
        line.run(100)
        silences[node] = (other.sent_us[0] - end_us) / 1000
        # two milliseconds and up to two of the longest frames, from the tick at which the last bytes were seen
        assert 1.5 <= silences[node] <= 2 + 4 + other.link.imin_ms / 2 + 2 * PERIOD_US / 1000, silences
    assert max(silences.values()) - min(silences.values()) > 5, silences


def test_the_random_time_is_the_same_in_each_run():
    def times():
        line = Line(3)
        boards = line.linked((1, 2, 3))
        exchange(line, boards)
        return [board.sent_us for board in boards]

    assert times() == times()


def test_a_frame_is_given_up_when_somebody_else_has_begun_while_it_was_built():
    line = Line(1)
    one, other = line.linked((1, 2))
    line.run(50)
    assert one.link.free()
    other.link.send(bytearray(some_frame(random.Random(1), 2)), SHORT)
    line.sleep(200)
    one.link.send(bytearray(some_frame(random.Random(1), 1)), SHORT)
    assert one.link.counters()["yielded"] == 1 and line.bus.stations[1].sent == 0
    assert not one.link.free()
    line.run(50)
    assert one.frames == [some_frame(random.Random(1), 2)[:SHORT]] and one.link.free()


def test_boards_whose_ticks_fall_together_seldom_begin_together():
    """A byte is noticed only when it has come whole: who begins within one of another does not see it."""
    begun = []
    for node in (1, 2, 9):
        line = Line(1)  # of its own: nobody keeps it waiting
        (board,) = line.linked((node,))
        board.next_us = 0
        for _ in range(200):
            board.outbox.append(some_frame(random.Random(1), node))
            line.run(48)
        begun.append([us % PERIOD_US for us in board.sent_us])
    assert all(len(times) == 200 and max(times) < 7 * 1.5 * BYTE_US + 50 for times in begun)
    for i, times in enumerate(begun):
        for other in begun[:i]:
            apart = sum(abs(a - b) > BYTE_US for a, b in zip(times, other, strict=True))
            assert apart > 0.7 * len(times), (i, apart)


def test_a_silent_line_stays_free_when_the_ticks_wrap():
    line = Line(1)
    one, other = line.linked((1, 2))
    line.noise(b"\x11")
    line.run(50)
    assert one.link.free()
    line.true_us += (1 << 29) * 1000 + 12345
    assert one.link.free()


@pytest.mark.parametrize("length", [SHORT, LONG])
@pytest.mark.parametrize("chip", CHIPS)
def test_the_driver_is_on_while_the_frame_leaves_and_off_right_after(chip, length):
    line = Line(1)
    one, other = line.linked((1, 2), chip, de=DE)
    assert [level for _, _, level in line.levels] == [0, 0]
    for i in range(20):
        line.levels.clear()
        frame = some_frame(random.Random(i), 1, length)
        one.outbox.append(frame)
        line.run(50)
        (on_us, _, on), (off_us, _, off) = line.levels
        assert (on, off) == (1, 0) and other.frames[-1] == frame
        start_us, end_us = one.sent_us[-1], one.sent_us[-1] + (length + 2) * BYTE_US
        assert start_us <= on_us <= start_us + 10 and end_us <= off_us <= end_us + 50, i


def test_a_chip_that_seems_to_be_done_before_it_has_begun_keeps_the_driver_on():
    line = Line(1)
    one, other = line.linked((1, 2), de=DE)
    one.link._uart.txdone = lambda: True
    line.levels.clear()
    one.outbox.append(some_frame(random.Random(1), 1, LONG))
    line.run(50)
    assert line.levels[1][0] >= one.sent_us[0] + 0.995 * (LONG + 2) * BYTE_US


def test_a_late_tick_leaves_the_driver_on_no_longer_than_itself():
    line = Line(1)
    one, other = line.linked((1, 2), de=DE)
    line.levels.clear()
    one.outbox.append(some_frame(random.Random(1), 1, LONG))
    while not one.sent_us:
        line.run(1)
    one.next_us = line.true_us + 30_000
    line.run(60)
    assert [level for _, _, level in line.levels] == [1, 0]
    assert line.levels[1][0] <= one.sent_us[0] + 32_000 and one.link.counters()["sent"] == 1


class ShortWriter:
    """A board whose UART takes at most some bytes a write, and None every other time."""

    def __init__(self, board, at_most):
        self._board, self._at_most, self._calls = board, at_most, 0
        self._write = board.link._uart.write
        board.link._uart.write = self.write

    def write(self, data):
        self._calls += 1
        if not self._at_most or self._calls % 2 == 0:
            return None
        return self._write(bytes(data[: self._at_most]))


@pytest.mark.parametrize("at_most", [20, 30, 70])
def test_what_a_short_write_leaves_is_sent_at_the_next_ticks(at_most):
    line = Line(1)
    one, _ = line.linked((1, 2), "rp2", de=DE)
    ShortWriter(one, at_most)
    frames = [some_frame(random.Random(i), 1, length) for i, length in enumerate((SHORT, LONG, SHORT))]
    for frame in frames:
        for transmission in line.bus._sent:
            assert transmission.end_us <= line.true_us
        line.bus._sent.clear()
        one.outbox.append(frame)
        line.run(120)
        assert b"".join(bytes(part.data) for part in line.bus._sent) == wire(frame)
        assert line.levels[-1][2] == 0 and line.levels[-1][0] >= line.bus._sent[-1].end_us - 1
    assert one.link.counters()["sent"] == 3


def test_a_line_that_takes_nothing_is_given_up_in_bounded_time():
    line = Line(1)
    one, other = line.linked((1, 2), "rp2", de=DE)
    whole = one.link._uart.write
    ShortWriter(one, 0)
    one.outbox.append(some_frame(random.Random(1), 1))
    line.run(20)
    assert not one.link.free() and line.levels[-1][2] == 1
    line.run(60)
    assert one.link.free() and line.levels[-1][2] == 0
    assert one.link.counters()["stuck"] == 1 and one.link.counters()["sent"] == 0
    one.link._uart.write = whole
    frame = some_frame(random.Random(2), 1)
    one.outbox.append(frame)
    line.run(50)
    assert other.frames == [frame]


def test_without_memory_for_a_view_the_frame_is_lost_and_the_line_free():
    class Full(dict):
        def __setitem__(self, *_):
            raise MemoryError

    def tick(board):
        with contextlib.suppress(MemoryError):
            board.tick()

    line = Line(1)
    one, other = line.linked((1, 2), de=DE)
    one.link._views = Full()
    one.outbox.append(some_frame(random.Random(1), 1))
    line.run(80, tick)
    assert one.link.counters()["stuck"] == 1 and one.link.free() and line.levels[-1][2] == 0
    one.link._views = {}
    frame = some_frame(random.Random(2), 1)
    one.outbox.append(frame)
    line.run(50)
    assert other.frames == [frame]


# Echo of a single wire


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("chip", CHIPS)
def test_the_own_echo_is_dropped_even_when_noise_has_changed_it(chip, seed):
    line = Line(seed, noise=0.5)
    boards = line.linked((1, 2, 3), chip, single_wire=True)
    sent = exchange(line, boards)
    for board in boards:
        assert not [frame for frame in board.frames if frame in sent[board.node]], seed
        whole = sum(frame in board.frames for other in boards if other is not board for frame in sent[other.node])
        assert 0.25 * 40 <= whole <= 0.75 * 40, (seed, whole)


def test_an_echo_that_does_not_come_is_not_waited_for():
    line = Line(1)
    one, other = line.linked((1, 2), single_wire=True)
    line.bus.stations[1].single_wire = False
    for i in range(10):
        one.outbox.append(some_frame(random.Random(i), 1))
        line.run(60)
        frame = some_frame(random.Random(i), 2)
        other.outbox.append(frame)
        line.run(60)
        assert one.frames[-1] == frame, i


# Interrupts


class Tracing:
    """Ticks that note in `lines` which lines one board's link executes, and raise KeyboardInterrupt at the at-th."""

    def __init__(self, board, at=None):
        self.lines = []
        self._board, self._at = board, at
        self._file = type(board.link).send.__code__.co_filename

    def tick(self, board):
        if board is not self._board or len(self.lines) == self._at:
            board.tick()
            return
        before = sys.gettrace()  # coverage's, where it is measured
        sys.settrace(self._trace)
        try:
            board.tick()
        except KeyboardInterrupt:
            pass
        finally:
            sys.settrace(before)

    def _trace(self, frame, event, _):
        if frame.f_code.co_filename != self._file:
            return None
        if event == "line":
            self.lines.append(frame.f_lineno)
            if len(self.lines) == self._at:
                raise KeyboardInterrupt
        return self._trace


def interrupted(at, single_wire):
    """Two boards that exchange frames, one of them interrupted at the at-th line of its link; the lines."""
    line = Line(1)
    one, other = line.linked((1, 2), de=DE, single_wire=single_wire)
    tracing = Tracing(one, at)
    chance = random.Random(1)
    for board in (one, other):
        board.outbox.append(some_frame(chance, board.node, LONG))
    line.run(60, tracing.tick)
    line.run(80)
    for board, listener in ((one, other), (other, one)):
        frame = some_frame(chance, board.node)
        board.outbox.append(frame)
        line.run(50)
        assert listener.frames[-1] == frame, f"interrupted at {at}, line {tracing.lines[-1]}"
    assert line.levels[-1][2] == 0, f"interrupted at {at}, line {tracing.lines[-1]}: the driver is on"
    return tracing.lines


@pytest.mark.parametrize("single_wire", [False, pytest.param(True, marks=pytest.mark.long)])
def test_a_link_that_is_interrupted_anywhere_goes_on(single_wire):
    lines = interrupted(None, single_wire)
    # Each line at its first execution; on the single wire at its last.
    places = enumerate(lines, 1) if single_wire else reversed(list(enumerate(lines, 1)))
    at_line = {line: at for at, line in places}
    assert len(at_line) > 50, "most lines of the link are executed"
    for at in sorted(at_line.values()):
        assert len(interrupted(at, single_wire)) == at


# Setting up


@pytest.mark.parametrize(
    ("chip", "uart", "text"),
    [
        ("rp2", {"tx": 5}, "'tx': 5.*bad TX pin: give id, tx and rx"),
        ("rp2", {"id": 2}, "'id': 2.*doesn't exist"),
        ("esp32", {"id": 0}, "REPL UART buffer size is fixed"),
        ("esp32", {"tx": 34}, "'tx': 34.*ESP_ERR_INVALID_ARG"),
        ("esp32", {"rx": 99}, "'rx': 99.*invalid pin"),
    ],
)
def test_what_the_chip_refuses_names_key_value_and_remedy(chip, uart, text):
    with pytest.raises(ValueError, match=f"^board.py: UART: .*{text}"):
        Line(1).board(1, chip).open_link(**uart)


def test_a_board_without_a_uart_says_so():
    line = Line(1)
    (board,) = line.linked((1,))
    link = type(board.link)
    config = {"baud": BAUD, "members": [1, 2], "node": 1}
    with pytest.raises(ValueError, match="^board.py: UART: None: .*: give id, tx and rx that this chip has free"):
        link(config, object())

    class WithoutTx:
        UART = {"id": 1, "rx": 5}

    with pytest.raises(ValueError, match="^board.py: UART: {'id': 1, 'rx': 5}: 'tx': give"):
        link(config, WithoutTx)


def test_close_frees_the_uart_and_the_line():
    line = Line(1)
    one, other = line.linked((1, 2), de=DE)
    one.link.send(bytearray(some_frame(random.Random(1), 1)), SHORT)
    one.link.close()
    assert set(line.bus.stations) == {2} and line.levels[-1][1:] == (DE, 0)
    assert line.true_us >= (SHORT + 2) * BYTE_US, "what was written has left"


# Nodes


class NodeBoard:
    """What runs a Node over a board's link: the runner, in simulated time."""

    def __init__(self, board, count, chance):
        self.board = board
        self.boot_us = chance.uniform(0, 1_500_000)
        self.warm_us = self.boot_us + chance.uniform(100_000, 1_500_000)
        self.node = None
        self.ready_us = self.concluded_us = self.instant_us = None
        self._count = count
        self._buffer = bytearray(250)

    def tick(self):
        board, line = self.board, self.board.line
        if line.true_us < self.boot_us:
            while board.link.receive(board.buffer):
                pass
            return
        now = board.ticks_ms(), board.ticks_us()
        if self.node is None:
            members = list(range(1, self._count + 1))
            self.node = Node("bus", members, board.node, self._count, bytes(16), 1, imin_ms=board.link.imin_ms)
            self.node.start(*now)
        while length := board.link.receive(board.buffer):
            self.node.receive(board.buffer, length, *now, board.link.sent_us)
        self.node.tick(*now)
        if board.link.free():
            length = self.node.poll(*now, self._buffer)
            if length:
                board.link.send(self._buffer, length)
        if self.ready_us is None and line.true_us >= self.warm_us:
            self.ready_us = line.true_us
            self.node.complete_local(*now)
        if self.concluded_us is None and self.node.machine.state == BOOTSTRAPPED:
            self.concluded_us = line.true_us
        if self.node.sample_due:
            self.instant_us = line.true_us + self.node.first_sample.remaining_us(now[1])
            self.node.take_sample(now[1])


def converge(seed, count, noise=0.1, **line_options):
    """(milliseconds from the last readiness to the last conclusion, spread of the instants in microseconds)"""
    line = Line(seed, noise)
    chance = random.Random(f"nodes/{seed}")
    boards = {board: NodeBoard(board, count, chance) for board in line.linked(range(1, count + 1), **line_options)}
    while not all(run.instant_us for run in boards.values()):
        line.run(50, lambda board: boards[board].tick())
        assert line.true_us < 12_000_000, (
            f"seed {seed}: {[run.node and run.node.machine.state for run in boards.values()]}"
        )
    runs = boards.values()
    instants = [run.instant_us for run in runs]
    waited_us = max(run.concluded_us for run in runs) - max(run.ready_us for run in runs)
    return waited_us / 1000, max(instants) - min(instants)


def test_five_nodes_on_one_bus_agree(capsys):
    results = [
        converge(seed, 5, chip=CHIPS[seed % 2], single_wire=seed % 4 >= 2, de=DE if seed % 8 >= 4 else None)
        for seed in range(12)
    ]
    waits, spreads = zip(*results, strict=True)
    with capsys.disabled():
        print(
            f"\nfive nodes on a bus, noise in a tenth: {statistics.median(waits):.0f} ms, at most {max(waits):.0f}; "
            f"spread of the instants {statistics.median(spreads):.0f} us, at most {max(spreads):.0f}"
        )
    # A frame that is shorter than a tick may be stamped a tick late, if nobody says it again.
    assert max(waits) <= 300, results
    assert statistics.median(spreads) <= 1000 and max(spreads) <= PERIOD_US + 500, results


def test_a_node_that_hears_only_itself_hears_nobody():
    """A single wire without the setting for it: the node knows its own frames, and they change nothing."""
    line = Line(1)
    (board,) = line.linked((1,), single_wire=True)
    board.link._echo = None
    run = NodeBoard(board, 2, random.Random(1))
    line.run(5000, lambda _: run.tick())
    assert not run.node.conflict and board.link.counters()["received"] > 0
    assert list(run.node.knowledge.bitmaps) == [1, 1]


# Memory

MACHINE = """
import sys

class Pin:
    OUT = 3
    def __init__(self, number, mode, value):
        pass
    def value(self, level):
        pass

class UART:
    def __init__(self, *_, **__):
        self.line = bytearray(400)
        self.waiting = 0
        self.at_most = 400
    def any(self):
        return self.waiting
    def readinto(self, buffer, count):
        for i in range(count):
            buffer[i] = self.line[i]
        self.waiting -= count
        for i in range(self.waiting):
            self.line[i] = self.line[i + count]
        return count
    def write(self, data):
        count = min(len(data), self.at_most)
        for i in range(count):
            self.line[self.waiting + i] = data[i]
        if self.waiting:  # the bus is busy: this is what another sends
            self.waiting = 0
        self.waiting += count
        return count
    def txdone(self):
        return True

class machine:
    pass

machine.UART, machine.Pin = UART, Pin
sys.modules["machine"] = machine
from time import ticks_us
from faction.links.uart import UartLink

class board:
    UART = {{"id": 1, "tx": 4, "rx": 5, "de": 2, "single_wire": {single_wire}}}

link = UartLink({{"baud": 115200, "members": [1, 2, 3, 4, 5], "node": 3}}, board)
uart = link._uart
buffer = link.receive_buffer()
out = bytearray(82)
for i in range(0, 82, 3):
    out[i] = i
noise = bytearray(300)
for i in range(300):
    noise[i] = 85

def drain():
    link._end_us = ticks_us()  # time passes
    while link._end_us is not None or uart.waiting or link._at < link._end:
        link.receive(buffer)
"""
HOT = {
    "send and receive a frame of each length": """
for length in range(34, 83, 6):
    link._hold = None
    link.free()
    link.send(out, length)
    drain()
""",
    "noise without end": """
link.receive(buffer)
uart.waiting = 0
uart.write(noise)
drain()
link.free()
""",
    "short writes": """
uart.at_most = 33
link.send(out, 82)
uart.waiting = 0
for _ in range(3):
    link.receive(buffer)
    uart.waiting = 0
uart.at_most = 400
drain()
""",
}


@pytest.mark.parametrize("single_wire", [False, True])
def test_no_call_takes_memory(micropython, single_wire):
    cases = {name: (MACHINE.format(single_wire=single_wire), hot) for name, hot in HOT.items()}
    assert allocation.each(micropython, cases, calls=20) == dict.fromkeys(HOT, 0)


@pytest.mark.parametrize("path", [LINK, LIB / "faction" / "cobs.py"])
def test_no_function_takes_its_frame_from_the_heap(path):
    words = frames_on_stack.words(path)
    words.pop("UartLink.__init__", None)
    assert len(words) >= 2
    too_many = {name: count for name, count in words.items() if count > frames_on_stack.LIMIT}
    assert not too_many, f"more than {frames_on_stack.LIMIT} words of state: {too_many}"
