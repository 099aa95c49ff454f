"""Measures what the device code takes, in bytes and time, and holds it against the project's budgets."""

import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from swarm import paths, runtimes
from swarm.runtimes.measure import allocation, board_heap

_KB = 1024
MEMBERS = (5, 50, 250, 680)
# What a board's node may take in all, by link: of a Pico's 237 KB and an ESP32's 100 to 160 KB most is the user's. What
# is frozen leaves its code in flash; an ESP32 keeps the radio's ring on the heap besides, 2.2 KB for 20 members.
HEAPS = {
    "uart": {"deployed": 42 * _KB, "frozen": 14 * _KB},
    "espnow": {"deployed": 42 * _KB, "frozen": 16 * _KB},
    "udp": {"deployed": 42 * _KB, "frozen": 14 * _KB},
}

_PAIR = """
from time import ticks_add
from faction.core import Faction
from faction.node import Node
machine = Faction(1, list(range(50)), 25)
nodes = [Node("size", range(50), i, 50, bytes(16), 7) for i in range(2)]
buffers = [bytearray(250) for _ in nodes]
now = (1 << 30) - 2000
sent = 0
for node in nodes:
    node.start(now, 0)
    node.complete_local(now, 0)
"""
_COMMANDS = (
    "machine.reset()\nfor i in range(50):\n    machine.process(0, i)\n    machine.process(1, i)\nmachine.process(2)"
)
_EXCHANGE = """
global now, sent
for _ in range(100):
    now = ticks_add(now, 8)
    for i in range(2):
        length = nodes[i].poll(now, now * 1000 & 0x3FFFFFFF, buffers[i])
        if length:
            sent += 1
            nodes[1 - i].receive(buffers[i], length, now, now * 1000 & 0x3FFFFFFF, now * 1000 & 0x3FFFFFFF)
"""
_NODES_WITH_REPORTS = """
from faction.remote.node import RemoteNode
def node(members, gather):
    options = {"period_ms": 60_000, "round_ms": 30_000, "gather": gather}
    return RemoteNode("size", range(members), 1, members, bytes(16), 7, **options)
node(5, True)  # what modules make once is theirs
"""


@dataclass(frozen=True)
class Figure:
    """One measured value with its limit."""

    name: str
    value: float
    limit: float
    unit: str
    why: str  # there is this limit, and what a figure above it does

    @property
    def above(self) -> bool:
        """Whether the value is above its limit."""
        return self.value > self.limit


def measure() -> Iterator[Figure]:
    """Measure everything, in the order of the table of budgets.

    Raises runtimes.RuntimeMissing for a runtime or mpy-cross that is not installed, and runtimes.ScriptFailed.
    """
    why = "what the radio's callback allocates has the heap collected, which stops a board for milliseconds"
    yield Figure("heap per command", allocation.per_call("wasm", _PAIR, _COMMANDS, calls=5), 0, "bytes", why)
    yield Figure("heap per frame sent, received and polled for", _per_frame(), 0, "bytes", why)
    for n in MEMBERS:
        held = allocation.held(
            "wasm", f"from faction.core import Faction\nids = list(range({n}))", "Faction(0, ids, 1)"
        )
        why = "what each member takes decides how large a swarm may be"
        yield Figure(f"machine with {n} members", held, 256 + 2.5 * n, "bytes", why)
    with tempfile.TemporaryDirectory(prefix="swarm-size-") as name:
        folder = Path(name)
        core = board_heap.compile_one(paths.LIB / "faction" / "core.py", "core.py", folder / "core.mpy")
        yield Figure("core as .mpy", core.stat().st_size, 2.5 * _KB, "bytes", "a board loads it in one piece")
        for link, most in HEAPS.items():
            why = "a Pico has 237 KB, an ESP32 100 to 160, and most of it is the user's"
            what = f"heap of a board in all, {board_heap.MEMBERS} members, {link}"
            yield Figure(f"{what}, deployed as .mpy", board_heap.deployed(folder, link), most["deployed"], "bytes", why)
            yield Figure(f"{what}, frozen", board_heap.frozen(folder, link), most["frozen"], "bytes", why)
            kept = board_heap.kept_by_status(folder, link)
            why = "what a look leaves is its names, in pieces of 128 bytes: the rest is still the user's"
            yield Figure(f"heap that the status keeps once it was asked for, {link}", kept, 640, "bytes", why)
        taken = board_heap.more(folder, "uart")
        why = "who has no period pays nothing for it, and who has one still has most of the heap"
        yield Figure("heap that a series takes more", taken["series"], 10 * _KB, "bytes", why)
        why = "who has no rounds pays nothing for them"
        yield Figure("heap that rounds take more", taken["rounds"], 11 * _KB, "bytes", why)
        why = "who has no gateway pays nothing for it, and with one an ESP32 still has a third of its heap"
        yield Figure("heap that reports take more", taken["reports"], 18.25 * _KB, "bytes", why)
        most = board_heap.MEMBERS
        relays = _holds(most, False) - _holds(most, None)
        why = "a ring of 1 KB for records, the longest text and its views, and the ciphers: the rest is code"
        yield Figure("of that, data of a node that relays", relays, 4 * _KB, "bytes", why)
        each = (_holds(3 * most, True) - _holds(most, True)) / (2 * most)
        yield Figure("heap of a node that gathers, for each member", each, 64, "bytes", "a gateway has many")
        asyncio = board_heap.beside(folder, "uart")
        why = "the README says what an application has left"
        yield Figure("heap that an application on asyncio takes, asyncio included", asyncio, 9 * _KB, "bytes", why)
    why = "it is the node's share of the processor once more, and what is left is the user's"
    yield Figure("a turn of its loop", _ratio("turn_script.py"), 1, "ticks of the node's timer", why)
    why = "a node with many neighbours hears hundreds a second, and the user's code has to run in between"
    yield Figure("receiving a 46-byte frame", _ratio("receive_script.py"), 14, "XOR loops of 16 bytes", why)


def _holds(members: int, gather: bool | None) -> int:
    """Bytes that a node holds in a swarm with rounds; gather: as for RemoteNode."""
    return allocation.held("wasm", _NODES_WITH_REPORTS, f"node({members}, {gather})")


def _ratio(script: str) -> float:
    """What a script beside this file prints on the unix port."""
    return round(float(runtimes.run("unix", Path(__file__).with_name(script))), 1)


def _per_frame() -> float:
    """Bytes taken by a call that polls, sends and receives; ScriptFailed when it has not done so."""
    check = _PAIR + f"\ndef _exchange():\n{_indent(_EXCHANGE)}\n_exchange()\nassert sent > 4, sent\n"
    check += "assert nodes[0].counters[0] > 2 and nodes[0].machine.collecting_count == 2, nodes[0].counters\n"
    return allocation.per_call("wasm", check, "_exchange()", calls=4)


def _indent(code: str) -> str:
    return "".join(f"    {line}\n" for line in code.strip().splitlines())
