"""The clock, timers, sensor and watchdog of a virtual board, on both runtimes that virtual boards use."""

import pytest

from device_script import Air, run
from requirements import require
from swarm.rig.personality import Clock, make_clock, make_sensor

WRAP = 1 << 30
SEEDS = range(40)


@pytest.fixture(params=("unix", "cpython"))
def board(request):
    return require(request.param)


def test_ticks_wrap_at_two_to_the_thirty(board):
    shown = run(
        board,
        """
import time, utime
_chip.CLOCK_BASE_US = utime.ticks_us()
_chip.CLOCK_OFFSET_US = (1 << 30) * 1000 - 20000
before = [time.ticks_ms(), time.ticks_us()]
time.sleep_ms(40)
after = [time.ticks_ms(), time.ticks_us()]
show([before, after, time.ticks_diff(after[0], before[0]), time.ticks_diff(after[1], before[1]),
      time.ticks_add(1, -2), error_of(time.ticks_add, 0, 1 << 29), error_of(time.ticks_add, 0, (1 << 29) - 1)])
""",
    )
    before, after, ms, us, added, refused, allowed = shown
    assert WRAP - 21 <= before[0] < WRAP and WRAP - 20_000 <= before[1] < WRAP
    assert 0 <= after[0] < 1000 and 0 <= after[1] < 1_000_000
    assert 40 <= ms < 500 and 40_000 <= us < 500_000
    assert added == WRAP - 1
    assert refused[0] == "OverflowError" and allowed is None


def test_a_clock_drifts_as_told(board):
    shown = run(
        board,
        """
import utime
elapsed = 100000000
_chip.true_us = lambda: elapsed
_chip.CLOCK_BASE_US, _chip.CLOCK_OFFSET_US = 0, 5
values = []
for ppb in (50000, 0, -50000):
    _chip.CLOCK_PPB = ppb
    values.append(_chip.local_us())
show(values)
""",
    )
    assert shown == [100_005_005, 100_000_005, 99_995_005]


def test_timers_call_through_the_queue_and_are_held_while_they_run(board):
    shown = run(
        board,
        """
import time, machine, gc
ticks, once = [], []
def start():
    machine.Timer(0).init(mode=machine.Timer.PERIODIC, period=10, callback=lambda timer: ticks.append(timer))
    machine.Timer(-1).init(mode=machine.Timer.ONE_SHOT, period=15, callback=lambda timer: once.append(1))
began = time.ticks_ms()
start()
gc.collect()
end = time.ticks_add(time.ticks_ms(), 105)
while time.ticks_diff(end, time.ticks_ms()) > 0 or not ticks or not once:  # on a host that is busy it comes later
    _chip.run()
count, most = len(ticks), time.ticks_diff(time.ticks_ms(), began) // 10 + 1
machine.Timer(0).deinit()
time.sleep_ms(15)
_chip.run()
show([count, most, len(ticks), len(once), ticks[0] is machine.Timer(0), error_of(machine.Timer, 4),
      error_of(machine.Timer(1).init, period=0), error_of(machine.Timer(1).init, period=5, hard=True)])
""",
    )
    count, most, after, once, same, no_such, short, hard = shown
    assert 1 <= count <= most and after == count and once == 1 and same
    assert no_such == ["ValueError", "Timer(4) doesn't exist, there are only 4 hardware timers"]
    assert short == ["ValueError", "Timer period is too short for this timer"]
    assert hard == ["ValueError", "hard Timers are not implemented"]


def test_timers_that_are_begun_again_and_again_stop_the_clock(board):
    shown = run(
        board,
        """
import time, machine
timer = machine.Timer(0)
for _ in range(255):
    timer.init(period=1000, callback=None)
before = time.ticks_us()
time.sleep_ms(2)
goes = time.ticks_us() != before
timer.init(period=1000, callback=None)
before = time.ticks_us()
_chip.true_sleep_us(2000)
show([goes, time.ticks_us() != before])
""",
    )
    assert shown == [True, False]


def test_a_callback_that_raises_costs_itself_only(board):
    shown = run(
        board,
        """
calls = []
def bad(_):
    raise ValueError("from a callback")
for function in (bad, calls.append, bad, calls.append):
    _chip.schedule(function, 7)
_chip.run()
show(calls)
""",
    )
    assert shown == [7, 7]


