"""The serial bus and the shim of machine.UART on it: timing, collisions, noise, and each chip's habits."""

import json
import random

import pytest

from device_script import Air, run
from requirements import require
from swarm.rig.air import Weather
from swarm.rig.bus import Bus
from swarm.rig.medium import Medium, mac_of
from uart_fixture import Line

BYTE_US = 10 * 1e6 / 115_200
SEEDS = range(20)
CHIPS = ("esp32", "rp2")
WORD = bytes(range(1, 41))


def bus(stations=(1, 2, 3), seed=1, noise=0.0, single_wire=False, baud=115_200):
    made = Bus(seed, noise)
    for station in stations:
        made.attach(station, baud, single_wire)
    return made


def heard(made, until_us=1e9):
    """{station: bytes} of what has arrived."""
    out = {}
    for station, data in made.take_due(until_us):
        out[station] = out.get(station, b"") + data
    return out


@pytest.mark.parametrize("baud", [1200, 9600, 115_200, 3_000_000])
def test_bytes_arrive_when_their_last_bit_has(baud):
    made = bus(baud=baud)
    byte_us = 10 * 1e6 / baud
    made.write(1, WORD, 1000)
    assert made.next_due_us() == pytest.approx(1000 + byte_us)
    arrived = {2: b"", 3: b""}
    for count in range(len(WORD) + 1):
        for station, data in made.take_due(1000 + (count + 0.01) * byte_us):
            arrived[station] += data
        assert count - 350 / byte_us <= len(arrived[2]) <= count and arrived[2] == arrived[3], "pieces of 0.35 ms"
    assert arrived[2] == WORD and made.next_due_us() is None


def test_what_one_station_writes_leaves_in_turn():
    made = bus()
    made.write(1, b"abc", 0)
    made.write(1, b"def", 100)
    assert heard(made, 6.01 * BYTE_US) == {2: b"abcdef", 3: b"abcdef"}
    assert made.collisions == 0


def test_a_sender_hears_itself_only_on_a_single_wire():
    for single_wire, listeners in ((False, {2, 3}), (True, {1, 2, 3})):
        made = bus(single_wire=single_wire)
        made.write(1, WORD, 0)
        assert heard(made) == dict.fromkeys(listeners, WORD)


def test_a_station_that_is_taken_away_hears_nothing():
    made = bus()
    made.attach(3, 0)
    made.write(1, WORD, 0)
    assert heard(made) == {2: WORD}


def test_overlapping_bytes_of_two_senders_collide():
    made = bus(stations=(1, 2, 3, 4))
    made.write(1, WORD, 0)
    made.write(2, WORD, 30.5 * BYTE_US)
    out = heard(made)
    assert made.collisions == 1
    for station in (3, 4):
        whole, broken, tail = out[station][:30], out[station][30:40], out[station][40:]
        assert whole == WORD[:30], "what was over before the other began is whole"
        assert all(got != sent for got, sent in zip(broken, WORD[30:], strict=True))
        assert tail == WORD[10:], "what the second sent after the first had ended"
    assert out[1] == WORD[10:] and out[2] == WORD[:30], "deaf while they send"


def test_on_a_single_wire_colliding_senders_hear_the_damage():
    made = bus(single_wire=True)
    made.write(1, WORD, 0)
    made.write(2, WORD, 0)
    out = heard(made)
    assert out[1] == out[2] == out[3] and len(out[1]) == len(WORD)
    assert all(got != sent for got, sent in zip(out[1], WORD, strict=True))


@pytest.mark.parametrize("seed", SEEDS)
def test_noise_is_seeded_and_hits_its_share_of_frames_for_each_listener(seed):
    def broken(order, noise=0.3):
        made, out = bus(seed=seed, noise=noise), set()
        now = 0
        for number, station in order:
            made.write(station, WORD, now)
            now += 100_000
            for listener, data in heard(made, now).items():
                assert len(data) == len(WORD)
                changed = [i for i in range(len(WORD)) if data[i] != WORD[i]]
                if changed:
                    assert changed[-1] - changed[0] < 4, (seed, changed)
                    out.add((number, station, listener))
        return out

    numbers = range(60)
    in_turn = broken([(number, station) for number in numbers for station in (1, 2, 3)])
    assert in_turn == broken([(number, station) for station in (3, 1, 2) for number in numbers]), seed
    assert 0.15 < len(in_turn) / (60 * 6) < 0.45, seed
    assert not broken([(number, 1) for number in numbers], noise=0.0)


def test_another_baud_rate_hears_garbage():
    made = bus()
    made.attach(3, 57_600)
    made.write(1, WORD, 0)
    out = heard(made)
    assert out[2] == WORD and len(out[3]) == len(WORD) and out[3] != WORD


