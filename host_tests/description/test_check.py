"""swarm check: a right swarm is described, a wrong one is told why, and the key is shown in neither case."""

import os
import re
import sys
from pathlib import Path

import pytest

from swarm import cli
from swarm.description import project
from terminal import Terminal

SWARM = str(Path(sys.executable).with_name("swarm"))
KEY = "000102030405060708090a0b0c0d0e0f"
TEXT = """\
name = "greenhouse"
quorum = 2
on_timeout = "halt"

[[member]]
id = 3
board = "ESP32_GENERIC"
port = "/dev/ttyUSB0"

[[member]]
id = 1
board = "ESP32_GENERIC_C3"
serial = "0001"
hardware = "240ac4123456"
links = ["uart", "espnow"]
"""


@pytest.fixture(autouse=True)
def _here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "swarm.toml").write_text(TEXT)
    (tmp_path / "swarm.key").write_text(KEY + "\n")
    (tmp_path / "swarm.key").chmod(0o600)


def check(capsys, *argv):
    """Run swarm check; returns its exit status and what it wrote to both streams, which is never the key."""
    try:
        status = cli.main(["check", *argv])
    except SystemExit as left:
        status = left.code
    out, err = capsys.readouterr()
    assert KEY not in out + err and repr(bytes.fromhex(KEY)) not in out + err
    return status, out, err


def test_a_right_swarm(capsys):
    status, out, err = check(capsys)
    assert (status, err) == (0, "")
    digest = project.load("swarm.toml").digest()
    lines = [line.rstrip() for line in out.splitlines()]
    assert lines == [
        f"swarm.toml: swarm greenhouse, digest {digest}",
        "locked: key in swarm.key",
        "2 of 2 members must be ready; deadline 60000 ms, then halted; first sample 600 ms later; radio channel 1",
        "node  board             at            hardware      links",
        "3     ESP32_GENERIC     /dev/ttyUSB0  -             espnow",
        "1     ESP32_GENERIC_C3  serial 0001   240ac4123456  uart, espnow",
    ]


def test_a_series_is_told(capsys):
    with open("swarm.toml", "w") as file:
        file.write("period_ms = 1000\n" + TEXT)
    assert "first sample 600 ms later, then one each 1000 ms; radio" in check(capsys)[1]


def test_rounds_are_told(capsys):
    with open("swarm.toml", "w") as file:
        file.write("period_ms = 1000\nround_ms = 10000\n" + TEXT)
    assert "then one each 1000 ms, rounds of 10000 ms; radio" in check(capsys)[1]


@pytest.mark.parametrize(
    ("gateway", "told"),
    (("[1, 3]", "gathered by 1, 3; radio"), ('"any"', "gathered by any board that is asked to; radio")),
)
def test_a_gateway_is_told_with_the_rounds_it_brings(capsys, gateway, told):
    with open("swarm.toml", "w") as file:
        file.write(f"period_ms = 1000\ngateway = {gateway}\n" + TEXT)
    assert f"rounds of 30000 ms, {told}" in check(capsys)[1]


def test_a_long_port_is_shown_whole_in_a_file_and_on_a_narrow_terminal(capsys, monkeypatch):
    port = "/dev/serial/by-id/usb-Silicon_Labs_CP2102N_USB_to_UART_Bridge_Controller_0001-if00-port0"
    with open("swarm.toml", "w") as file:
        file.write(TEXT.replace("/dev/ttyUSB0", port))
    assert f"3     ESP32_GENERIC     {port}  -             espnow\n" in check(capsys)[1]
    with Terminal([SWARM, "check"], columns=60) as terminal:
        terminal.wait(lambda text: "serial 0001" in text)
        shown = terminal.text()
    assert "\u2026" not in shown and "-if00-port0" in re.sub(r"\s", "", shown), shown


def test_an_open_swarm(capsys):
    os.unlink("swarm.key")
    with open("swarm.toml", "w") as file:
        file.write("open = true\n" + TEXT)
    status, out, _ = check(capsys)
    assert status == 0 and "open: no key, anyone may take part" in out


def test_another_file(capsys, tmp_path):
    os.mkdir("b")
    os.rename("swarm.toml", "b/roof.toml")
    os.rename("swarm.key", "b/roof.key")
    status, out, _ = check(capsys, "--swarm", "b/roof.toml")
    assert status == 0 and "locked: key in b/roof.key" in out


def test_mistakes_a_line_each(capsys):
    with open("swarm.toml", "w") as file:
        file.write(TEXT.replace("quorum = 2", "quorum = 5").replace("ESP32_GENERIC_C3", "ESP32_C3"))
    status, out, err = check(capsys)
    first, second = err.splitlines()
    assert (status, out) == (1, "")
    assert first == "swarm check: swarm.toml:2: quorum: 5: write a whole number from 1 to 2"
    assert second.startswith('swarm check: swarm.toml:12: member 1: board: "ESP32_C3": choose one of ESP32_GENERIC, ')


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda: os.unlink("swarm.toml"), "swarm.toml: no such file: `swarm init` writes one"),
        (lambda: os.unlink("swarm.key"), "swarm.key: the swarm's key cannot be read"),
        (lambda: os.chmod("swarm.key", 0o644), "mode 0644 lets others use it: type `chmod 600 swarm.key`"),
        (lambda: os.truncate("swarm.key", 31), "swarm.key: not 32 hexadecimal digits"),
    ],
)
def test_files_that_are_not_right(capsys, spoil, said):
    spoil()
    status, out, err = check(capsys)
    assert (status, out) == (1, "") and said in err


def test_a_key_pasted_into_the_swarm_is_not_repeated(capsys):
    with open("swarm.toml", "w") as file:
        file.write(f'key = "{KEY}"\n' + TEXT)
    status, _, err = check(capsys)
    assert status == 1 and "swarm.toml:1: key: not shown, since it looks like a key: no such key" in err


def test_help_has_examples_and_exit_statuses(capsys):
    status, out, _ = check(capsys, "--help")
    assert status == 0 and "examples:" in out and "Exit status: 0" in out
