"""No call of a node takes memory on a 32-bit device, whatever frame it hears; numbers are as large as they may be."""

import pytest

import frames_on_stack
import swarm_fixture as fixture
from swarm import paths
from swarm.runtimes.measure import allocation
from swarm_fixture import Swarm

CALLS = 12
FRAMES = 2 * CALLS + 5  # each call twice, the second time under heap_lock, and a few to begin with
LAST = (1 << 30) - 1
SESSION = LAST - 1000
ME = [(1, SESSION)]
LIMIT_US = 500_000_000

SWARM = Swarm(range(1, 2 * FRAMES), 2 * FRAMES - 1)
PAIR = Swarm((1, 2))
LARGEST = Swarm(range(680))
ROUNDS = Swarm(range(1, 2 * FRAMES), 2 * FRAMES - 1, period_ms=10_000, round_ms=30_000)

SETUP = """
from array import array
from time import ticks_add
from faction.node import MAX_NUMBER, Node
if {swarm.round_ms}:
    from faction.remote.node import RemoteNode

def node():
    more = dict(round_ms={swarm.round_ms}, gather={gather}) if {swarm.round_ms} else {{}}
    Made = RemoteNode if more else Node
    made = Made({swarm.name!r}, {swarm.members}, 1, {swarm.required}, {swarm.key!r}, {session},
        period_ms={swarm.period_ms}, **more)
    made.start(NOW, NOW)
    return made

def hear(frame):
    n.receive(frame, len(frame), NOW, NOW, NOW - 800)

NOW = MAX_NUMBER
b = bytearray(250)
at = bytearray(1)
clock = array("I", [NOW])
n = node()
frames = {frames}
{more}
"""
NEXT = "hear(frames[at[0]])\nat[0] += 1\n"
TWO = "hear(frames[2 * at[0]])\nhear(frames[2 * at[0] + 1])\nat[0] += 1\n"


CASES = {}  # name: (setup, hot)


def case(name, hot, frames=(), swarm=SWARM, more="", gather=None):
    """Add a case: hot is what may take no memory, frames a list that it finds, more its further preparation."""
    assert name not in CASES
    CASES[name] = SETUP.format(swarm=swarm, session=SESSION, frames=list(frames), more=more, gather=gather), hot


@pytest.fixture(scope="module")
def taken():
    """Bytes that a call takes in each case; all are measured in one run."""
    return allocation.each("wasm", CASES, calls=CALLS)


def series(make, count=FRAMES):
    """Frames made by make(i) for i = 0, 1, ..."""
    return [make(i) for i in range(count)]


def sequence(i):
    """The i-th of a member's last sequences."""
    return LAST - 2 * FRAMES + i


def frame(i, swarm=SWARM, sender=2, session=LAST - 1, echoes=ME, **fields):
    return swarm.frame(sender, session, sequence(i), echoes=echoes, **fields)


# What is believed

