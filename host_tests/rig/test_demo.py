"""`swarm demo` as a user runs it: real MicroPython nodes, short runs, one at a time."""

import io
import json
import os
import pty
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from rich.console import Console

from requirements import require
from rig_fixture import lay_boards
from swarm.rig.demo import sniffer
from swarm.rig.demo.plan import Settings, switches
from swarm.rig.demo.run import Run
from swarm.rig.demo.view import state_of, summary, table
from swarm.rig.personality import make_clock

SEED = 11
SWARM = str(Path(sys.executable).with_name("swarm"))
KEYS = {
    "nodes",
    "bootstrapped",
    "timed_out",
    "converged_ms",
    "skew_us",
    "samples",
    "frames_sent",
    "runtime",
    "pids",
    "seed",
}
RUN_S = 120
SKEW_MAX_US = 1_000_000  # against nonsense: how near the samples are is shown in simulated time


@pytest.fixture(autouse=True)
def own_folder(tmp_path, monkeypatch):
    """Demos of this test keep their files, and what --keep writes down, to themselves."""
    monkeypatch.setenv("TMPDIR", str(tmp_path))


def swarm(*arguments, timeout=RUN_S):
    """Run the command; the finished process."""
    command = [SWARM, *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=timeout)


def demo(*arguments):
    """Run a demo with --json; (exit status, the object, standard error)."""
    done = swarm("demo", "--json", "--seed", str(SEED), *arguments)
    assert done.stdout.count("\n") == 1, f"one object and nothing else: {done.stdout}{done.stderr}"
    return done.returncode, json.loads(done.stdout), done.stderr


