"""The type checks of device code cover every board and supported firmware version, and find what does not exist there.

`make lint`, which `make test` runs first, checks the code itself; here it is copied with mistakes put in.
"""

import shutil

import pytest

from swarm.paths import ROOT
from swarm.runtimes import stubs


def test_every_kind_of_board_with_every_version():
    """Boards of a port whose board.py differs in values only have one check: of the first of them."""
    boards = ("ESP32_GENERIC", "ESP32_GENERIC_C3", "RPI_PICO", "RPI_PICO2_W")
    assert stubs.combinations() == [(board, version) for board in boards for version in ("1.28", "1.29")]


@pytest.fixture
def copy(tmp_path):
    """The device code, to be changed."""
    for folder in ("lib", "firmware", "boards"):
        shutil.copytree(ROOT / folder, tmp_path / folder, ignore=shutil.ignore_patterns("__pycache__"))
    return tmp_path


MISTAKES = [
    ("lib/faction/core.py", "array('H').push(1)\n", 'has no attribute "push"'),
    ("lib/faction/cmac.py", "def _f():\n    return aes(b'', 1).seal(b'')\n", 'has no attribute "seal"'),
    ("firmware/sensor.py", "import time\ntime.ticks_s()\n", 'Module has no attribute "ticks_s"'),
    ("firmware/main.py", "import machine\nmachine.Timer(0).start()\n", 'has no attribute "start"'),
    ("boards/{board}/board.py", "TIMER = 'one' + 1\n", "No overload variant"),
]


@pytest.mark.parametrize(("board", "version"), [("ESP32_GENERIC_S3", "1.28"), ("RPI_PICO2", "1.29")])
def test_mistakes_are_found(board, version, copy):
    for file, mistake, _ in MISTAKES:
        with (copy / file.format(board=board)).open("a") as source:
            source.write(mistake)
    found = stubs.check(board, version, copy)
    for file, _, says in MISTAKES:
        lines = [line for line in found.splitlines() if line.startswith(file.format(board=board))]
        assert any(says in line for line in lines), f"{file}: {found}"


def test_each_port_has_its_own_modules(copy):
    with (copy / "firmware" / "sensor.py").open("a") as source:
        source.write("import rp2\nrp2.StateMachine(0).active()\n")
    assert stubs.check("RPI_PICO", "1.29", copy) == ""
    assert 'module named "rp2"' in stubs.check("ESP32_GENERIC", "1.29", copy)


def test_missing_stubs_are_named(monkeypatch, tmp_path):
    monkeypatch.setattr(stubs, "FOLDER", tmp_path)
    assert "make setup" in stubs.check("RPI_PICO", "1.28")
