"""What a board tells of who is lost: one line for each change, and the facts of the status."""

from types import SimpleNamespace

import pytest

import swarm.device.library  # noqa: F401 - makes the library importable
from faction.remote.presence import Presence

IDS = (1, 3, 7, 9, 20, 21, 22, 23, 300)
ROUND_MS = 30_000


class Rounds:
    """Rounds, as far as a board's Presence asks them. silence: seconds by position."""

    number, marks, changes = 4, 3, 0

    def __init__(self):
        self.lost = bytearray(2)
        self.silence = [0] * len(IDS)

    def is_lost(self, i):
        return self.lost[i >> 3] >> (i & 7) & 1

    def is_present(self, i):
        return self.silence[i] == 0

    def silence_s(self, i, now_us):
        return self.silence[i]

    def lose(self, *ids, silence=65):
        for one in ids:
            i = IDS.index(one)
            self.lost[i >> 3] |= 1 << (i & 7)
            self.silence[i] = silence
        self.changes += len(ids)

    def find(self, *ids):
        for one in ids:
            i = IDS.index(one)
            self.lost[i >> 3] &= ~(1 << (i & 7))
            self.silence[i] = 0
        self.changes += len(ids)


@pytest.fixture
def app():
    said = []
    first = SimpleNamespace(mark_us=10_000_000)
    node = SimpleNamespace(rounds=Rounds(), machine=SimpleNamespace(ids=IDS), first_sample=first)
    app = SimpleNamespace(node=node, said=said, say=said.append, presence=None)
    Presence(app, 10_000)
    return app


def test_who_is_lost_is_said_once_with_how_long_it_was_not_heard(app):
    app.node.rounds.lose(7, 300)
    app.node.rounds.lose(9, silence=None)
    app.presence.tick()
    app.presence.tick()
    assert app.said == ["lost 7 (not heard for 65 s), 9 (never heard), 300 (not heard for 65 s)"]


def test_who_is_back_is_said_once_and_who_is_lost_as_well_is_not_said_again(app):
    app.node.rounds.lose(7, 9)
    app.presence.tick()
    app.node.rounds.find(9)
    app.node.rounds.lose(21)
    app.presence.tick()
    assert app.said[1:] == ["lost 21 (not heard for 65 s)", "back 9"]
    app.node.rounds.find(7, 21)
    app.presence.tick()
    assert app.said[3:] == ["back 7, 21"]


def test_a_member_that_was_lost_and_is_back_between_two_ticks_is_not_spoken_of(app):
    app.node.rounds.lose(7)
    app.node.rounds.find(7)
    app.presence.tick()
    assert app.said == []


def test_the_facts_and_the_words_of_the_status(app):
    app.node.rounds.lose(7)
    app.node.rounds.lose(300, silence=None)
    assert app.presence.facts() == {
        "number": 4,
        "length_ms": ROUND_MS,
        "present": [1, 3, 9, 20, 21, 22, 23],
        "lost": [(7, 65), (300, None)],
    }
    assert app.presence.status() == ["7 (not heard for 65 s)", "300 (never heard)"]
