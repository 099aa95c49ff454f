"""swarm replace on virtual boards: a successor takes a dead board's id; a board that answers is not replaced."""

import os
import re
import shutil
import time
from contextlib import suppress
from types import SimpleNamespace

import pytest
from esp32_mock_bootloader import mock_bootloader

from box import Box, describe, eventually
from chips import make_image
from requirements import require
from swarm import cli
from swarm.deploy import deployment
from swarm.description import project
from swarm.doctor import replacement
from swarm.doctor.examination import examine
from swarm.serial.port import open_port
from swarm.serial.prompt import raw_repl
from swarm.serial.status import read_status
from swarm.verbs import flash

SEED = 23
DEAD, SPARE = 3, 4  # the fourth board of the box is the one in the drawer


@pytest.fixture(scope="module")
def boards(tmp_path_factory):
    """Four boards, without power, and `file`, the swarm.toml of three of them with their hardware ids listed."""
    require("unix")
    home = tmp_path_factory.mktemp("replace")
    with Box(home, 4, SEED) as box:
        box.ptys, box.ports = box.ports, {node: str(home / f"port-{node}") for node in box.nodes}
        box.nodes.remove(SPARE)
        box.file = describe(home / "swarm", box)
        list_hardware(box.file, "# of the roof")
        box.text = box.file.read_text()
        box.nodes.append(SPARE)
        yield box


@pytest.fixture
def box(boards):
    """Three boards that are a swarm and a spare one, fresh from the factory, all plugged in."""
    for node in boards.nodes:
        unplug(boards, node)
    shutil.rmtree(boards.flash(SPARE))
    boards.flash(SPARE).mkdir()
    boards.file.write_text(boards.text)
    since = {node: len(boards.lines[node]) for node in boards.nodes}
    for node in boards.nodes:
        plug(boards, node)
    assert cli.main(["deploy", "--all", "--swarm", str(boards.file)]) == 0
    for node in (1, 2, DEAD):
        boards.wait_line(node, '"value"', since[node])
    return boards


def plug(box, node):
    """Plug a board in: it has power, and a port."""
    os.symlink(box.ptys[node], box.ports[node])
    box.boot(node)


def unplug(box, node):
    with suppress(FileNotFoundError):
        os.unlink(box.ports[node])
    box.power(node, False)


def list_hardware(file, comment):
    """List the virtual boards' hardware ids, and keep the comments that a user has written."""
    text = file.read_text()
    for node in (1, 2, DEAD):
        text = text.replace(f"id = {node}\n", f'id = {node}  {comment}\nhardware = "{hardware(node)}"\n')
    file.write_text(text)


def hardware(node):
    return f"02fac710{node:04x}"


def run(box, capsys, *arguments, status=0):
    """Run `swarm replace`; what it printed."""
    capsys.readouterr()
    done = cli.main(["replace", *map(str, arguments), "--swarm", str(box.file)])
    told = "".join(capsys.readouterr())
    assert done == status, told
    assert box.file.with_suffix(".key").read_text().strip() not in told
    return told


def status_of(box, node):
    with raw_repl(box.ports[node]) as transport:
        return read_status(transport, box.ports[node])


def known_by(box, node, other):
    """The session of another member that a board knows to be live."""
    return examine(project.load(box.file), None, box.ports[node], compare=False).session_of(other)


def test_a_board_that_answers_is_not_replaced(box, capsys):
    before = box.file.read_text()
    told = run(box, capsys, DEAD, "--port", box.ports[SPARE], status=1)
    assert f"the old board still answers at {box.ports[DEAD]}: switch it off" in told
    assert f"swarm deploy {DEAD}" in told
    assert box.file.read_text() == before and status_of(box, DEAD)["state"] == "Bootstrapped"
    assert box.pointed(SPARE) is None, "nothing was sent to the new board"


def test_a_board_of_this_swarm_is_no_successor(box, capsys):
    told = run(box, capsys, DEAD, "--port", box.ports[2], status=1)
    assert "lists this port for member 2" in told
    told = run(box, capsys, 2, "--port", box.ports[2], status=1)
    assert "this is the board that is listed" in told and "swarm deploy 2" in told


def test_an_old_board_that_cannot_be_asked_is_not_taken_for_dead(box, capsys):
    with open_port(box.ports[DEAD]):
        told = run(box, capsys, DEAD, "--port", box.ports[SPARE], status=1)
    assert "whether the old board still answers cannot be told" in told and "busy" in told


