"""A virtual board behaves at its serial port as a board does: with the real mpremote, while a node goes on."""

import contextlib
import json
import os
import random
import re
import select
import signal
import socket
import subprocess
import time

import pytest
import serial

from requirements import require
from rig_fixture import WAIT_S, Table, lay_boards
from swarm.rig import interrupt, virtual_board
from swarm.serial.prompt import raw_repl
from swarm.serial.status import read_status

SEED = 5

# A program like a node's: it counts in a timer's callback and leaves the prompt free.
COUNTER = """
import machine, network, time
n = 0
slow = 0
def count(_):
    global n
    n += 1
    end = time.ticks_add(time.ticks_us(), slow)
    while time.ticks_diff(end, time.ticks_us()) > 0:
        pass
timer = machine.Timer(0)
timer.init(mode=machine.Timer.PERIODIC, period=5, callback=count)
print("counting, cause", machine.reset_cause())
"""


@pytest.fixture(params=["unix", "cpython"])
def runtime(request):
    return require(request.param)


@pytest.fixture
def lay(tmp_path):
    """Lays the board 1 with a given main.py."""

    def lay_one(main, boot=""):
        (tmp_path / "firmware").mkdir(exist_ok=True)
        (tmp_path / "library").mkdir(exist_ok=True)
        (tmp_path / "firmware" / "main.py").write_text(main)
        (tmp_path / "firmware" / "boot.py").write_text(boot)
        return lay_boards(tmp_path / "boards", [1], tmp_path / "firmware", tmp_path / "library")

    return lay_one


@pytest.fixture
def counter(lay):
    """A table with one board that counts."""
    require("unix")
    with Table(lay(COUNTER), SEED) as table:
        table.start(1)
        table.wait_line(1, "counting")
        yield table


def evaluate(table, expression, node=1):
    with raw_repl(table.ports[node]) as transport:
        return transport.eval(expression)


def alive(pid):
    try:
        with open(f"/proc/{pid}/stat") as stat:
            return stat.read().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def test_the_prompt_is_free_while_callbacks_go_on(lay, runtime):
    with Table(lay(COUNTER), SEED, runtime=runtime) as table:
        table.start(1)
        table.wait_line(1, "counting, cause 1")
        with raw_repl(table.ports[1]) as transport:
            first, began = transport.eval("(n, time.ticks_ms())")
            time.sleep(0.3)
            second, ended = transport.eval("(n, time.ticks_ms())")
            slept = transport.exec(
                "import time\nbefore = n, time.ticks_ms()\ntime.sleep(0.3)\n"
                "print(n - before[0], time.ticks_diff(time.ticks_ms(), before[1]))"
            )
        assert 1 <= second - first <= (ended - began) / 5 + 2, "callbacks at the waiting prompt"
        counted, ms = (int(word) for word in slept.split())
        assert ms >= 300 and 1 <= counted <= ms / 5 + 2, "callbacks within a program that sleeps"
        assert table.run.nodes[1].boots == 1


def test_mpremote_copies_files_in_and_out(counter, tmp_path):
    local = tmp_path / "local.txt"
    local.write_text("from the host\n" * 200)
    before = evaluate(counter, "n")
    counter.mpremote(1, "resume", "cp", str(local), ":remote.txt")
    listed = counter.mpremote(1, "resume", "ls")
    assert f"{local.stat().st_size} remote.txt" in listed, "with its size, as on a chip"
    assert (tmp_path / "boards" / "board-1" / "remote.txt").read_text() == local.read_text()
    back = tmp_path / "back.txt"
    counter.mpremote(1, "resume", "cp", ":remote.txt", str(back))
    assert back.read_text() == local.read_text()
    assert evaluate(counter, "n") > before, "the program went on"


def test_ctrl_c_stops_a_program_and_not_the_callbacks(counter):
    before = evaluate(counter, "n")
    for attempt in range(10):
        with raw_repl(counter.ports[1]) as transport:
            transport.exec_raw_no_follow("while True: pass")
            time.sleep(0.02 + attempt * 0.003)
            transport.serial.write(b"\x03")
            _, error = transport.follow(5)
        assert b"KeyboardInterrupt" in error, attempt
    after = evaluate(counter, "n")
    assert after > before
    time.sleep(0.1)
    assert evaluate(counter, "n") > after
    assert counter.run.nodes[1].boots == 1


