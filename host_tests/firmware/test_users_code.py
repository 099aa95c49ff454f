"""The one way into the user's code: what it raises and returns; and the watchdog of each call, on chips that differ."""

import importlib
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

NEVER_MS = 1_000_000_000
BASE = 0x4005_8000
BITTEN = Path("faction.bitten")


class Registers(dict):
    """machine.mem32."""

    def __missing__(self, address):
        return 0


@pytest.fixture
def chip(monkeypatch):
    """Loads signs and hindrance on a chip whose board.py has that WATCHDOG; `made` are its watchdog's times."""

    def load(cause=1, **names):
        made = []
        watchdog = SimpleNamespace(feed=lambda: made.append("fed"))
        registers = Registers()
        machine = SimpleNamespace(
            WDT=lambda timeout: made.append(timeout) or watchdog,
            mem32=registers,
            reset_cause=lambda: cause,
            WDT_RESET=3,
            SOFT_RESET=5,
        )
        monkeypatch.setitem(sys.modules, "board", SimpleNamespace(LED=None, BUTTON=None, **names))
        monkeypatch.setitem(sys.modules, "machine", machine)
        for name in ("signs", "hindrance"):
            monkeypatch.delitem(sys.modules, name, raising=False)
        signs, hindrance = importlib.import_module("signs"), importlib.import_module("hindrance")
        for name in ("signs", "hindrance"):
            monkeypatch.delitem(sys.modules, name)
        return SimpleNamespace(signs=signs, hindrance=hindrance, made=made, registers=registers)

    return load


def test_an_esp32_waits_for_ever_between_calls(chip):
    chip = chip(WATCHDOG=0)
    chip.signs.watch(1)
    chip.signs.watch(0)
    chip.signs.Signs().tick(0)
    assert chip.made == [8000, NEVER_MS, "fed"]
    assert NEVER_MS < 1 << 30 and 4 * NEVER_MS < 1 << 32, "a small number, in ESP-IDF's ticks too"


def test_an_rp2040_is_stopped_between_calls(chip):
    chip = chip(WATCHDOG=BASE)
    chip.signs.watch(1)
    assert chip.made == [8000] and not chip.registers
    chip.signs.watch(0)
    assert chip.registers == {BASE + 0x3000: 1 << 30} and chip.made == [8000]


def test_one_that_cannot_be_stopped_is_not_started_for_a_call(chip):
    chip = chip()
    chip.signs.watch(1)
    chip.signs.watch(0)
    assert chip.made == []
    chip.signs.watch(2000)
    assert chip.made == [2000]


@pytest.mark.parametrize("names", [{"WATCHDOG": 0}, {"WATCHDOG": BASE}, {}])
def test_the_nodes_own_stays_through_all_calls(chip, names):
    chip = chip(**names)
    for timeout in (2000, 1, 0, 1, 0, 3000):
        chip.signs.watch(timeout)
    assert chip.made == [2000] and not chip.registers


@pytest.mark.parametrize(
    ("names", "cause", "reason", "hung"),
    [
        ({"WATCHDOG": 0}, 3, 0, True),
        ({"WATCHDOG": 0}, 2, 0, False),
        ({}, 3, 0, True),
        ({"WATCHDOG": BASE}, 3, 1, True),
        ({"WATCHDOG": BASE}, 3, 2, False),  # machine.reset(), which an RP2040 does by its watchdog, too
    ],
)
def test_a_boot_knows_whether_it_is_the_watchdogs_doing(chip, monkeypatch, tmp_path, names, cause, reason, hung):
    monkeypatch.chdir(tmp_path)
    chip = chip(cause, **names)
    chip.registers[BASE + 8] = reason
    assert chip.hindrance.hang(left=True) is None and not BITTEN.exists(), "what hung has been left"
    error = chip.hindrance.hang(left=False)
    assert (error is not None) == hung == BITTEN.exists() and (not hung or "your code hangs" in str(error))


