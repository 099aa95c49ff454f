"""What a user can get wrong: the board says so on the serial line, in the status and by the LED, and the REPL answers.

All boards are started at once on one rig; each has its own mistake.
"""

import json
from concurrent.futures import ThreadPoolExecutor

import pytest
from mpremote.transport import TransportError

from requirements import require
from rig_fixture import Table, lay_boards
from swarm.serial import targets
from swarm.serial.prompt import raw_repl
from swarm.serial.targets import Target
from swarm.watch import node_table

SEED = 8
LED = 2
LOOKS = 20  # at the LED: a board on a host that is busy shows a slot too late; one that is wrong is so each time
FAILED, DARK = {0, 2, 4}, set()  # slots in which the LED is on

HOG = """
import gc
hog = []
spare = 128
while spare >= 128:
    spare = gc.mem_free() - {size}
    hog.append(bytearray(max(0, spare >> 1)))
"""
NO_RADIO = """
import _espnow
def active(self, *_):
    raise OSError(-12389, "ESP_ERR_ESPNOW_INTERNAL")
_espnow.ESPNowBase.active = active
"""
NO_RADIO_YET = """
import _espnow
real = _espnow.ESPNowBase.active
def active(self, *_):
    _espnow.ESPNowBase.active = real
    raise OSError(-12389, "ESP_ERR_ESPNOW_INTERNAL")
_espnow.ESPNowBase.active = active
"""
HELD = """
import machine
class Held(machine.Pin):
    def value(self, value=None):
        return 0
machine.Pin = Held
"""
WARM = "def warm_up():\n    return True\n\n"


def write(name, text):
    return lambda home: (home / name).write_text(text)


def folder(name):
    return lambda home: (home / name).mkdir()


def change(**values):
    def apply(home):
        file = home / "faction.json"
        file.write_text(json.dumps({**json.loads(file.read_text()), **values}))

    return apply


def no_room(home):
    (home / "samples.jsonl").write_text("x" * 4090)
    (home / "samples.jsonl.old").mkdir()


def hold(home):
    (home / "boot.py").write_text(HELD)
    (home / "board.py").write_text((home / "board.py").read_text() + "BUTTON = 5\n")