def test_a_program_that_ends_as_ctrl_c_comes_leaves_a_prompt(lay, runtime, monkeypatch):
    """It ends between the look whether a program runs and the signal: the prompt must not be left with an interrupt."""
    look = interrupt.runs_program

    def look_slowly(pid):
        runs = look(pid)
        time.sleep(0.2)
        return runs

    monkeypatch.setattr(interrupt, "runs_program", look_slowly)
    boots = []
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as medium:
        medium.bind(("127.0.0.1", 0))
        board = virtual_board.VirtualBoard(
            1, lay("")[1], medium.getsockname()[1], SEED, runtime, on_boot=lambda _, kind, __: boots.append(kind)
        )
        port = os.open(board.port, os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK)

        def say(text, answer):
            os.write(port, text)
            said = b""
            end = time.monotonic() + WAIT_S
            while answer not in said:
                assert time.monotonic() < end, said
                board.pump()
                with contextlib.suppress(BlockingIOError):
                    said += os.read(port, 4096)
                time.sleep(0.001)

        board.power_on()
        say(b"", b">>> ")
        say(b"\x01", b"raw REPL")
        say(b"import time; time.sleep(0.1)\x04", b"OK")
        say(b"\x03", b"\x04\x04>")
        say(b"print(6 * 7)\x04", b"42")
        os.close(port)
        board.close()
    assert boots == ["power"]


def test_what_it_said_before_its_power_went_is_of_that_life(lay):
    """Even what nobody had read then."""
    require("unix")
    home = lay("print('said')\nopen('done', 'w').close()\n")[1]
    seen = []
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as medium:
        medium.bind(("127.0.0.1", 0))
        board = virtual_board.VirtualBoard(
            1,
            home,
            medium.getsockname()[1],
            SEED,
            on_line=lambda _, __, line: seen.append(line),
            on_boot=lambda *_: seen.append("boot"),
        )
        for _ in range(2):
            board.power_on()
            end = time.monotonic() + WAIT_S
            while not (home / "done").exists():
                assert time.monotonic() < end, seen
                time.sleep(0.01)
            assert select.select([board.descriptors()[0]], [], [], WAIT_S)[0]
            (home / "done").unlink()
            board.power_off()
        board.close()
    assert [one for one in seen if one in ("boot", "said")] == ["boot", "said", "boot", "said"]


def test_ctrl_c_during_a_callback_costs_that_callback_at_most(counter):
    """Callbacks here take most of the time, so that nearly every interrupt lands in one."""
    for attempt in range(8):
        with raw_repl(counter.ports[1]) as transport:
            transport.exec("slow = 4000")
            transport.exec_raw_no_follow("import time\nfor i in range(20): time.sleep_ms(10)")
            time.sleep(0.03 + attempt * 0.005)
            transport.serial.write(b"\x03")
            transport.follow(5)
            transport.exec("slow = 0")
            first = transport.eval("n")
            time.sleep(0.05)
            assert transport.eval("n") > first, attempt
    counter.wait(lambda: True)
    assert counter.run.nodes[1].boots == 1


def test_mpremote_without_resume_gets_a_quiet_board_and_reset_starts_it_again(counter):
    ticks = evaluate(counter, "time.ticks_ms()")
    counter.mpremote(1, "exec", "import network; network.WLAN(0).active(True); network.WLAN(0).config(channel=9)")
    shown = counter.mpremote(1, "exec", "print('n' in globals())")
    assert "False" in shown, "a soft reset from the raw REPL does not run main.py"
    with raw_repl(counter.ports[1]) as transport:
        transport.exec("import machine, network, time")
        assert transport.eval("machine.reset_cause()") == 5
        assert transport.eval("network.WLAN(0).config('channel')") == 9, "WiFi outlives a soft reset"
        assert transport.eval(f"0 < time.ticks_diff(time.ticks_ms(), {ticks}) < 60000"), "so does the clock"
    counter.mpremote(1, "reset")
    counter.wait_line(1, "counting, cause 2")
    assert evaluate(counter, "n") >= 0


def test_ctrl_d_at_the_prompt_is_a_soft_reset_that_runs_main(counter):
    with serial.Serial(counter.ports[1], timeout=30) as port:
        port.write(b"\r\x03\x04")
        shown = port.read_until(b"counting, cause 5")
    assert b"MPY: soft reboot\r\n" in shown and shown.endswith(b"cause 5")


