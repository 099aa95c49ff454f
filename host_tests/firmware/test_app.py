"""The application on virtual boards: restarts, interrupts, the watchdog, samples on flash, and the trace."""

import contextlib
import json
import random
import time

import pytest
import serial
from mpremote.transport import TransportError

from requirements import require
from rig_fixture import Table, execute, lay_boards, status, swarm_config
from swarm.cli import main
from swarm.serial.prompt import raw_repl

SEED = 11
MEMBERS = [1, 2, 3]
INTERRUPTS = 60
FILE_BYTES = 4096

# A sensor that takes most of the time, so that most interrupts land in a callback.
SLOW_SENSOR = """
import time

calls = []

def warm_up():
    time.sleep_ms(3)
    calls.append(1)
    return len(calls) > 400

def sample():
    time.sleep_ms(3)
    return len(calls)
"""


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    """A swarm of three that has sampled. The tests that follow each leave it as they found it, but for sessions."""
    require("unix")
    homes = lay_boards(tmp_path_factory.mktemp("boards"), MEMBERS)
    listed = [{"id": node, "hardware": f"02FAC71000{node:02X}"} for node in MEMBERS]
    for home in homes.values():  # the same file on every board
        config = json.loads((home / "faction.json").read_text())
        del config["node"]
        (home / "faction.json").write_text(json.dumps({**config, "members": listed, "on_timeout": "retry"}))
    with Table(homes, SEED) as table:
        table.homes = homes
        table.start(*MEMBERS)
        table.wait(lambda: all(node.succeeded() for node in table.run.nodes.values()), what="the first samples")
        yield table


def listen(table, seconds=0.1):
    """Take what boards say for a while."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        for event in table.events(0.05):
            table.run.take(event)


def until(table, node, done, seconds=60):
    """Wait for a status for which done(status) is true, and return it."""
    end = time.monotonic() + seconds
    while not done(now := status(table, node)):
        assert time.monotonic() < end, f"seed {table.seed}: {now}"
        listen(table)
    return now


def hurry(table, node):
    """Have a node speak within a second: long after the conclusion it does so once a minute, if at all."""
    execute(table, node, "from time import ticks_ms\nfaction.app.node.trickle.reset(ticks_ms())")


def test_boards_with_the_same_file_find_themselves_by_hardware_id(table):
    for node in MEMBERS:
        now = status(table, node)
        assert (now["node"], now["state"], now["heard"], now["ready"]) == (node, "Bootstrapped", MEMBERS, MEMBERS)
        assert now["errors"] == [] and now["sample"]["node"] == node


def test_the_trace_of_a_board_replays(table, tmp_path, capsys):
    for node in MEMBERS:
        capture = tmp_path / str(node)
        capture.write_text(table.mpremote(node, "resume", "exec", "import faction; faction.trace()"))
        assert main(["replay", str(capture)]) == 0
        said = capsys.readouterr().out
        # At least its own participation and readiness, and the others' readiness.
        assert f"node {node}: " in said and int(said.split(": ")[2].split()[0]) >= 4


def test_the_status_line_is_one_line(table):
    assert execute(table, 2, "faction.status_line()") == (
        "test node 2: Bootstrapped, heard 3, ready 3 of 3, missing none\n"
    )


def see_one_restart(table, before, peers):
    """Wait until the peers count one restart: those that had proof of the earlier session. Who knew the node only from
    others' word counts none."""
    end = time.monotonic() + 60
    seen = {}
    while 1 not in seen.values() or any(status(table, node)["ready"] != MEMBERS for node in peers):
        assert time.monotonic() < end, f"seed {table.seed}: {seen}"
        listen(table)
        seen = {node: status(table, node)["restarts"] - before[node]["restarts"] for node in peers}
    assert set(seen.values()) <= {0, 1}, f"seed {table.seed}: {seen}"


