"""The threat model of PROTOCOL.md: no attack of the campaign succeeds, each "cannot" falls with its defence, and what
the model admits is no success."""

import random
import re
import struct
from collections import Counter
from itertools import islice

import pytest

import swarm_fixture as fixture
from faction.node import MAX_NUMBER
from swarm.device.library import BOOTSTRAPPED, COUNTERS, REPORT
from swarm.paths import ROOT
from swarm.sim import invariants
from swarm.sim.attack import campaign, gatherer, run
from swarm.sim.attack.__main__ import main
from swarm.sim.attack.defences import DEFENCES
from swarm.sim.attack.run import BABBLER, GATHERER, KINDS, LIAR, LOOPER, OUTSIDER, AttackRun, is_remote
from swarm.sim.attack.truth import Truth
from swarm.sim.campaign import cores
from swarm.sim.plan import Options
from swarm.sim.run import Run
from swarm_fixture import SERIES, Board, Swarm

SEEDS = (*range(1, 41), 3709)  # `make adversary` tries many more; in the last one a clock is late
BOUND = 250  # seeds in which the lack of a defence must show
TELLING = (22, 23, 49, 122, 123, 131, 878, 6301)  # seeds in which that of many does, tried before the others
CRASHES = ("length", "offset-range", "by-member")  # what they prevent is an exception, or growth
TABLES = {"cannot": (OUTSIDER,), "insider cannot": (LIAR,), "wrong cannot": (BABBLER, LOOPER, GATHERER)}
TEXT = (ROOT / "PROTOCOL.md").read_text()


def rows(table):
    """What each row of a table says cannot be done, and the names in its last column."""
    (found,) = re.findall(rf"^<!-- {table} -->\n(.*?)^<!-- /{table} -->$", TEXT, re.MULTILINE | re.DOTALL)
    cells = [line.strip("|").split("|") for line in found.splitlines()[2:]]
    return [(row[0].strip(), re.findall(r"`([\w-]+)`", row[-1])) for row in cells]


# The campaign


def test_no_attack_succeeds():
    found = list(campaign.attacks(SEEDS, cores()))
    assert [outcome.seed for outcome in found] == list(SEEDS)
    assert not [outcome.words for outcome in found if outcome.words], "see python -m swarm.sim.attack --seed"
    assert {outcome.kind for outcome in found} == set(KINDS)
    tried = sum((outcome.tried for outcome in found), Counter())
    for what in ("carried", "delayed", "foreign", "forged", "lies", "replayed", "shadowed", "split", "withheld"):
        assert tried[what] > 3, f"{what}: {tried}"


# Of each defence one kind of attacker; the others are long.
@pytest.mark.parametrize(
    "name, kind",
    [
        pytest.param(name, kind, marks=[pytest.mark.long] if kind != one.against[0] else [])
        for name, one in DEFENCES.items()
        for kind in one.against
    ],
)
def test_taking_a_defence_out_lets_attacks_succeed(name, kind):
    seeds = [seed for seed in TELLING if campaign.kind_of(seed) == kind]
    seeds += islice(campaign.seeds_of(kind), BOUND)
    outcomes = (campaign.attack(seed, name) for seed in seeds)
    words = next((outcome.words for outcome in outcomes if outcome.words), [])
    # A node that merely fails, or is built otherwise, would be caught without any attack.
    trivial = () if name in CRASHES else (invariants.EXCEPTION, invariants.GROWS)
    assert [one for one in words if not one.startswith(trivial)], f"{name} is missed by none of {seeds}: {words}"


@pytest.mark.long
def test_attacks_reach_every_check():
    counted = Counter()
    for seed in islice(campaign.seeds_of(OUTSIDER), 20):
        run = AttackRun(seed)
        run.run()
        for board in run.boards:
            if board.node:
                counted.update(dict(zip(COUNTERS, board.node.counters, strict=True)))
    for name in ("malformed", "foreign", "misfit", "non_member", "impossible", "forged", "replayed", "stale",
                 "unproved", "own", "restarts"):  # fmt: skip
        assert counted[name] > 0, name