def test_the_medium_carries_the_bus_beside_the_air():
    medium = Medium(1, Weather())
    for node in (1, 2):
        address = ("board", node)
        medium.receive(b"U" + mac_of(node) + (115_200).to_bytes(4, "little") + b"\0", address, 0)
    medium.receive(b"T" + mac_of(3) + b"\1", ("board", 3), 0)
    medium.receive(b"B" + mac_of(3) + WORD, ("board", 3), 0)
    assert medium.next_due_us() is None, "node 3 is not wired"
    medium.receive(b"B" + mac_of(1) + b"\4abc\0", ("board", 1), 0)
    out = medium.take_due(10_000)
    assert b"".join(datagram[3:] for _, datagram in out) == b"\4abc\0"
    for address, datagram in out:
        assert (
            address == ("board", 2)
            and datagram[2:3] == b"B"
            and int.from_bytes(datagram[:2], "little") == (len(datagram) - 2)
        )
    stats = json.loads(medium.receive(b'{"do": "stats"}', ("control", 0), 0))
    assert (stats["frames"], stats["boards"]["1"]["frames"], stats["boards"]["2"]["heard"]) == (1, 1, 1)
    assert bytes.fromhex(stats["boards"]["1"]["last_frame"]) == b"abc"
    medium.receive(b'{"do": "weather", "loss": 0.25}', ("control", 0), 0)
    assert medium.bus.noise == 0.25


# The UART of a board, in simulated time


def uart(line, node, chip="esp32", single_wire=False, **settings):
    """A board's UART on the line."""
    board = line.board(node, chip, single_wire)
    return board.uart_module.UART(1, **{"baudrate": 115_200, "tx": 4, "rx": 5, **settings})


@pytest.mark.parametrize("chip", CHIPS)
def test_bytes_go_from_one_uart_to_the_other(chip):
    line = Line(1)
    one, other = uart(line, 1, chip), uart(line, 2, chip)
    assert one.txdone() and other.any() == 0 and other.readinto(bytearray(4)) is None
    assert one.write(WORD) == len(WORD) and not one.txdone()
    line.sleep(int(len(WORD) * BYTE_US) + 2)
    assert one.txdone() and one.any() == 0
    buffer = bytearray(64)
    assert other.any() == len(WORD)
    assert other.readinto(buffer, 10) == 10 and buffer[:10] == WORD[:10]
    assert other.readinto(buffer, other.any()) == 30 and buffer[:30] == WORD[10:]


def test_a_single_wire_hears_itself():
    line = Line(1)
    one = uart(line, 1, single_wire=True)
    one.write(WORD)
    line.sleep(10_000)
    assert one.any() == len(WORD)


@pytest.mark.parametrize("chip", CHIPS)
def test_the_receive_ring_loses_the_newest(chip):
    line = Line(1)
    one, other = uart(line, 1, chip), uart(line, 2, chip, rxbuf=200)
    data = bytes(random.Random(1).randrange(256) for _ in range(256))
    one.write(data)
    line.sleep(100_000)
    buffer = bytearray(256)
    assert other.any() == 200 and other.readinto(buffer, 200) == 200
    assert buffer[:200] == data[:200]
    one.write(b"next")
    line.sleep(10_000)
    assert other.readinto(buffer, 4) == 4 and buffer[:4] == b"next", "the ring takes bytes again"


def test_esp32_waits_for_room_and_rp2_writes_less_or_nothing():
    line = Line(1)
    esp32, rp2 = uart(line, 1, "esp32", txbuf=256), uart(line, 2, "rp2", txbuf=256)
    data = bytes(1000)
    start = line.true_us
    assert esp32.write(data) == 1000
    assert line.true_us - start == pytest.approx((1000 - 256 - 128) * BYTE_US, abs=2 * BYTE_US)
    line.sleep(100_000)
    start = line.true_us
    assert rp2.write(data) == 256 + 32 and rp2.write(data) is None
    assert line.true_us == start, "it does not wait"
    line.sleep(int(10.5 * BYTE_US))
    assert rp2.write(data) == 10, "as many as have left meanwhile"


def test_rp2_lingers_in_readinto_and_esp32_does_not():
    for chip, least_ms, most_ms in (("esp32", 0, 0), ("rp2", 1, 3)):
        line = Line(1)
        one, other = uart(line, 1, chip), uart(line, 2, chip)
        one.write(b"abc")
        line.sleep(1000)
        start = line.true_us
        assert other.readinto(bytearray(10)) == 3
        assert least_ms * 1000 <= line.true_us - start <= most_ms * 1000, chip
        one.write(b"abc")
        line.sleep(1000)
        start = line.true_us
        assert other.readinto(bytearray(10), other.any()) == 3 and line.true_us == start, "asked for what is there"


def test_readinto_waits_for_the_first_byte_as_long_as_told():
    line = Line(1)
    one, other = uart(line, 1), uart(line, 2, timeout=5)
    start = line.true_us
    assert other.readinto(bytearray(1)) is None and 5_000 <= line.true_us - start <= 5_500
    one.write(b"x")
    start = line.true_us
    assert other.readinto(bytearray(1)) == 1 and line.true_us - start <= 500


