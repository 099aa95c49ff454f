"""All boards are described alike, and their pins fit their chips; `make firmware` says what its build would miss."""

import os
import shutil
import subprocess

import pytest

from chips import CHIPS, LINKS
from swarm import boards
from swarm.flash import build
from swarm.paths import ROOT

NAMES = boards.names()
BUILDABLE = [name for name in NAMES if boards.facts(name)["port"] != "unix"]

INPUT_ONLY = {"esp32": set(range(34, 40)), "esp32s2": {46}}
STRAPPING = {  # read at reset: no bus there
    "esp32": {0, 2, 5, 12, 15},
    "esp32s2": {0, 45, 46},
    "esp32s3": {0, 3, 45, 46},
    "esp32c3": {2, 8, 9},
    "esp32c6": {4, 5, 8, 9, 15},
}
RADIO_CHIP = {"RPI_PICO_W": {23, 24, 25, 29}, "RPI_PICO2_W": {23, 24, 25, 29}}
WATCHDOGS = {"rp2040": 0x4005_8000, "rp2350": 0x400D_8000}  # they can be stopped, in their registers
BOOTLOADERS = {"esp32": "0x1000", "esp32s2": "0x1000"}  # where a chip's ROM looks for one, unless at 0x0


def test_the_boards_there_are():
    chips = {f"ESP32_GENERIC{chip}" for chip in ("", "_S2", "_S3", "_C3", "_C6")}
    assert chips | {"RPI_PICO", "RPI_PICO_W", "RPI_PICO2", "RPI_PICO2_W", "VIRTUAL"} <= set(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_board_json(name):
    facts = boards.facts(name)
    assert list(facts) == [
        "name",
        "mcu",
        "port",
        "architecture",
        "firmware",
        "flash",
        "links",
        "features",
        "sensor",
    ]
    assert facts["mcu"] in CHIPS
    assert facts["port"] in ("esp32", "rp2", "unix")
    assert set(facts["links"]) <= LINKS and facts["links"]
    assert all(isinstance(text, str) and text for text in [facts["name"], facts["sensor"], *facts["features"]])
    assert ("espnow" in facts["links"]) == (facts["port"] != "rp2")
    assert ("udp" in facts["links"]) == ("WiFi over loopback" in facts["features"] or "WiFi" in facts["features"])
    flash = facts["flash"]
    if flash["tool"] == "esptool":
        assert list(flash) == ["tool", "chip", "offset", "file"] and flash["chip"] == facts["mcu"]
        assert flash["offset"] == BOOTLOADERS.get(facts["mcu"], "0x0")
    elif flash["tool"] == "uf2":
        assert list(flash) == ["tool", "drive", "file"] and facts["port"] == "rp2"
    else:
        assert flash == {"tool": "none"} and name == "VIRTUAL"
    assert facts["firmware"] == (None if name == "VIRTUAL" else name)


@pytest.mark.parametrize("name", NAMES)
def test_board_py(name):
    facts, pins = boards.facts(name), boards.pins(name)
    assert set(pins) == {"NAME", "LINKS", "UART", "LED", "BUTTON", "TIMER", "WATCHDOG"}
    assert pins["NAME"] == name
    assert isinstance(pins["LINKS"], tuple) and pins["LINKS"] and set(pins["LINKS"]) <= set(facts["links"])
    assert list(pins["UART"]) == ["id", "tx", "rx", "de", "single_wire"]
    # A software timer exists on rp2 only, in all firmware versions; there it is the only kind.
    assert pins["TIMER"] == (-1 if facts["port"] == "rp2" else 0)
    assert pins["WATCHDOG"] == WATCHDOGS.get(facts["mcu"], 0)  # others are made to wait for ever


@pytest.mark.parametrize("name", NAMES)
def test_pins_fit_the_chip(name):
    mcu, pins = boards.facts(name)["mcu"], boards.pins(name)
    uart = pins["UART"]
    used = [pin for pin in (uart["tx"], uart["rx"], uart["de"], pins["LED"], pins["BUTTON"]) if isinstance(pin, int)]
    assert len(used) == len(set(used)), "one pin with two uses"
    there, flash, repl = CHIPS[mcu]
    assert set(used) <= there - flash - repl - RADIO_CHIP.get(name, set())
    driven = {pin for pin in (uart["tx"], uart["de"], pins["LED"]) if isinstance(pin, int)}
    assert not driven & INPUT_ONLY.get(mcu, set())
    assert not {uart["tx"], uart["rx"], uart["de"]} & STRAPPING.get(mcu, set())
    assert not pins["LED"] or isinstance(pins["LED"], int) or name in RADIO_CHIP
    if mcu in WATCHDOGS:
        for pin, place in ((uart["tx"], 0), (uart["rx"], 1)):
            assert pin % 4 == place and (pin + 4) // 8 % 2 == uart["id"], f"GP{pin} is not of UART{uart['id']}"
    elif mcu != "host":
        assert uart["id"] == 1, "UART0 is the REPL"


@pytest.mark.parametrize("name", NAMES)
def test_readme_names_the_pins(name):
    text = (boards.folder(name) / "README.md").read_text()
    assert text.startswith(f"# {name}: ")
    assert "```" in text, "no drawing"
    for part in ("**Radio.**", "**UART.**", "**Pins.**", "**Flashing.**"):
        assert part in text
    if name != "VIRTUAL":
        pins = boards.pins(name)
        prefix = "GP" if name.startswith("RPI") else "GPIO"
        for pin in (pins["UART"]["tx"], pins["UART"]["rx"], pins["LED"], pins["BUTTON"]):
            assert pin is None or pin == "LED" or f"{prefix}{pin}" in text


@pytest.mark.parametrize("name", BUILDABLE)
def test_build_files_stand_on_the_official_board(name):
    folder = boards.folder(name)
    for file, official in (("mpconfigboard.cmake", f"boards/{name}/mpconfigboard.cmake"), ("mpconfigboard.h", name)):
        assert official in (folder / file).read_text()
    assert "${MICROPY_BOARD_DIR}/manifest.py" in (folder / "mpconfigboard.cmake").read_text()


@pytest.mark.skipif(not shutil.which("cc"), reason="no C preprocessor: apt-get install gcc")
@pytest.mark.parametrize("name", BUILDABLE)
def test_a_build_has_a_name_of_its_own(name, tmp_path):
    """Also where the official file sets its own, whatever was set before: up to 1.28 that of the ESP32-C3 does."""
    official = tmp_path / "boards" / name / "mpconfigboard.h"
    official.parent.mkdir(parents=True)
    official.write_text('#define MICROPY_HW_BOARD_NAME "official"\n')
    (tmp_path / "main.c").write_text('#include "mpconfigboard.h"\nMICROPY_HW_BOARD_NAME\n')
    line = ["cc", "-E", "-P", "-Werror", "-iquote", boards.folder(name), "-I", tmp_path, tmp_path / "main.c"]
    assert subprocess.run(line, capture_output=True, text=True, check=True).stdout.strip().endswith(' with faction"')


def test_a_board_that_does_not_exist():
    with pytest.raises(boards.BoardError, match="no board 'PICO': choose one of ESP32_GENERIC, "):
        boards.facts("PICO")


SUBMODULES = (
    "micropython-lib",
    "berkeley-db-1.xx",
    "pico-sdk",
    "mbedtls",
    "tinyusb",
    "lwip",
    "btstack",
    "cyw43-driver",
)


@pytest.fixture
def tree(tmp_path, monkeypatch):
    """A MicroPython tree whose ports only print what they are asked to make, and a PATH with nothing but make."""
    for port in ("esp32", "rp2"):
        folder = tmp_path / "micropython" / "ports" / port
        folder.mkdir(parents=True)
        recipe = "\t@echo build $(BOARD) from $(BOARD_DIR)\n\t@mkdir -p build-$(BOARD)\n\t@exit $(FAILS)\n"
        (folder / "Makefile").write_text(f"FAILS ?= 0\nall:\n{recipe}")
    for library in SUBMODULES:
        (tmp_path / "micropython" / "lib" / library).mkdir(parents=True)
        (tmp_path / "micropython" / "lib" / library / "README.md").touch()
    programs = tmp_path / "bin"
    programs.mkdir()
    monkeypatch.setenv("PATH", os.pathsep.join([str(programs), "/usr/bin", "/bin"]))
    monkeypatch.setattr(build.shutil, "which", lambda program: (programs / program).exists() or None)
    monkeypatch.delenv("IDF_PATH", raising=False)
    for program in ("idf.py", "cmake", "ninja", "gcc", "g++", "arm-none-eabi-gcc", "picotool"):
        (programs / program).write_text("#!/bin/sh\nexit ${CONFIGURE:-0}\n")
        (programs / program).chmod(0o755)
    return tmp_path


@pytest.mark.parametrize("name", BUILDABLE)
def test_make_firmware_calls_the_ports_own_make(name, tree, capfd, monkeypatch):
    monkeypatch.setenv("MAKEFLAGS", "n")
    assert build.main(["--board", name, "--micropython", str(tree / "micropython")]) == 0
    out = capfd.readouterr().out
    # With this make's own flag -n the port's would only print its commands.
    assert f"build FACTION_{name} from {ROOT / 'boards' / name}" in out.splitlines()
    flash = boards.facts(name)["flash"]
    assert flash.get("offset", flash.get("drive")) in out
    port = tree / "micropython" / "ports" / boards.facts(name)["port"]
    assert str(port / f"build-FACTION_{name}" / flash["file"]) in out


@pytest.mark.parametrize("configured", [True, False])
@pytest.mark.parametrize("began", [True, False])
def test_make_firmware_fails_as_the_port_does(configured, began, tree, capfd, monkeypatch):
    """And leaves no folder that could not be configured: the port takes it for one that could."""
    monkeypatch.setenv("FAILS", "3")
    monkeypatch.setenv("CONFIGURE", "0" if configured else "1")
    folder = tree / "micropython" / "ports" / "rp2" / "build-FACTION_RPI_PICO"
    if not began:
        folder.mkdir()
    assert build.main(["--board", "RPI_PICO", "--micropython", str(tree / "micropython")]) == 1
    removed = began and not configured
    said = capfd.readouterr().err
    assert "the port's build failed" in said and (f"{folder} is removed" in said) == removed
    assert folder.exists() == (not removed)


def test_make_firmware_names_picotool_before_it_begins(tree, capfd):
    (tree / "bin" / "picotool").unlink()
    assert build.main(["--board", "RPI_PICO", "--micropython", str(tree / "micropython")]) == 0
    assert "picotool is not on PATH: the Pico SDK fetches" in capfd.readouterr().err


def test_make_firmware_says_all_that_is_missing_at_once(tree, capsys, monkeypatch):
    monkeypatch.setenv("IDF_PATH", "/opt/esp-idf")
    where = tree / "micropython"
    for name in ("bin/gcc", "bin/idf.py", "micropython/lib/berkeley-db-1.xx/README.md"):
        (tree / name).unlink()
    (where / "lib" / "berkeley-db-1.xx" / ".git").touch()
    assert build.main(["--board", "ESP32_GENERIC", "--micropython", str(where)]) == 2
    said = capsys.readouterr().err
    assert "gcc is not on PATH" in said and "build-essential" in said
    assert "idf.py is not on PATH" in said and "`. /opt/esp-idf/export.sh`" in said
    assert said.endswith(f"git -C {where} submodule update --init lib/berkeley-db-1.xx\n")


@pytest.mark.parametrize(
    ("board", "missing", "says"),
    [
        ("", None, "BOARD is not set: make firmware BOARD=..., one of ESP32_GENERIC, "),
        ("PICO", None, "no board 'PICO'"),
        ("VIRTUAL", None, "VIRTUAL has no firmware to build"),
        ("RPI_PICO", "MICROPY_DIR", "MICROPY_DIR is not set: clone https://"),
        ("RPI_PICO", "micropython/ports/rp2/Makefile", "is not a MicroPython tree: it has no ports/rp2/Makefile"),
        ("RPI_PICO", "bin/cmake", "cmake is not on PATH"),
        ("RPI_PICO_W", "bin/arm-none-eabi-gcc", "apt-get install gcc-arm-none-eabi"),
        ("ESP32_GENERIC_C3", "bin/idf.py", "idf.py is not on PATH, and MicroPython's esp32 port needs it"),
        (
            "RPI_PICO",
            "bin/g++",
            "g++ is not on PATH, and MicroPython's rp2 port needs it: apt-get install build-essential",
        ),
        ("RPI_PICO", "micropython/lib/mbedtls/README.md", "submodule update --init lib/mbedtls\n"),
        ("RPI_PICO", "micropython/lib/tinyusb/README.md", "submodule update --init lib/tinyusb\n"),
        ("RPI_PICO_W", "micropython/lib/cyw43-driver/README.md", "submodule update --init lib/cyw43-driver\n"),
        (
            "ESP32_GENERIC",
            "micropython/lib/micropython-lib/README.md",
            "lacks libraries that ESP32_GENERIC is built with",
        ),
    ],
)
def test_make_firmware_says_what_is_missing(board, missing, says, tree, capsys):
    where = str(tree / "micropython")
    if missing == "MICROPY_DIR":
        where = ""
    elif missing:
        (tree / missing).unlink()
    assert build.main(["--board", board, "--micropython", where]) == 2
    assert says in capsys.readouterr().err