KNOWN = "hear(frames.pop(0))\n"  # the first frame of a series tells the node what the others repeat
EVERYBODY = SWARM.members
EVERYTHING = {"heard": EVERYBODY, "ready": EVERYBODY[1:], "generation": LAST}
BELIEVED = {
    "participation": (
        series(lambda i: frame(i, heard=range(1, i + 3))),
        "",
        "assert n.knowledge.bitmaps[at[0] >> 3] >> (at[0] & 7) & 1",
    ),
    "readiness, pinging": (series(lambda i: frame(i, ready=range(2, i + 3))), "", "assert n.machine.state == 1"),
    "readiness, collecting": (
        series(lambda i: frame(i, ready=range(2, i + 3))),
        "n.complete_local(NOW, NOW)",
        "assert n.machine.collecting_count == at[0] + 1",
    ),
    "a whole swarm at once, in a newer generation": (
        series(lambda i: frame(i, heard=EVERYBODY, ready=EVERYBODY[1:-1], generation=LAST - FRAMES + i)),
        "n.complete_local(NOW, NOW)",
        "assert n.machine.collecting_count == len(n.machine.ids) - 1",
    ),
    "consistent": (series(lambda i: frame(i, **EVERYTHING)), KNOWN, "assert n.trickle.heard > 0"),
    "consistent, of a past instant": (
        series(lambda i: frame(i, offset_us=-LIMIT_US, **EVERYTHING)),
        KNOWN,
        "assert n.first_sample.passed",
    ),
    "an earlier instant": (
        series(lambda i: frame(i, offset_us=LIMIT_US - i * 1_000_000, **EVERYTHING)),
        KNOWN,
        "assert not n.first_sample.passed",
    ),
    "an instant out of range": (
        series(lambda i: frame(i, offset_us=(1 << 31) - 1 if i % 2 else -(1 << 31), **EVERYTHING)),
        KNOWN,
        "assert not n.first_sample.known",
    ),
    "lacking": (series(lambda i: frame(i, **(EVERYTHING if not i else {}))), KNOWN, "assert n.echoes.owed[0] == 2"),
    "an older generation": (
        series(lambda i: frame(i, generation=LAST if not i else 7)),
        KNOWN,
        "assert n.knowledge.generation == MAX_NUMBER",
    ),
    "a proof": (series(lambda i: frame(i, sender=2 + i)), "", "assert n.sessions.heard[3 * at[0]]"),
    "a proof beside seven echoes": (
        series(lambda i: frame(i, sender=2 + i, echoes=[(9, LAST)] * 7 + ME)),
        "",
        "assert n.sessions.heard[3 * at[0]]",
    ),
    "this node's reboot, unseen": (
        series(lambda i: frame(i, ready=(1, 2), generation=LAST - FRAMES + i)),
        "",
        f"assert n.knowledge.generation == at[0] + {LAST - FRAMES}",
    ),
    "echoes answered": (
        series(lambda i: frame(i, **EVERYTHING, echoes=[*ME, *((member, LAST) for member in range(3, 10))])),
        KNOWN + "def fill():\n"
        "    for i in range(1, 17):\n        n.sessions.heard[3 * i] = MAX_NUMBER - (i == 1)\n        n.echoes.owe(i)\n"
        "        n.echoes.need(i)\n"
        "fill()\n",
        "assert n.echoes.urgent[0] == 0 and n.echoes.urgent[1] == 0xFE\nfill()",
    ),
}

BELIEVED["sessions vouched for"] = (
    series(lambda i: frame(i, heard=EVERYBODY, echoes=[*ME, *((3 + (7 * i + j) % 80, LAST, True) for j in range(7))])),
    "",
    "assert n.sessions.live[0] & 0xF8 and n.sessions.heard[6] == MAX_NUMBER",
)


for name, (frames, more, check) in BELIEVED.items():
    case(f"believed: {name}", NEXT + check, frames, more=more)


def rebooting(i):
    """READY of one boot, then PING of the next, in the generation that the ones before have begun."""
    return [
        SWARM.frame(2, LAST - 3 * FRAMES + 2 * i + kind, LAST, ready=(2,) * (1 - kind), generation=i, echoes=ME)
        for kind in (0, 1)
    ]


case(
    "believed: reboot of a member that was ready",
    TWO + "assert n.knowledge.generation == at[0] and n.counters[13]",
    sum(series(rebooting), []),
)


def doubting(i):
    """PING of a further boot of 3, then another member's word that 3 is ready."""
    return [SWARM.frame(3, 10 + i, 1, generation=i, echoes=ME), frame(i, ready=(3,), generation=i)]


case(
    "believed: readiness from before a reboot",
    TWO + "assert n.knowledge.generation == at[0]",
    [SWARM.frame(3, 1, echoes=ME), *sum(series(doubting), [])],
    more=KNOWN,
)


# What is not believed