def test_the_idle_interrupt_comes_once_after_a_burst():
    line = Line(1)
    one, other = uart(line, 1), uart(line, 2)
    calls = []
    other.irq(handler=calls.append, trigger=other.IRQ_RXIDLE)
    chip = line.boards[1].chip
    one.write(WORD)
    while not calls and line.true_us < 20_000:
        line.sleep(50)
        chip.run()
    assert calls == [other]
    assert len(WORD) * BYTE_US + 500 <= line.true_us <= len(WORD) * BYTE_US + 700
    for _ in range(100):
        line.sleep(50)
        chip.run()
    assert len(calls) == 1
    other.irq(handler=None)
    one.write(WORD)
    for _ in range(200):
        line.sleep(50)
        chip.run()
    assert len(calls) == 1
    with pytest.raises(ValueError, match="trigger 0x0001 unsupported"):
        other.irq(handler=calls.append, trigger=1)
    with pytest.raises(ValueError, match="handler must be None or callable"):
        other.irq(handler=3, trigger=other.IRQ_RXIDLE)


@pytest.mark.parametrize("chip", CHIPS)
def test_deinit_lets_the_rest_leave_and_takes_the_uart_off_the_bus(chip):
    line = Line(1)
    one, other = uart(line, 1, chip), uart(line, 2, chip)
    one.write(WORD)
    one.deinit()
    assert one.txdone() and other.any() == len(WORD)
    other.write(WORD)
    line.sleep(10_000)
    assert 1 not in line.bus.stations and one.any() == 0
    one.init(baudrate=115_200)
    other.write(WORD)
    line.sleep(10_000)
    assert one.any() == len(WORD)


@pytest.mark.parametrize(
    ("chip", "number", "settings", "error"),
    [
        ("esp32", 3, {}, "ValueError: UART.3. does not exist"),
        ("esp32", 0, {"rxbuf": 512}, "ValueError: REPL UART buffer size is fixed"),
        ("esp32", 1, {"tx": 40}, "ValueError: invalid pin"),
        ("esp32", 1, {"tx": 34}, "OSError: ESP_ERR_INVALID_ARG"),
        ("esp32", 1, {"rxbuf": 128}, "OSError: ESP_FAIL"),
        ("rp2", 2, {}, "ValueError: UART.2. doesn't exist"),
        ("rp2", 1, {"tx": 0}, "ValueError: bad TX pin"),
        ("rp2", 1, {"tx": 5}, "ValueError: bad TX pin"),
        ("rp2", 1, {"rx": 4}, "ValueError: bad RX pin"),
        ("rp2", 0, {"rx": 5}, "ValueError: bad RX pin"),
        ("rp2", 1, {"rxbuf": 40_000}, "ValueError: rxbuf too large"),
    ],
)
def test_what_a_chip_refuses(chip, number, settings, error):
    module = Line(1).board(1, chip).uart_module
    name, text = error.split(": ")
    with pytest.raises((ValueError, OSError), match=text) as raised:
        module.UART(number, **settings)
    assert type(raised.value).__name__ == name


@pytest.mark.parametrize("pins", [(4, 5), (8, 9), (20, 21), (24, 25)])
def test_pins_that_an_rp2040_has_for_uart_1(pins):
    uart(Line(1), 1, "rp2", tx=pins[0], rx=pins[1])


@pytest.fixture(params=("unix", "cpython"))
def interpreter(request):
    return require(request.param)


def test_the_shim_on_the_interpreters_of_virtual_boards(interpreter):
    """One board's UART and its datagrams, on MicroPython and on CPython."""

    def answer(datagram):
        return [b"B\1\2", b"B\3"] if datagram[:1] == b"B" else []

    with Air(answer) as air:
        shown = run(
            interpreter,
            """
import machine, time
uart = machine.UART(1, baudrate=115200, tx=4, rx=5, rxbuf=300)
same = machine.UART(1, 9600) is uart
written, done = uart.write(memoryview(b"\\4abc\\0z")[:5]), uart.txdone()
end = time.ticks_add(time.ticks_ms(), 2000)
while uart.any() < 3 and time.ticks_diff(end, time.ticks_ms()) > 0:
    time.sleep_ms(1)
buffer = bytearray(8)
count = uart.readinto(buffer, uart.any())
show([same, written, done, count, list(buffer)])
""",
            air,
        )
    assert shown == [True, 5, False, 3, [1, 2, 3, 0, 0, 0, 0, 0]]
    mac = mac_of(1)
    assert air.sent == [
        b"U" + mac + (115_200).to_bytes(4, "little") + b"\0",
        b"U" + mac + (9600).to_bytes(4, "little") + b"\0",
        b"B" + mac + b"\4abc\0",
    ]
