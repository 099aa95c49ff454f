"""Each invariant of the simulator catches a node that breaks it on purpose, and none accuses the real one."""

import pytest

from requirements import cases
from swarm.device.library import (
    BOOTSTRAPPED,
    INSTANT_FLAG,
    LOCAL_PARTICIPATION_COMPLETED,
    READY_OBSERVED,
    Knowledge,
    Node,
    Reports,
    Rounds,
    Sessions,
    SwarmClock,
    altered,
)
from swarm.sim import invariants
from swarm.sim.kernel import PERIOD
from swarm.sim.plan import Options
from swarm.sim.run import Run
from swarm.sim.series import beats, presence, records


class Gullible(Sessions):
    """Takes a frame's word for it that its sender is alive."""

    def prove(self, buffer, sent_us):
        super().prove(buffer, sent_us)
        return 0


class Hasty(Node):
    """Concludes without being ready itself."""

    def start(self, now, now_us):
        super().start(now, now_us)
        self.machine.process(LOCAL_PARTICIPATION_COMPLETED)


class Optimist(Knowledge):
    """Counts whoever participates as ready."""

    def _feed(self, at, bits):
        super()._feed(at, bits)
        super()._feed(at % self._width + self._width, bits)


class Fickle(Node):
    """Gives its conclusion up after a while."""

    def _hear(self, buffer, sent_us):
        super()._hear(buffer, sent_us)
        if self.machine.state == BOOTSTRAPPED and self.sequence > 20:
            self.machine.reset()


class Forgetful(Node):
    """Forgets a member now and then."""

    def _hear(self, buffer, sent_us):
        super()._hear(buffer, sent_us)
        if self.sequence % 8 == 7:
            self.knowledge.bitmaps[0] &= self.knowledge.bitmaps[0] - 1


class Silent(Node):
    """Falls silent when it concludes, as in the published protocol."""

    def poll(self, now, now_us, buffer):
        length = super().poll(now, now_us, buffer)
        return 0 if self.machine.state == BOOTSTRAPPED else length


class Chatterbox(Node):
    """Speaks again a little after each frame."""

    def poll(self, now, now_us, buffer):
        length = super().poll(now, now_us, buffer)
        if length and self.sequence % 3:
            self.trickle.start(now - 6 & (1 << 30) - 1)
        return length


class Rushed(Node):
    """Has a shorter Imin than anybody agreed to."""

    def start(self, now, now_us):
        self.trickle.imin_ms = 5
        super().start(now, now_us)


class Restless(Node):
    """Lets what tells nothing new hurry it as news does."""

    def start(self, now, now_us):
        reset = self.trickle.reset
        self.trickle.reset = lambda now, news=True: reset(now)
        super().start(now, now_us)


class Eager(Node):
    """Samples when it hears of the instant, not at it."""

    def _settle(self):
        super()._settle()
        if self.machine.state == BOOTSTRAPPED and not self.first_sample.done:
            self.sample_due = True


class Late(Node):
    """Looks at the instant only when something comes in long after it."""

    def _fire(self, late):
        if self.first_sample.known and self.first_sample.remaining_us(self._now_us) < -5000:
            super()._fire(False)


class Stubborn(Node):
    """Keeps its own instant whatever the others say."""

    def _hear(self, buffer, sent_us):
        self.frame.flags &= ~INSTANT_FLAG
        super()._hear(buffer, sent_us)


class Hoarder(Node):
    """Remembers every frame."""

    def _hear(self, buffer, sent_us):
        super()._hear(buffer, sent_us)
        self.knowledge._doubted.append(0)


class Collector(Node):
    """Grows by an attribute with every restart it hears of."""

    def _hear(self, buffer, sent_us):
        super()._hear(buffer, sent_us)
        setattr(self, f"frame_{self.frame.sender}", 1)


class Careless(Node):
    """Does not check tags."""

    def start(self, now, now_us):
        self.frame._cmac.differs = lambda buffer, at: False
        super().start(now, now_us)


class Fragile(Node):
    """Fails on a frame with an echo."""

    def _hear(self, buffer, sent_us):
        if self.frame.echo_count > 1:
            raise IndexError("echo")
        super()._hear(buffer, sent_us)


class Parrot(Node):
    """Believes a member that has been heard before whatever the session."""

    def _hear(self, buffer, sent_us):
        if not self.frame.ready:
            self.machine.process(READY_OBSERVED, self.machine.ids[self.frame.sender])
        super()._hear(buffer, sent_us)


class Repeater(SwarmClock):
    """Samples each beat twice."""

    def advance(self, now_us):
        done = self.done
        speak = super().advance(now_us)
        if done and self.sampled % 2:
            self._last -= 1
            self.mark -= 1
            self._instant_us = (self._instant_us - self.mark_us) % PERIOD
        return speak


class Loner(SwarmClock):
    """Follows nobody once the first sample is taken."""

    def offer(self, theirs_us, now_us, own=False):
        return 0 if self.mark else super().offer(theirs_us, now_us, own)


class Secretive(SwarmClock):
    """Gives way again and again, and does not say so."""

    def _step_us(self, lead_us, now_us):
        return -3000


class Sleeper(SwarmClock):
    """Sleeps through each third beat."""

    def _pass_beat(self, now_us):
        if self.mark % 3 != 2:
            super()._pass_beat(now_us)


