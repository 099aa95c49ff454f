"""swarm board --virtual: boards at ports that the real tools take for boards."""

import os
import subprocess
import sys

import pytest

from box import eventually
from foreground import START, foreground
from requirements import require
from swarm import cli


@pytest.fixture
def swarm(tmp_path, monkeypatch):
    """Runs `swarm` in a folder of its own, where no other test's boards are; returns the finished process."""
    require("unix")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TMPDIR", str(tmp_path))

    def run(*arguments, status=0):
        command = [sys.executable, "-c", START, *arguments]
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=120)
        assert done.returncode == status, done.stdout
        return done.stdout

    return run


def mpremote(port, *arguments):
    command = [sys.executable, "-m", "mpremote", "connect", str(port), *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=True).stdout


def test_a_fresh_board_and_what_is_told_about_it(swarm, tmp_path):
    with foreground("--dir", "boards", "--seed", "4") as lines:
        port = tmp_path / "boards" / "ports" / "1"
        assert lines[0] == "1 virtual board (seed 4):"
        assert lines[1] == f"  1  boards/ports/1 -> {os.readlink(port)}"
        assert "  mpremote connect boards/ports/1 resume" in lines
        assert "  swarm init --board VIRTUAL --ports boards/ports/*" in lines
        assert mpremote(port, "resume", "ls").split() == ["ls", ":"], "an empty flash"
        assert mpremote(port, "exec", "import sys; print(sys.implementation.name)").strip() == "micropython"
        mpremote(port, "resume", "exec", "open('kept', 'w').close()")
    assert not (tmp_path / "boards" / "ports").exists()
    assert (tmp_path / "boards" / "board-1" / "kept").exists(), "flash outlives its board"
    with foreground("--dir", "boards"):
        assert "kept" in mpremote(port, "resume", "ls")


def test_boards_without_a_folder_leave_nothing(swarm, tmp_path):
    with foreground("--count", "2") as lines:
        assert lines[0].startswith("2 virtual boards, which hear each other (seed ")
        assert len(list(tmp_path.glob("swarm-board-*/board-*"))) == 2
    assert not list(tmp_path.glob("swarm-board-*"))


def test_in_the_background_they_become_a_swarm(swarm, tmp_path):
    told = swarm("board", "--virtual", "--count", "3", "--dir", "boards", "--background")
    try:
        assert "3 virtual boards" in told and "swarm board --stop" in told
        swarm("init", "--board", "VIRTUAL", "--ports", *(f"boards/ports/{node}" for node in (1, 2, 3)))
        assert "3 of 3 boards run the current version" in swarm("deploy", "--all")
        assert eventually(lambda: swarm("status", "--json").count('"Bootstrapped"') == 3), "it finds them by itself"
        assert '"node": 2' in swarm("status", "--json", "--port", "boards/ports/2")
        assert "boards run there already: stop them" in swarm("board", "--virtual", "--background", status=2)
        assert "its boards run already" in swarm("board", "--virtual", "--dir", "boards", status=2)
    finally:
        assert "stopped" in swarm("board", "--stop")
    assert not (tmp_path / "boards" / "ports").exists()
    assert "no boards run in the background" in swarm("board", "--stop", status=1)


def test_a_board_for_each_member(swarm, tmp_path):
    swarm("init", "--board", "VIRTUAL", "--members", "4,9", "--open")
    with foreground("--swarm", "swarm.toml", "--dir", "boards") as lines:
        assert sorted(os.listdir("boards/ports")) == ["4", "9"]
        assert "  swarm deploy 4 --swarm swarm.toml --port boards/ports/4" in lines
        assert "runs session" in swarm("deploy", "4", "--port", "boards/ports/4")
    with foreground("--swarm", "swarm.toml", "--node", "9", "--dir", "boards"):
        assert os.listdir("boards/ports") == ["9"]


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ([], "give --virtual"),
        (["--virtual", "--count", "0"], "--count 0 is outside 1 ... 100"),
        (["--virtual", "--count", "2", "--node", "3"], "--count 2: --node and --swarm say already"),
        (["--virtual", "--node", "70000"], "--node 70000 is outside 0 ... 65535"),
        (["--virtual", "--swarm", "/nowhere.toml"], "/nowhere.toml: no such file"),
    ],
)
def test_wrong_use(arguments, says, capsys):
    assert cli.main(["board", *arguments]) == 2
    assert says in capsys.readouterr().err


def test_stop_stands_alone(capsys):
    with pytest.raises(SystemExit) as ended:
        cli.main(["board", "--virtual", "--stop"])
    assert ended.value.code == 2
    assert "--stop stops what runs and does nothing else: leave --virtual away" in capsys.readouterr().err


def test_help_has_examples_and_exit_statuses(capsys):
    with pytest.raises(SystemExit):
        cli.main(["board", "--help"])
    told = capsys.readouterr().out
    assert "swarm board --virtual --count 8 --dir boards" in told and "exit status: 0 " in told