def test_a_flash_without_room_keeps_no_boot_from_telling_of_the_watchdog(chip, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    BITTEN.mkdir()
    assert "your code hangs" in str(chip(3, WATCHDOG=0).hindrance.hang(left=False))


@pytest.mark.parametrize(
    ("names", "cause", "runs", "made"),
    [
        ({"WATCHDOG": 0}, 5, 0, [8000]),
        ({"WATCHDOG": 0}, 1, 0, []),
        ({"WATCHDOG": BASE}, 1, 1 << 30, [8000]),  # an RP2040 tells no soft reset from another, but whether it runs
        ({"WATCHDOG": BASE}, 1, 0, []),
        ({}, 5, 0, []),
    ],
)
def test_a_watchdog_that_a_soft_reset_has_left_running_gives_time_for_a_start(chip, names, cause, runs, made):
    chip = chip(cause, **names)
    chip.registers[BASE] = runs
    chip.hindrance.outlive()
    assert chip.made == made


@pytest.mark.parametrize(("version", "refused"), [((1, 23, 0, ""), True), ((1, 24, 0, ""), False), ((2, 0, 0), False)])
def test_a_micropython_whose_ticks_go_wrong_is_refused(chip, monkeypatch, tmp_path, version, refused):
    monkeypatch.chdir(tmp_path)
    hindrance = chip(WATCHDOG=0).hindrance
    monkeypatch.setattr(hindrance, "sys", SimpleNamespace(implementation=SimpleNamespace(version=version)))
    said = "MicroPython 1.23 tells the time wrongly from the 13th day on: flash 1.24 or newer"
    assert hindrance.wish() == (said if refused else None)


class Untold(Exception):
    """Its text is the user's code, too."""

    def __str__(self):
        raise SystemExit


@pytest.fixture
def app(chip, monkeypatch):
    """An application without a node, as far as its calls of the sensor go; `done`: what it was handed."""
    kept = chip(WATCHDOG=0)
    monkeypatch.setitem(sys.modules, "signs", kept.signs)
    monkeypatch.delitem(sys.modules, "app", raising=False)
    module = importlib.import_module("app")
    monkeypatch.delitem(sys.modules, "app")
    monkeypatch.setattr(sys, "print_exception", lambda error, file: None, raising=False)  # MicroPython's
    monkeypatch.setattr(module, "ticks_ms", lambda: app.now)
    app = module.App.__new__(module.App)
    app.config, app.beside, app.errors, app.links = {"node": 1}, None, [], {}
    app.now = app._interrupts = app.unsaid = 0
    app._port = SimpleNamespace(ipoll=lambda ms: (1,))  # MicroPython's select.poll()
    app.sensor, app._signs, app.done, app.made = SimpleNamespace(), SimpleNamespace(), [], kept.made
    return app


def raising(error, app=None, took_ms=0):
    def function():
        if app:
            app.now += took_ms
        raise error

    return function


@pytest.mark.parametrize("error", [ValueError(1), SystemExit(), GeneratorExit(), MemoryError(), BaseException("x")])
def test_whatever_is_raised_is_an_error_and_the_node_goes_on(app, error):
    assert app.call("sample()", raising(error), app.done.append) is False
    assert app.done == [None] and app.sensor
    assert app.errors[0].startswith(f"sample(): {type(error).__name__}: ")
    assert app.made == [8000, NEVER_MS]


def test_an_interrupt_that_meets_a_call_by_chance_has_it_called_again(app):
    for _ in range(9):
        for _ in range(2):
            with pytest.raises(KeyboardInterrupt):
                app.call("sample()", raising(KeyboardInterrupt, app, 499), app.done.append)
        app.call("sample()", lambda: 1, app.done.append)
    assert app.done == [1] * 9 and app.errors == [] and app.sensor
    assert app.made[-1] == NEVER_MS


@pytest.mark.parametrize(("times", "took_ms"), [(1, 500), (3, 0)])
def test_an_interrupt_ends_one_that_hangs_for_good(app, times, took_ms):
    """A call that took long, or one that raises it itself again and again."""
    for left in range(times, 0, -1):
        try:
            app.call("warm_up()", raising(KeyboardInterrupt, app, took_ms), app.done.append)
        except KeyboardInterrupt:
            assert left > 1
    assert app.done == [None] and app.sensor is None
    assert app.errors[0].startswith("warm_up(): RuntimeError: it hangs: not called before a restart")


def test_an_error_that_cannot_be_told_is_said_to_be_one(app):
    app.call("sample()", raising(Untold()), app.done.append)
    assert app.done == [None] and app.sensor is None
    assert app.errors == ["sensor: its error cannot be told: not called before a restart"]


def test_what_a_value_raises_when_it_is_taken_is_the_sensors_error(app):
    def take(value):
        app.done.append(value)
        if value:
            raise SystemExit

    app.call("sample()", lambda: 5, take)
    assert app.done == [5, None] and app.errors[0].startswith("sample(): SystemExit")


def test_a_line_is_said_in_one_piece(app, monkeypatch):
    """A USB port that is open and not read takes up to half a second for each (shared/tinyusb/mp_usbd_cdc.c)."""
    pieces = []
    monkeypatch.setattr(sys, "stdout", SimpleNamespace(write=pieces.append, flush=lambda: None))
    app.say("ready")
    monkeypatch.undo()
    assert pieces == ["faction: 0 node 1 ready", "\n"]


@pytest.mark.parametrize(
    "link, free, saved", (("uart", True, 1), ("uart", False, 0), ("udp", False, 1), ("espnow", False, 1))
)
def test_a_sample_waits_for_what_is_on_a_line_and_for_no_network(
    chip, monkeypatch, tmp_path, capsys, link, free, saved
):
    """A write cuts what comes and goes on a line; a board that has lost its network may not get it back."""
    monkeypatch.setitem(sys.modules, "signs", chip(WATCHDOG=0).signs)
    monkeypatch.delitem(sys.modules, "samples", raising=False)
    samples = importlib.import_module("samples")
    monkeypatch.chdir(tmp_path)
    app = SimpleNamespace(links={link: SimpleNamespace(free=lambda: free)}, sensor=None, runner=SimpleNamespace())
    app.node, app.put = SimpleNamespace(first_sample=None), print
    kept = samples.Samples(app, 8)
    kept.put("{}")
    kept.tick(samples.ticks_ms())
    assert (tmp_path / samples.FILE).exists() == bool(saved) == (app.samples is None)
    assert ("samples" in sys.modules) == (not saved), "it is let go"
    monkeypatch.delitem(sys.modules, "samples", raising=False)
    assert capsys.readouterr().out == "{}\n" * saved
    kept.write()  # as a restart does
    assert (tmp_path / samples.FILE).read_text() == "{}\n" and capsys.readouterr().out == "{}\n" * (not saved)