# What is done to the board's files, what it says then, and the LED's slots.
CASES = {
    "no faction.json": (lambda home: (home / "faction.json").unlink(), "faction.json: missing", FAILED),
    "a wrong value": (change(channel=77), "faction.json: channel: 77: write a whole number from 1 to 14", FAILED),
    "not JSON": (write("faction.json", "{'swarm': 1}"), "faction.json: not JSON", FAILED),
    "a wrong key": (write("faction.key", "5ecret"), "faction.key: not 32 hexadecimal digits", FAILED),
    "a key that cannot be read": (folder("faction.key"), "faction.key: not readable", FAILED),
    "a full file system": (folder("faction.session.new"), "session 1: not stored ([Errno 21] EISDIR)", FAILED),
    "a broken session file": (write("faction.session", "x"), "faction.session: b'x' is no session number", FAILED),
    "no such link": (
        lambda home: (home / "lib" / "faction" / "links" / "espnow.py").unlink(),
        "VIRTUAL cannot have the link espnow (no module named 'faction.links.espnow'): write another in links",
        FAILED,
    ),
    "a channel that the country forbids": (
        change(channel=12),
        "link espnow did not start (channel 12: the radio refuses it: give one of 1 to 11, which every country has)",
        FAILED,
    ),
    "a radio that fails": (write("boot.py", NO_RADIO), "link espnow did not start (", FAILED),
    "a sensor that is no Python": (write("sensor.py", "def warm_up("), "sensor.py: SyntaxError", FAILED),
    "no sensor": (lambda home: (home / "sensor.py").unlink(), "sensor.py: ImportError", FAILED),
    "half a sensor": (write("sensor.py", WARM), "sensor.py: has no sample(): write it", FAILED),
    "warm_up() raises": (
        write("sensor.py", "sample = None\nn = []\n\ndef warm_up():\n    n.append(1)\n    raise ValueError(len(n))\n"),
        "error: warm_up(): ValueError: 1",
        FAILED,
    ),
    "warm_up() raises once": (
        write(
            "sensor.py",
            "n = []\n\ndef warm_up():\n    n.append(1)\n    assert n[1:]\n    return True\n\n"
            "def sample():\n    return 1\n",
        ),
        "error: warm_up(): AssertionError: ",
        FAILED,
    ),
    "warm_up() is async": (
        write("sensor.py", "async def warm_up():\n    return True\n\nsample = warm_up\n"),
        "error: warm_up(): TypeError: it is async, which needs an application.py",
        FAILED,
    ),
    "sample() raises": (
        write("sensor.py", WARM + "def sample():\n    return 1 / 0\n"),
        "error: sample(): ZeroDivisionError: divide by zero",
        FAILED,
    ),
    "sample() is async": (
        write("sensor.py", WARM + "async def sample():\n    return 1\n"),
        "error: sample(): TypeError: it is async, which needs an application.py",
        FAILED,
    ),
    "a sample that is a set": (
        write("sensor.py", WARM + "def sample():\n    return [{1, 2}]\n"),
        "error: sample(): TypeError: set: JSON cannot hold it: return numbers, text, lists or dicts",
        FAILED,
    ),
    "a sample that is no number": (
        write("sensor.py", WARM + "def sample():\n    return {'t': float('nan')}\n"),
        "error: sample(): TypeError: nan: JSON cannot hold it: return a finite number",
        FAILED,
    ),
    "a sample without end": (
        write("sensor.py", WARM + "def sample():\n    x = []\n    x.append(x)\n    return x\n"),
        "error: sample(): RuntimeError: maximum recursion depth exceeded",
        FAILED,
    ),
    "a sample that is too long": (
        write("sensor.py", WARM + "def sample():\n    return 'x' * 5000\n"),
        "error: samples.jsonl: ValueError: 50",
        FAILED,
    ),
    "no room for samples": (no_room, "error: samples.jsonl: OSError: [Errno 21] EISDIR", FAILED),
    "a file says not to start": (
        write("faction.skip", ""),
        "not started: the file faction.skip is there: remove it and reset",
        DARK,
    ),
    "the button is held": (
        hold,
        "not started: the button is held: release it and reset",
        None,
    ),
}
RUNNING = {name for name, case in CASES.items() if case[1].startswith("error:")}
NUMBERS = {name: number for number, name in enumerate(CASES, 1)}


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    require("unix")
    homes = lay_boards(tmp_path_factory.mktemp("boards"), NUMBERS.values())
    for name, number in NUMBERS.items():
        home = homes[number]
        change(swarm=f"test{number}", members=[number], deadline_ms=60_000, lead_ms=50)(home)
        write("board.py", (home / "board.py").read_text().replace("LED = None", f"LED = {LED}"))(home)
        CASES[name][0](home)
    with Table(homes, SEED) as table:
        table.homes = homes
        table.start(*NUMBERS.values())
        yield table


LOOK = """
import time, machine
pin = machine.Pin({led})
on, seen = [0] * 16, [0] * 16
end = time.ticks_add(time.ticks_ms(), 1100)
while time.ticks_diff(end, time.ticks_ms()) > 0:
    time.sleep_ms(4)
    slot = time.ticks_ms() // 64 % 16
    seen[slot] += 1
    on[slot] += pin.value()
print([i for i in range(16) if 2 * on[i] > seen[i]])
"""
STATUS = """
import faction
faction.status()
try:
    print(faction.status_dict())
except RuntimeError as error:
    print(error)
"""


@pytest.fixture(scope="module")
def seen(table):
    """What each board shows, by name: at its prompt a sum, the status, and the slots in which the LED is on; the lines
    that it said by itself; how often it has started. The boards are not mended before."""
    for name, number in NUMBERS.items():
        table.wait_line(number, CASES[name][1])
    with ThreadPoolExecutor(8) as pool:
        ports = [table.ports[number] for number in NUMBERS.values()]
        looks = list(pool.map(look, ports, [slots for _, _, slots in CASES.values()]))
    for event in table.events(0.1):
        table.run.take(event)
    said = [[line for line in table.run.nodes[number].output if "faction: " in line] for number in NUMBERS.values()]
    boots = [table.run.nodes[number].boots for number in NUMBERS.values()]
    return dict(zip(CASES, zip(looks, said, boots, strict=True), strict=True))


def look(port, slots):
    with raw_repl(port) as transport:
        two = transport.eval("1 + 1")
        status = " ".join(transport.exec(STATUS).decode().split())
        for _ in range(LOOKS):
            on = set(json.loads(transport.exec(LOOK.format(led=LED))))
            if slots is None or on == slots:
                break
        return two, status, on


@pytest.mark.parametrize("name", CASES)
def test_a_mistake_is_said_everywhere_and_the_prompt_answers(name, seen):
    _, says, slots = CASES[name]
    (two, status, on), lines, boots = seen[name]
    assert two == 2
    assert " ".join(says.removeprefix("error: ").split()) in status, status
    assert ("no node runs on this board" in status) == (name not in RUNNING)
    assert slots is None or on == slots
    said = [line for line in lines if says in line]
    assert len(said) == 1, f"said once, not at each tick: {said[:3]}"
    assert boots == 1


