"""The model checker meets what it should, finds the real nodes faultless, and catches each rule that is taken out."""

import re
from dataclasses import replace
from functools import partial

import pytest

from requirements import cases
from swarm.device.library import BOOTSTRAPPED, PARTICIPATION_OBSERVED, Echoes, Knowledge, Node, Sessions, altered
from swarm.proof.model import __main__ as check
from swarm.proof.model.end import ROUNDS, STRANDED
from swarm.proof.model.keeper import SCRATCH
from swarm.proof.model.node import Member
from swarm.proof.model.properties import (
    ADOPTION,
    BITS_FALL,
    CONCLUSION_CHANGES,
    CONFLICT,
    COUNTING,
    EXCEPTION,
    FALSE_CONCLUSION,
    GENERATION_FALLS,
    GROWS,
    INSTANT,
    OLD_FRAME,
    ONCE,
    OWN_READINESS,
    REBOOT_COUNTS,
    REFUSED,
    UNPROVED,
    Violation,
)
from swarm.proof.model.search import Bounds, Search


class Trusting(Node):
    """Takes any session for live: the session proof is gone."""

    def start(self, now, now_us):
        has_echo = self.frame.has_echo
        self.frame.has_echo = lambda buffer, member_id, session: (
            member_id == self.machine.peer_id or has_echo(buffer, member_id, session)
        )
        super().start(now, now_us)


class Gullible(Sessions):
    """Takes the word of who is not proved itself for it that others are alive."""

    def prove(self, buffer, sent_us):
        self.take(buffer, 1)
        return super().prove(buffer, sent_us)


class Guarantor(Node):
    """Vouches for each session that it has heard."""

    def start(self, now, now_us):
        put_echo = self.frame.put_echo
        self.frame.put_echo = lambda buffer, live, member_id, session: put_echo(buffer, 1, member_id, session)
        super().start(now, now_us)


class Forgiving(Sessions):
    """Takes a lower session for as good as a higher: the order of sessions is gone."""

    def old(self):
        at = 3 * self._frame.sender
        if self.heard[at] > self._frame.session:
            self.heard[at] = self._frame.session
            self.heard[at + 1] = 0
        return super().old()


class Repeating(Sessions):
    """Takes a frame as often as it comes: the order of sequences is gone."""

    def old(self):
        self.heard[3 * self._frame.sender + 1] = 0
        return super().old()


class Unmoved(Knowledge):
    """Begins no new generation when a PING shows that a ready member has rebooted."""

    def doubt(self, i):
        bitmaps = bytes(self.bitmaps)
        self.bitmaps[self._width :] = bytes(self._width)
        super().doubt(i)
        self.bitmaps[:] = bitmaps


class Undoubting(Knowledge):
    """Believes others about a member that has rebooted."""

    def _stale(self, buffer, i):
        return 0


class Agreeable(Knowledge):
    """Does not contradict who says that it is ready."""

    def contradicts(self, buffer):
        said = bytearray(buffer)
        said[24 + self._width + (self.me >> 3)] &= ~(1 << (self.me & 7))
        return super().contradicts(said)


class Clinging(Knowledge):
    """Keeps what it knows when it adopts a newer generation."""

    def start_over(self, generation):
        known = bytes(self.bitmaps)
        super().start_over(generation)
        if generation == self._frame.generation:
            for i in range(len(known)):
                self.bitmaps[i] |= known[i]


class Stuck(Knowledge):
    """Ignores newer generations."""

    def start_over(self, generation):
        super().start_over(self.generation)


class Silent(Node):
    """Falls silent when it concludes, as in the published protocol."""

    def poll(self, now, now_us, buffer):
        return 0 if self.machine.state == BOOTSTRAPPED else super().poll(now, now_us, buffer)


class Deaf(Echoes):
    """Never echoes, so that nobody is proved to it or by it."""

    def owe(self, member):
        pass


class Hasty(Node):
    """Concludes as soon as anybody is ready."""

    def _settle(self):
        if any(self.machine.collecting):
            self.machine.state = BOOTSTRAPPED
        super()._settle()


