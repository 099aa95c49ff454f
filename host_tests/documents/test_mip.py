"""`mpremote mip install` of a checkout puts the library on a board, and it works there."""

import functools
import http.server
import json
import threading

import pytest

from requirements import require
from rig_fixture import Table, lay_boards
from swarm.documents import package
from swarm.paths import LIB, ROOT

SEED = 21
FILES = sorted(file.relative_to(LIB) for file in (LIB / "faction").rglob("*.py"))


def test_package_json_lists_the_library():
    assert package.FILE.read_text() == package.text(), "write it anew: .venv/bin/python -m swarm.documents.package"
    assert len(json.loads(package.text())["urls"]) == len(FILES) > 10


@pytest.fixture
def board(tmp_path):
    """A running board with no library on it, and its directory."""
    require("unix")
    for folder in ("firmware", "library"):
        (tmp_path / folder).mkdir()
    boards = lay_boards(tmp_path / "boards", [1], tmp_path / "firmware", tmp_path / "library")
    assert not (boards[1] / "lib").exists() or not any((boards[1] / "lib").iterdir())
    with Table(boards, SEED) as table:
        table.start(1)
        table.wait(lambda: 1 in table.pids)
        yield table, boards[1]


@pytest.fixture
def server():
    """This checkout over HTTP, as a repository host offers it."""
    handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=ROOT)
    handler.log_message = lambda *_: None
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as serving:
        threading.Thread(target=serving.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{serving.server_port}/"
        serving.shutdown()


def check(table, home):
    for file in FILES:
        assert (home / "lib" / file).read_bytes() == (LIB / file).read_bytes(), file
    said = table.mpremote(1, "exec", "from faction.core import Faction; print(Faction(1, [1, 2], 2).process(0, 2))")
    assert said.strip() == "1"


def test_from_a_local_checkout(board):
    table, home = board
    assert "Done" in table.mpremote(1, "mip", "install", "--target=lib", str(ROOT / "package.json"))
    check(table, home)


def test_from_a_server(board, server):
    table, home = board
    assert "Done" in table.mpremote(1, "mip", "install", "--target=lib", server)
    check(table, home)
