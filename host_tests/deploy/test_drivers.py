"""Drivers of the user's own: a library that mip has installed outlives deploys, and lib/ beside swarm.toml is sent."""

import contextlib
import functools
import http.server
import io
import subprocess
import sys
import threading
from contextlib import redirect_stderr, redirect_stdout

import pytest

from box import Box, describe
from requirements import require
from swarm import cli
from swarm.serial.prompt import raw_repl

SEED = 29
DRIVER = "CELSIUS = 21.5\n\n\ndef read():\n    return CELSIUS\n"
SENSOR = "import bme280\n\n\ndef warm_up():\n    return True\n\n\ndef sample():\n    return bme280.read()\n"


@pytest.fixture(scope="module")
def box(tmp_path_factory):
    """Two boards that have been deployed once; `file` is the swarm's."""
    require("unix")
    home = tmp_path_factory.mktemp("box")
    with Box(home, 2, SEED) as box:
        for node in box.nodes:
            box.boot(node)
        box.file = describe(home / "swarm", box)
        run(box, "--all")
        yield box


@pytest.fixture
def folder(box):
    """Where swarm.toml is, without anything of the user's own."""
    clear(box)
    yield box.file.parent
    clear(box)


def clear(box):
    for path in sorted(box.file.parent.rglob("*"), reverse=True):
        if not path.name.startswith("swarm."):
            path.rmdir() if path.is_dir() else path.unlink()


def run(box, *arguments, status=0):
    """Run `swarm deploy`; what it printed."""
    said = io.StringIO()
    with redirect_stdout(said), redirect_stderr(said):
        done = cli.main(["deploy", *arguments, "--swarm", str(box.file)])
    assert done == status, said.getvalue()
    return said.getvalue()


def mpremote(box, node, *arguments):
    """Run the mpremote command on a board's port; what it printed."""
    command = [sys.executable, "-m", "mpremote", "connect", box.ports[node], *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def evaluate(box, node, expression):
    with raw_repl(box.ports[node]) as transport:
        return transport.eval(expression)


@pytest.fixture
def server(tmp_path):
    """A package index's stand-in: URL of a folder that is served over HTTP, with a driver in it."""
    (tmp_path / "bme280.py").write_text(DRIVER)
    handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=tmp_path)
    handler.log_message = lambda *_: None
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as serving:
        threading.Thread(target=serving.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{serving.server_port}"
        serving.shutdown()


@pytest.mark.parametrize("how", [["resume"], []], ids=["resume", "restarted"])
def test_what_mip_installs_outlives_every_deploy(box, folder, server, how):
    with contextlib.suppress(FileNotFoundError):
        (box.flash(1) / "lib" / "bme280.py").unlink()
    assert "Done" in mpremote(box, 1, *how, "mip", "install", f"{server}/bme280.py")
    assert (box.flash(1) / "lib" / "bme280.py").read_text() == DRIVER
    for plus in (0, 1):
        since = len(box.lines[1])
        (folder / "sensor.py").write_text(SENSOR.replace("read()", f"read() + {plus}"))
        assert "runs session" in run(box, "1")
        box.wait_line(1, "started session", since)
        assert evaluate(box, 1, "__import__('bme280').__file__") == "./lib/bme280.py"
    assert evaluate(box, 1, "__import__('sensor').sample()") == 22.5


def test_a_version_of_the_layout_before_runs_until_the_next_deploy(box, folder):
    slot = box.flash(2) / box.pointed(2)
    box.power(2, False)
    (slot / "lib").mkdir()
    (slot / "faction").rename(slot / "lib" / "faction")
    box.boot(2)
    assert evaluate(box, 2, "__import__('faction').__file__") == f"{slot.name}/lib/faction/__init__.mpy"
    assert "runs session" in run(box, "2")
    assert box.pointed(2) != slot.name
    assert evaluate(box, 2, "__import__('faction').__file__") == f"{box.pointed(2)}/faction/__init__.mpy"