class Unready(Knowledge):
    """Concludes when enough others are ready, whether it is or not."""

    def merge(self, buffer):
        super().merge(buffer)
        if self.machine.collecting_count >= self.machine.required_count:
            self.machine.state = BOOTSTRAPPED


class Optimist(Knowledge):
    """Counts whoever takes part as ready."""

    def _feed(self, at, bits):
        super()._feed(at % self._width + self._width, bits)


class Fickle(Node):
    """Gives its conclusion up when it hears a frame."""

    def _hear(self, buffer, sent_us):
        super()._hear(buffer, sent_us)
        if self._concluded:
            self.machine.reset()
            self.machine.process(PARTICIPATION_OBSERVED, self.machine.peer_id)


class Forgetful(Knowledge):
    """Keeps what the last frame said, and not what those before it did."""

    def merge(self, buffer):
        for i in range(len(self.bitmaps)):
            self.bitmaps[i] = 0
        self.add_own()
        self._news = 0
        super().merge(buffer)


class Backward(Node):
    """Adopts older generations as it does newer ones."""

    def _hear(self, buffer, sent_us):
        if self.frame.generation < self.knowledge.generation:
            self.knowledge.start_over(self.frame.generation)
        super()._hear(buffer, sent_us)


class Clashing(Node):
    """Takes any old frame of its own for one of a second board."""

    def _hear(self, buffer, sent_us):
        super()._hear(buffer, sent_us)
        self.conflict = self.frame.sender == self.knowledge.me


class Suspicious(Node):
    """Computes another tag than the others do, when it is ready."""

    def _build(self, buffer):
        length = super()._build(buffer)
        buffer[length - 1] ^= self.ready()
        return length


class Leaderless(Node):
    """Names no instant."""

    def _settle(self):
        self.first_sample.known = True
        super()._settle()
        self.first_sample.known = False


class Credulous(Sessions):
    """Learns who takes part from frames that nothing has proved."""

    def prove(self, buffer, sent_us):
        self._knowledge.bitmaps[0] |= 1 << self._frame.sender
        return super().prove(buffer, sent_us)


class Hoarder(Node):
    """Remembers every frame."""

    def _hear(self, buffer, sent_us):
        super()._hear(buffer, sent_us)
        self.knowledge._doubted.append(0)


class Fragile(Echoes):
    """Fails when it is to owe an echo."""

    def owe(self, member):
        self.owed[len(self.owed)] = member


PAIR = Bounds(nodes=2, required=2, speaks=2, reboots=0)
REBOOT = Bounds(nodes=2, required=2, speaks=2, reboots=1, flight=2, rebooting=(2,))
THREE = Bounds(nodes=3, required=2, speaks=1, reboots=0, flight=1)
TALK_OF_THREE = Bounds(nodes=3, required=2, speaks=2, reboots=0, flight=1)
LATE_THIRD = Bounds(nodes=3, required=2, speaks=1, reboots=1, flight=2, rebooting=(3,))
ONCE_OF_THREE = Bounds(nodes=3, required=3, speaks=1, reboots=1, flight=1, rebooting=(1,), settled=(1, 2, 3))
TWICE = Bounds(nodes=3, required=3, speaks=2, reboots=2, flight=1, rebooting=(1, 3), settled=(1, 2, 3))
RULES = (
    (Trusting, REBOOT, OLD_FRAME),
    (altered(sessions=Gullible), TALK_OF_THREE, UNPROVED),
    (Guarantor, LATE_THIRD, OLD_FRAME),
    (altered(sessions=Forgiving), REBOOT, ONCE),
    (altered(sessions=Repeating), PAIR, ONCE),
    (altered(knowledge=Unmoved), REBOOT, REBOOT_COUNTS),
    (altered(knowledge=Undoubting), TWICE, REBOOT_COUNTS),
    (altered(knowledge=Agreeable), REBOOT, OWN_READINESS),
    (altered(knowledge=Clinging), ONCE_OF_THREE, ADOPTION),
    (altered(knowledge=Stuck), REBOOT, BITS_FALL),
    (Backward, REBOOT, GENERATION_FALLS),
    (Silent, PAIR, STRANDED),
    (altered(echoes=Deaf), PAIR, STRANDED),
    (Hasty, PAIR, FALSE_CONCLUSION),
    (altered(knowledge=Unready), THREE, FALSE_CONCLUSION),
    (altered(knowledge=Optimist), PAIR, COUNTING),
    (Fickle, PAIR, CONCLUSION_CHANGES),
    (altered(knowledge=Forgetful), THREE, BITS_FALL),
    (Clashing, PAIR, CONFLICT),
    (Suspicious, PAIR, REFUSED),
    (Leaderless, PAIR, INSTANT),
    (altered(sessions=Credulous), PAIR, UNPROVED),
    (Hoarder, PAIR, GROWS),
    (altered(echoes=Fragile), PAIR, EXCEPTION),
)


