"""`swarm status`: what it reads, that it leaves a board in peace, and how it tells what is wrong."""

import argparse
import json
import os
import re
import subprocess
import sys
import termios
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace

import pytest
import serial

from asyncio_application import ON_ASYNCIO
from requirements import require
from rig_fixture import Table, lay_boards
from swarm.serial import kept, permission, port, targets
from swarm.serial.port import BoardError
from swarm.serial.prompt import raw_repl
from swarm.serial.status import check_status
from swarm.serial.targets import Target
from swarm.verbs.options import add_targets
from swarm.watch import instants

SEED = 3
SWARM = str(Path(sys.executable).with_name("swarm"))


@pytest.fixture(autouse=True)
def own_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("TMPDIR", str(tmp_path))


def status(*arguments):
    command = [SWARM, "status", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=120)


@contextmanager
def a_lone_node(home, runtime):
    """A lone node that has sampled, and beside it a board of the same swarm without power."""
    require(runtime)
    with Table(lay_boards(home, [4, 5], required=1), SEED, runtime=runtime) as made:
        made.start(4)
        made.wait(lambda: made.run.nodes[4].succeeded(), what="the first sample")
        yield made


@pytest.fixture(scope="module", params=["unix", "cpython"])
def table(request, tmp_path_factory):
    """A lone node for the tests that leave it as it is."""
    with a_lone_node(tmp_path_factory.mktemp("boards"), request.param) as made:
        yield made


@pytest.fixture
def spare(tmp_path):
    """A lone node for one test."""
    with a_lone_node(tmp_path, "unix") as made:
        yield made


def test_the_screen_and_the_facts_of_a_running_node(table):
    shown = status("--port", table.ports[4])
    assert shown.returncode == 0, shown.stderr
    assert shown.stdout.startswith(table.ports[4] + "\n")
    assert "node 4" in shown.stdout and "Bootstrapped" in shown.stdout and "missing" in shown.stdout
    facts = json.loads(status("--port", table.ports[4], "--json").stdout)[table.ports[4]]
    assert (facts["node"], facts["state"], facts["missing"]) == (4, "Bootstrapped", [5])
    assert facts["sample"]["node"] == 4 and facts["session"] == 1
    for _ in range(3):
        again = json.loads(status("--port", table.ports[4], "--json").stdout)[table.ports[4]]
    assert again["session"] == 1, "it was not restarted"
    table.wait(lambda: True)
    assert table.run.nodes[4].boots == 1


def test_several_ports_at_once_and_the_one_that_does_not_answer(table):
    shown = status("--port", table.ports[4], "--port", "/dev/no-such-port", "--json")
    assert shown.returncode == 1
    facts = json.loads(shown.stdout)
    assert facts[table.ports[4]]["node"] == 4
    assert "no such port" in facts["/dev/no-such-port"]["error"] and "/dev/no-such-port" in shown.stderr


def test_several_are_a_table_and_the_one_that_fails_is_a_row_with_the_reason(table):
    shown = status("--port", table.ports[4], "--port", "/dev/no-such-port")
    assert shown.returncode == 1 and shown.stderr == ""
    header, node, failed = shown.stdout.splitlines()
    assert header.split() == ["node", "state", "heard", "ready", "missing", "sample", "reboots", "seen", "errors"]
    assert node.split()[:5] == ["4", "Bootstrapped", "1/2", "1/1", "5"] and re.search(r" [+-]?\d[\d.]* (us|ms) ", node)
    assert failed.startswith("/dev/no-such-port  no board ") and "plug the board in" in failed


