"""What comes before what on a board: what is told of files that lie in its root, and of a node in its firmware."""

from pathlib import Path

import pytest

from swarm import boards
from swarm.deploy import payload, precedence
from swarm.paths import FIRMWARE

DEFAULT = payload.hash_of((FIRMWARE / "sensor.py").read_bytes())
FROZEN, COPIED = "faction/__init__.py", "/lib/faction/__init__.py"  # as faction.__file__ is there


def facts(*root, runs_from=None, machine="Raspberry Pi Pico with RP2040", sensor=None):
    return {"root": list(root), "runs_from": runs_from, "machine": machine, "sensor": sensor}


def test_what_is_the_users_in_the_root_is_told():
    assert precedence.overridden(facts("sensor.py", "application.mpy", "faction.json", sensor="other")) == [
        *("sensor.py", "application.py")
    ]
    assert precedence.overridden(facts("sensor.py", "autostart.py", sensor=DEFAULT)) == [], "ours, copied by hand"


def test_a_first_version_says_what_it_takes_the_place_of():
    said = precedence.notes(facts("sensor.mpy", machine="Generic ESP32-C3 with faction with ESP32C3"), Path("swarm"))
    assert said == [
        "this version comes before the node that is frozen into its firmware",
        "sensor.py in its root is not used any more: what is to run lies in swarm",
    ]
    assert precedence.notes(facts("faction.json"), Path("swarm")) == []


@pytest.mark.parametrize(
    ("root", "opens"), [(("faction.json",), True), (("faction.json", "faction.key"), False), ((), 0)]
)
def test_what_would_start_open(root, opens):
    assert precedence.would_open(facts(*root)) == opens


@pytest.mark.parametrize(
    ("root", "runs_from", "mixed"),
    [
        (("autostart.py",), FROZEN, True),
        (("autostart.mpy", "sensor.py"), FROZEN, True),
        (("autostart.py", "faction/"), FROZEN, False),  # the library is in the root, too
        (("autostart.py",), COPIED, False),
        (("autostart.py",), "faction.a/faction/__init__.mpy", False),
        (("sensor.py",), FROZEN, False),
        (("autostart.py",), None, False),
    ],
)
def test_firmware_of_the_root_on_a_frozen_library(root, runs_from, mixed):
    assert precedence.is_mixed(facts(*root, runs_from=runs_from)) == mixed


@pytest.mark.parametrize(
    ("board", "platform", "machine", "unlike"),
    [
        ("RPI_PICO", "rp2", "Raspberry Pi Pico with RP2040", None),
        ("RPI_PICO", "rp2", "Raspberry Pi Pico2 with RP2350", "RP2350"),
        ("RPI_PICO2", "rp2", "Raspberry Pi Pico2 with RP2350-RISCV", None),
        ("ESP32_GENERIC_C3", "esp32", "ESP32C3 module with ESP32C3", None),  # as 1.28 says it
        ("ESP32_GENERIC_C3", "esp32", "ESP32C3 module with ESP32-C3", None),  # and later versions
        ("ESP32_GENERIC_C3", "esp32", "Generic ESP32-C3 with faction with ESP32C3", None),
        ("ESP32_GENERIC", "esp32", "Generic ESP32 module with ESP32-UNICORE", None),
        ("ESP32_GENERIC", "esp32", "Generic ESP32S3 module with ESP32S3", "ESP32S3"),
        ("ESP32_GENERIC", "rp2", "", "rp2"),
        ("ESP32_GENERIC_S2", "esp32", "a board of somebody's own", None),
        ("VIRTUAL", "linux", "linux [GCC 12.2.0] version", None),
    ],
)
def test_a_right_board_is_never_called_a_wrong_one(board, platform, machine, unlike):
    assert boards.unlike(board, platform, machine) == unlike