@pytest.mark.long
def test_attacks_reach_rounds_and_reports():
    """Records are gathered while it is tried to replay and to change them, so that the judge has something to judge."""
    gathered = reports = rounds = 0
    for seed in islice(filter(is_remote, campaign.seeds_of(OUTSIDER)), 12):
        run = AttackRun(seed)
        result = run.run()
        gathered += result.records.gathered
        rounds += max((board.node.rounds.number for board in run.boards if board.on), default=0)
        reports += sum(frame[0] == REPORT for frame, _ in run.attacker._frames)
    assert gathered > 20 and reports > 100 and rounds > 20


def test_nodes_without_rounds_play_the_same_seed_without():
    seed = next(filter(is_remote, campaign.seeds_of(OUTSIDER)))
    assert AttackRun(seed).records and not AttackRun(seed, DEFENCES["tag"].node_class).records
    assert not AttackRun(next(campaign.seeds_of(LIAR)), DEFENCES["own-round"].node_class).records


def test_a_false_gatherer_keeps_nobody_from_sampling():
    for seed in islice(campaign.seeds_of(GATHERER), 4):
        run = AttackRun(seed)
        result = run.run()
        assert not result.words, result.words
        assert run.insider.node.reports.asked.number > 50, "it has asked"
        assert all(board.sampled_at is not None for board in run._expected())


def test_a_sample_may_follow_an_aim_that_goes_back_after_a_move_to_later():
    assert not campaign.attack(5945).words  # delayed frames move a node by 21 ms, and the first on time its aim by 5


def test_a_seed_is_an_attack_again():
    assert campaign.attack(7) == campaign.attack(7)
    assert campaign.attack(7).tried != campaign.attack(9).tried


# The document


@pytest.mark.parametrize("table", TABLES)
def test_each_cannot_names_what_it_rests_on(table):
    assert len(rows(table)) > 1
    for sentence, names in rows(table):
        assert names, f"{sentence}: no defence"
        for name in names:
            if name not in globals():
                assert set(DEFENCES[name].against) & set(TABLES[table]), f"{sentence}: {name} is not tried against it"


def test_each_defence_stands_in_the_document():
    for table, kinds in TABLES.items():
        named = {name for _, names in rows(table) for name in names if name in DEFENCES}
        assert named == {name for name, one in DEFENCES.items() if set(one.against) & set(kinds)}


def test_what_the_document_says_of_members_gone_wrong_is_what_is_tried():
    said = " ".join(TEXT.split())
    low, high = (us / 1_000_000 for us in run._UP_US)
    assert f"is up for {low} to {high} s and becomes ready in half of that" in said
    assert run._BABBLE == 4 and "it talks four times in each Imin" in said
    assert gatherer._EACH == 4 and "it says four times in each Imin that it gathers" in said
    assert f"swarms of the real node, {campaign.SEEDS:,} of them" in said


def test_a_frame_holds_nothing_of_the_key_but_its_tag():
    said = []
    for key in (bytes(16), bytes(range(16)), b"\xff" * 16):
        board = Board(Swarm(range(1, 6), 3, key=key), 3, 40)
        board.complete()
        board.pass_ms(20)
        while not (frame := board.poll()):
            board.true_us += 1000
        said.append(frame)
    assert len({frame[:-8] for frame in said}) == 1 and len({frame[-8:] for frame in said}) == 3


IN_ROUNDS = Swarm(range(1, 11), 2, period_ms=10_000, round_ms=30_000)
LIE_SEED = 20261129


def in_a_round(gathers):
    """A board in the first round of its swarm, to which two members' sessions are live."""
    board = Board(IN_ROUNDS, 3, 40, gather=gathers)
    for member in (2, 4):
        board.prove(member, 5, 100, heard=IN_ROUNDS.members)
    board.complete()
    board.hear(IN_ROUNDS.frame(2, 5, 101, heard=IN_ROUNDS.members, ready=(2, 4), offset_us=1000, series=SERIES, mark=0))
    while board.node.rounds.number < 0:
        board.true_us += 1000
        board.poll()
    return board


