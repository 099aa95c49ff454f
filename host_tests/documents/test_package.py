"""The wheel that a checkout makes is whole: installed elsewhere, the command works in an empty home, without it."""

import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from requirements import require
from swarm.paths import ROOT

BUILD = "import sys; from hatchling.build import build_wheel; print(build_wheel(sys.argv[1]))"
PARTS = ("lib/faction", "firmware", "boards", "host_tests/shims")
START = "from swarm.cli import main; raise SystemExit(main())"


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """The wheel's file; building it leaves nothing in the checkout."""
    folder = tmp_path_factory.mktemp("wheel")
    done = subprocess.run([sys.executable, "-c", BUILD, folder], cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return folder / done.stdout.split()[-1]


@pytest.fixture(scope="module")
def swarm(wheel, tmp_path_factory):
    """Runs the installed command in an empty folder, with an empty home; its exit status and what it said.

    It comes before the checkout on Python's path; what it depends on is that of this environment.
    """
    site, place = tmp_path_factory.mktemp("site"), tmp_path_factory.mktemp("empty")
    line = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-index", "--target", site, wheel]
    subprocess.run(line, check=True, timeout=120)
    home = tmp_path_factory.mktemp("home")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("XDG_", "COVERAGE_", "COV_"))}
    environment = {**kept, "PYTHONPATH": str(site), "HOME": str(home), "TMPDIR": str(place), "COLUMNS": "110"}

    def run(*arguments, code=START):
        line = [sys.executable, "-c", code, *arguments]
        done = subprocess.run(line, cwd=place, env=environment, capture_output=True, text=True, timeout=120)
        return done.returncode, done.stdout + done.stderr

    said = run(code="import swarm, swarm.paths as p; print(swarm.__file__, p.CHECKOUT, p.LIB)")[1].split()
    assert said[1] == "None" and all(Path(file).is_relative_to(site) for file in (said[0], said[2])), said
    return run


def test_what_is_in_it(wheel):
    names = zipfile.ZipFile(wheel).namelist()
    held = {str(file.relative_to(ROOT)) for part in PARTS for file in (ROOT / part).rglob("*.py")}
    held |= {str(file.relative_to(ROOT)) for file in (ROOT / "boards").rglob("board.json")}
    assert {f"swarm/project/{name}" for name in held} <= set(names)
    assert {"swarm/runtimes/wasm/run.mjs", "swarm/runtimes/wasm/package.json", "swarm/deploy/onboard.py"} <= set(names)
    assert not [name for name in names if "__pycache__" in name or "/test_" in name or "swarm/proof/" in name]
    assert not [name for name in names if "swarm/project/host_tests/" in name and "/shims/" not in name]
    script = next(name for name in names if name.endswith("entry_points.txt"))
    assert "swarm = swarm.cli:main" in zipfile.ZipFile(wheel).read(script).decode()


def test_a_demo(swarm):
    require("unix")
    status, said = swarm("demo", "--nodes", "2", "--seed", "3", "--json")
    assert status == 0, said
    result = json.loads(said)
    assert result["bootstrapped"] == 2 and {kind["implementation"] for kind in result["runtime"].values()} == {
        "micropython"
    }


def test_from_a_box_of_boards_to_a_sample(swarm):
    require("unix")
    status, said = swarm("board", "--virtual", "--dir", "boards", "--background")
    assert status == 0, said
    try:
        assert swarm("init", "--name", "g", "--board", "VIRTUAL", "--ports", "boards/ports/1")[0] == 0
        status, said = swarm("deploy", "--all")
        assert status == 0 and "1 of 1 boards run the current version" in said, said
        status, said = swarm("doctor")
        assert (status, said) == (0, "1 board was looked at, nothing is wrong\n")
        status, said = swarm("status", "--all", "--json")
        (facts,) = json.loads(said).values()
        assert status == 0 and facts["state"] in ("Pinging", "Bootstrapped")
        assert swarm("collect", "--all")[0] == 0
    finally:
        swarm("board", "--stop")


def test_the_simulator_and_the_diagram(swarm):
    status, said = swarm("sim", "--nodes", "3", "--seed", "1", "--json")
    assert status == 0 and json.loads(said)["stranded"] == 0, said
    assert swarm("diagram")[1].startswith("stateDiagram-v2")


def test_what_needs_a_checkout_says_so(swarm):
    for arguments in (("size",), ("vectors", "any.jsonl", "--runtime", "wasm")):
        status, said = swarm(*arguments)
        assert status == 2 and "`make setup` in a checkout" in said or "any.jsonl" in said, said
    status, said = swarm("walkthrough")
    assert status == 1 and "from a checkout" in said and "Traceback" not in said