def test_a_power_cut_leaves_the_files_and_nothing_else(counter, tmp_path):
    pid = counter.pids[1]
    with raw_repl(counter.ports[1]) as transport:
        transport.exec("open('kept.txt', 'w').write('x' * 9)\nleft = 1")
    counter.power(1, False)
    counter.wait(lambda: not counter.run.nodes[1].powered)
    assert not alive(pid)
    counter.run.nodes[1].output.clear()
    counter.power(1, True)
    counter.wait_line(1, "counting, cause 1")
    assert counter.pids[1] != pid
    with raw_repl(counter.ports[1]) as transport:
        assert transport.eval("len(open('kept.txt').read())") == 9
        assert transport.eval("'left' in globals()") is False


@pytest.mark.parametrize("hangs", ["nothing", "a callback", "the program"])
def test_a_watchdog_resets_the_board_whatever_hangs(lay, hangs):
    require("unix")
    code = "dog = machine.WDT(timeout=400)\n"
    if hangs == "a callback":
        code += "def hang(_):\n    while True:\n        pass\n"
        code += "machine.Timer(1, mode=machine.Timer.ONE_SHOT, period=50, callback=hang)\n"
    elif hangs == "the program":
        code += "while True:\n    try:\n        pass\n    except:\n        pass\n"
    with Table(lay(COUNTER + code), SEED) as table:
        table.start(1)
        table.wait_line(1, "counting, cause 1")
        table.wait_line(1, "counting, cause 3")


def test_errors_in_boot_and_main_are_printed_and_leave_the_prompt(lay, runtime):
    boards = lay("print('main runs')\nraise ValueError('in main')", "raise KeyError('in boot')")
    with Table(boards, SEED, runtime=runtime) as table:
        table.start(1)
        table.wait_line(1, "KeyError")
        table.wait_line(1, "main runs")
        table.wait_line(1, "ValueError: in main")
        assert evaluate(table, "1 + 1") == 2


def test_a_board_nobody_listens_to_does_not_wait(lay):
    require("unix")
    with Table(lay(COUNTER + "for i in range(3000): print('line', i, 'x' * 60)\nprint('all said')\n"), SEED) as table:
        table.start(1)
        table.wait_line(1, "all said")


def test_a_reader_that_stops_reading_does_not_stop_the_others(counter):
    with serial.Serial(counter.ports[1], timeout=2) as port:
        port.write(b"\rfor i in range(2000): print('x' * 70)\r\r\r")
        time.sleep(1.5)
        port.reset_input_buffer()
    before = evaluate(counter, "n")
    time.sleep(0.1)
    assert evaluate(counter, "n") > before


@pytest.mark.parametrize("how", ["close", "kill the rig"])
def test_no_process_is_left(lay, how):
    require("unix")
    table = Table(lay(COUNTER), SEED)
    try:
        table.start(1)
        table.wait_line(1, "counting")
        pids = [table.pid, table.medium_pid, table.pids[1]]
        assert all(alive(pid) for pid in pids)
        if how != "close":
            os.kill(table.pid, signal.SIGKILL)
    finally:
        table.close()
    deadline = time.monotonic() + 30
    while any(alive(pid) for pid in pids) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert not any(alive(pid) for pid in pids), how


def test_a_rig_ends_with_whoever_started_it(lay, tmp_path):
    """Even when that is killed: its pipe ends."""
    require("unix")
    boards = json.dumps({str(node): str(home) for node, home in lay(COUNTER).items()})
    starter = (
        "import sys, json, os, signal\nfrom pathlib import Path\nfrom swarm.rig.rig import Rig\n"
        f"rig = Rig({{int(n): Path(d) for n, d in json.loads({boards!r}).items()}}, 1)\n"
        "rig.power(1, True)\nwhile not rig.pids: rig.events(0.1)\n"
        "print(rig.pid, rig.medium_pid, rig.pids[1], flush=True)\nos.kill(os.getpid(), signal.SIGKILL)\n"
    )
    done = subprocess.run([os.sys.executable, "-c", starter], capture_output=True, text=True, timeout=120)
    pids = [int(word) for word in done.stdout.split()]
    assert len(pids) == 3, done.stderr
    deadline = time.monotonic() + 30
    while any(alive(pid) for pid in pids) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert not any(alive(pid) for pid in pids)