def test_members_of_a_described_swarm(table, tmp_path, monkeypatch):
    """All, some, one of them; one whose port is not known; one that another board is at."""
    monkeypatch.chdir(tmp_path)

    def describe(**ports):
        port = "".join(
            f'[[member]]\nid = {node}\nboard = "VIRTUAL"\n' + (f'port = "{ports[at]}"\n' if at in ports else "")
            for node, at in ((4, "four"), (5, "five"), (6, "six"))
        )
        (tmp_path / "swarm.toml").write_text('name = "test"\nopen = true\n' + port)

    describe(six=table.ports[4])
    shown = status("--all", "--json")
    assert shown.returncode == 1
    facts = json.loads(shown.stdout)
    assert list(facts) == ["node 4", "node 5", table.ports[4]]
    assert "no port or serial is listed" in facts["node 5"]["error"]
    assert "says that it is node 4, and node 6 is listed there" in facts[table.ports[4]]["error"]
    assert status("6").stderr.count("says that it is node 4, and node 6 is listed there") == 1
    describe(four=table.ports[4])
    alone = status("4")
    assert alone.returncode == 0 and "node 4" in alone.stdout, alone.stderr
    assert status("9").returncode == 2 and "choose one of 4, 5, 6" in status("9").stderr
    assert status("4", "--all").returncode == 2


def test_an_application_on_asyncio_goes_on(tmp_path):
    """Ctrl-C would stop it, so it is asked by a line."""
    require("unix")
    boards = lay_boards(tmp_path, [1], required=1)
    (boards[1] / "application.py").write_text(ON_ASYNCIO)
    with Table(boards, SEED) as table:
        table.start(1)
        table.wait_line(1, "late_us")
        for _ in range(2):
            facts = json.loads(status("--port", table.ports[1], "--json").stdout)[table.ports[1]]
            assert (facts["node"], facts["state"], facts["session"]) == (1, "Bootstrapped", 1)
        assert "1     Bootstrapped  1/1" in status("--port", table.ports[1]).stdout
        asked = targets.ask(Target("1", table.ports[1]), by_line=instants.read_by_line)
        assert asked["instant"].high_us - asked["instant"].low_us > 0, "and when its sample was"
        table.wait(lambda: True)
        assert not any("Interrupt" in line for line in table.run.nodes[1].output), table.story()


def test_a_board_that_starts_or_runs_a_program_is_not_interrupted(tmp_path):
    require("unix")
    for name in ("firmware", "library"):
        (tmp_path / name).mkdir()
    (tmp_path / "firmware" / "main.py").write_text("import time\nprint('busy')\nwhile True:\n    time.sleep_ms(10)\n")
    boards = lay_boards(tmp_path / "boards", [1], tmp_path / "firmware", tmp_path / "library")
    with Table(boards, SEED) as table:
        table.start(1)
        table.wait_line(1, "busy")
        shown = status("--port", table.ports[1])
        assert shown.returncode == 1 and "no MicroPython prompt answers, and no node" in shown.stderr
        table.wait(lambda: True)
        for event in table.events(0.3):
            table.run.take(event)
        assert not any("Interrupt" in line for line in table.run.nodes[1].output), table.story()


def test_which_boards_are_meant_without_a_port(tmp_path, monkeypatch):
    """Those that run in the background, or the members of swarm.toml."""
    parser = argparse.ArgumentParser()
    add_targets(parser)
    monkeypatch.chdir(tmp_path)

    def chosen(*arguments):
        options = parser.parse_args(arguments)
        found = targets.choose(options.node, options.all, options.port, options.swarm)
        return [(one.label, one.port, one.node) for one in found]

    with pytest.raises(targets.WrongUse, match="no demo is running"):
        chosen()
    running = {"ports": {"1": "/dev/pts/1", "2": "/dev/pts/2"}}
    monkeypatch.setattr(kept, "load", lambda: running)
    assert chosen() == [("1", "/dev/pts/1", None), ("2", "/dev/pts/2", None)]
    assert chosen("2", "2") == [("2", "/dev/pts/2", None)]
    with pytest.raises(targets.WrongUse, match="no board 3 runs in the background: choose one of 1, 2"):
        chosen("3")
    assert chosen("--port", "a", "--port", "a") == [("a", "a", None)]
    (tmp_path / "swarm.toml").write_text('name = "t"\nopen = true\n[[member]]\nid = 7\nboard = "VIRTUAL"\nport = "p"\n')
    assert chosen() == [("1", "/dev/pts/1", None), ("2", "/dev/pts/2", None)]
    assert chosen("7") == chosen("--all") == [("7", "p", 7)]
    monkeypatch.setattr(kept, "load", lambda: None)
    assert chosen() == [("7", "p", 7)]


