"""Processing a command takes no memory on a device, and a machine takes no more than its budget."""

import pytest

import frames_on_stack
from model import COMMANDS, STATES
from swarm import paths
from swarm.runtimes.measure import allocation

CORE = paths.LIB / "faction" / "core.py"
SIZES = (1, 5, 8, 33, 250, 680)

REACH = {
    "Initial": (),
    "Pinging": ((0, 10), (1, 10)),
    "Collecting": ((0, 10), (1, 10), (2, 0)),
    "Bootstrapped": ((0, 10), (1, 10), (1, 20), (2, 0)),
    "TimedOut": ((0, 10), (1, 10), (3, 0)),
}

SETUP = """
from faction.core import Faction

class Observer:
    def __init__(self):
        self.heard = 0
    def observe(self, machine, before, command, peer_id):
        self.heard = self.heard + 1 & 1023
    def observe_query(self, machine):
        self.heard = self.heard + 1 & 1023
    def observe_rejection(self, machine, command, peer_id):
        self.heard = self.heard + 1 & 1023

m = Faction(30, [40, 10, 30, 20, 50], 3, Observer())
"""


@pytest.mark.parametrize("state", STATES)
def test_every_command_in_every_state_takes_no_memory(micropython, state):
    lines = []
    for command in range(len(COMMANDS)):
        for peer in (40, 10, 11, 30, 65535) if command < 2 else (0,):
            lines.append("m.reset()")
            lines += [f"m.process({c}, {p})" for c, p in REACH[state]]
            lines += [f"assert m.state == {STATES.index(state)}", f"m.process({command}, {peer})"]
    assert allocation.per_call(micropython, SETUP, "\n".join(lines)) == 0


def test_no_memory_with_many_members(micropython):
    setup = "from faction.core import Faction\nm = Faction(65535, range(65535, 65535 - 680, -1), 680)"
    hot = "m.reset()\nfor i in range(65535 - 679, 65536):\n    m.process(0, i)\n    m.process(1, i)\nm.process(2)"
    assert allocation.per_call(micropython, setup, hot, calls=3) == 0


def test_the_measurement_sees_an_allocation(micropython):
    assert allocation.per_call(micropython, "", "[]") > 0
    assert allocation.per_call(micropython, SETUP, "m.process(4)\nbytes(m.outcomes)") > 0
    assert allocation.held(micropython, "", "None") == 0
    assert 1000 <= allocation.held(micropython, "", "bytearray(1000)") <= 1100


def test_the_32_bit_runtime_sees_a_number_beyond_31_bits():
    assert allocation.per_call("wasm", "x = (1 << 30) - 1", "x + 1") > 0
    assert allocation.per_call("wasm", "x = (1 << 30) - 2", "x + 1") == 0


def test_no_function_takes_its_frame_from_the_heap():
    words = frames_on_stack.words(CORE)
    assert len(words) >= 7
    # The constructor takes memory anyway.
    del words["Faction.__init__"]
    too_many = {name: count for name, count in words.items() if count > frames_on_stack.LIMIT}
    assert not too_many, f"more than {frames_on_stack.LIMIT} words of state: {too_many}"


def test_words_of_a_known_function(tmp_path):
    source = tmp_path / "known.py"
    source.write_text(
        "def plain(a, b):\n    return a\n"
        "def guarded(a, b):\n    try:\n        return a\n    except ValueError:\n        return b\n"
        "class C:\n    def send(self):\n        return [x for x in self]\n"
    )
    words = frames_on_stack.words(source)
    assert set(words) == {"plain", "guarded", "C.send", "C.send.<listcomp>"}
    assert words["guarded"] >= words["plain"] + 3


def test_budget_of_a_machine(capsys):
    figures = {
        n: allocation.held("wasm", f"from faction.core import Faction\nids = list(range({n}))", "Faction(0, ids, 1)")
        for n in SIZES
    }
    with capsys.disabled():
        print("\nmachine, bytes of 32-bit heap: " + ", ".join(f"{n} members {size}" for n, size in figures.items()))
    for members, size in figures.items():
        assert size <= 256 + 2.5 * members, f"{members} members: {size} bytes"
