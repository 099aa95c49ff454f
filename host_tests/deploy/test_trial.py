"""A bad sensor.py does not take a swarm down: it is tried on one board, which goes back to the version before."""

import io
import re
import time
from contextlib import redirect_stdout

import pytest

from box import Box, deploy, describe
from requirements import require
from swarm import cli, runtimes
from swarm.deploy import payload
from swarm.deploy.trial import NOT_NOW, failure
from swarm.description import project
from swarm.serial.prompt import raw_repl
from swarm.serial.status import read_status

SEED = 31
NODES = 4
GOOD = "def warm_up():\n    return True\n\n\ndef sample():\n    return {}\n"


@pytest.fixture(scope="module")
def box(tmp_path_factory):
    """Four boards, of which two are enough, that have been deployed; `file` is the swarm's.

    `told`: what the first deploy has said, which was of a sensor that cannot sample; `kept`: board 1's samples then.
    """
    require("unix")
    home = tmp_path_factory.mktemp("box")
    with Box(home, NODES, SEED) as box:
        for node in box.nodes:
            box.boot(node)
        box.file = describe(home / "swarm", box, "--quorum", "2")
        sensor(box, GOOD.format(0) + "\n\ndef sample():\n    return nothing\n")
        box.told = deploy(box, "--all", status=1)
        box.kept = list(box.flash(1).glob("samples*"))
        sensor(box, GOOD.format(0))
        deploy(box, "--all")
        yield box


@pytest.fixture
def good(box):
    """Every board runs a good version, which is told: {node: (slot, session)}."""
    sensor(box, GOOD.format(0))
    deploy(box, "--all")
    return versions(box)


def versions(box):
    """Which slot each board runs, and its node's session."""
    return {node: (box.pointed(node), status(box, node)["session"]) for node in box.nodes}


def sensor(box, text):
    (box.file.parent / "sensor.py").write_text(text)


def status(box, node):
    with raw_repl(box.ports[node]) as transport:
        return read_status(transport, box.ports[node])


def trial_files(box, node):
    return [name for name in ("faction.trial", "faction.back") if (box.flash(node) / name).exists()]


# What stands at the sensor's end, and what is told of it.
BAD = {
    "raise ImportError('no driver')\n": "not start: ValueError: sensor.py: ImportError: no driver (sensor.py, line 9)",
    "[][1]\n": "does not start: ValueError: sensor.py: IndexError: list index out of range (sensor.py, line 9)",
    "import json\n\njson.loads('')\n": "sensor.py: ValueError: syntax error in JSON (sensor.py, line 11)",
    "raise SystemExit\n": "its node does not start: ValueError: sensor.py: SystemExit:  (sensor.py, line 9)",
    "def warm_up():\n    return nothing\n": (
        "its sensor fails: warm_up(): NameError: name 'nothing' isn't defined (sensor.py, line 10)"
    ),
    "count = 0\n\n\ndef warm_up():\n    global count\n    count += 1\n    return count > 100 and 1 / 0\n": (
        "its sensor fails: warm_up(): ZeroDivisionError: divide by zero (sensor.py, line 15)"
    ),
    "def warm_up():\n    raise OSError(19)\n": "fails: warm_up(): OSError: [Errno 19] ENODEV (sensor.py, line 10)",
    "def sample():\n    return nothing\n": "fails: sample(): NameError: name 'nothing' isn't defined (sensor.py, ",
    "def sample():\n    raise OSError(19)\n": "fails: sample(): OSError: [Errno 19] ENODEV (sensor.py, line 10)",
    "def sample():\n    return {1}\n": "TypeError: set: JSON cannot hold it: return numbers, text, lists or dicts: ",
}


def test_a_bad_sensor_is_tried_on_one_board_which_goes_back(box, good):
    boots = dict(box.boots)
    for text, says in BAD.items():
        sensor(box, GOOD.format(1) + "\n\n" + text)
        said = deploy(box, "--all", "--trial-s", "2", status=1)
        assert says in said and "0 of 4 boards run the current version" in said
        back = re.search("node 1: .*: mend it, then deploy again; the version before runs again\n", said)
        assert back, said
        assert "stopped there: node 2-4: not touched, and running as before" in said
        assert (box.pointed(1), trial_files(box, 1), status(box, 1)["errors"]) == (good[1][0], [], []), text
    assert [node for node in box.nodes if box.boots[node] != boots[node]] == [1], "the others were left alone"
    now = versions(box)
    assert {node: now[node] for node in (2, 3, 4)} == {node: good[node] for node in (2, 3, 4)}
    assert now[1][1] > good[1][1]
    box.power(1, False)
    box.boot(1)
    assert box.pointed(1) == good[1][0] and status(box, 1)["errors"] == []