def test_a_node_keeps_its_place_while_its_board_is_looked_at(tmp_path):
    """The status, a listing and copies in and out with the real mpremote: the peers see no restart."""
    require("unix")
    members = [1, 2, 3]
    with Table(lay_boards(tmp_path, members), SEED, weather={"loss": 0.1, "delay_ms": 1}) as table:
        table.start(*members)
        table.wait(lambda: all(node.succeeded() for node in table.run.nodes.values()), what="the first samples")
        frames = table.medium.do("stats")["boards"]["1"]["frames"]
        shown = table.mpremote(1, "resume", "exec", "import faction; faction.status()")
        assert "swarm test" in shown and "Bootstrapped" in shown and "heard      3 of 3" in shown
        assert "faction.json" in table.mpremote(1, "resume", "ls")
        table.mpremote(1, "resume", "cp", ":faction.json", str(tmp_path / "out.json"))
        assert json.loads((tmp_path / "out.json").read_text())["node"] == 1
        table.mpremote(1, "resume", "cp", str(tmp_path / "out.json"), ":in.json")
        deadline = time.monotonic() + 60
        while table.medium.do("stats")["boards"]["1"]["frames"] == frames and time.monotonic() < deadline:
            time.sleep(0.1)
        assert table.medium.do("stats")["boards"]["1"]["frames"] > frames, "the node went on speaking"
        for node in (2, 3):
            with raw_repl(table.ports[node]) as transport:
                status = read_status(transport, table.ports[node])
            assert (status["restarts"], status["heard"], status["ready"]) == (0, members, members)
        assert table.run.nodes[1].boots == 1


def test_recorded_frames_never_make_a_node_count_a_peer(tmp_path):
    """Everything heard in an earlier boot is replayed into the next one, while one member stays away."""
    require("unix")
    members = [1, 2, 3]
    boards = lay_boards(tmp_path, members)
    with Table(boards, SEED) as table:
        table.medium.do("record", on=True)
        table.start(*members)
        table.wait(lambda: all(node.succeeded() for node in table.run.nodes.values()), what="the first boot's samples")
        table.medium.do("record", on=False)
        recorded = table.medium.recorded()
        assert {message["source"] for message in recorded} == set(members)
        for node in members:
            table.power(node, False)
        table.wait(lambda: not table.run.live())
        table.start(1, 2)
        again = [2, 2, 1]
        table.wait(lambda: [node.boots for node in table.run.nodes.values()] == again, what="the second boot")
        table.wait(lambda: all(table.run.nodes[node].ready_us for node in (1, 2)), what="readiness of 1 and 2")
        for message in recorded:
            table.medium.do("inject", channel=message["channel"], frame=message["frame"])
        time.sleep(0.5)
        for node in (1, 2):
            with raw_repl(table.ports[node]) as transport:
                status = read_status(transport, table.ports[node])
            assert status["session"] == 2
            assert (status["heard"], status["ready"], status["missing"]) == ([1, 2], [1, 2], [3]), table.story()
            assert status["sample"] is None and status["state"] == "Collecting"
        table.start(3)
        for message in recorded:
            table.medium.do("inject", channel=message["channel"], frame=message["frame"])
        table.wait(lambda: all(node.succeeded() for node in table.run.nodes.values()), what="the second boot's samples")


def test_power_cuts_around_the_writing_of_the_session_number_never_repeat_one(tmp_path):
    """Cut at moments spread around the end of a boot's start; what was announced before is never announced again."""
    require("unix")
    chance = random.Random(SEED)

    def announced(table):
        lines = "\n".join(table.run.nodes[1].output)
        assert "error" not in lines, lines
        return [int(number) for number in re.findall(r"started session (\d+)", lines)]

    with Table(lay_boards(tmp_path, [1], required=1), SEED) as table:
        start_ms = 60.0  # how long a start takes here and now: more when a cut came too early, less when too late
        for cut in range(25):
            before = len(announced(table))
            table.start(1)
            table.wait(lambda boots=cut + 1: table.run.nodes[1].boots == boots, what="a boot")
            table.power(1, False, start_ms * chance.uniform(0.7, 1.3))
            table.wait(lambda: not table.run.nodes[1].powered, what="a power cut")
            start_ms *= 0.9 if len(announced(table)) > before else 1.2
        table.start(1)
        table.wait(lambda: table.run.nodes[1].succeeded(), what="the first sample")
        said = announced(table)
        assert len(said) >= 5 and said == sorted(set(said)), f"seed {SEED}: {said}"