@pytest.fixture
def replaced(box, capsys):
    """The swarm with the spare board in the place of the dead one, of which only the port is there."""
    box.power(DEAD, False)
    run(box, capsys, DEAD, "--port", box.ports[SPARE])
    os.unlink(box.ports[DEAD])
    box.wait_line(SPARE, "Bootstrapped")
    return box


def test_a_dead_boards_successor_takes_its_id(box, capsys):
    old = status_of(box, DEAD)["session"]
    box.power(DEAD, False)  # its USB bridge has power still, so the port is there
    told = run(box, capsys, DEAD, "--port", box.ports[SPARE])
    assert f"hardware {hardware(DEAD)} is now {hardware(SPARE)}" in told
    assert f"port {box.ports[DEAD]} is now {box.ports[SPARE]}" in told
    assert f"swarm deploy 1 2 --swarm {box.file}" in told, "the others list the old board"
    described = project.load(box.file)
    member = described.member(DEAD)
    assert (member.hardware, member.port) == (hardware(SPARE), box.ports[SPARE])
    text = box.file.read_text()
    assert text.count("# of the roof") == 3 and hardware(DEAD) not in text and box.ports[DEAD] not in text
    os.unlink(box.ports[DEAD])
    box.wait_line(SPARE, "Bootstrapped")
    now = status_of(box, SPARE)
    assert now["node"] == DEAD and now["session"] > old and now["ready"] == [1, 2, DEAD]
    assert eventually(lambda: now["session"] in (known_by(box, 1, DEAD), known_by(box, 2, DEAD))), "they hear it"
    assert cli.main(["doctor", "--swarm", str(box.file)]) == 1
    told = capsys.readouterr().out
    assert told.count("its faction.json is not what") == 2 and "2 things are wrong" in told


def test_a_replacement_that_was_cut_is_gone_on_with(replaced, capsys):
    box = replaced
    with raw_repl(box.ports[SPARE]) as transport:  # swarm.toml lists the new board, and no node runs there
        transport.exec("import faction\nfaction.app.runner.stop()\nfaction.app = None")
    assert "nothing to change" in run(box, capsys, DEAD, "--port", box.ports[SPARE])
    assert status_of(box, SPARE)["node"] == DEAD


def test_a_second_time_says_what_mends_it(replaced, capsys):
    box = replaced
    assert "this is the board that is listed" in run(box, capsys, DEAD, "--port", box.ports[SPARE], status=1)


def test_a_board_that_comes_back_counts_on_above_its_successor_and_the_others_are_updated(replaced, capsys):
    """The first board was only thought dead: what is on it is right, its session number is not."""
    box = replaced
    new = status_of(box, SPARE)["session"]
    unplug(box, SPARE)
    since = len(box.lines[DEAD])
    plug(box, DEAD)
    (box.flash(DEAD) / "faction.session").write_text(str(deployment.EARLIEST_SESSION))  # long ago
    told = run(box, capsys, DEAD, "--port", box.ports[DEAD], "--update-others")
    assert "2 of 2 boards run the current version" in told
    assert status_of(box, DEAD)["session"] > new
    box.wait_line(DEAD, '"value"', since)
    capsys.readouterr()
    assert cli.main(["doctor", "--swarm", str(box.file)]) == 0, capsys.readouterr().out


def test_the_session_is_above_what_others_heard_when_this_computers_clock_is_late(box, capsys, monkeypatch):
    old = status_of(box, DEAD)["session"]
    assert eventually(lambda: old in (known_by(box, 1, DEAD), known_by(box, 2, DEAD)))
    unplug(box, DEAD)
    seconds = time.time
    monkeypatch.setattr(time, "time", lambda: seconds() - 20_000_000)
    run(box, capsys, DEAD, "--port", box.ports[SPARE])
    assert old < status_of(box, SPARE)["session"] < old + 100


def test_without_hardware_ids_the_others_need_nothing(box, capsys):
    box.file.write_text(re.sub(r"hardware = .*\n", "", box.file.read_text()))
    assert cli.main(["deploy", "--all", "--swarm", str(box.file)]) == 0
    unplug(box, DEAD)
    told = run(box, capsys, DEAD, "--port", box.ports[SPARE])
    assert "the other nodes need nothing" in told
    assert "hardware =" not in box.file.read_text()
    told = run(box, capsys, DEAD, "--port", box.ports[SPARE], status=1)
    assert f"this board runs as node {DEAD} already" in told


