"""Boards in one WiFi network, on real sockets: init, deploy, doctor, and a password that is seen nowhere."""

import io
import json
import os
import stat
import time
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from types import SimpleNamespace

import pytest

from box import Box, describe
from requirements import require, require_broadcast
from swarm import cli
from swarm.description import project
from swarm.description.project import Member, Project, ProjectError
from swarm.description.secret import read_wifi
from swarm.doctor.examination import Board
from swarm.doctor.findings_board import OfBoard
from swarm.rig.demo.udp import free_port, lay_access_point

PASSWORD, WRONG = "correct horse", "another horse"
SEED = 21


@pytest.fixture(scope="module")
def box(tmp_path_factory):
    """Two boards, and the description of a swarm in the network `roof`, whose password nobody has written down."""
    require("unix")
    require_broadcast()
    home = tmp_path_factory.mktemp("wifi")
    lay_access_point(home, "roof", PASSWORD)
    with Box(home, 2, SEED) as box:
        for node in box.nodes:
            box.boot(node)
        box.file = describe(home / "swarm", box, "--link", "udp", "--ssid", "roof")
        box.file.write_text(box.file.read_text().replace("ssid =", f"udp_port = {free_port()}\nssid =", 1))
        yield box


def swarm(box, *arguments, status=0):
    """Run a command; what it printed, in which there is no password."""
    said = io.StringIO()
    with redirect_stdout(said), redirect_stderr(said):
        done = cli.main([*arguments, "--swarm", str(box.file)])
    told = said.getvalue()
    assert done == status and PASSWORD not in told and WRONG not in told, told
    return told


def write_password(box, password, mode=0o600):
    file = box.file.with_suffix(".wifi")
    file.touch()
    file.chmod(mode)
    file.write_text(password + "\n")


def wifi_of(box, node):
    """What the doctor says of a node's WiFi, with which something is wrong."""
    told = json.loads(swarm(box, "doctor", str(node), "--json", status=1))["findings"]
    return [finding["what"] for finding in told if finding["fault"] == "wifi"]


def test_boards_join_agree_and_say_what_keeps_them_out(box):
    assert "swarm.wifi: the WiFi's password cannot be read" in swarm(box, "check", status=1)
    write_password(box, PASSWORD, 0o644)
    assert "mode 0644 lets others use it: type `chmod 600" in swarm(box, "deploy", "--all", status=1)
    write_password(box, PASSWORD)
    assert "WiFi network roof: password in" in swarm(box, "check")
    assert "2 of 2 boards run the current version" in swarm(box, "deploy", "--all")
    for node in box.nodes:
        box.wait_line(node, '"value": 1')
        (held,) = box.flash(node).glob("faction.[ab]/faction.wifi")
        assert held.read_text() == PASSWORD + "\n" and stat.S_IMODE(held.stat().st_mode) == 0o600
    assert "nothing is wrong" in swarm(box, "doctor")
    status = swarm(box, "status", "--port", box.ports[1], "--json")
    assert all(told["links"]["udp"]["WiFi"] == "joined" for told in json.loads(status).values())

    write_password(box, WRONG)
    told = json.loads(swarm(box, "doctor", "1", "--json", status=1))["findings"]
    assert [finding["fault"] for finding in told] == ["password"], "what the board has is another"
    lay_access_point(box.home, "roof", WRONG + "!")
    swarm(box, "deploy", "1", "--all", status=2)
    swarm(box, "deploy", "1")
    end = time.monotonic() + 60
    while (told := wifi_of(box, 1)) == ["WiFi roof: joining"] and time.monotonic() < end:
        pass
    assert told == ["WiFi roof: wrong password"]
    spoken = [line for lines in box.lines.values() for line in lines]
    assert spoken and not any(PASSWORD in line or WRONG in line for line in spoken)


def findings(members=2, **link):
    """What the doctor finds in a node whose link says so."""
    listed = [Member(node, "RPI_PICO_W", links=["udp"]) for node in range(1, members + 1)]
    described = Project("s", listed, ssid="roof")
    board = Board("port", listed[0], listed[0])
    status = {"node": 1, "links": {"udp": {"WiFi": "joined", "unheard": 0, **link}}}
    board.look["status"] = status
    return [(one.fault, one.what, one.remedy) for one in OfBoard(described, [board], None).of_wifi(board, status)]


