"""The user's application on asyncio beside the node, on virtual boards with the real asyncio."""

import json
import time

import pytest
import serial

from requirements import cases, require
from rig_fixture import Table, lay_boards
from swarm import runtimes
from swarm.runtimes.measure import allocation
from swarm.serial import application, targets
from swarm.serial.port import open_port
from swarm.serial.prompt import raw_repl
from swarm.serial.status import read_status

SEED = 12
MEMBERS = [1, 2, 3]
ASYNC, PLAIN, ON_A_TIMER = MEMBERS

APPLICATION = """
import asyncio

turns = 0


async def work():
    global turns
    while True:
        turns += 1
        await asyncio.sleep_ms(10)


async def main(swarm):
    other = asyncio.create_task(work())
    await swarm.bootstrapped()
    print("application: bootstrapped")
    print("application: sampled", (await swarm.first_sample())["value"])
    print("application: again", (await swarm.first_sample())["value"])
    {then}
    print("application: ended after", turns > 10)
"""
# An application that tells how its waits end.
TOLD = """
import asyncio


async def main(swarm):
    {first}
    for wait in (swarm.bootstrapped, swarm.first_sample):
        try:
            print("application: waited", await wait())
        except RuntimeError as error:
            print("application: no use:", error)
    await asyncio.sleep_ms(60_000)
"""
FOR_EVER = "await other"
STOP = "swarm.stop()\n    print('application: stopped')\n    await asyncio.sleep_ms(200)"
ASYNC_SENSOR = """
import asyncio

async def warm_up():
    await asyncio.sleep_ms(150)
    return True

async def sample():
    await asyncio.sleep_ms(30)
    return [1, "two"]
"""
FAILING_SENSOR = """
import asyncio

tries = []

async def warm_up():
    tries.append(1)
    await asyncio.sleep_ms(5)
    if len(tries) < 4:
        raise OSError("no answer %d" % len(tries))
    return True

async def sample():
    await asyncio.sleep_ms(5)
    raise ValueError("no reading")
"""
SET_SENSOR = """
def warm_up():
    return True

async def sample():
    return {1, 2}
"""


def lay(directory, sensors, then=FOR_EVER):
    """Boards with an application on asyncio; sensors: node -> its sensor.py, None for the default."""
    homes = lay_boards(directory, sensors)
    for node, sensor in sensors.items():
        (homes[node] / "application.py").write_text(APPLICATION.format(then=then))
        if sensor:
            (homes[node] / "sensor.py").write_text(sensor)
    return homes


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    """Three boards: an application with an async sensor, one with a plain one, and a board without an application."""
    require("unix")
    directory = tmp_path_factory.mktemp("boards")
    timer_home = lay_boards(directory, MEMBERS)[ON_A_TIMER]
    homes = {**lay(directory, {ASYNC: ASYNC_SENSOR, PLAIN: None}), ON_A_TIMER: timer_home}
    for home in homes.values():
        config = json.loads((home / "faction.json").read_text())
        (home / "faction.json").write_text(json.dumps({**config, "members": MEMBERS, "required": 3}))
    with Table(homes, SEED) as table:
        table.start(*MEMBERS)
        for node in (ASYNC, PLAIN):
            table.wait_line(node, "application: again")
        for node in MEMBERS:
            table.wait_line(node, '"late_us"')  # which is said once it is on flash
        yield table


def said(table, node, start):
    return [line for line in table.run.nodes[node].output if line.startswith(start)]


def ask(port, request, answers=1):
    """What comes back for bytes on the serial line: until there are so many answers, and a little longer."""
    port.reset_input_buffer()
    port.write(request)
    end = time.monotonic() + 60
    shown = b""
    while shown.count(b"\n{") + shown.startswith(b"{") < answers or not shown.endswith(b"\n"):
        if not answers or time.monotonic() > end:
            break
        time.sleep(0.02)
        shown += port.read(port.in_waiting)
    time.sleep(0.3)
    return (shown + port.read(port.in_waiting)).decode("utf-8", "replace").splitlines()


def test_the_application_waits_for_the_swarm_and_the_sample(table):
    assert said(table, ASYNC, "application")[:3] == [
        "application: bootstrapped",
        "application: sampled [1, 'two']",
        "application: again [1, 'two']",
    ]
    records = {}
    for node in MEMBERS:
        records[node] = json.loads(next(line for line in table.run.nodes[node].output if '"late_us"' in line))
        assert not records[node]["late"] and records[node]["late_us"] >= 0, records
    assert records[ASYNC]["value"] == [1, "two"]
    assert set(said(table, PLAIN, "application: sampled")) == {f"application: sampled {records[PLAIN]['value']}"}