def test_a_program_that_runs_on_the_new_board_is_given_up(box, capsys):
    unplug(box, DEAD)
    unplug(box, SPARE)
    (box.flash(SPARE) / "main.py").write_text("import time\nprint('busy')\nwhile True:\n    time.sleep_ms(10)\n")
    os.symlink(box.ptys[SPARE], box.ports[SPARE])
    since = len(box.lines[SPARE])
    box.power(SPARE, True)
    box.wait_line(SPARE, "busy", since)
    run(box, capsys, DEAD, "--port", box.ports[SPARE])
    assert status_of(box, SPARE)["node"] == DEAD


def test_a_real_board_is_flashed_first(box, capsys, monkeypatch, tmp_path):
    """What flashing itself does has tests of its own; here it must come before the deploy, with no old hardware id."""
    flashed = []

    def stand_in(target, settings, console):
        flashed.append((target.board, target.port, target.member.hardware, settings.firmware))
        return "written", None

    monkeypatch.setattr(flash, "flash", stand_in)
    monkeypatch.setattr(replacement, "_START_S", 0.1)
    file = tmp_path / "swarm.toml"
    text = box.file.read_text().replace('"VIRTUAL"', '"ESP32_GENERIC"', 3)
    file.write_text(text.replace(box.ports[DEAD], str(tmp_path / "gone")))
    file.with_suffix(".key").touch(mode=0o600)
    file.with_suffix(".key").write_text(box.file.with_suffix(".key").read_text())
    line = ["replace", str(DEAD), "--port", box.ports[SPARE], "--swarm", str(file)]
    assert cli.main([*line, "--firmware", "image.bin"]) == 1
    told = "".join(capsys.readouterr())
    assert [(*one[:3], str(one[3])) for one in flashed] == [("ESP32_GENERIC", box.ports[SPARE], None, "image.bin")]
    assert "it runs MicroPython for linux, and member 3 is listed as ESP32_GENERIC" in told
    assert cli.main([*line, "--no-flash"]) == 1 and len(flashed) == 1
    assert cli.main([*line, "--no-flash", "--firmware", "image.bin"]) == 2
    assert "nothing is flashed: leave it out" in capsys.readouterr().err


def test_a_new_chip_is_really_written(capsys, monkeypatch, tmp_path):
    """With esptool and a mock of the chip's loader: what comes after that needs a chip that runs what was written."""
    monkeypatch.setattr(replacement, "_START_S", 0.1)
    line = ["init", str(tmp_path), "--nodes", "3", "--board", "ESP32_GENERIC"]
    assert cli.main(line) == 0
    file = tmp_path / "swarm.toml"
    file.write_text(file.read_text().replace("id = 3\n", 'id = 3\nhardware = "240ac4000003"\n'))
    image = make_image(tmp_path, "esp32", size=4096)
    with mock_bootloader("esp32") as chip:
        port = f"socket://127.0.0.1:{chip.port()}"
        line = ["replace", "3", "--port", port, "--firmware", str(image), "--swarm", str(file)]
        assert cli.main(line) == 1
    told = "".join(capsys.readouterr())
    assert "4096 bytes written and verified" in told
    assert f"node 3 at {port}: no MicroPython prompt answers" in told
    assert "MicroPython is on it: go on with the same command and --no-flash" in told
    assert "240ac4000003" in file.read_text(), "as long as the new one does not answer the old one is listed"


def test_what_does_not_exist(box, capsys):
    assert "no member 77: choose one of 1, 2, 3" in run(box, capsys, 77, "--port", "/dev/null", status=2)
    unplug(box, DEAD)
    unplug(box, SPARE)
    assert "no such port" in run(box, capsys, DEAD, "--port", "nowhere", status=1)


def test_help_has_examples_and_exit_statuses(capsys):
    with pytest.raises(SystemExit):
        cli.main(["replace", "--help"])
    told = capsys.readouterr().out
    assert "swarm replace 3 --port" in told and "exit status: 0 " in told


def test_a_serial_number_that_several_boards_have_is_not_noted(monkeypatch):
    """Then the board is found by its port."""
    ports = [SimpleNamespace(device=f"/dev/{name}", serial_number="0001", location=name) for name in "ab"]
    monkeypatch.setattr(replacement.list_ports, "comports", lambda: ports)
    assert replacement._serial_at("/dev/a") is None
    del ports[1]
    assert replacement._serial_at("/dev/a") == "0001" and replacement._serial_at("/dev/c") is None