@pytest.mark.parametrize("name", ["a wrong value", "no sensor", "a file says not to start"])
def test_a_mistake_that_is_mended_needs_no_reset(name, table, seen):
    number = NUMBERS[name]
    home = table.homes[number]
    change(channel=1)(home)
    write("sensor.py", WARM + "def sample():\n    return 5\n")(home)
    (home / "faction.skip").unlink(missing_ok=True)
    with raw_repl(table.ports[number]) as transport:
        transport.exec("import faction\nfaction.restart()")
    table.wait_line(number, '"value": 5')
    assert table.run.nodes[number].boots == 1


@pytest.mark.parametrize("name", sorted(RUNNING))
def test_a_node_with_an_error_goes_on(name, table):
    """It speaks, and a sample that failed is still a sample, of nothing."""
    number = NUMBERS[name]
    table.wait_line(number, CASES[name][1])
    if "warm_up" not in name and "long" not in name:
        table.wait_line(number, '"late_us"')
        line = next(line for line in table.run.nodes[number].output if '"late_us"' in line)
        assert (json.loads(line)["value"] is None) == (name != "no room for samples")
    with raw_repl(table.ports[number]) as transport:
        transport.exec("import faction")
        assert transport.eval("faction.status_dict()['counters']['sent']") > 0


def test_out_of_memory_is_said_and_leaves_the_prompt(tmp_path):
    """With so little that nothing starts, up to so much that all does; in between every part meets the end."""
    require("unix")
    sizes = dict(enumerate((6, 14, 22, 30, 38, 46, 54, 62, 70, 80, 100, 200), 1))
    homes = lay_boards(tmp_path, sizes)
    for number, kilobytes in sizes.items():
        change(swarm=f"test{number}", members=[number])(homes[number])
        write("boot.py", HOG.format(size=kilobytes * 1024))(homes[number])
    outcomes = {}
    with Table(homes, SEED) as table:
        table.start(*sizes)
        for number, kilobytes in sizes.items():
            outcomes[kilobytes] = start_with_little(table, number)
    # How far a board comes with so little varies with what its prompt and its start happen to take at once.
    assert outcomes[6] and "faction: error" in outcomes.values() and outcomes[200] == "", outcomes


def start_with_little(table, number):
    """Wait until a board has started or failed; how it says so, '' when it has started. Its prompt must answer."""
    output = table.run.nodes[number].output
    table.wait(lambda: any("started session" in line or "MemoryError" in line for line in output))
    for attempt in range(3):  # it may be asked again, as a user would: what has no memory may drop a request
        try:
            with raw_repl(table.ports[number]) as transport:
                assert b"2" in transport.exec("print(1+1)")  # as few new names as can be
            break
        except TransportError:
            assert attempt < 2
    with raw_repl(table.ports[number]) as transport:
        if any(line.startswith("faction: error: MemoryError") for line in output):
            assert b"MemoryError: " in transport.exec("import faction\nprint(faction.failure)")
            return "faction: error"
    return "MemoryError" if any("MemoryError" in line for line in output) else ""


def test_a_start_that_failed_for_the_radio_is_tried_again(tmp_path):
    require("unix")
    homes = lay_boards(tmp_path, [1])
    write("boot.py", NO_RADIO_YET)(homes[1])
    with Table(homes, SEED) as table:
        table.start(1)
        table.wait_line(1, "tried again every 60 s")
        with raw_repl(table.ports[1]) as transport:
            transport.exec("import autostart\nautostart._RETRY_MS = 300")
        table.wait_line(1, "node 1 Bootstrapped")


def test_an_application_whose_node_started_late_is_told_to_be_missing(tmp_path):
    """It has the prompt's place, which only a boot can give it."""
    require("unix")
    homes = lay_boards(tmp_path, [1])
    write("boot.py", NO_RADIO_YET)(homes[1])
    write("application.py", "async def main(swarm):\n    pass\n")(homes[1])
    with Table(homes, SEED) as table:
        table.start(1)
        table.wait_line(1, "tried again every 60 s")
        with raw_repl(table.ports[1]) as transport:
            transport.exec("import autostart\nautostart._RETRY_MS = 300")
        table.wait_line(1, "node 1 Bootstrapped")
        told = targets.ask(Target("", table.ports[1]))
    assert told["application"] == "was not started" and told["errors"] == []
    assert node_table.errors(told) == ["application.py was not started, since its node started late: reset the board"]