def test_a_new_version_has_nothing_to_do_with_a_hang_of_the_one_before(box, good):
    (box.flash(1) / "faction.bitten").touch()
    sensor(box, GOOD.format(2) + "\n\ndef health():\n    return 5\n")
    deploy(box, "1")
    assert status(box, 1)["health"] == 5


def test_a_sample_is_tried_where_the_swarm_does_not_sample_yet(box):
    assert (
        "node 1: its sensor fails: sample(): NameError: name 'nothing' isn't defined (sensor.py, line 10)" in box.told
    )
    assert "no version that runs well was on it before: the board stays reachable" in box.told
    assert "stopped there: node 2-4: not touched" in box.told
    assert box.kept == [], "it counts for nothing"


def test_a_sensor_that_gets_over_its_hardware_is_good(box, good):
    sensor(
        box,
        GOOD.format(2) + "\ncount = 0\n\n\ndef warm_up():\n    global count\n    count += 1\n"
        "    if count < 200:\n        raise OSError(19)\n    return True\n",
    )
    assert "4 of 4 boards run the current version" in deploy(box, "--all")
    assert all(box.pointed(node) != good[node][0] and not trial_files(box, node) for node in box.nodes)


def test_a_sensor_that_warms_up_for_long_is_good_when_it_has_done_so_for_a_while(box, good):
    sensor(box, GOOD.format(3) + "\n\ndef warm_up():\n    return False\n")
    began = time.monotonic()
    assert "1 of 1 boards" in deploy(box, "1", "--trial-s", "2")
    assert time.monotonic() - began > 2
    assert not trial_files(box, 1)
    box.power(1, False)
    box.boot(1)
    assert box.pointed(1) != good[1][0], "it stays, though its node is not ready"


def test_without_a_trial_each_board_is_judged_by_itself(box, good):
    sensor(box, GOOD.format(4) + "\n\nraise ValueError('bad')\n")
    told = deploy(box, "--all", "--trial-s", "0", status=1)
    assert re.search("node 1-4: its node does not start: .*; the version before runs again", told), told
    assert "stopped there" not in told
    assert [box.pointed(node) for node in box.nodes] == [good[node][0] for node in box.nodes]


def test_a_board_that_cannot_be_talked_to_is_no_trial(box, good, tmp_path):
    described = box.file.read_text()
    box.file.write_text(described.replace(f'"{box.ports[1]}"', f'"{tmp_path / "nowhere"}"'))
    try:
        sensor(box, GOOD.format(5))
        told = deploy(box, "--all", status=1)
        assert "3 of 4 boards run the current version" in told and "no such port" in told
        sensor(box, GOOD.format(6) + "\n\nraise ValueError('bad')\n")
        told = deploy(box, "--all", status=1)
        assert "node 2: its node does not start" in told and "stopped there: node 3 4: not touched" in told
    finally:
        box.file.write_text(described)


def test_a_version_whose_trial_nobody_ended_is_left_at_the_next_start(box, good):
    """As when the host goes in the middle of it; until then it runs."""
    old, _ = good[1]
    new = next(slot for slot in ("faction.a", "faction.b") if slot != old)
    box.power(1, False)
    (box.flash(1) / new / "sensor.mpy").unlink(missing_ok=True)
    (box.flash(1) / new / "sensor.py").write_text(GOOD.format(7))
    (box.flash(1) / "faction.trial").write_text(old)
    (box.flash(1) / "faction.slot").write_text(new)
    since = len(box.lines[1])
    box.boot(1)
    box.wait_line(1, "node 1 ready", since)
    assert (box.pointed(1), trial_files(box, 1)) == (new, ["faction.back"])
    box.power(1, False)
    box.boot(1)
    assert (box.pointed(1), trial_files(box, 1)) == (old, [])


def test_the_version_before_is_kept_when_the_one_on_trial_does_not_start(box, good):
    """A deploy is cut in a trial, and the next one is of a good version: it does not take the last good one's place."""
    old, _ = good[1]
    new = next(slot for slot in ("faction.a", "faction.b") if slot != old)
    box.power(1, False)
    (box.flash(1) / new / "sensor.mpy").unlink(missing_ok=True)
    (box.flash(1) / new / "sensor.py").write_text("raise ValueError('bad')\n")
    (box.flash(1) / "faction.trial").write_text(old)
    (box.flash(1) / "faction.slot").write_text(new)
    box.boot(1)
    held = box.slot(1, old)
    sensor(box, GOOD.format(8))
    assert "1 of 1 boards run the current version" in deploy(box, "1")
    assert box.pointed(1) == new and box.slot(1, old) == held