def test_the_sensor_settles_and_its_conversions_are_seen_in_true_time(board):
    settings = {"SWARM_AMBIENT_MC": "21000", "SWARM_RISE_MC": "30000", "SWARM_TAU_MS": "100"}
    with Air() as air:
        shown = run(
            board,
            """
import machine, utime
_chip.POWER_ON_US = 0
adc = machine.ADC(machine.ADC.CORE_TEMP)
celsius = []
times = (0, 100000, 200000, 1500000, 1520000, 1540000)
for at in times:
    machine._chip.true_us = lambda: at
    celsius.append(27 - (adc.read_u16() * 3.3 / 65535 - 0.706) / 0.001721)
show([celsius, error_of(machine.ADC, 0)[0], list(machine.unique_id()), machine.reset_cause()])
""",
            air,
            settings,
        )
    celsius, other, unique, cause = shown
    assert celsius[0] == pytest.approx(-9, abs=1) and celsius[1] == pytest.approx(21 - 30 / 2.718, abs=1)
    assert max(celsius[3:]) - min(celsius[3:]) <= 1 and celsius[-1] == pytest.approx(21, abs=1)
    assert (other, unique, cause) == ("ValueError", [2, 0xFA, 0xC7, 0x10, 0, 1], 1)
    seen = [int.from_bytes(sent[9:], "little") for sent in air.sent if sent[:1] == b"A"]
    assert seen == [0, 100_000, 200_000, 1_500_000, 1_520_000, 1_540_000]


def test_a_watchdog_tells_when_it_bites_and_never_too_early(board):
    shown = run(
        board,
        """
import machine, time
ends = []
_chip.watch = ends.append
begun = _chip.true_us()
dog = machine.WDT(timeout=32)
made = _chip.true_us()
for _ in range(40):
    dog.feed()
    time.sleep_ms(1)
fed = _chip.true_us()
again = machine.WDT(timeout=1000) is dog
show([ends[0] - begun, ends[0] - made, ends[-2] - fed, len(ends), ends[-1] - fed, again, error_of(machine.WDT, 1)])
""",
    )
    after, before, last, count, longer, same, refused = shown
    assert before <= 32_000 <= after
    assert 28_000 <= last <= 34_000 and count < 40, "told so often that it is put off, and no more"
    assert longer >= 1_000_000 and same and refused[0] == "ValueError"


def test_pins_read_back_what_was_written(board):
    shown = run(
        board,
        """
from machine import Pin
led = Pin(2, Pin.OUT)
levels = [led.value()]
led.on(); levels.append(led.value())
led.off(); levels.append(Pin(2).value())
led.toggle(); levels.append(led())
show([levels, Pin(5, Pin.IN, Pin.PULL_UP).value(), error_of(Pin, 99)])
""",
    )
    assert shown == [[0, 1, 0, 1], 1, ["ValueError", "invalid pin"]]


@pytest.mark.parametrize("seed", SEEDS)
def test_a_tick_stamp_gives_its_true_time_back(seed):
    clock = make_clock(seed, seed % 5, 1, 10**12)
    assert abs(clock.ppb) <= 50_000
    for elapsed in (0, 999, 123_456, 5_999_999, 3_600_000_000):
        true = clock.base_us + elapsed
        stamp = clock.local_us(true) // 1000 % WRAP
        assert abs(clock.true_of_ticks_ms(stamp, true + 40_000) - true) <= 1_001, (seed, elapsed)


def test_seeds_bring_clocks_that_wrap_soon_and_a_reboot_brings_another():
    def wraps(clock, period_us):
        return clock.offset_us // period_us != clock.local_us(clock.base_us + 6_000_000) // period_us

    clocks = [make_clock(seed, 1, 1, 0) for seed in SEEDS]
    assert any(wraps(clock, WRAP * 1000) for clock in clocks), "no seed wraps ticks_ms"
    assert any(wraps(clock, WRAP) and not wraps(clock, WRAP * 1000) for clock in clocks), "no seed wraps only ticks_us"
    assert not all(wraps(clock, WRAP) for clock in clocks)
    first, second = make_clock(3, 1, 1, 0), make_clock(3, 1, 2, 0)
    assert first.ppb == second.ppb and first.offset_us != second.offset_us
    assert make_clock(3, 1, 1, 0) == first and make_clock(3, 2, 1, 0) != first
    assert Clock(0, 0, 0).local_us(7) == 7


@pytest.mark.parametrize("seed", SEEDS)
def test_sensors_warm_up_in_a_tenth_to_one_and_a_half_seconds(seed):
    sensor = make_sensor(seed, 2)

    def spread(at_ms):
        def lag(ms):
            return sensor.rise_mc * 2.718281828 ** (-ms / sensor.tau_ms)

        return lag(at_ms - 80) - lag(at_ms)

    steady = next(at for at in range(80, 5000, 20) if spread(at) <= 900)
    assert 80 <= steady <= 1500, (seed, sensor)