def test_firmware_that_tells_less_is_of_another_version(spare):
    with serial.Serial(spare.ports[4], timeout=5) as port:
        port.write(b"import faction; faction.status_dict = lambda: {'node': 4, 'state': 'Pinging'}\r")
        port.read_until(b"}\r\n>>> ")
    shown = status("--port", spare.ports[4])
    assert shown.returncode == 1 and "another version than this command: deploy to it" in shown.stderr


def test_a_raw_prompt_that_was_left_behind_is_no_obstacle(spare):
    with serial.Serial(spare.ports[4], timeout=5) as port:
        port.write(b"\r\x03\r\x01")
        port.read_until(b"raw REPL; CTRL-B to exit\r\n>")
    assert status("--port", spare.ports[4]).returncode == 0


HOLDER = """
import sys, time, serial
port = serial.Serial(sys.argv[2], exclusive=True)
print("holds", flush=True)
sys.stdin.readline()
time.sleep(0.3)
port.close()
print("has let go", flush=True)
sys.stdin.readline()
"""


@contextmanager
def held(folder, verb, port):
    """A port that a command named swarm has open; yields its process, which lets go 0.3 s after a line."""
    (folder / "swarm").write_text(HOLDER)
    command = [sys.executable, folder / "swarm", verb, port]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1) as holder:
        assert holder.stdout.readline() == "holds\n"
        yield holder
        holder.stdin.close()


def test_a_port_in_use_is_told_with_who_has_it(table, tmp_path, monkeypatch):
    """One of our own commands by its verb; one that only looks is waited for."""
    with serial.Serial(table.ports[4], exclusive=True):
        shown = status("--port", table.ports[4])
    assert shown.returncode == 1 and f"busy: python3 (process {os.getpid()}) has it open; close" in re.sub(
        r"p\S*(?= \()", "python3", shown.stderr
    )
    with held(tmp_path, "deploy", table.ports[4]) as holder:
        shown = status("--port", table.ports[4])
        assert f"busy: swarm deploy (process {holder.pid}) has it open; close swarm deploy" in shown.stderr
    with held(tmp_path, "monitor", table.ports[4]) as holder, monkeypatch.context() as patch:

        def find_holder(path, found=port.find_holder):
            holder.stdin.write("\n")  # it lets go, but not at once
            return found(path)

        patch.setattr(port, "find_holder", find_holder)
        with raw_repl(table.ports[4]) as transport:
            assert transport.eval("1 + 1") == 2
    monkeypatch.setattr(port, "_LOOK_S", 0.0)
    for held_here, says in ((held(tmp_path, "monitor", table.ports[4]), r"swarm monitor \(process \d+\) has it open"),
                            (raw_repl(table.ports[4]), "this command has it open under another name")):  # fmt: skip
        with held_here, pytest.raises(BoardError, match=f"busy: {says}"), raw_repl(table.ports[4]):
            pass


def test_a_board_without_power_is_told(table):
    shown = status("--port", table.ports[5])
    assert shown.returncode == 1 and "no MicroPython prompt answers" in shown.stderr


def test_a_node_that_was_not_started_is_told(spare):
    with serial.Serial(spare.ports[4], timeout=5) as port:
        port.write(b"\r\x03\r\x01")
        port.read_until(b"raw REPL; CTRL-B to exit\r\n>")
        port.write(b"\x04")  # a soft reset from the raw REPL leaves main.py out
        port.read_until(b"raw REPL; CTRL-B to exit\r\n>")
    shown = status("--port", spare.ports[4])
    assert shown.returncode == 1, shown.stdout
    assert "mpremote connect" in shown.stderr and "reset" in shown.stderr


def test_a_board_without_faction_is_told(tmp_path):
    require("unix")
    for name in ("firmware", "library"):
        (tmp_path / name).mkdir()
    (tmp_path / "firmware" / "main.py").write_text("print('bare')\n")
    boards = lay_boards(tmp_path / "boards", [1], tmp_path / "firmware", tmp_path / "library")
    with Table(boards, SEED) as table:
        table.start(1)
        table.wait_line(1, "bare")
        shown = status("--port", table.ports[1])
    assert shown.returncode == 1 and "there is no faction on it" in shown.stderr