def test_a_first_deploy_has_nothing_to_go_back_to(box, good):
    box.power(4, False)
    for name in ("main.py", "faction.slot"):
        (box.flash(4) / name).unlink()
    box.boot(4)
    sensor(box, GOOD.format(9) + "\n\nraise ValueError('bad')\n")
    told = deploy(box, "4", status=1)
    assert "its node does not start: ValueError: sensor.py: ValueError: bad (sensor.py, line " in told
    assert "the board stays reachable, without a node that works, until the next deploy" in told
    assert "mend it, then deploy again" in told and not trial_files(box, 4)
    told = deploy(box, "4", status=1)
    assert "its node does not start" in told, "it is not up to date only because it is all there"
    sensor(box, GOOD.format(10))
    assert "1 of 1 boards" in deploy(box, "4")


def test_a_board_that_is_up_to_date_and_fails_is_told(box, good):
    sensor(box, GOOD.format(11) + "\n\ndef warm_up():\n    return nothing\n")
    for name in ("main.py", "faction.slot"):
        (box.flash(3) / name).unlink()
    box.power(3, False)
    box.boot(3)
    assert "its sensor fails: warm_up(): NameError" in deploy(box, "3", status=1)
    assert "it is up to date, and its sensor fails: warm_up(): NameError" in deploy(box, "3", status=1)


def test_what_counts_as_a_failure():
    assert failure([]) is None
    assert failure(["espnow: OSError: 5", "tick: ValueError: x"]) is None, "not the sensor's"
    assert failure(["warm_up(): OSError: 19"]) == "warm_up(): OSError: 19"
    assert failure(["warm_up(): OSError: 19", "sample(): OSError: 5"], NOT_NOW) is None
    assert failure(["warm_up(): OSError: 19", "sample(): KeyError: 'a'"], NOT_NOW) == "sample(): KeyError: 'a'"


def test_seconds_of_a_trial(box, capsys):
    with pytest.raises(SystemExit):
        cli.main(["deploy", "--all", "--trial-s", "-1", "--swarm", str(box.file)])
    assert "-1: give 0 to 3600 seconds" in capsys.readouterr().err


@pytest.mark.parametrize("boards", [4, pytest.param(20, marks=pytest.mark.long)])
def test_a_box_of_boards_of_which_one_has_trouble_of_its_own_all_run(tmp_path, boards):
    require("unix")
    with Box(tmp_path, boards, SEED) as box:
        box.file = describe(tmp_path / "swarm", box)
        described = project.load(box.file)
        (tmp_path / "machine.py").write_text("import sys\n\nprint(sys.implementation._mpy)\n")
        machine = int(runtimes.run("unix", tmp_path / "machine.py"))
        for member in described.members:
            lay(box.flash(member.id), payload.build(described, member, payload.Target(machine, "1.29.0")))
            box.power(member.id, True)
        for node in box.nodes:
            box.wait_line(node, 'Type "help()"')
        (box.flash(3) / "scale.json").write_text('"none"')
        sensor(box, "from scale import SCALE\n\n\n" + GOOD.format("SCALE / 2"))
        (box.file.parent / "lib").mkdir()
        (box.file.parent / "lib" / "scale.py").write_text(
            "import json\n\ntry:\n    with open('scale.json') as file:\n        SCALE = json.load(file)\n"
            "except OSError:\n    SCALE = 1\n"
        )
        said = deploy(box, "--all", status=1)
        assert f"{boards - 1} of {boards} boards run the current version" in said
        assert "node 3: its sensor fails: sample(): TypeError: unsupported types for __truediv__: 'str', 'int'" in said
        assert "(sensor.py, line 9): mend it, then deploy again; the version before runs again" in said
        assert {box.pointed(node) for node in box.nodes if node != 3} == {"faction.b"}
        assert (box.pointed(3), trial_files(box, 3)) == ("faction.a", [])
        told = io.StringIO()
        with redirect_stdout(told):
            assert cli.main(["status", "--all", "--swarm", str(box.file)]) == 0
        all_of = f"{boards}/{boards}"
        rows = re.findall(rf"^(\d+) +Bootstrapped  {all_of} +{all_of} ", told.getvalue(), re.MULTILINE)
        assert rows == [str(node) for node in box.nodes], told.getvalue()


def lay(flash, files):
    """Have a board hold a version, as a deploy leaves it."""
    for path, data in {**{f"faction.a/{path}": files[path] for path in files}, "faction.slot": b"faction.a"}.items():
        (flash / path).parent.mkdir(parents=True, exist_ok=True)
        (flash / path).write_bytes(data)
    (flash / "main.py").write_bytes(payload.MAIN.read_bytes())
