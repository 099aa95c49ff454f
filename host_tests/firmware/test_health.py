"""A sensor's health() that hangs: what becomes of the board, and that no more than once; and beside an application."""

import time

import pytest
import serial

from asyncio_application import ON_ASYNCIO
from requirements import require
from rig_fixture import Table, beats, carried, execute, lay_boards, status
from swarm.serial import targets, via
from swarm.serial.targets import Target

SEED = 37
BITES = "faction: error: OSError: the watchdog has reset the board"
NOT_CALLED = "health() fails: it hung, or the watchdog has reset the board: not called before a restart"
HANGS = """
import time


def health():
    print("health: begins")
    while True:
        time.sleep_ms(5)  # this computer has others to serve
"""
SPOILS = """

async def wait():
    return 1


def fails():
    raise OSError(19)


ways = [lambda: {"battery_V": 3.71}, fails, wait, lambda: 1 / 0, lambda: [4]]


def health():
    ways.append(ways.pop(0))
    return ways[-1]()
"""


def soon(home):
    """Have that board's watchdog bite after 3 s, and the board start again 2 s after that."""
    for name, before, after in (
        ("signs.py", "_CALL_MS = const(8000)", "_CALL_MS = const(3000)"),
        ("autostart.py", "_RETRY_MS = 60_000", "_RETRY_MS = 2_000"),
    ):
        text = (home / name).read_text()
        assert before in text
        (home / name).write_text(text.replace(before, after))


def with_health(home, health):
    file = home / "sensor.py"
    file.write_text(file.read_text() + health)


def ask(table, through, member):
    """What a member tells over the air; carries frames meanwhile."""
    with carried(table):
        told = {target.node: answer for target, answer in via.ask_all(table.ports[through])}
    return told[member]


def said(table, node, text):
    return sum(text in line for line in table.run.nodes[node].output)


def test_one_that_hangs_when_it_is_asked_over_the_air_takes_its_board_away_once(tmp_path):
    require("unix")
    boards = lay_boards(tmp_path, [1, 2, 3], required=2, period_ms=1000, round_ms=10_000, gateway=[])
    soon(boards[2])
    with_health(boards[2], HANGS)
    with Table(boards, SEED) as table:
        table.start(1, 2, 3)
        table.wait(lambda: all(beats(table, node) > 2 for node in (1, 2, 3)), what="beats")
        assert ask(table, 1, 2)["kind"] == "silent"
        table.wait_line(2, BITES)
        table.wait_line(2, "started session 2")
        before = beats(table, 2)
        table.wait(lambda: beats(table, 2) > before + 1, what="its beats again")
        for _ in range(2):
            told = ask(table, 1, 2)
            assert told["health"] == NOT_CALLED and told["session"] == 2
        assert said(table, 2, "health: begins") == 1 and said(table, 2, BITES) == 1
        assert table.run.nodes[2].boots == 3, "power, the watchdog, and the end of the wait"
        assert not (boards[2] / "faction.bitten").exists()
        execute(table, 2, "faction.restart()\nassert callable(faction.app.sensor.health)")


@pytest.fixture(scope="module")
def beside(tmp_path_factory):
    """Two boards of one swarm with an application each: one with a health() that hangs, one with many a health()."""
    require("unix")
    boards = lay_boards(
        tmp_path_factory.mktemp("boards"), [1, 2], required=2, period_ms=1000, round_ms=10_000, gateway=[]
    )
    for node, health in ((1, SPOILS), (2, HANGS)):
        (boards[node] / "application.py").write_text(ON_ASYNCIO)
        with_health(boards[node], health)
    soon(boards[2])
    with Table(boards, SEED) as table:
        table.start(1, 2)
        table.wait(lambda: all(beats(table, node) > 2 for node in (1, 2)), what="beats")
        yield table


def by_line(table, node):
    with carried(table):
        return targets.ask(Target("", table.ports[node]))


def test_beside_an_application_whatever_it_does_is_in_the_answer(beside):
    told = [by_line(beside, 1) for _ in range(5)]
    assert [one["health"] for one in told[:1] + told[4:]] == [{"battery_V": 3.71}, [4]]
    for one, why in zip(
        told[1:4], ("OSError: ", "TypeError: it is async: make it plain", "ZeroDivisionError: "), strict=True
    ):
        assert one["health"].startswith(f"health() fails: {why}"), one["health"]
    assert {(one["application"], one["state"], *one["errors"]) for one in told} == {("runs", "Bootstrapped")}
    assert said(beside, 1, "application: ") == 1


def test_one_that_hangs_beside_an_application_is_ended_by_an_interrupt_and_that_goes_on(beside):
    before = said(beside, 2, "health: begins")
    with serial.Serial(beside.ports[2], timeout=0.1) as port:
        port.write(b"\rstatus\r")
        beside.wait(lambda: said(beside, 2, "health: begins") > before, what="health()")
        time.sleep(0.8)
        port.write(b"\x03")
        beside.wait_line(2, '"health": "health() fails: KeyboardInterrupt')
    for _ in range(2):
        told = by_line(beside, 2)
        assert (told["application"], told["health"], told["session"]) == ("runs", NOT_CALLED, 1)
    beat = beats(beside, 2)
    beside.wait(lambda: beats(beside, 2) > beat, what="a beat")
    assert said(beside, 2, "health: begins") == before + 1


def test_one_that_hangs_beside_an_application_for_good_has_both_begin_again(tmp_path):
    require("unix")
    boards = lay_boards(tmp_path, [1], required=1, period_ms=1000)
    soon(boards[1])
    (boards[1] / "application.py").write_text(ON_ASYNCIO)
    with_health(boards[1], HANGS)
    with Table(boards, SEED) as table:
        table.start(1)
        table.wait_line(1, "application: ")
        assert by_line(table, 1)["kind"] == "silent"
        table.wait_line(1, BITES)
        table.wait(lambda: said(table, 1, "application: ") == 2, what="the application again")
        told = by_line(table, 1)
        assert (told["application"], told["health"], told["session"]) == ("runs", NOT_CALLED, 2)


def test_one_that_hangs_at_the_prompt_is_ended_by_an_interrupt_and_the_status_is_told(tmp_path):
    require("unix")
    boards = lay_boards(tmp_path, [1], required=1)
    with_health(boards[1], HANGS)
    with Table(boards, SEED) as table:
        table.start(1)
        table.wait_line(1, '"late_us"')
        with serial.Serial(table.ports[1], timeout=0.1) as port:
            port.write(b"import faction; faction.status()\r")
            table.wait_line(1, "health: begins")
            time.sleep(0.8)
            port.write(b"\x03")
            table.wait_line(1, 'health     "health() fails: KeyboardInterrupt')
        assert status(table, 1)["health"] == NOT_CALLED