def test_a_restart_is_a_new_session_and_its_peers_see_one_restart(table):
    before = {node: status(table, node) for node in MEMBERS}
    execute(table, 2, "faction.restart()")
    now = until(table, 2, lambda now: now["state"] == "Bootstrapped" and now["sample"])
    assert now["session"] == before[2]["session"] + 1 and now["sample"]["late"]
    see_one_restart(table, before, (1, 3))
    assert table.run.nodes[2].boots == 1


def test_restarts_one_after_the_other_leave_one_node(table):
    """Callbacks of a node that is gone do nothing, and timers do not add up."""
    execute(table, 3, "for _ in range(5): faction.restart()")
    now = until(table, 3, lambda now: now["state"] == "Bootstrapped" and now["sample"])
    assert now["errors"] == []
    assert execute(table, 3, "import machine\nprint(len(machine.Timer._running))").strip() == "1"
    assert execute(table, 3, "print(machine.Timer._begun)").strip() == "1", "an ESP32's clock stops at the 256th"
    until(table, 1, lambda now: now["ready"] == MEMBERS)


def test_a_soft_reset_starts_the_node_again_whatever_the_radio_was_left_in(table):
    before = {node: status(table, node) for node in MEMBERS}
    execute(table, 1, "import network\nnetwork.WLAN(0).config(channel=9)\nnetwork.WLAN(1).active(True)")
    with serial.Serial(table.ports[1], timeout=5) as port:
        port.write(b"\r\x03\x04")
        assert b"MPY: soft reboot" in port.read_until(b"MPY: soft reboot")
        assert b"started session" in port.read_until(b">>> ")
    now = until(table, 1, lambda now: now["state"] == "Bootstrapped" and now["sample"])
    assert now["session"] == before[1]["session"] + 1
    see_one_restart(table, before, (2, 3))


def interrupt(transport):
    """Ctrl-C, and the end of what runs: the virtual board's comes as a signal, which may end the next thing instead."""
    transport.serial.write(b"\x03")
    transport.follow(5)
    transport.exec_raw("pass")