def test_a_lie_takes_nobody_out_of_a_round():
    board = in_a_round(False)
    clock, rounds = board.node.first_sample, board.node.rounds
    chance = random.Random(LIE_SEED)
    present = set()
    for sequence in range(102, 202):
        said = set(chance.sample(IN_ROUNDS.members, chance.randrange(11)))
        mark = clock.mark + chance.choice((0, 0, 3, 1000))
        board.hear(
            IN_ROUNDS.frame(2, 5, sequence, heard=IN_ROUNDS.members, ready=(2, 4), series=SERIES, mark=mark,
                            offset_us=clock._instant_us - board.now[1], present=said)
        )  # fmt: skip
        assert rounds.number == 0 and board.counter("received") == sequence - 98
        assert present <= board.swarm.ids(rounds.present), f"seed {LIE_SEED}, frame {sequence}"
        present = board.swarm.ids(rounds.present)
    assert present == set(IN_ROUNDS.members)


def held_true(node):
    """What a node knows besides reports."""
    clock, rounds = node.first_sample, node.rounds
    parts = (node.knowledge, node.machine, clock, rounds, node.trickle)
    return [
        bytes(value) if isinstance(value, bytearray) else value
        for part in parts
        for value in vars(part).values()
        if isinstance(value, (int, bytearray))
    ] + [bytes(node.sessions.live), node.sample_due]


@pytest.mark.parametrize("gathers", (False, True))
def test_a_lie_in_a_report_is_about_reports_alone(gathers):
    board = in_a_round(gathers)
    node = board.node
    chance = random.Random(LIE_SEED)
    for sequence in range(102, 502):
        member = chance.choice(IN_ROUNDS.members)
        number = chance.choice((0, 1, 2, 5, MAX_NUMBER))
        parts = [
            fixture.question(number, chance.choice(IN_ROUNDS.members), chance.choice(IN_ROUNDS.members), 1, number),
            fixture.beat(IN_ROUNDS, number, *chance.sample(IN_ROUNDS.members, chance.randrange(11))),
            fixture.record(chance.choice(IN_ROUNDS.members), number, b"21.5", 5, series=chance.choice((0, SERIES))),
        ]
        text = fixture.text(*parts, gathered=number, beats=1, asks=True)
        node.tick(*board.now)
        before, counted = held_true(node), board.counter("received")
        board.hear(fixture.sealed(IN_ROUNDS, member, sequence, text))
        assert board.counter("received") - counted == (member in (2, 4)), "a report proves no session"
        assert held_true(node) == before, f"seed {LIE_SEED}, report {sequence}"


# What the model admits is no success, and only that


class Scripted(Run):
    """Two members, both required, and somebody who keeps the second's frames from the first: nothing is drawn.

    The second is ready, loses power, and comes back unready; the first, who has heard nothing of that, is then given
    the old frame that says READY, and becomes ready itself. hears_back: it has heard the second come back before that;
    after_ms: when it is given the frame.
    """

    def __init__(self, hears_back, after_ms=400):
        self.hears_back = hears_back
        self.after_ms = after_ms
        self.said = []
        super().__init__(Options(board="ideal", nodes=(2, 2), hidden_wait_ms=0, stamp_us=1, ppm=0), 1)

    def _build(self):
        self.checks = Truth(self.kernel, self.plan, self.imin_ms)
        self.plan.absent = {0, 1}
        super()._build()
        self.radio.weather, self.weather = self, self.radio.weather
        first, second = self.boards
        at = self.kernel.at
        at(0, first.boot, 600_000)
        at(0, second.boot, 200_000)
        at(300_000, second.power_off)
        at(310_000, second.boot, None)
        at(1000 * self.after_ms, self.give)
        self.plan.settled_us = 700_000

    def arrive(self, medium, sender, hearer, sent):
        """READY frames and, unless they are to be heard, those after the reboot are kept from the first."""
        second = sender is self.boards[1]
        if second and sent.frame[0] == 0x22:
            self.said.append(sent)
        elif not second or self.kernel.now < 300_000 or self.hears_back:
            self.weather.arrive(medium, sender, hearer, sent)

    def give(self):
        """Play the last kept frame to the first, twice."""
        for _ in range(2):
            self.boards[0].hear(self.radio, self.said[-1].frame, self.said[-1].payload)