def test_a_request_for_the_status_is_answered_on_the_serial_line(table):
    with serial.Serial(table.ports[ASYNC], timeout=2) as port:
        for request in (b"status\n", b" status \r", b"\xff\xfe\x80\r\nstatus\r\n", b"x" * 500 + b"\nstatus\n"):
            answers = [line for line in ask(port, request) if line.startswith("{")]
            assert len(answers) == 1, (request, answers)
            status = json.loads(answers[0])
            assert status["state"] == "Bootstrapped" and status["ready"] == MEMBERS and status["node"] == ASYNC
        for request in (b"statu\n", b"\n\n", b"help\r\n", b"status"):
            assert not [line for line in ask(port, request, 0) if line.startswith("{")], request


def test_ctrl_c_stops_the_application_and_the_node_goes_on_beside_which_it_can_be_run_again(table):
    with serial.Serial(table.ports[PLAIN], timeout=2) as port:
        shown = b""
        for _ in range(20):  # one that lands in a callback ends that alone, and is pressed again
            port.write(b"\x03")
            shown = port.read_until(b">>> ")
            if shown.endswith(b">>> "):
                break
    assert b"application: KeyboardInterrupt: stopped by Ctrl-C" in shown and shown.endswith(b">>> ")
    with raw_repl(table.ports[PLAIN]) as transport:
        status = read_status(transport, table.ports[PLAIN])
        assert status["application"] == "was stopped" and "Ctrl-C" in status["errors"][-1]
        assert (status["state"], status["session"]) == ("Bootstrapped", 1)
        transport.exec("import faction\nticks = []\nfaction.app.tick = lambda now: ticks.append(now) or 4")
        time.sleep(0.2)
        assert transport.eval("len(ticks)") > 5, "the node has stopped with it"
        transport.exec("del faction.app.tick, ticks")
    said_before = len(said(table, PLAIN, "application: again"))
    with open_port(table.ports[PLAIN]) as transport:
        application.run(transport)
    table.wait(lambda: len(said(table, PLAIN, "application: again")) > said_before, what="the application again")
    with open_port(table.ports[PLAIN]) as transport:
        status = application.of_application(transport, table.ports[PLAIN])
    assert (status["application"], status["session"], status["errors"]) == ("runs", 1, [])


def test_errors_of_async_sensors_are_notes(tmp_path):
    require("unix")
    with Table(lay(tmp_path, {1: FAILING_SENSOR}), SEED) as table:
        table.start(1)
        table.wait_line(1, "application: again None")
        table.wait_line(1, '"late_us"')
        with serial.Serial(table.ports[1], timeout=2) as port:
            (answer,) = [line for line in ask(port, b"status\n") if line.startswith("{")]
        assert json.loads(answer)["errors"] == [
            "warm_up(): OSError: no answer 1 (sensor.py, line 10)",
            "sample(): ValueError: no reading (sensor.py, line 15)",
        ]
        assert json.loads(answer)["sample"]["value"] is None
        errors = [line for line in table.run.nodes[1].output if " error: " in line]
        assert len(errors) == 2, errors


def test_an_async_sample_that_json_cannot_hold(tmp_path):
    require("unix")
    with Table(lay(tmp_path, {1: SET_SENSOR}), SEED) as table:
        table.start(1)
        table.wait_line(1, "application: again None")
        table.wait_line(1, "error: sample(): TypeError: set: JSON cannot hold it")


def test_a_node_that_is_stopped_is_silent_and_the_application_goes_on(tmp_path):
    require("unix")
    with Table(lay(tmp_path, {1: None}, STOP), SEED) as table:
        table.start(1)
        table.wait_line(1, "application: stopped")
        frames = table.medium.do("stats")["boards"]["1"]["frames"]
        table.wait_line(1, "application: ended after True")
        assert table.medium.do("stats")["boards"]["1"]["frames"] == frames


def no_use(table, why):
    """Boards that have told of both their waits that they are of no use, for that reason."""
    told = [f"application: no use: {why}"] * 2
    return [node for node in table.run.nodes if said(table, node, "application") == told]


def lay_told(directory, boards, first="", **config):
    """Boards with the application that tells, and what differs in their faction.json."""
    homes = lay_boards(directory, boards)
    for home in homes.values():
        (home / "application.py").write_text(TOLD.format(first=first))
        written = json.loads((home / "faction.json").read_text())
        (home / "faction.json").write_text(json.dumps({**written, **config}))
    return homes


@pytest.mark.parametrize(
    ("members", "first", "why"),
    [
        pytest.param([1, 2], "", "TimedOut", id="halted"),
        pytest.param([1], "swarm.stop()", "stopped", id="stopped"),
    ],
)
def test_a_wait_for_what_will_never_come_ends_with_the_reason(tmp_path, members, first, why):
    require("unix")
    homes = lay_told(tmp_path, [1], first, members=members, required=len(members), deadline_ms=600)
    with Table(homes, SEED) as table:
        table.start(1)
        table.wait(lambda: no_use(table, why) == [1], what=f"two waits that end with {why}")