LONG = ("Undoubting", "Agreeable")  # are found late


@pytest.mark.parametrize("node_class, bounds, broken", cases({rule[0].__name__: rule for rule in RULES}, LONG))
def test_a_rule_that_is_taken_out_is_missed(node_class, bounds, broken):
    found = Search(bounds, node_class).run()
    assert found.violation, found
    assert found.violation.broken == broken, check.explain(found)


def test_the_shortest_way_to_a_violation_is_told():
    found = Search(REBOOT, Trusting).run()
    lines = check.explain(found).splitlines()
    assert lines[0].startswith(f"broken: {OLD_FRAME}: it changed node 2's")
    assert "bitmaps" in lines[0]
    assert lines[1:] == [
        "1. node 1 speaks node 1's PING 1.1: generation 0, takes part {1}, ready {}",
        "2. node 2 reboots",
        "  node 1 is Pinging in session 1, not ready; knows generation 0, takes part {1}, ready {}",
        "  node 2 is Pinging in session 2, not ready; knows generation 0, takes part {2}, ready {}",
        "then node 2 hears node 1's PING 1.1: generation 0, takes part {1}, ready {}",
    ]


def test_a_swarm_that_never_agrees_is_told_with_what_it_said():
    found = Search(PAIR, Silent).run()
    lines = check.explain(found).splitlines()
    end = lines.index("Then the faults end; all hear all:")
    assert lines[end + 1].startswith("- node 1 speaks") or lines[end + 1].startswith("- node 2 speaks")
    assert sum(": generation" in line for line in lines[end:]) >= ROUNDS, "who still speaks is heard to the end"
    assert {line.split(" in session")[0] for line in lines[-2:]} == {
        "  node 1 is Bootstrapped",
        "  node 2 is Collecting",
    }


# Of the real nodes: the least that a search within these bounds has to meet, and that it meets nothing wrong.


@pytest.mark.parametrize(
    "bounds, states, ends, depth",
    (
        (PAIR, 3000, 600, 11),
        (Bounds(nodes=2, required=2, speaks=2, reboots=1, flight=1), 9000, 2500, 16),
        (Bounds(nodes=2, required=1, speaks=1, reboots=0, deadlines=1), 500, 200, 9),
        pytest.param(
            Bounds(nodes=2, required=2, speaks=1, reboots=1, flight=2, deadlines=1, retry=False),
            *(20_000, 2500, 12),
            marks=pytest.mark.long,
        ),
        (ONCE_OF_THREE, 1000, 500, 11),
        pytest.param(
            Bounds(nodes=3, required=2, speaks=1, reboots=1, flight=1, rebooting=(1,), settled=(1,)),
            *(20_000, 10_000, 15),
            marks=pytest.mark.long,
        ),
    ),
    ids=str,
)
def test_the_real_nodes_break_nothing(bounds, states, ends, depth):
    found = Search(bounds).run()
    assert not found.violation, check.explain(found)
    assert (found.states >= states, found.ends >= ends, found.depth >= depth) == (True, True, True), found
    assert 1 <= found.rounds <= 6, found