def alive(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def wait_gone(pids, seconds=30):
    deadline = time.monotonic() + seconds
    while any(alive(pid) for pid in pids) and time.monotonic() < deadline:
        time.sleep(0.02)
    return not any(alive(pid) for pid in pids)


def test_eight_nodes_agree_and_sample_together(tmp_path):
    require("unix")
    code, result, error = demo("--nodes", "8", "--loss", "0.3")
    assert code == 0, error
    assert set(result) == KEYS
    assert (result["nodes"], result["bootstrapped"], result["timed_out"]) == (8, 8, 0)
    assert [sample["node"] for sample in result["samples"]] == list(range(1, 9))
    assert not any(sample["late"] for sample in result["samples"])
    assert all(-40 < sample["value"] < 60 for sample in result["samples"])
    assert result["converged_ms"] >= 0 and 0 <= result["skew_us"] <= SKEW_MAX_US, result
    assert result["frames_sent"] >= 16
    for node in range(1, 9):
        runtime = result["runtime"][str(node)]
        assert (runtime["implementation"], runtime["maxsize"]) == ("micropython", 2**63 - 1)
    assert len(set(result["pids"])) == 10 and wait_gone(result["pids"])
    assert not list(tmp_path.glob("swarm-demo-*")), "the boards' files are gone"


def test_a_member_lost_below_the_quorum_makes_the_others_time_out_and_name_it():
    """It goes before it can be ready: one that was ready counts on, until a live member hears it again."""
    require("unix")
    code, result, error = demo("--nodes", "3", "--kill", "2@100", "--deadline", "2500")
    assert code == 1
    assert (result["bootstrapped"], result["timed_out"]) == (0, 2)
    assert result["samples"] == [] and result["converged_ms"] is None and result["skew_us"] is None
    assert "2 nodes have power and 3 are required" in error and f"seed {SEED}" in error
    assert wait_gone(result["pids"])
    done = swarm("demo", "--nodes", "3", "--kill", "2@100", "--deadline", "2500", "--seed", str(SEED))
    assert done.returncode == 1
    for node in (1, 3):
        line = next(line for line in done.stdout.splitlines() if line.startswith(f"node   {node}"))
        assert "TimedOut  not ready: 2 (no power); 2 of 3 required are ready" in line
    assert "node   2  off (power cut)" in done.stdout


def test_a_quorum_below_all_goes_on_without_the_lost_one():
    require("unix")
    code, result, error = demo("--nodes", "3", "--quorum", "2", "--kill", "2@100")
    assert code == 0, error
    assert result["bootstrapped"] == 2 and {sample["node"] for sample in result["samples"]} == {1, 3}


@pytest.mark.parametrize("at_ms", [500, 5000], ids=["before", "after"])
def test_a_reboot_before_or_after_the_conclusion_still_converges(at_ms):
    require("unix")
    code, result, error = demo("--nodes", "3", "--reboot", f"2@{at_ms}")
    assert code == 0, error
    assert result["bootstrapped"] == 3
    late = {sample["node"]: sample["late"] for sample in result["samples"]}
    assert late == {1: False, 2: at_ms > 2000, 3: False}
    assert len(result["pids"]) == 3 + 1 + 2, "the rebooted board was two processes"
    assert result["skew_us"] <= SKEW_MAX_US


def test_without_a_wheel_the_nodes_run_on_cpython():
    code, result, error = demo("--nodes", "2", "--runtime", "cpython")
    assert code == 0, error
    assert {runtime["implementation"] for runtime in result["runtime"].values()} == {"cpython"}
    hidden = "import sys; sys.modules['micropython_run'] = None; from swarm.cli import main; sys.exit(main())"
    done = subprocess.run(
        [sys.executable, "-c", hidden, "demo", "--nodes", "1", "--seed", str(SEED), "--json"],
        capture_output=True,
        text=True,
        timeout=RUN_S,
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["runtime"]["1"]["implementation"] == "cpython"
    assert "unix port" in done.stderr and "the nodes run on CPython" in done.stderr


def test_keep_leaves_boards_that_status_reads_and_stop_ends():
    require("unix")
    done = swarm("demo", "--nodes", "2", "--keep", "--json", "--seed", str(SEED))
    try:
        assert done.returncode == 0, done.stderr
        result = json.loads(done.stdout)
        assert set(result) == KEYS | {"ports"} and set(result["ports"]) == {"1", "2"}
        assert all(alive(pid) for pid in result["pids"])
        port = result["ports"]["1"]
        command = [sys.executable, "-m", "mpremote", "connect", port, "resume"]
        command += ["exec", "import faction; faction.status()"]
        screen = subprocess.run(command, capture_output=True, text=True, timeout=120)
        assert screen.returncode == 0 and "Bootstrapped" in screen.stdout
        status = swarm("status", "--json")
        assert status.returncode == 0, status.stderr
        nodes = json.loads(status.stdout)
        assert set(nodes) == set(result["ports"].values())
        assert {(node["state"], node["restarts"]) for node in nodes.values()} == {("Bootstrapped", 0)}
        again = swarm("demo", "--keep")
        assert again.returncode == 2 and "swarm demo --stop" in again.stderr
    finally:
        stopped = swarm("demo", "--stop")
    assert stopped.returncode == 0 and wait_gone(result["pids"])
    assert swarm("demo", "--stop").returncode == 1


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGKILL])
def test_whatever_ends_the_demo_no_process_is_left(number, tmp_path):
    require("unix")
    process = subprocess.Popen(
        [SWARM, "demo", "--nodes", "2", "--seed", str(SEED)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        for line in process.stdout:
            if "started session" in line:
                break
        children = descendants(process.pid)
        assert len(children) >= 3, "rig, medium and a board"
        process.send_signal(number)
        process.wait(60)
        assert process.returncode != 0
        assert wait_gone(children), number
        assert wait_gone([process.pid])
        time.sleep(0.1)
        assert not list(tmp_path.glob("swarm-demo-*")), "the boards' files are gone"
    finally:
        process.kill()
        process.communicate()


def descendants(pid):
    """Process ids of all children, and theirs."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal():
            try:
                parent = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
            except OSError:
                continue
            if parent == pid:
                found += [int(entry.name), *descendants(int(entry.name))]
    return found


def test_a_terminal_gets_a_live_table():
    require("unix")
    master, slave = pty.openpty()
    process = subprocess.Popen(
        [SWARM, "demo", "--nodes", "2", "--seed", str(SEED)],
        stdout=slave,
        stderr=slave,
        env={**os.environ, "TERM": "xterm", "COLUMNS": "100", "LINES": "40"},
    )
    os.close(slave)
    shown = bytearray()

    def read():
        while True:
            try:
                shown.extend(os.read(master, 4096))
            except OSError:
                return

    reader = threading.Thread(target=read)
    reader.start()
    assert process.wait(RUN_S) == 0
    reader.join(5)
    os.close(master)
    text = shown.decode(errors="replace")
    for word in ("heard", "reboots", "frames", "2/2", "Bootstrapped", "skew of the first samples"):
        assert word in text, word


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--nodes", "0"], "--nodes 0 is outside 1 ... 32"),
        (["--quorum", "7"], "--quorum 7 is outside 1 ... 5"),
        (["--loss", "30"], "--loss 30.0 is outside 0 ... 1"),
        (["--deadline", "3"], "--deadline 3 is outside 500 ... 500000000: it is in milliseconds"),
        (["--deadline", "600000000"], "--deadline 600000000 is outside 500 ... 500000000: it is in milliseconds"),
        (["--kill", "9@100"], "--kill 9@100: there is no node 9; the nodes are 1 ... 5"),
        (["--reboot", "2"], "'2' is not NODE@MS; for example 2@900"),
        (["--kill", "x@y"], "'x@y' is not NODE@MS"),
        (["--kill", "3@0"], "'3@0': a node has no power to lose before 1 ms"),
        (["--kill", "2@300", "--reboot", "2@900"], "--kill and --reboot both name node 2: leave one of them away"),
        (
            ["--reboot", "2@99999999"],
            "--reboot 2@99999999: the demo is over at 10000 ms; name an earlier time, or raise --deadline 10000",
        ),
        (["--kill", "2@6001", "--deadline", "2000", "--on-timeout", "retry"], "the demo is over at 6000 ms"),
        (["--stop", "--keep"], "--stop stops what runs and does nothing else: leave --keep away"),
        (["--json", "--stop"], "--stop stops what runs and does nothing else: leave --json away"),
        (["--stop", "--nodes", "3"], "--stop stops what runs and does nothing else: leave --nodes away"),
    ],
)
def test_wrong_options_are_told_with_value_and_remedy(arguments, told):
    done = swarm("demo", *arguments)
    assert done.returncode == 2 and told in done.stderr and done.stdout == ""


@pytest.mark.parametrize("seed", range(20))
def test_boots_spread_over_a_second_and_a_half_and_come_before_what_cuts_them(seed):
    settings = Settings(8, "espnow", 8, 0.1, 9000, "halt", seed, kills=[(3, 200)], reboots=[(5, 900)])
    planned = switches(settings)
    assert planned == switches(settings)
    on = {}
    for ms, node, is_on in planned:
        if is_on:
            on.setdefault(node, ms)
    assert min(on.values()) == 0 and max(on.values()) <= 1500 and set(on) == set(range(1, 9))
    assert on[3] < 200 and on[5] < 900, seed
    assert [(ms, is_on) for ms, node, is_on in planned if node == 5][1:] == [(900, False), (950, True)]
    assert [is_on for _, node, is_on in planned if node == 3] == [True, False]


def started(run, node, clock):
    run.take(
        {
            "event": "boot",
            "node": node,
            "kind": "power",
            "pid": 7,
            "t_us": clock.base_us,
            "base_us": clock.base_us,
            "offset_us": clock.offset_us,
            "ppb": clock.ppb,
        }
    )


def say(run, node, clock, after_us, text, delay_us=2_000):
    """The board prints a line `after_us` after its start, and it arrives a little later."""
    true_us = clock.base_us + after_us
    ticks = clock.local_us(true_us) // 1000 % (1 << 30)
    line = f"faction: {ticks} node {node} {text}"
    run.take({"event": "line", "node": node, "t_us": true_us + delay_us, "line": line})


@pytest.mark.parametrize("seed", range(12))
def test_times_come_from_the_boards_own_stamps(seed):
    run = Run([1, 2])
    clocks = {node: make_clock(seed, node, 1, 10**9 + node * 1_000) for node in (1, 2)}
    for node, clock in clocks.items():
        started(run, node, clock)
        say(run, node, clock, 50_000, "swarm demo open started session 4")
        say(run, node, clock, 1_000_000, "ready")
        say(run, node, clock, 1_100_000 + 20_000 * node, "Bootstrapped")
        assert not run.finished(False)
        sample = {"node": node, "late_us": 5, "value": 21.5, "late": False}
        line = ">>> " + json.dumps(sample)
        run.take({"event": "line", "node": node, "t_us": clock.base_us + 1_700_000, "line": line})
    assert run.finished(False) and run.nodes[1].session == 4
    assert abs(run.converged_ms() - 140) <= 2, seed
    assert run.skew_us() == 1_000
    assert [node.node for node, _, _ in run.sampled] == [1, 2]


def test_what_a_node_says_decides_its_state():
    run = Run([1, 2])
    clock = make_clock(1, 1, 1, 10**9)
    assert state_of(run.nodes[1], None) == "off"
    started(run, 1, clock)
    assert state_of(run.nodes[1], None) == "starting"
    say(run, 1, clock, 900_000, "TimedOut, missing 2")
    assert run.finished(False) and not run.finished(True) and run.converged_ms() is None
    assert state_of(run.nodes[1], None) == "TimedOut"
    status = {1: {"missing": [2], "ready": [1], "required": 2}}
    assert summary(run, status) == [
        "node   1  TimedOut  not ready: 2 (no power); 1 of 2 required are ready",
        "node   2  off",
    ]
    run.take({"event": "line", "node": 1, "t_us": 10**9, "line": "faction: error: OSError: no flash"})
    assert state_of(run.nodes[1], None) == "error" and run.finished(True)
    started(run, 1, clock)
    assert run.nodes[1].boots == 2 and run.nodes[1].error is None


@pytest.mark.parametrize("columns", [60, 70, 80, 100])
def test_the_live_table_is_a_line_a_node_on_any_terminal(columns):
    run = Run([1, 2, 3])
    for node in run.nodes:
        clock = make_clock(1, node, 1, 10**9)
        started(run, node, clock)
        say(run, node, clock, 900_000, "Bootstrapped")
        sample = json.dumps({"node": node, "late_us": 12_345, "value": 21.57, "late": False})
        run.take({"event": "line", "node": node, "t_us": 10**9 + 10**6, "line": sample})
    out = io.StringIO()
    title = "12 nodes, espnow, 10% of messages lost, seed 949318"
    Console(file=out, width=columns).print(table(run, {"boards": {}}, title, columns))
    lines = [line for line in out.getvalue().splitlines() if line.strip("\u2500\u250f ")]
    assert max(map(len, lines)) <= columns and "\u2026" not in out.getvalue()
    assert sum("21.57 C, +12345 us" in line and "Bootstrapped" in line for line in lines) == 3


def test_a_frame_in_the_air_tells_its_senders_state():
    head = bytes.fromhex("2203" + "2ee7c1b1" + "0300" + "11000000" + "05000000" + "02000000" + "00000000")
    seen = sniffer.sight(head + b"\x07\x05" + bytes(8))
    assert (seen.node, seen.session, seen.generation, seen.heard, seen.ready) == (3, 17, 2, 3, 2)
    assert seen.state == "Bootstrapped"
    assert sniffer.sight(b"\x21\x04" + head[2:] + b"\x07\x05" + bytes(8)).state == "TimedOut"
    assert sniffer.sight(b"\x22\x10" + head[2:] + b"\x07\x05" + bytes(6 + 8)).state == "Collecting"
    for frame in (b"", b"\x11" + head[1:] + bytes(10), head + b"\x07" + bytes(8), b"\x23" + head[1:] + bytes(10)):
        assert sniffer.sight(frame) is None


def test_a_deploy_leaves_what_the_board_wrote(tmp_path):
    home = lay_boards(tmp_path, [1])[1]
    assert json.loads((home / "faction.json").read_text())["members"] == [1]
    assert (home / "lib" / "faction" / "core.py").exists() and (home / "board.py").exists()
    (home / "faction.session").write_text("7")
    lay_boards(tmp_path, [1], deadline_ms=9000)
    assert (home / "faction.session").read_text() == "7"
    assert json.loads((home / "faction.json").read_text())["deadline_ms"] == 9000