def test_what_the_doctor_says_of_wifi():
    assert findings() == [] and findings(unheard=7) == []
    ((fault, what, remedy),) = findings(unheard=8)
    assert fault == "isolated" and "heard nobody there since it sent 8 frames" in what
    assert '"client isolation" off' in remedy
    assert findings(members=1, unheard=99) == [], "it is alone"
    for state, says in (
        ("wrong password", "write the right one into swarm.wifi, then swarm deploy 1"),
        ("not found", "correct `ssid` in swarm.toml"),
        ("joining", "look at the access point: its DHCP"),
        ("lost", "look at the access point"),
    ):
        ((fault, what, remedy),) = findings(WiFi=state)
        assert (fault, what) == ("wifi", f"WiFi roof: {state}") and says in remedy


def typed(monkeypatch, *passwords):
    """Somebody at a terminal, who types these."""
    left = list(passwords)
    monkeypatch.setattr("sys.stdin", SimpleNamespace(isatty=lambda: True))
    monkeypatch.setattr("getpass.getpass", lambda prompt: left.pop(0))
    return left


INIT = ("init", "--nodes", "2", "--board", "RPI_PICO_W", "--link", "udp", "--name", "s")


def test_init_asks_for_the_password_and_keeps_it_to_itself(monkeypatch, tmp_path, capsys):
    monkeypatch.chdir(tmp_path)
    os.mkdir(".git")
    left = typed(monkeypatch, "short", PASSWORD)
    assert cli.main([*INIT, "--ssid", "roof"]) == 0 and not left
    told = capsys.readouterr()
    assert "swarm.wifi: the WiFi's password" in told.out and "8 to 63 characters" in told.err
    assert stat.S_IMODE(os.stat("swarm.wifi").st_mode) == 0o600
    described = project.load("swarm.toml")
    assert described.wifi() == PASSWORD.encode() and described.ssid == "roof"
    for held in (told.out, told.err, Path("swarm.toml").read_text(), repr(described), repr(vars(described))):
        assert PASSWORD not in held
    assert "/swarm.wifi" in Path(".gitignore").read_text().splitlines()
    given = described.config_for(described.member(1))
    assert (given["ssid"], given["udp_port"], given["lead_ms"]) == ("roof", 47017, 500 + 10 * (128 - 20))


def test_without_a_terminal_init_says_where_the_password_goes(monkeypatch, tmp_path, capsys):
    monkeypatch.chdir(tmp_path)
    os.mkdir(".git")
    monkeypatch.setattr("sys.stdin", io.StringIO())
    assert cli.main(list(INIT)) == 2
    assert "ssid: missing: member 1 has udp: write the name of the WiFi network" in capsys.readouterr().err
    assert cli.main([*INIT, "--ssid", "roof"]) == 0
    assert "swarm.wifi: is missing: write the password into it, in one line" in capsys.readouterr().out
    assert "/swarm.wifi" in Path(".gitignore").read_text().splitlines(), "before it is there"
    with pytest.raises(ProjectError, match=r"swarm\.wifi: the WiFi's password cannot be read"):
        project.load("swarm.toml").check_secrets()


@pytest.mark.parametrize("held", ["short", "x" * 65])
def test_what_is_no_password_is_refused_and_not_shown(tmp_path, held):
    file = tmp_path / "swarm.wifi"
    file.touch(0o600)
    file.write_text(held)
    with pytest.raises(ProjectError, match="not 8 to 64 characters") as caught:
        read_wifi(file)
    assert held not in str(caught.value)
    file.write_text("")
    assert read_wifi(file) == b"", "a network without one"


def test_a_password_in_the_wrong_file_is_not_repeated(tmp_path):
    text = f'name = "s"\npassword = "{PASSWORD}"\n[[member]]\nid = 1\nboard = "RPI_PICO_W"\n'
    with pytest.raises(ProjectError, match="password: not shown, since it looks like a password: no such key") as told:
        project.parse(text, tmp_path / "swarm.toml")
    assert PASSWORD not in str(told.value)