GOOD = SWARM.parts(2, SESSION, LAST, echoes=ME, **EVERYTHING)
BIG = b"\xff\xff\xff\xff"
REFUSED = {
    "malformed": {"kind": b"\xff"},
    "malformed: flags": {"flags": b"\xff"},
    "foreign": {"digest": b"\xff" * 4},
    "misfit": {"participation": b"\xff" * SWARM.width},
    "misfit: odd length": {"echoes": b"\xff" * 5},
    "misfit: length": {"participation": b"\xff" * (SWARM.width + 2)},
    "non-member": {"sender": b"\xff\xff"},
    "impossible: session": {"session": BIG},
    "impossible: sequence": {"sequence": BIG},
    "impossible: generation": {"generation": BIG},
    "impossible: echo": {"echoes": b"\xff" * 6},
    "impossible: readiness": {"participation": bytes(SWARM.width)},
}
COUNTED = {name: at for at, name in enumerate(("malformed", "foreign", "misfit", "non-member", "impossible"), 1)}


AGAIN = "hear(frames[0])\nat[0] += 1\n"
for name, changed in REFUSED.items():
    case(name, AGAIN + f"assert n.counters[{COUNTED[name.split(':')[0]]}] == at[0]", [SWARM.seal({**GOOD, **changed})])
for length in (0, 33, 255):
    case(f"malformed: {length} bytes", AGAIN + "assert n.counters[1] == at[0]", [b"\xff" * length])
case("forged", AGAIN + "assert n.counters[6] == at[0]", [SWARM.seal(GOOD, bytes(16))])
case("replayed", AGAIN + "assert n.counters[7] == at[0] - 1", [frame(0, **EVERYTHING)])
case("stale", AGAIN + "assert n.counters[8] == at[0]", [frame(0), frame(0, session=7)], more=KNOWN)
for name, fields in {"lacking": {}, "newer": {"generation": LAST}, "claiming": {"heard": (1, 2)}}.items():
    frames = series(lambda i, fields=fields: frame(i, sender=2 + i, echoes=[(1, 7)] * 8, **fields))
    case(f"unproved: {name}", NEXT + "assert n.counters[9] == at[0]", frames)
case(
    "unproved: consistent",
    AGAIN + "assert n.counters[9] == at[0] and n.trickle.heard",
    [frame(0, **EVERYTHING), frame(0, sender=3, echoes=(), **EVERYTHING)],
    more=KNOWN,
)
for session in (SESSION, 1):
    old = [SWARM.frame(1, session, 1)]
    case(f"own: of session {session}", AGAIN + "assert n.counters[10] == at[0]", old, more="n.sequence = 5")
case(
    "own: of a second board, and what comes after",
    "hear(frames[0])\nassert n.conflict\nhear(frames[1])\nn.poll(NOW, NOW, b)\nn.conflict = False",
    [SWARM.frame(1, LAST, LAST), frame(0)],
)
case(
    "counters at their end",
    AGAIN + "assert n.counters[9] > MAX_NUMBER - 20",
    [frame(0, echoes=())],
    more="for i in range(15):\n    n.counters[i] = MAX_NUMBER - 20",
)

# Completion and the conclusion, on fresh nodes that have made their first tag

ALONE = Swarm((1, 2), 1)
NODES = f"""
nodes = [node() for _ in range({FRAMES})]
for n in nodes:
    n.frame._cmac.compute(b, 40)
"""
FRESH = "n = nodes[at[0]]\nat[0] += 1\nn.complete_local(NOW, NOW)\n"

case("completion", FRESH + "assert n.ready()", swarm=PAIR, more=NODES)
case("completion that concludes", FRESH + "assert n.machine.state == 3", swarm=ALONE, more=NODES)
case("completing again", "n.complete_local(NOW, NOW)", more="n.complete_local(NOW, NOW)")
for offset_us in (None, 400_000_000, -LIMIT_US):
    case(
        f"a frame that concludes, instant {offset_us}",
        FRESH + "n.receive(frames[0], len(frames[0]), NOW, NOW, NOW)\n"
        "assert n.machine.state == 3 and n.first_sample.known",
        [PAIR.frame(2, LAST, LAST, ready=(1, 2), echoes=ME, offset_us=offset_us)],
        PAIR,
        NODES,
    )
