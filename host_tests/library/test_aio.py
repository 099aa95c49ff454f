"""The node inside an application on asyncio, on virtual boards with the real asyncio."""

import json
import time

import pytest
import serial

from requirements import require
from rig_fixture import Table, lay_boards
from swarm.serial.prompt import raw_repl

SEED = 12
MEMBERS = [1, 2, 3]
ASYNC, PLAIN, ON_A_TIMER = MEMBERS

MAIN = """
import asyncio

import assembly
from faction.aio import Swarm

turns = 0


async def work():
    global turns
    while True:
        turns += 1
        await asyncio.sleep_ms(10)


async def main():
    global swarm
    other = asyncio.create_task(work())
    swarm = Swarm(assembly.make())
    await swarm.bootstrapped()
    print("application: bootstrapped")
    print("application: sampled", (await swarm.first_sample())["value"])
    print("application: again", (await swarm.first_sample())["value"])
    {then}


asyncio.run(main())
print("application: ended after", turns > 10)
"""
# An application that tells how its waits end.
TOLD = """
import asyncio

import assembly
from faction.aio import Swarm


async def main():
    swarm = Swarm(assembly.make())
    {first}
    for wait in (swarm.bootstrapped, swarm.first_sample):
        try:
            print("application: waited", await wait())
        except RuntimeError as error:
            print("application: no use:", error)
    await asyncio.sleep_ms(60_000)


asyncio.run(main())
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
    """Boards whose main.py is an application on asyncio; sensors: node -> its sensor.py, None for the default."""
    homes = lay_boards(directory, sensors)
    for node, sensor in sensors.items():
        (homes[node] / "main.py").write_text(MAIN.format(then=then))
        if sensor:
            (homes[node] / "sensor.py").write_text(sensor)
    return homes


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    """Three boards: an async sensor, a plain one, and one whose node runs from its timer as usual."""
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
        table.wait_line(ON_A_TIMER, '"late_us"')
        yield table


def said(table, node, start):
    return [line for line in table.run.nodes[node].output if line.startswith(start)]


def ask(port, request):
    """What comes back within half a second for bytes on the serial line."""
    port.reset_input_buffer()
    port.write(request)
    time.sleep(0.5)
    return port.read(port.in_waiting).decode("utf-8", "replace").splitlines()


def test_the_application_waits_for_the_swarm_and_the_sample(table):
    assert said(table, ASYNC, "application")[:3] == [
        "application: bootstrapped",
        "application: sampled [1, 'two']",
        "application: again [1, 'two']",
    ]
    records = {}
    for node in MEMBERS:
        records[node] = json.loads(next(line for line in table.run.nodes[node].output if '"late_us"' in line))
        assert not records[node]["late"] and 0 <= records[node]["late_us"] < 100_000, records
    assert records[ASYNC]["value"] == [1, "two"]
    assert said(table, PLAIN, "application: sampled") == [f"application: sampled {records[PLAIN]['value']}"]


def test_a_request_for_the_status_is_answered_on_the_serial_line(table):
    with serial.Serial(table.ports[ASYNC], timeout=2) as port:
        for request in (b"status\n", b" status \r", b"\xff\xfe\x80\r\nstatus\r\n", b"x" * 500 + b"\nstatus\n"):
            answers = [line for line in ask(port, request) if line.startswith("{")]
            assert len(answers) == 1, (request, answers)
            status = json.loads(answers[0])
            assert status["state"] == "Bootstrapped" and status["ready"] == MEMBERS and status["node"] == ASYNC
        for request in (b"statu\n", b"\n\n", b"help\r\n", b"status"):
            assert not [line for line in ask(port, request) if line.startswith("{")], request


def test_ctrl_c_stops_the_application_and_gives_the_prompt(table):
    with serial.Serial(table.ports[PLAIN], timeout=2) as port:
        port.write(b"\x03")
        shown = port.read_until(b">>> ")
    assert b"KeyboardInterrupt" in shown and shown.endswith(b">>> ")
    with raw_repl(table.ports[PLAIN]) as transport:
        transport.exec("import faction")
        before = transport.eval("faction.status_dict()['counters']")
        time.sleep(0.3)
        assert transport.eval("faction.status_dict()['counters']") == before, "the node has stopped with it"


def test_errors_of_async_sensors_are_notes(tmp_path):
    require("unix")
    with Table(lay(tmp_path, {1: FAILING_SENSOR}), SEED) as table:
        table.start(1)
        table.wait_line(1, "application: again None")
        with serial.Serial(table.ports[1], timeout=2) as port:
            (answer,) = [line for line in ask(port, b"status\n") if line.startswith("{")]
        assert json.loads(answer)["errors"] == [
            "warm_up(): OSError: no answer 1",
            "sample(): ValueError: no reading",
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
        (home / "main.py").write_text(TOLD.format(first=first))
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
