"""application.py beside swarm.toml: deployed, run beside the node, looked at by every tool, broken, replaced."""

import io
import json
import subprocess
import sys
import time
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path

import pytest
import serial

from asyncio_application import ON_ASYNCIO
from box import Box, describe
from requirements import cases, require
from swarm import cli
from swarm.deploy import own_code, payload
from swarm.deploy.own_code import OwnFile, PayloadError
from swarm.serial import targets
from swarm.serial.targets import Target

SEED = 31


@pytest.fixture(scope="module")
def box(tmp_path_factory):
    """Two boards that have been deployed with an application; `file` is the swarm's, `told` what that printed."""
    require("unix")
    home = tmp_path_factory.mktemp("box")
    with Box(home, 2, SEED) as box:
        for node in box.nodes:
            box.boot(node)
        box.file = describe(home / "swarm", box)
        write(box, ON_ASYNCIO)
        box.told = swarm(box, "deploy", "--all")
        yield box


def write(box, source):
    (box.file.parent / "application.py").write_text(source)


def swarm(box, verb, *arguments, status=0):
    """Run a verb for the swarm; what it printed."""
    said = io.StringIO()
    with redirect_stdout(said), redirect_stderr(said):
        done = cli.main([verb, *arguments, "--swarm", str(box.file)])
    assert done == status, said.getvalue()
    return said.getvalue()


def status(box, node):
    told = targets.ask(Target("", box.ports[node]))
    assert "error" not in told, told
    return told


def wait_for(box, node, done, seconds=60):
    """A node's status for which done(status) is true."""
    deadline = time.monotonic() + seconds
    while not done(told := targets.ask(Target("", box.ports[node]))):
        assert time.monotonic() < deadline, "\n".join(map(repr, box.lines[node][-40:]))
    return told


def runs(told):
    return told.get("application") == "runs" and told["state"] == "Bootstrapped"


def mpremote(box, *arguments):
    line = [sys.executable, "-m", "mpremote", "connect", box.ports[1], *arguments]
    return subprocess.run(line, check=True, capture_output=True, text=True, timeout=120).stdout


@pytest.fixture
def running(box):
    """The box with the application running on every board; count of what each has printed so far."""
    for node in box.nodes:
        wait_for(box, node, runs)
    return {node: len(box.lines[node]) for node in box.nodes}


def untouched(box, since):
    """Whether no application has been stopped or begun again since."""
    said = [line for node in box.nodes for line in box.lines[node][since[node] :]]
    return not any("Interrupt" in line or "runs application.py" in line or "started session" in line for line in said)


def test_a_deploy_sends_it_and_it_runs_in_the_version(box, running):
    assert "2 of 2 boards run the current version" in box.told
    for node in box.nodes:
        box.wait_line(node, "application: 1")
        told = status(box, node)
        assert told["runs_from"].startswith(box.pointed(node)) and told["errors"] == []
        assert "application.mpy" in box.slot(node, box.pointed(node))


def test_no_look_stops_it(box, running, tmp_path):
    table = swarm(box, "status", "--all")
    assert table.count("Bootstrapped  2/2") == 2
    assert "2 of 2 nodes answer" in swarm(box, "monitor", "--all", "--once")
    out = tmp_path / "samples.csv"
    assert "node 1: " in swarm(box, "collect", "--all", "--out", str(out))
    assert {line.partition(",")[0] for line in out.read_text().splitlines()} == {"node", "1", "2"}
    assert untouched(box, running)


def test_the_doctor_examines_it_without_stopping_it(box, running):
    ports = [part for node in box.nodes for part in ("--port", box.ports[node])]
    assert "2 boards were looked at, nothing is wrong" in swarm(box, "doctor", *ports)
    assert untouched(box, running)


def test_samples_of_earlier_boots_are_collected_while_it_runs(box, running, tmp_path):
    box.power(1, False)
    box.power(1, True)
    box.wait_line(1, "application: 1", running[1])
    wait_for(box, 1, runs)
    kept = len((box.flash(1) / "samples.jsonl").read_text().splitlines())
    told = swarm(box, "collect", "1", "--out", str(tmp_path / "samples.csv"))
    assert kept >= 2 and f"node 1: {kept} samples, {kept} new" in told


def test_a_second_deploy_uploads_nothing_and_leaves_it_running_on_the_same_node(box, running):
    sessions = {node: status(box, node)["session"] for node in box.nodes}
    told = swarm(box, "deploy", "--all")
    assert told.count("up to date, nothing uploaded, not restarted") == 2
    for node in box.nodes:
        assert wait_for(box, node, runs)["session"] == sessions[node]


def test_a_changed_one_is_a_file_and_takes_over(box, running):
    write(box, ON_ASYNCIO.replace("application:", "second version:"))
    told = swarm(box, "deploy", "--all")
    assert told.count("application.mpy uploaded") == 2
    for node in box.nodes:
        box.wait_line(node, "second version: 1", running[node])
        wait_for(box, node, runs)
    write(box, ON_ASYNCIO)
    swarm(box, "deploy", "--all")


@pytest.mark.parametrize("how", ["mpremote reset", "power", "soft reset"])
def test_a_reset_brings_it_back(box, running, how):
    if how == "power":
        box.power(1, False)
        box.power(1, True)
    elif how == "soft reset":
        with serial.Serial(box.ports[1], timeout=5) as port:
            port.write(b"\x03")
            port.read_until(b">>> ")
            port.write(b"\x04")
            port.read_until(b"soft reboot")
    else:
        mpremote(box, "reset")
    box.wait_line(1, "application: 1", running[1])
    wait_for(box, 1, runs)