def test_without_ports_and_without_a_demo_it_says_what_to_type():
    shown = status()
    assert shown.returncode == 2 and "--port" in shown.stderr and "swarm demo --keep" in shown.stderr


@pytest.mark.parametrize(
    ("device", "group", "mode", "listed", "says"),
    [
        ("ttyUSB0", "dialout", 0o660, [], "type `sudo usermod -a -G dialout $USER`, then log out and in again"),
        ("ttyUSB0", "dialout", 0o660, ["me"], "you are in its group dialout, though not since this login"),
        ("ttyACM3", "root", 0o660, [], 'KERNEL=="ttyACM[0-9]*", GROUP="dialout", MODE="0660"'),
        ("ttyUSB0", "dialout", 0o600, [], 'KERNEL=="ttyUSB[0-9]*", GROUP="dialout", MODE="0660"'),
        ("pts/7", "tty", 0o620, [], "a terminal of another user's (me): run this as that user"),
    ],
)
def test_a_port_without_permission_is_never_helped_by_a_group_that_may_more(
    device, group, mode, listed, says, monkeypatch
):
    monkeypatch.setattr(permission.os, "stat", lambda _: SimpleNamespace(st_gid=5, st_uid=6, st_mode=mode))
    monkeypatch.setattr("grp.getgrgid", lambda _: SimpleNamespace(gr_name=group))
    monkeypatch.setattr("grp.getgrnam", lambda _: SimpleNamespace(gr_mem=listed))
    monkeypatch.setattr("pwd.getpwuid", lambda _: SimpleNamespace(pw_name="me"))
    monkeypatch.setattr(permission.sys, "platform", "linux")
    told = permission.remedy(f"/dev/{device}")
    assert says in told and "-G root" not in told and "-G tty" not in told, told


def test_a_port_that_is_not_permitted_says_what_lets_one(monkeypatch):
    def refuse(*_, **__):
        raise serial.SerialException(13, "could not open port: [Errno 13] Permission denied: '/dev/null'")

    monkeypatch.setattr(port.serial, "serial_for_url", refuse)
    with pytest.raises(BoardError, match=r"/dev/null: no permission; .*udev/rules\.d"), raw_repl("/dev/null"):
        pass


def test_what_is_no_serial_port_is_said_to_be_none(tmp_path):
    (tmp_path / "file").write_text("x")
    for path in (str(tmp_path / "file"), "/dev/null"):
        with pytest.raises(BoardError, match="not a serial port"), raw_repl(path):
            pass


def test_dtr_and_rts_are_left_alone_and_stay_up_at_the_end(table, monkeypatch):
    """Moving one of them resets many ESP32 boards; a port's closing must not drop them either."""
    moves = []
    for name in ("_update_dtr_state", "_update_rts_state"):
        monkeypatch.setattr(serial.Serial, name, lambda self, name=name: moves.append(name))
    port = os.open(table.ports[4], os.O_RDWR | os.O_NOCTTY)
    with raw_repl(table.ports[4]) as transport:
        assert transport.eval("1 + 1") == 2
    assert moves == []
    assert not termios.tcgetattr(port)[2] & termios.HUPCL
    os.close(port)


PRESENCE = {"number": 4, "length_ms": 30_000, "present": [1], "lost": [[7, 65], [9, None]]}


@pytest.mark.parametrize("told", ({}, {"presence": None, "gathers": None}, {"presence": PRESENCE, "gathers": True}))
def test_rounds_and_a_gateway_are_told_or_not(told):
    assert check_status(told, "p") is None


@pytest.mark.parametrize("lost", (7, [7], [[7]], [[7, 65, 1]], [["7", 65]], [[7, "65"]], None))
def test_who_is_lost_is_a_list_of_pairs_or_not_understood(lost):
    with pytest.raises(BoardError, match="p: the board's answer is not understood"):
        check_status({"presence": {**PRESENCE, "lost": lost}}, "p")