case(
    "the first sample",
    FRESH + "n.poll(ticks_add(NOW, 501), ticks_add(NOW, 500_123), b)\nassert n.sample_due\n"
    "assert n.take_sample(ticks_add(NOW, 500_200)) == 200\n"
    "n.poll(ticks_add(NOW, 501), ticks_add(NOW, 530_000_000), b)\n"
    "assert n.first_sample.remaining_us(NOW) == -500_000_000",
    swarm=ALONE,
    more=NODES,
)

# Polls


def sending(echoes, swarm=SWARM):
    """(hot, more) of a poll that sends a frame of the largest numbers, and one that begins the next interval."""
    hot = f"""
for i in range(1, {echoes} + 1):
    n.echoes.owe(i)
    n.echoes.need(i)
n.trickle.start(clock[0])
clock[0] = ticks_add(clock[0], n.trickle.imin_ms)
assert n.poll(clock[0], clock[0], b) == {24 + 2 * swarm.width + 6 * echoes + 8}
assert not n.poll(clock[0], clock[0], b)
assert not n.echoes.waited_for() and not n.echoes.owed[0] & 31
"""
    more = f"""
{KNOWN}
for i in range(1, 9):
    n.sessions.heard[3 * i] = MAX_NUMBER
n.echoes.owed[0] = 0
n.complete_local(NOW, NOW)
n.sequence = MAX_NUMBER - 200
"""
    return hot, more


for echoes in (0, 1, 4):
    for offset_us in (None, LIMIT_US, -LIMIT_US):
        hot, more = sending(echoes)
        known = [frame(0, offset_us=offset_us, **EVERYTHING)]
        case(f"a poll that sends {echoes} echoes, instant {offset_us}", hot, known, more=more)
hot, more = sending(4, LARGEST)
everything = {"heard": LARGEST.members, "ready": LARGEST.members, "generation": LAST}
frames = series(lambda i: frame(i, LARGEST, echoes=ME * 8, offset_us=-LIMIT_US, **everything))
case("the largest frame sent and heard", hot + NEXT, frames, LARGEST, more)
case("a poll with nothing to do", "assert not n.poll(NOW, NOW, b)\nassert n.wait_ms(NOW, NOW) > 0")
case(
    "a poll that is suppressed",
    "n.trickle.heard = 2\nclock[0] = ticks_add(clock[0], 2047)\nassert not n.poll(clock[0], clock[0], b)\nat[0] += 1\n"
    "assert n.counters[12] or at[0] < 5",
)
case(
    "a poll at the deadline",
    "clock[0] = ticks_add(clock[0], 60_000)\nn.poll(clock[0], clock[0], b)\nat[0] += 1\n"
    "assert n.counters[14] == at[0] and n.machine.state == 2",
    more="n.complete_local(NOW, NOW)",
)

# Rounds

MARK = LAST - 2000
in_round = {"swarm": ROUNDS, "offset_us": 10_000_000, "series": 65_535, "mark": MARK, **EVERYTHING}
case(
    "a round's set that grows",
    NEXT + "assert n.rounds.is_present(at[0])",
    series(lambda i: frame(i, present=range(1, i + 3), **in_round)),
    ROUNDS,
    KNOWN + "n.rounds.advance(NOW)\n",
)
case(
    "a round that begins, whose missing are found, and a frame that tells it",
    """
n.first_sample.mark += 3
n.rounds.advance(NOW)
n.rounds.advance(ticks_add(NOW, 5_000_000))
n.trickle.start(clock[0])
clock[0] = ticks_add(clock[0], n.trickle.imin_ms)
assert n.poll(clock[0], NOW, b)
at[0] += 1
assert n.rounds.is_lost(7) or at[0] < 3
""",
    [frame(0, present=EVERYBODY, **in_round)],
    ROUNDS,
    KNOWN + "n.rounds.advance(NOW)\nn.sequence = MAX_NUMBER - 200\n",
)