def counter(board, name):
    return board.node.counters[COUNTERS.index(name)]


def test_a_withheld_frame_may_count_once():
    run = Scripted(hears_back=False)
    result = run.run()
    assert run.boards[0].node.machine.state == BOOTSTRAPPED
    assert not result.words, "that is among what an attacker can do"
    assert counter(run.boards[0], "replayed") >= 1


def test_it_may_not_once_the_next_session_has_been_heard():
    run = Scripted(hears_back=True)
    result = run.run()
    assert run.boards[0].node.machine.state != BOOTSTRAPPED
    assert not result.words and counter(run.boards[0], "stale") == 2


def test_what_it_brought_is_forgotten_when_the_next_session_is_heard():
    run = Scripted(hears_back=False)
    run.kernel.at(500_000, setattr, run, "hears_back", True)
    result = run.run()
    assert run.boards[0].node.machine.state != BOOTSTRAPPED
    assert not result.words and run.boards[0].node.knowledge.generation == 1


def test_a_judge_that_is_told_otherwise_objects():
    """The same frame, said to be made before the first has booted, must not count: so the judge does look."""
    run = Scripted(hears_back=False)
    run.kernel.at(390_000, lambda: setattr(run.said[-1].payload, "made_us", -1))
    result = run.run()
    assert any("a recorded frame changed what it knows" in words for words in result.words)


# The command


def test_the_command_prints_one_line(capsys):
    assert main(["--seeds", "4", "--seed", "11", "--jobs", "1"]) == 0
    (line,) = capsys.readouterr().out.splitlines()
    assert re.fullmatch(r"adversary: 4 seeds \(.+\), [\d,]+ attacks \(.+\), 0 successes, \d+ s", line), line


def test_a_success_is_told_with_how_to_see_it_again(capsys):
    assert main(["--seeds", "8", "--without", "tag"]) == 1
    said = capsys.readouterr().out
    again = re.search(r"again: python -m swarm.sim.attack (--seed \d+ --without tag)", said)
    assert "successes" in said and again
    assert main(again[1].split()) == 1
    assert "at " in capsys.readouterr().out


def test_one_seed_is_shown_as_a_timeline(capsys):
    seed = next(campaign.seeds_of(OUTSIDER))
    assert main(["--seed", str(seed)]) == 0
    said = capsys.readouterr().out
    assert "boots: session" in said and re.search(r"^outsider: .*\d+ withheld", said, re.MULTILINE)


@pytest.mark.parametrize("words", (["--without", "prayer"], ["--seeds", "0"], ["--jobs", "none"]))
def test_wrong_use_is_2(words, capsys):
    with pytest.raises(SystemExit) as stop:
        main(words)
    assert stop.value.code == 2 and words[1] in capsys.readouterr().err


def test_an_offset_of_the_attacker_is_in_the_frame_where_the_document_says():
    """The forger writes fields by their places: a sealed lie must be what it is meant to be."""
    run = AttackRun(next(campaign.seeds_of(LIAR)))
    run.boards[0].boot(None)
    frames = [run.attacker._liar.lie(run.boards[0], {}) for _ in range(400)]
    node = run.boards[0].node
    verdicts = Counter()
    for frame, valid in frames:
        verdict = node.frame.decode(frame, len(frame))
        assert (verdict == 0) == valid, COUNTERS[verdict]
        verdicts[COUNTERS[verdict]] += 1
        if valid and node.frame.flags & 2:
            assert node.frame.offset_us in (struct.unpack_from("<i", frame, 20)[0], (1 << 30) - 1)
    for name in ("received", "malformed", "foreign", "misfit", "non_member", "impossible"):
        assert verdicts[name], name