def test_mpremote_stops_it_and_the_node_goes_on_and_says_how_it_comes_back(box, running):
    session = status(box, 1)["session"]
    assert "42" in mpremote(box, "resume", "exec", "print(6 * 7)")
    told = wait_for(box, 1, lambda told: told.get("application") == "was stopped")
    assert (told["state"], told["session"]) == ("Bootstrapped", session)
    assert "faction.run() or a reset starts it again" in " ".join(swarm(box, "status", "1").split())
    found = json.loads(swarm(box, "doctor", "--port", box.ports[1], "--json", status=1))["findings"]
    assert [(one["fault"], "reset" in one["remedy"]) for one in found] == [("application", True)]
    mpremote(box, "reset")
    wait_for(box, 1, runs)


def test_one_whose_sensor_warms_up_for_long_stays_too(box, running):
    sensor = box.file.parent / "sensor.py"
    good = sensor.read_text()
    try:
        sensor.write_text(good + "\n\ndef warm_up():\n    return False\n")
        swarm(box, "deploy", "1", "--trial-s", "0.5")
        assert status(box, 1)["application"] == "runs"
        assert [path.name for path in box.flash(1).glob("faction.[bt]*") if path.is_file()] == []
    finally:
        sensor.write_text(good)
        swarm(box, "deploy", "1")


BROKEN = {
    "hangs": ("import time\n\n\nasync def main(swarm):\n    time.sleep(3600)\n", None),
    "lacks a driver": (
        "import asyncio\n\n\nasync def main(swarm):\n    await asyncio.sleep(3)\n    import bme280\n",
        "no module named 'bme280' (application.py, line 6)",
    ),
}
SHORT = {"exits", "lacks a driver"}  # the others are long
AT_ONCE = {
    "raises": ("async def main(swarm):\n    open('nothing')\n", "its application fails: application: OSError: "),
    "has a wrong name in it": ("nothing\n\n\nasync def main(swarm):\n    pass\n", "application: NameError: "),
    "exits": ("raise SystemExit\n\n\nasync def main(swarm):\n    pass\n", "application: SystemExit: "),
    "lacks a driver": (
        "import bme280\n\n\nasync def main(swarm):\n    pass\n",
        "application.py imports bme280: neither sent nor on the board",
    ),
}


@pytest.mark.parametrize("source, error", cases(AT_ONCE, long=AT_ONCE.keys() - SHORT))
def test_one_that_fails_in_its_trial_gives_way_to_the_one_before(box, running, source, error):
    write(box, source)
    try:
        told = swarm(box, "deploy", "--all", status=1)
        assert error in told and "stopped there: node 2: not touched" in told
        assert "the version before runs again" in told or "neither sent nor on the board" in told
        for node in box.nodes:
            assert wait_for(box, node, runs)["errors"] == []
    finally:
        write(box, ON_ASYNCIO)
        swarm(box, "deploy", "--all")


@pytest.mark.parametrize("source, error", BROKEN.values(), ids=BROKEN)
def test_a_broken_one_leaves_the_node_running_and_the_next_deploy_gets_in(box, source, error):
    write(box, source)
    swarm(box, "deploy", "1")
    if error:
        told = wait_for(box, 1, lambda told: told.get("errors"), 25)
        assert error in told["errors"][0] and told["application"] == "failed"
        (found,) = json.loads(swarm(box, "doctor", "--port", box.ports[1], "--json", status=1))["findings"]
        assert found["fault"] == "application" and "mend" in found["remedy"] and "deploy" in found["remedy"]
    wait_for(box, 1, lambda told: told.get("state") == "Bootstrapped")
    since = len(box.lines[1])
    write(box, ON_ASYNCIO)
    assert "1 of 1 boards run the current version" in swarm(box, "deploy", "1")
    box.wait_line(1, "application: 1", since)
    assert runs(wait_for(box, 1, runs))


def test_one_that_is_gone_from_the_folder_goes_from_the_board(box):
    (box.file.parent / "application.py").unlink()
    swarm(box, "deploy", "1")
    told = wait_for(box, 1, lambda told: told.get("state") == "Bootstrapped")
    assert told["application"] is None and "application.mpy" not in box.slot(1, box.pointed(1))
    write(box, ON_ASYNCIO)
    swarm(box, "deploy", "1")
    wait_for(box, 1, runs)


def check(source):
    file = OwnFile("application.py", Path("folder/application.py"), source)
    payload.compile_own(file)
    own_code.check([file])


@pytest.mark.parametrize(
    ("source", "why"),
    [
        ("async def main(swarm:\n", ":2: does not compile: SyntaxError: invalid syntax"),
        ("x = 1\n", ": has no main: write `async def main(swarm):`"),
        ("x = 1\n\n\ndef main(swarm):\n    pass\n", ":4: main is no coroutine"),
        ("async def main():\n    pass\n", ":1: main takes one thing, the swarm"),
        ("async def main(swarm, more):\n    pass\n", ":1: main takes one thing"),
        ("async def main(swarm, *, more):\n    pass\n", ":1: main takes one thing"),
        ("class main:\n    pass\n", ":1: main is no coroutine"),
        ("async def main(swarm):\n    pass\n\x00", ":3: does not compile: "),
    ],
)
def test_what_no_board_could_run_is_told_before_anything_is_sent(source, why):
    with pytest.raises(PayloadError) as told:
        check(source.encode())
    assert str(told.value).startswith(f"folder/application.py{why}")


@pytest.mark.parametrize("parameters", ["swarm", "swarm, more=1", "*all", "s: object"])
def test_a_main_that_takes_the_swarm_is_well(parameters):
    check(f"async def main({parameters}):\n    pass\n".encode())
