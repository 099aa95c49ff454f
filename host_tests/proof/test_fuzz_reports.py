"""Reports from anybody: without a right tag they change nothing, and whatever a member says raises nothing."""

import random
from array import array

import pytest

import swarm_fixture as fixture
from faction.node import MAX_NUMBER
from swarm_fixture import SERIES, Board, Swarm

SWARM = Swarm(range(1, 11), 2, period_ms=10_000, round_ms=30_000)
A, SESSION, MEMBER = 3, 40, 2
SEED = 20261129
FRAMES = 1500
# What is of a single call.
SCRATCH = ("_now", "_end", "_at", "_left", "_text", "_envelope", "_clock", "_node", "_machine", "_rounds", "_frame")


def pass_ms(board, ms):
    for _ in range(ms):
        board.true_us += 1000
        board.poll()


def board_in_a_series(gathers):
    board = Board(SWARM, A, SESSION, gather=gathers)
    for member in (MEMBER, 4):
        board.prove(member, 5, 100, heard=SWARM.members)
    board.complete()
    board.hear(SWARM.frame(MEMBER, 5, 101, heard=SWARM.members, ready=(2, 4), offset_us=1000, series=SERIES, mark=0))
    pass_ms(board, 2500)
    assert board.node.rounds.number == 0
    return board


def remembered(thing):
    """All that a part of a node holds, and the parts that it has."""
    values = {name: value for name, value in vars(thing).items() if name not in SCRATCH}
    parts = {name: remembered(value) for name, value in values.items() if hasattr(value, "__dict__")}
    for name, value in values.items():
        if isinstance(value, (bytes, bytearray, array)):
            parts[name] = bytes(value)
        elif isinstance(value, (int, type(None))):
            parts[name] = value
    return parts


def state(node):
    return [remembered(part) for part in (node.reports, node.rounds, node.sessions, node.knowledge, node.trickle)]


def said(chance):
    """A text of a member that may say anything, mostly nearly right."""
    kind = chance.randrange(4)
    if not kind:
        return chance.randbytes(chance.randint(1, 224))
    parts, asks, beats = [], chance.random() < 0.5, chance.randrange(4)
    number = chance.choice((1, 2, 3, MAX_NUMBER, (1 << 32) - 1, chance.randrange(1 << 32)))
    if asks:
        asked = chance.choice((*SWARM.members, 999))
        kind_of = chance.randrange(1 << 16)
        parts.append(fixture.question(number, asked, chance.choice((A, MEMBER, 999)), kind_of, number))
    for _ in range(beats):
        bits = chance.randbytes(SWARM.width)
        parts.append(
            fixture.beat(SWARM, chance.choice((0, 1, number)), series=chance.choice((0, SERIES)))[: -SWARM.width] + bits
        )
    for _ in range(chance.randrange(4)):
        value = chance.randbytes(chance.randrange(40))
        member, series = chance.choice((*SWARM.members, 999)), chance.choice((0, SERIES, SERIES, 7))
        parts.append(fixture.record(member, chance.choice((0, 1, number)), value, number, series=series))
    text = bytearray(fixture.text(*parts, gathered=chance.choice((0, 1, 2, number)), beats=beats, asks=asks))
    if chance.random() < 0.3:
        text[chance.randrange(len(text))] = chance.randrange(256)
    return bytes(text[:224])


@pytest.mark.parametrize("gathers", (False, True), ids=("member", "gateway"))
def test_a_forged_report_changes_nothing_and_a_lying_member_raises_nothing(gathers):
    chance = random.Random(f"{SEED} {gathers}")
    board = board_in_a_series(gathers)
    node = board.node
    sequence = 101
    forged = 0
    for _ in range(FRAMES):
        sequence += 1
        frame = fixture.sealed(SWARM, MEMBER, sequence, said(chance))
        wrong = bytearray(frame)
        wrong[chance.randrange(1, len(wrong))] ^= 1 << chance.randrange(8)
        cut = wrong[: chance.randrange(1, len(wrong))] if chance.random() < 0.3 else wrong
        before, counted = state(node), board.counter("forged")
        board.hear(bytes(cut))
        forged += board.counter("forged") - counted
        assert state(node) == before, bytes(cut).hex()
        received = board.counter("received")
        board.hear(frame)
        assert board.counter("received") == received + 1
        before = state(node)
        board.hear(frame)
        assert state(node) == before, "a replayed one"
        if node.reports.asked.wanted:
            kind, place = node.reports.asked.get()
            node.reports.answer(kind, place & MAX_NUMBER, b"piece")
        while node.reports.next():
            pass
        pass_ms(board, chance.randrange(30))
    assert forged > FRAMES / 3 and board.counter("replayed") >= FRAMES
    assert all(0 <= number <= MAX_NUMBER for number in node.sessions.heard)