def test_a_restart_that_is_interrupted_leaves_a_whole_node_or_none(table):
    chance = random.Random(SEED)
    outcomes = set()
    session = status(table, 2)["session"]
    longest_s = 0.04  # in which about every second restart is done, here and now
    for _ in range(INTERRUPTS // 2):
        with raw_repl(table.ports[2]) as transport:
            transport.exec("import faction")
            transport.exec_raw_no_follow("faction.restart()")
            time.sleep(chance.uniform(0, longest_s))
            interrupt(transport)
            runs = transport.eval("faction.app is not None")
            longest_s *= 0.8 if runs else 1.25
            told = transport.exec("import machine\nprint(len(machine.Timer._running))").splitlines()
            assert b"1" in told, told  # a line of the node's own may come besides
            outcomes.add(runs)
            if runs:
                assert transport.eval("faction.status_dict()['session']") > session
                session = transport.eval("faction.status_dict()['session']")
            else:
                assert transport.eval("faction.failure").startswith("the start was interrupted")
    assert outcomes == {True, False}
    with raw_repl(table.ports[2]) as transport:
        transport.exec("import faction")
        while transport.eval("faction.app is not None"):
            transport.exec_raw_no_follow("faction.restart()")
            time.sleep(chance.uniform(0, 0.04))
            interrupt(transport)
        # Nobody may be there to start it again: it does that by itself.
        transport.exec("import autostart\nautostart._RETRY_MS = 300")
    end = time.monotonic() + 60
    while execute(table, 2, "print(faction.app is not None)").strip() != "True":
        assert time.monotonic() < end, f"seed {SEED}"
        listen(table)
    now = until(table, 2, lambda now: now["state"] == "Bootstrapped" and now["sample"])
    assert now["session"] > session and now["errors"] == []
    for node in (1, 3):
        until(table, node, lambda now: now["ready"] == MEMBERS)


def test_a_radio_that_is_turned_off_at_the_prompt_is_an_error_said_once(table):
    execute(table, 1, "import espnow\nespnow.ESPNow().active(False)")
    listen(table, 0.3)
    now = status(table, 1)
    assert len(now["errors"]) == 1, now["errors"]
    table.wait_line(1, "error: " + now["errors"][0].split(":")[0])
    assert len([line for line in table.run.nodes[1].output if "error: " in line and "faction:" in line]) == 1
    execute(table, 1, "faction.restart()")
    assert until(table, 1, lambda now: now["state"] == "Bootstrapped")["errors"] == []
    for node in (2, 3):
        until(table, node, lambda now: now["ready"] == MEMBERS)


@pytest.mark.parametrize("looked_at", [True, pytest.param(False, marks=pytest.mark.long)])
def test_a_timer_that_is_taken_from_the_node_is_told_and_taken_back(table, looked_at):
    """At the next look, or by the frames that still come while a program runs: those wake no ESP32 at its prompt."""
    taken = "init(period=1, callback=lambda timer: None)" if looked_at else "deinit()"
    table.run.nodes[2].output.clear()  # the other form of this test has it say the same
    execute(table, 2, f"import machine, signs\nmachine.Timer(0).{taken}")
    error = "timer: ValueError: 0 is the node's: have your code take another"
    if looked_at:
        listen(table, 2.2)
    else:
        hurry(table, 1)
        execute(table, 2, "import time\nfor second in range(16):\n time.sleep(1)\n print(second)")
        table.wait_line(2, "error: " + error)
    now = status(table, 2)
    assert now["errors"] == [error]
    hurry(table, 2)
    until(table, 2, lambda later: later["counters"]["sent"] > now["counters"]["sent"])
    execute(table, 2, "faction.restart()")
    assert until(table, 2, lambda now: now["state"] == "Bootstrapped")["errors"] == []


def test_samples_on_flash_are_bounded(table):
    home = table.homes[1]
    line = json.loads((home / "samples.jsonl").read_text().splitlines()[0])
    assert set(line) == {"node", "session", "late_us", "value", "late"}
    code = """
import samples
samples.FILE, samples.OLD = "s", "s.old"
for i in range(0, 300, 3):
    samples.append_bounded([b"%d " % j + b"x" * (j % 60) + b"\\n" for j in range(i, i + 3)], 4096)
"""
    execute(table, 1, code)
    whole = (home / "s.old").read_text() + (home / "s").read_text()
    numbers = [int(text.split()[0]) for text in whole.splitlines()]
    assert numbers == list(range(numbers[0], 300)), "no line is lost or torn"
    for name in ("s", "s.old"):
        assert (home / name).stat().st_size <= FILE_BYTES
    assert len(whole) > FILE_BYTES


def test_interrupts_at_any_moment_leave_the_node_running(tmp_path):
    """Ctrl-C again and again from the start until after the sample, most of them in a callback."""
    require("unix")
    chance = random.Random(SEED)
    homes = lay_boards(tmp_path, MEMBERS)
    (homes[1] / "sensor.py").write_text(SLOW_SENSOR)
    with Table(homes, SEED) as table:
        table.start(*MEMBERS)
        table.wait_line(1, "started session 1")
        landed = 0
        for _ in range(INTERRUPTS):
            with raw_repl(table.ports[1]) as transport:
                transport.exec_raw_no_follow("import time\nfor i in range(2000): time.sleep_ms(1)")
                time.sleep(chance.uniform(0.002, 0.03))
                transport.serial.write(b"\x03")
                landed += b"KeyboardInterrupt" in b"".join(transport.follow(5))
        assert landed > INTERRUPTS // 2
        now = until(table, 1, lambda now: now["state"] == "Bootstrapped" and now["sample"])
        assert now["errors"] == [] and now["session"] == 1 and now["sample"]["value"] > 0
        listen(table)
        for node in (2, 3):
            peer = until(table, node, lambda now: now["ready"] == MEMBERS)
            assert peer["restarts"] == 0 and peer["counters"]["stale"] == 0
        said = [line for line in table.run.nodes[1].output if "node 1 ready" in line or "node 1 Bootstr" in line]
        assert len(said) >= 2, "what is interrupted is said again"
        assert table.run.nodes[1].boots == 1


def test_a_time_out_names_who_is_missing_as_far_as_a_line_goes(tmp_path):
    require("unix")
    homes = lay_boards(tmp_path, [1, 2], deadline_ms=300)
    large = {"swarm": "large", "members": list(range(1, 101)), "node": 2, "deadline_ms": 300}
    (homes[2] / "faction.json").write_text(json.dumps(large))
    for home in homes.values():
        (home / "sensor.py").write_text("def warm_up():\n    return False\n\nsample = warm_up\n")
    with Table(homes, SEED) as table:
        table.start(1, 2)
        named = " ".join(map(str, range(1, 21)))
        table.wait_line(1, "TimedOut, missing 1 2")
        table.wait_line(2, f"TimedOut, missing {named} ...")


def test_a_start_after_a_soft_reset_that_takes_longer_than_the_watchdog_waits(tmp_path):
    """A soft reset stops no watchdog, and nobody feeds it before there is an application."""
    require("unix")
    homes = lay_boards(tmp_path, [1], watchdog_ms=3000)
    with Table(homes, SEED) as table:
        with (homes[1] / "store.py").open("a") as file:
            file.write("\n\nimport time\n\ntime.sleep(3.3)\n")
        table.start(1)
        table.wait_line(1, "faction: starting")
        assert not any("started session" in line for line in table.run.nodes[1].output), "a tool hears that it lives"
        table.wait_line(1, "started session 1")
        with serial.Serial(table.ports[1], timeout=5) as port:
            port.write(b"\r\x03\x04")
            table.wait_line(1, "started session 2")
        listen(table, 3.2)
        assert status(table, 1)["session"] == 2 and table.run.nodes[1].boots == 2, "power, and the soft reset"


PRINT = """
import builtins
import sys

_print = print

def told(text):
    _print(text)
    if "started session" in text:
        _print("assembly is there:", "assembly" in sys.modules)

builtins.print = told
"""


def test_a_start_is_said_when_there_is_nothing_left_to_interrupt(tmp_path):
    """What only a start needs has been let go by then: a Ctrl-C of who reads that line would end the start."""
    require("unix")
    homes = lay_boards(tmp_path, [1])
    (homes[1] / "boot.py").write_text(PRINT)
    with Table(homes, SEED) as table:
        table.start(1)
        table.wait_line(1, "assembly is there: False")


@pytest.mark.long  # the watchdog waits as long as on a chip
def test_the_watchdog_outlives_restarts_and_leaves_time_to_break_in(tmp_path):
    require("unix")
    homes = lay_boards(tmp_path, [1], watchdog_ms=3000)
    with Table(homes, SEED) as table:
        table.start(1)
        table.wait_line(1, "started session 1")
        execute(table, 1, "faction.restart()")
        listen(table, 3.2)
        (homes[1] / "faction.json").write_text("{")
        execute(table, 1, "faction.restart()")
        listen(table, 3.2)
        assert "not JSON" in execute(table, 1, "print(faction.failure)")
        assert table.run.nodes[1].boots == 1, "it is fed whether a node runs or not"
        execute(table, 1, "import machine\nfor timer in list(machine.Timer._running): timer.deinit()")
        table.wait(lambda: table.run.nodes[1].boots == 2, 5, "the watchdog's reset")
        table.wait_line(1, "faction: error: OSError: the watchdog has reset the board")
        listen(table, 1.2)
        assert "tried again every 60 s" in execute(table, 1, "import faction\nprint(faction.failure)")
        (homes[1] / "faction.json").write_text(json.dumps(swarm_config(1, [1])))
        with contextlib.suppress(TransportError):  # which restarts the board, perhaps before it has answered
            execute(table, 1, "import autostart\nautostart._RETRY_MS = 300")
        table.wait(lambda: table.run.nodes[1].boots == 3, 5, "the next attempt")
        table.wait_line(1, "node 1 Bootstrapped")