@pytest.mark.parametrize("bounds", (PAIR, pytest.param(replace(REBOOT, flight=1), marks=pytest.mark.long)), ids=str)
def test_what_is_left_out_of_a_state_does_not_matter(bounds):
    class Scrambled(Node):
        """Begins each call with nonsense in all that a state leaves out."""

        def _enter(self, now, now_us):
            for part in (self, self.knowledge, self.sessions, self.first_sample):
                for name in SCRATCH & vars(part).keys() - {"counters", "_busy"}:
                    setattr(part, name, 77)
            self.frame.ready = True
            self.frame.flags = self.frame.echo_count = self.frame.sender = self.frame.session = 1
            self.frame.sequence = self.frame.generation = self.frame.offset_us = 99
            super()._enter(now, now_us)

    real, scrambled = Search(bounds).run(), Search(bounds, Scrambled).run()
    assert not scrambled.violation, check.explain(scrambled)
    assert real == replace(scrambled, violation=real.violation)


def test_a_state_is_restored_whole():
    member = Member(0, 2, 2, True, Node, {})
    other = Member(1, 2, 2, True, Node, {})
    fresh = member.boot(1)
    _, said = other.speak(other.complete(other.boot(1)))
    heard, _ = member.hear(fresh, said)
    assert member.value(heard, "echoes.owed") == bytes((2,))
    again, frame = member.speak(heard)
    assert frame.data[1] >> 4 == 1, "it echoes what it heard"
    assert member.speak(fresh)[1].data[1] >> 4 == 0, "and not from a state before that"
    assert member.speak(heard) == (again, frame)


def test_an_attribute_that_cannot_be_kept_is_refused():
    class Listing(Node):
        def start(self, now, now_us):
            super().start(now, now_us)
            self.heard_from = []

    with pytest.raises(TypeError, match="heard_from: teach Keeper"):
        Member(0, 2, 2, True, Listing, {})


def test_an_attribute_that_is_new_is_kept():
    class Counting(Node):
        def start(self, now, now_us):
            super().start(now, now_us)
            self.frames_heard = 0

        def _hear(self, buffer, sent_us):
            super()._hear(buffer, sent_us)
            self.frames_heard += 1

    member = Member(0, 2, 2, True, Counting, {})
    other = Member(1, 2, 2, True, Counting, {})
    with pytest.raises(Violation, match="an unproved frame changes nothing: it changed node 1's frames_heard"):
        member.hear(member.boot(1), other.speak(other.boot(1))[1])


def test_more_members_than_a_byte_holds_are_refused():
    with pytest.raises(ValueError, match="9 members: at most 8"):
        Member(0, 9, 2, True, Node, {})


def test_the_command(monkeypatch, capsys):
    monkeypatch.setattr(check, "CONFIGURATIONS", (PAIR, REBOOT))
    monkeypatch.setattr(check, "PROGRESS_S", 0)
    assert check.main(["--only", "1"]) == 0
    out, _ = capsys.readouterr()
    assert re.fullmatch(
        r"2 nodes, required 2, 2 frames a life, 0 reboots: \d+ states, \d+ transitions, depth \d+, 0 violations, "
        r"liveness checked from \d+ states, which took \d rounds at most\n",
        out,
    )
    monkeypatch.setattr(check, "Search", partial(Search, node_class=Trusting))
    assert check.main([]) == 1
    out, progress = capsys.readouterr()
    assert [line.split(":")[0] for line in out.splitlines()[:3]] == [str(PAIR), str(REBOOT), "broken"]
    assert "states" in progress
    with pytest.raises(SystemExit) as wrong:
        check.main(["--only", "3"])
    assert wrong.value.code == 2


def test_the_full_check_covers_what_it_should():
    covered = [bounds for bounds in check.CONFIGURATIONS if isinstance(bounds, Bounds)]
    assert {(bounds.nodes, bool(bounds.reboots)) for bounds in covered} == {
        (2, False),
        (2, True),
        (3, False),
        (3, True),
    }
    assert any(bounds.reboots >= 2 for bounds in covered if bounds.nodes == 3)
    assert {bounds.retry for bounds in covered if bounds.deadlines} == {False, True}
    assert any(bounds.required < bounds.nodes for bounds in covered)