class Sentimental(Rounds):
    """Takes the word of rounds that are past for this one."""

    def take(self, buffer, now_us):
        self._frame.mark = self._clock.mark
        self._kept = getattr(self, "_kept", bytearray(len(self.present)))
        differed = super().take(buffer, now_us)
        for i in range(len(self.present)):
            self._kept[i] |= self.present[i]
            self.present[i] |= self._kept[i]
        return differed


class Impatient(Rounds):
    """Misses whoever has not been heard when a round begins."""

    def _begin(self, number, now_us):
        self._look_us = 0
        super()._begin(number, now_us)
        for i in range(len(self.silent)):
            self.silent[i] = 1
        self._looked = False


class Stutterer(Reports):
    """Tells its application each record twice."""

    def next(self):
        again = getattr(self, "_again", None)
        self._again = None if again else super().next()
        return again or self._again


class Taciturn(Reports):
    """Says no record, and answers that there are none."""

    def put(self, n, session, late_us, value):
        pass

    def answer(self, kind, place, value):
        super().answer(kind, place - len(value), b"")


class Garbler(Reports):
    """Tells its application of each record another value."""

    def next(self):
        record = super().next()
        return (*record[:5], b"0") if record and record[1] else record


HOURS = {"period_ms": 10_000, "hours": 0.05, "nodes": (4, 4)}
ROUNDS = {**HOURS, "round_ms": 10_000, "faults": ("death",), "loss": 0}
GATEWAY = {"period_ms": 60_000, "round_ms": 30_000, "hours": 0.1, "nodes": (3, 3), "gateway": True}
CASES = (
    (invariants.FALSE_CONCLUSION, altered(sessions=Gullible), {"faults": ("replay", "absent"), "quorum": 4}),
    (invariants.FALSE_CONCLUSION, Hasty, {"quorum": 1}),
    (invariants.FALSE_CONCLUSION, altered(knowledge=Optimist), {"faults": ("unready",)}),
    (invariants.FALSE_CONCLUSION, Parrot, {"faults": ("unready",)}),
    (invariants.CONCLUSION_CHANGES, Fickle, {}),
    (invariants.COUNTS_FALL, Forgetful, {}),
    (invariants.STRANDED, Silent, {"loss": 0.3}),
    (invariants.TOO_FAST, Chatterbox, {}),
    (invariants.TOO_FAST, Rushed, {}),
    (invariants.TOO_FAST, Restless, {}),
    (invariants.SKEW, Eager, {}),
    (invariants.SKEW, Late, {}),
    (invariants.SKEW, Stubborn, {"loss": 0.3, "topology": "grid"}),
    (invariants.GROWS, Hoarder, {}),
    (invariants.GROWS, Collector, {}),
    (invariants.INVALID, Careless, {"faults": ("corrupt",)}),
    (invariants.INVALID, altered(sessions=Gullible), {"faults": ("replay",)}),
    (invariants.EXCEPTION, Fragile, {}),
    (beats.TWICE, altered(first_sample=Repeater), HOURS),
    (beats.APART, altered(first_sample=Loner), {**HOURS, "hours": 0.03, "ppm": 400}),
    (beats.BACKWARDS, altered(first_sample=Secretive), {**HOURS, "hours": 0.01}),
    (beats.MISSED, altered(first_sample=Sleeper), HOURS),
    (presence.NAMED, altered(rounds=Sentimental), {**ROUNDS, "loss": 0.1}),
    (presence.ALARM, altered(rounds=Impatient), ROUNDS),
    (records.TWICE, altered(reports=Stutterer), {**GATEWAY, "hours": 0.03}),
    (records.LOST, altered(reports=Taciturn), GATEWAY),
    (records.UNTRUE, altered(reports=Garbler), {**GATEWAY, "hours": 0.03}),
)
SEEDS = range(1, 13)


def options(wishes):
    return Options(**{"board": "ideal", "nodes": (8, 8), "loss": 0.1, "boot_spread_ms": 300, **wishes})


BY_NAME = {f"{name}-{broken.__name__}": (name, broken, wishes) for name, broken, wishes in CASES}
SLOW = {f"{beats.APART}-Loner", f"{beats.BACKWARDS}-Secretive"}  # what they break makes a run take 2 s


@pytest.mark.parametrize("name, broken, wishes", cases(BY_NAME, long=SLOW))
def test_breaking_it_on_purpose_is_caught(name, broken, wishes):
    for seed in SEEDS:
        result = Run(options(wishes), seed, node_class=broken).run()
        if result.violations[name]:
            assert any(words.startswith(name) for words in result.words)
            return
    pytest.fail(f"{broken.__name__} went through seeds {SEEDS} without {name}")


def test_every_invariant_has_a_node_that_breaks_it():
    assert {name for name, _, _ in CASES} == set(invariants.NAMES)


@pytest.mark.parametrize("wishes", [wishes for _, _, wishes in CASES], ids=str)
def test_the_real_node_breaks_none(wishes):
    for seed in (1, 2):
        result = Run(options(wishes), seed).run()
        assert not result.words, f"seed {seed}: {result.words}"


@pytest.mark.parametrize("seed", (6391, 6167), ids=("the gateway's", "a member's"))
def test_an_id_that_two_boards_have_is_accused_of_no_record(seed):
    """Both print what they gather, and both have a record of a beat."""
    told = {**GATEWAY, "period_ms": 20_000, "hours": 0.01, "nodes": (2, 10), "topology": "any", "faults": ("mixed",)}
    run = Run(Options(**told, loss=0.1, quorum=0), seed)
    assert run.plan.double and (run.plan.double[0] == 0) == (seed == 6391)
    assert not run.run().words