# Reports


def report(i, *parts, gathered=LAST // 3, **more):
    return fixture.sealed(ROUNDS, 2, sequence(i), fixture.text(*parts, gathered=gathered, **more), session=LAST - 1)


in_series = KNOWN + "n.rounds.advance(NOW)\nn.reports._gathered = n.rounds.number + 1\nn.sequence = MAX_NUMBER - 200\n"
heard = series(
    lambda i: report(
        i,
        fixture.beat(ROUNDS, LAST - FRAMES + i, *range(1, i + 3), series=65_535),
        fixture.record(3, LAST, b"1" * (3 + i), LAST, -LIMIT_US, 65_535),
        fixture.record(4, LAST - FRAMES + i, b"21.5", LAST, LIMIT_US, 65_535),
        beats=1,
    ),
)
first = [frame(0, present=EVERYBODY, **in_round)]
case("a report heard", NEXT + "assert n.reports._records._used", first + heard[1:], ROUNDS, in_series, False)
case("a record gathered", NEXT + "n.reports._records.clear()", first + heard[1:], ROUNDS, in_series, True)
asked = series(lambda i: report(i, fixture.question(LAST - FRAMES + i, 1, 2, 65_535, LAST), asks=True))
case("a question heard", NEXT + "assert n.reports.asked.wanted", first + asked[1:], ROUNDS, in_series, False)
case(
    "a report sent",
    """
r = n.reports
while r._records.untold():
    r._records.put(b, 0)
r.trickle.start(clock[0])
clock[0] = ticks_add(clock[0], r.trickle.imin_ms)
assert r.poll(clock[0], ticks_add(NOW, -8_000_000), b) > 200
""",
    first + heard[1:],
    ROUNDS,
    in_series
    + "for f in frames:\n    hear(f)\n"
    + "for i in range(20):\n    n.reports.put(MAX_NUMBER - i, MAX_NUMBER, -5, b'21.5')\n",
    False,
)


@pytest.mark.parametrize("name", CASES)
def test_takes_no_memory(name, taken):
    assert taken[name] == 0


def test_the_measurement_sees_what_allocates():
    setup = SETUP.format(swarm=PAIR, session=SESSION, frames=[], more="", gather=None)
    cases = {"node": (setup, "node()"), "view": (setup, "bytes(n.knowledge.bitmaps)"), "fails": (setup, "missing")}
    taken = allocation.each("wasm", cases, calls=5)
    assert taken["node"] > 500
    assert taken["view"] >= 16
    assert "missing" in taken["fails"]


@pytest.mark.parametrize(
    "module",
    (
        *("cmac", "first_sample", "frame", "knowledge", "node", "series", "sessions", "trickle"),
        *(f"remote/{name}" for name in ("cipher", "envelope", "question", "records", "reports", "rounds")),
    ),
)
def test_no_function_takes_its_frame_from_the_heap(module):
    words = frames_on_stack.words(paths.LIB / "faction" / f"{module}.py")
    # What is called once, or on request, may take memory.
    cold = (
        "__init__",
        "__init__.<listcomp>",
        "missing",
        "missing.<listcomp>",
        "digest",
        "silence_s",
        "Reports.put",
        "_put",
        "ask",
    )
    hot = {name: count for name, count in words.items() if not {name, name.split(".", 1)[-1]} & set(cold)}
    assert len(hot) >= 2
    too_many = {name: count for name, count in hot.items() if count > frames_on_stack.LIMIT}
    assert not too_many, f"more than {frames_on_stack.LIMIT} words of state: {too_many}"
