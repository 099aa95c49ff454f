"""The machine's vectors on bare metal: a Cortex-M0 with 9 KB of heap, under QEMU; and on a board at a port."""

import gzip
import json
import os
from pathlib import Path

import pytest

from requirements import require
from rig_fixture import Table, lay_boards
from swarm import cli, paths, runtimes
from swarm.runtimes.vectors import pieces, qemu
from swarm.serial.strip import strip

FOLDER = Path(__file__).parents[1] / "vectors"
STRIPPED_AT_MOST = 3584  # bytes of core.py: what the micro:bit's compiler manages in its heap
SEED = 11


@pytest.fixture
def microbit_there():
    """Skip, naming the command that installs it, where QEMU or the firmware is missing; on CI they must be there."""
    lacking = qemu.missing()
    if lacking:
        if os.environ.get("CI"):
            pytest.fail(lacking)
        pytest.skip(lacking)


def swarm_vectors(capsys, *arguments):
    status = cli.main(["vectors", *map(str, arguments)])
    return status, *capsys.readouterr()


def vectors_of(file):
    opener = gzip.open if file.suffix == ".gz" else open
    with opener(file, "rt") as lines:
        return [json.loads(line) for line in lines]


@pytest.mark.long
def test_every_vector_that_fits(microbit_there, capsys):
    files = sorted(FOLDER.glob("*.jsonl*"))
    everything = [vector for file in files for vector in vectors_of(file)]
    fit = [v for v in everything if "steps" in v and len(v["config"]["peers"]) <= 33]
    wide = [v for v in everything if "steps" in v and len(v["config"]["peers"]) > 33]
    others = len(everything) - len(fit) - len(wide)
    assert len(fit) >= 165 and max(len(v["config"]["peers"]) for v in fit) == 33
    status, out, err = swarm_vectors(capsys, "--runtime", "qemu", *files)
    assert (status, err) == (0, "")
    steps = sum(len(vector["steps"]) for vector in fit)
    lines = out.splitlines()
    assert lines[-1] == f"{len(fit)} vectors, {steps} steps, 0 mismatches"
    left_out = {line.split(":")[0]: line for line in lines[:-1]}
    assert f": {others} vectors, {FOLDER}" in left_out["left out, not a vector of the machine"]
    assert f": {len(wide)} vectors, {FOLDER}" in left_out["left out, more than 33 members"]
    assert wide[0]["name"] in left_out["left out, more than 33 members"]


def test_it_is_a_small_old_machine(microbit_there):
    with qemu.microbit() as device, pieces.prepared(device):
        version, platform, free = device.execute(
            "import sys, gc\nprint(sys.implementation[1])\nprint(sys.platform)\nprint(gc.mem_free() + gc.mem_alloc())"
        ).split("\r\n")[:3]
    assert (version, platform) == ("(1, 9, 2)", "microbit")
    assert int(free) < 12_000


def test_mismatches_are_found(microbit_there, capsys, tmp_path):
    vector = vectors_of(FOLDER / "quorum.jsonl")[0]
    wrong = json.loads(json.dumps(vector))
    wrong["steps"][1]["view"]["required_count"] = 99
    refused = json.loads(json.dumps(vector))
    refused["config"]["required_count"] = 99
    file = tmp_path / "wrong.jsonl"
    file.write_text("".join(json.dumps(v) + "\n" for v in (vector, wrong, refused)))
    status, out, _ = swarm_vectors(capsys, "--runtime", "qemu", file)
    steps = len(vector["steps"])
    assert status == 1
    assert f"{file}:2: {vector['name']}, step 2: " in out
    assert f"the machine refuses this config: required count 99: outside 1 ... {len(vector['config']['peers'])}" in out
    # A refused config is a mismatch of its own, and so is each of its steps.
    assert out.endswith(f"3 vectors, {3 * steps} steps, {1 + 1 + steps} mismatches\n")


def test_nothing_that_fits_is_an_error(microbit_there, capsys):
    status, _, err = swarm_vectors(capsys, "--runtime", "qemu", FOLDER / "sequences-250.jsonl.gz")
    assert status == 2 and "nothing was compared" in err


def test_a_device_that_fails_says_how(microbit_there):
    with qemu.microbit() as device:
        with pytest.raises(runtimes.ScriptFailed, match="ZeroDivisionError"):
            device.execute("1 // 0")
        with pytest.raises(runtimes.ScriptFailed, match="MemoryError"):
            device.execute("bytearray(20000)")
        assert device.execute("print(6 * 7)") == "42\r\n"


def test_missing_packages_are_named_with_the_command(monkeypatch, capsys):
    monkeypatch.setenv("PATH", "/nowhere")
    status, _, err = swarm_vectors(capsys, "--runtime", "qemu", FOLDER / "matrix.jsonl")
    assert status == 2
    assert "no qemu-system-arm on PATH: apt-get install qemu-system-arm firmware-microbit-micropython" in err


def test_core_stripped_is_small_enough_and_names_nothing():
    stripped = strip((paths.LIB / "faction" / "core.py").read_text())
    assert len(stripped) <= STRIPPED_AT_MOST
    for name in ("Participation", "Bootstrapped", "TimedOut", "Concluded", "Rejected"):
        assert name not in stripped


def test_strip():
    source = '''"""Module."""
from micropython import const

_LIMIT = const(7)  # private: folded
SHOWN = const(3)

class A:
    """Class."""

    width: int = 2

    def f(self, a: int, *, b: str = "x") -> bool:
        """Function."""
        # why
        return a < _LIMIT

    def g(self):
        """Nothing but this."""
'''
    assert strip(source) == (
        "from micropython import const\nSHOWN = const(3)\nclass A:\n width = 2\n"
        " def f(self, a, *, b='x'):\n  return a < 7\n def g(self):\n  pass\n"
    )


def test_a_board_at_a_port_replays_while_its_node_goes_on(capsys, tmp_path):
    require("unix")
    with Table(lay_boards(tmp_path, [1]), SEED) as table:
        table.start(1)
        table.wait_line(1, "Bootstrapped")
        files = [FOLDER / "matrix.jsonl", FOLDER / "sequences-33.jsonl.gz", FOLDER / "cmac.jsonl"]
        status, out, err = swarm_vectors(capsys, "--runtime", "board", "--port", table.ports[1], *files)
        assert (status, err) == (0, "")
        assert "left out, not a vector of the machine: 86 vectors" in out
        assert out.endswith("57 vectors, 1491 steps, 0 mismatches\n")
        assert "Bootstrapped" in table.mpremote(1, "resume", "exec", "import faction; faction.status()")


@pytest.mark.parametrize(
    "arguments", [["--runtime", "board"], ["--port", "/dev/x"], ["--runtime", "qemu", "--port", "/x"]]
)
def test_board_and_port_go_together(arguments, capsys):
    status, _, err = swarm_vectors(capsys, FOLDER / "matrix.jsonl", *arguments)
    assert status == 2 and "--runtime board and --port go together" in err


def test_no_board_at_the_port(capsys):
    status, _, err = swarm_vectors(capsys, FOLDER / "matrix.jsonl", "--runtime", "board", "--port", "/dev/no-board")
    assert status == 2 and "/dev/no-board: no such port" in err