def test_a_wait_of_a_board_whose_id_another_carries_ends_with_the_reason(tmp_path):
    require("unix")
    with Table(lay_told(tmp_path, [1, 2], members=[1, 2], required=2, node=1), SEED) as table:
        table.start(1, 2)
        table.wait(lambda: no_use(table, "a second board carries this id"), what="two waits that end with the conflict")


# What it takes, once it runs.

ANSWERS = "import select\nfrom faction.answers import Answers\nanswers = Answers()\nanswers._serial = select.poll()\n"
# An application that tells what its loop has taken of the heap in a hundred turns.
LOOP = """
import asyncio
import gc

from faction.aio import Swarm


class Node:
    links = (None,)


class App:
    runner = Node


async def main(swarm):
    await asyncio.sleep_ms(40)
    gc.collect()
    gc.disable()
    before = gc.mem_alloc()
    await asyncio.sleep_ms(400)
    print(gc.mem_alloc() - before)
    swarm._answers.stopping = True


swarm = Swarm(App())
asyncio.run(swarm.serve(main))
"""


def test_a_look_for_requests_takes_no_memory(micropython):
    assert allocation.per_call(micropython, ANSWERS, "answers.tick()", calls=500) == 0


def test_a_turn_of_the_loop_takes_no_memory(tmp_path):
    require("unix")
    script = tmp_path / "loop.py"
    script.write_text(LOOP)
    assert runtimes.run("unix", script) == "0\n"


# Whatever an application does, its node goes on.


ENDS = {
    "returns": ("return", "has returned", None),
    "raises": ("raise ValueError('no more')", "failed", "application: ValueError: no more"),
    "is cancelled": ("raise asyncio.CancelledError", "failed", "application: CancelledError: "),
    "exits": ("sys.exit(3)", "failed", "application: SystemExit: 3"),
    "interrupts itself": ("raise KeyboardInterrupt", "was stopped", "application: KeyboardInterrupt: stopped by"),
    "begins the loop anew": ("asyncio.new_event_loop()", "has returned", None),
    "stops the loop": ("asyncio.get_event_loop().stop()", "has returned", None),
    "hangs": ("while True: pass", "runs", None),
    "waits without asyncio": ("time.sleep(3600)", "runs", None),
    "eats the heap": (
        "held = []\n    while True: held.append(bytearray(100_000))",
        "failed",
        "application: MemoryError",
    ),
    "recurses": ("await main(swarm)", "failed", "application: RuntimeError: maximum recursion depth"),
    "cancels all others": (
        "await asyncio.sleep_ms(50)\n    tasks = asyncio.core._task_queue\n"
        "    while tasks.peek(): tasks.pop().coro.throw(asyncio.CancelledError)",
        "failed",
        "application: CancelledError",
    ),
    "has a child that raises": (
        "asyncio.create_task(child())\n    await asyncio.sleep(3600)",
        "runs",
        "application: OSError: of a child",
    ),
}
ANY = """
import asyncio
import sys
import time


async def child():
    raise OSError("of a child")


async def main(swarm):
    {body}
"""


SHORT = {"returns", "exits", "waits without asyncio", "has a child that raises"}  # of each kind; the others are long


@pytest.mark.parametrize("body, state, error", cases(ENDS, long=ENDS.keys() - SHORT))
def test_whatever_an_application_does_the_node_goes_on_and_tells(tmp_path, body, state, error):
    require("unix")
    homes = lay_boards(tmp_path, [1], required=1)
    (homes[1] / "application.py").write_text(ANY.format(body=body))
    with Table(homes, SEED) as table:
        table.start(1)
        table.wait_line(1, '"late_us"')
        status = wait_for(table, 1, lambda told: told["application"] == state and bool(told["errors"]) == bool(error))
        assert (status["state"], status["session"]) == ("Bootstrapped", 1)
        assert error is None or status["errors"][0].startswith(error), status["errors"]
        with open_port(table.ports[1]) as transport:
            application.stop(transport, table.ports[1])
        with raw_repl(table.ports[1]) as transport:
            session = read_status(transport, table.ports[1])["session"]
        # One that hangs is ended by an interrupt, or, where a busy host leaves its board no time for it, by a restart.
        assert session == 1 or session == 2 and body in (ENDS["hangs"][0], ENDS["waits without asyncio"][0])


def wait_for(table, node, done):
    """The status of a node for which done(status) is true, asked for as `swarm status` does."""
    deadline = time.monotonic() + 60
    while True:
        told = targets.ask(targets.Target("", table.ports[node]))
        if "error" not in told and done(told):
            return told
        if time.monotonic() > deadline:
            pytest.fail(f"{told}\n{table.story()}")


