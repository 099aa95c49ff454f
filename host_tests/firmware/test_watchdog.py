"""The watchdog of a call of the user's code, on chips whose watchdogs differ: started, put off, and told after a reset."""

import importlib
import sys
from types import SimpleNamespace

import pytest

NEVER_MS = 1_000_000_000
BASE = 0x4005_8000


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
def test_a_boot_knows_whether_it_is_the_watchdogs_doing(chip, names, cause, reason, hung):
    chip = chip(cause, **names)
    chip.registers[BASE + 8] = reason
    error = chip.hindrance.hang()
    assert (error is not None) == hung and (not hung or "your code hangs" in str(error))
