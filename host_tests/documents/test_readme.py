"""The README's commands do what it says, word for word, on a fresh virtual board in place of an ESP32."""

import json
import os
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest

from foreground import foreground
from requirements import require
from rig_fixture import Table, lay_boards
from swarm import paths
from swarm.deploy import own_code
from swarm.serial import targets
from swarm.serial.targets import Target

README = (paths.ROOT / "README.md").read_text()
FIRMWARE = (paths.FIRMWARE / "README.md").read_text()


def section(title):
    """The text below a heading of firmware/README.md."""
    return re.search(rf"^## {re.escape(title)}$(.*?)(?=^## )", FIRMWARE, re.MULTILINE | re.DOTALL)[1]


def blocks(text, language=""):
    """The code blocks of one language."""
    return re.findall(rf"^```{language}\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)


@pytest.fixture
def board(tmp_path, monkeypatch):
    """Port of a virtual board with an empty flash."""
    require("unix")
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    with foreground("--dir", str(tmp_path / "box")):
        yield str(tmp_path / "box" / "ports" / "1")


def test_the_application_runs_as_it_stands_there(tmp_path):
    (source,) = (block for block in blocks(README, "python") if block.startswith("# application.py\n"))
    own_code.check([own_code.OwnFile("application.py", Path("application.py"), source.encode())])
    homes = lay_boards(tmp_path, [1], required=1, period_ms=1000)
    (homes[1] / "application.py").write_text(source)
    with Table(homes, 3) as table:
        table.start(1)
        table.wait_line(1, "my own turn, with beat ")
        told = targets.ask(Target("", table.ports[1]))
    assert (told["application"], told["errors"]) == ("runs", [])


def test_copied_by_hand_a_node_runs(board, tmp_path):
    text = section("Set up by hand")
    (config,) = blocks(text, "json")
    config = json.loads(config)
    config["members"] = [config["node"]]
    commands = [line for line in blocks(text)[0].splitlines() if line.startswith("mpremote")]
    assert len(commands) >= 4
    (tmp_path / "faction.json").write_text(json.dumps(config))
    folder = tmp_path / "checkout"
    folder.mkdir()
    for name in ("lib", "firmware", "boards"):
        (folder / name).symlink_to(paths.ROOT / name)
    (folder / "faction.json").symlink_to(tmp_path / "faction.json")
    environment = {**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}

    def bash(command):
        command = command.replace("/dev/ttyUSB0", board).replace("boards/ESP32_GENERIC/", "boards/VIRTUAL/")
        done = subprocess.run(
            ["bash", "-c", command],
            cwd=folder,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=120,
        )
        assert done.returncode == 0, command + "\n" + done.stdout
        return done.stdout

    for command in commands[:-1]:
        bash(command)
    said = ""
    for _ in range(10):  # a person takes a while to type the last one
        time.sleep(1)
        said = bash(commands[-1])
        if "Bootstrapped" in said:
            break
    assert f"swarm {config['swarm']} (open), node {config['node']}, session 1" in said
    assert "state      Bootstrapped" in said


def test_a_reader_decides_in_a_moment():
    assert len(README.splitlines()) <= 220


def test_every_verb_that_the_readme_names_is_there():
    help_text = subprocess.run(
        [sys.executable, "-c", "from swarm.cli import main; main(['--help'])"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    verbs = set(re.findall(r"(?:\.venv/bin/|`|\$ )swarm ([a-z]+)", README, re.MULTILINE))
    assert len(verbs) >= 4
    assert {verb for verb in verbs if not re.search(rf"\b{verb}\b", help_text)} == set()


def test_every_make_target_that_the_readme_names_is_there():
    makefile = (paths.ROOT / "Makefile").read_text()
    targets = set(re.findall(r"(?:`|^)make ([a-z]+)", README, re.MULTILINE))
    assert {"demo", "test", "setup"} <= targets
    assert {target for target in targets if not re.search(rf"^{target}:", makefile, re.MULTILINE)} == set()