@pytest.mark.parametrize(
    ("source", "error"),
    [
        ("import bme280\n", "application: ImportError: no module named 'bme280'"),
        ("async def start(swarm):\n    pass\n", "application: ValueError: application.py: has no main(swarm)"),
        ("def main(swarm):\n    pass\n", "application: TypeError: "),
        ("async def main():\n    pass\n", "application: TypeError: "),
        ("async def main(swarm:\n", "application: SyntaxError: "),
        ("raise SystemExit\n", "application: SystemExit: "),
    ],
)
def test_an_application_that_does_not_begin_is_told(tmp_path, source, error):
    require("unix")
    homes = lay_boards(tmp_path, [1], required=1)
    (homes[1] / "application.py").write_text(source)
    with Table(homes, SEED) as table:
        table.start(1)
        table.wait_line(1, '"late_us"')
        status = wait_for(table, 1, lambda told: told["errors"])
        assert (status["application"], status["state"]) == ("failed", "Bootstrapped")
        assert status["errors"][0].startswith(error)


STUBBORN = """
import time


async def main(swarm):
    while True:
        try:
            time.sleep_ms(100)
        except BaseException:
            pass
"""


def test_one_that_takes_no_notice_is_left_out_by_a_restart(tmp_path):
    require("unix")
    homes = lay_boards(tmp_path, [1], required=1)
    (homes[1] / "application.py").write_text(STUBBORN)
    with Table(homes, SEED) as table:
        table.start(1)
        table.wait_line(1, '"late_us"')
        with open_port(table.ports[1]) as transport:
            assert application.stop(transport, table.ports[1])
        status = wait_for(table, 1, lambda told: told["application"] == "was stopped")
        assert status["session"] == 2 and "did not stop when asked to" in status["errors"][0]
        table.power(1, False)
        table.start(1)
        table.wait_line(1, '"session": 3')  # asked sooner, the prompt of the boot before might be taken for this one's
        wait_for(table, 1, lambda told: told["application"] == "runs" and told["session"] == 3)


def test_a_sensor_with_coroutines_goes_on_when_the_application_has_returned(tmp_path):
    require("unix")
    homes = lay_boards(tmp_path, [1], required=1)
    (homes[1] / "application.py").write_text("async def main(swarm):\n    pass\n")
    (homes[1] / "sensor.py").write_text(ASYNC_SENSOR)
    with Table(homes, SEED) as table:
        table.start(1)
        status = wait_for(table, 1, lambda told: told["sample"])
        assert (status["sample"]["value"], status["errors"]) == ([1, "two"], [])
        assert status["application"] == "has returned"


def test_a_sensor_with_coroutines_whose_application_was_stopped_says_what_it_needs(tmp_path):
    require("unix")
    homes = lay_boards(tmp_path, [1], required=1)
    (homes[1] / "application.py").write_text("async def main(swarm):\n    pass\n")
    (homes[1] / "sensor.py").write_text(ASYNC_SENSOR.replace("150", "60_000"))
    with Table(homes, SEED) as table:
        table.start(1)
        wait_for(table, 1, lambda told: told["application"] == "has returned")
        with open_port(table.ports[1]) as transport:
            assert application.stop(transport, table.ports[1])
        status = wait_for(table, 1, lambda told: len(told["errors"]) == 2)
        assert status["application"] == "was stopped"
        assert status["errors"][0] == "warm_up(): RuntimeError: the application has ended before it"
        assert "warm_up(): TypeError: it is async, which needs an application.py that runs" in status["errors"][1]


def test_a_restart_of_the_node_keeps_the_application(tmp_path):
    require("unix")
    homes = lay_boards(tmp_path, [1], required=1)
    (homes[1] / "application.py").write_text(
        "import asyncio, faction\n\n\nasync def main(swarm):\n"
        "    await swarm.first_sample()\n    faction.restart()\n"
        "    print('application: session', (await swarm.first_sample())['session'])\n    await asyncio.sleep(3600)\n"
    )
    with Table(homes, SEED) as table:
        table.start(1)
        table.wait_line(1, "application: session 2")
        status = wait_for(table, 1, lambda told: told["application"] == "runs")
        assert (status["session"], status["errors"]) == (2, [])


# What a call of the sensor would meet at each moment from a boot until there is a loop for its coroutines.
BEGINS = """
import faction
from faction import aio

class Os:
    def remove(self, name):
        print(faction.application)
        raise OSError(2)

class App:
    beside = None

def run(swarm):
    print(faction.application, app.beside is swarm)

aio.os, aio._run = Os(), run
app = App()
faction.application = "starts"
aio.run(app)
"""


def test_until_there_is_a_loop_the_application_is_said_to_start(tmp_path):
    require("unix")
    script = tmp_path / "begins.py"
    script.write_text(BEGINS)
    assert runtimes.run("unix", script) == "starts\nstarts True\n"
