"""Samples over the air: what a node says, holds, repeats, asks and answers, by a codec that is not the device's."""

import struct

import pytest

import swarm_fixture as fixture
from swarm_fixture import PERIOD, SERIES, VALUE, Board, Swarm, answer, record

P, R = 10_000, 30_000
SWARM = Swarm(range(1, 11), 2, period_ms=P, round_ms=R)
A, SESSION = 3, 40
GATHERER, OTHER, FAR = 2, 4, 7  # members 2 and 4 are heard, 7 is not


def beat(n, *members):
    return fixture.beat(SWARM, n, *members)


def question(number, member, asker=GATHERER, **more):
    return fixture.question(number, member, asker, **more)


def sealed(sender, sequence, said, **more):
    return fixture.sealed(SWARM, sender, sequence, said, **more)


class Talker:
    """A board within a series, and members that talk to it."""

    def __init__(self, gathers=False, us=0):
        board = self.board = Board(SWARM, A, SESSION, us=us, gather=gathers)
        self.sequence = {}
        for member in (GATHERER, OTHER):
            board.prove(member, 5, 100, heard=SWARM.members)
            self.sequence[member] = 101
        board.complete()
        everybody = {"heard": SWARM.members, "ready": (GATHERER, OTHER)}
        board.hear(SWARM.frame(GATHERER, 5, 101, **everybody, offset_us=1000, series=SERIES, mark=0))
        self.pass_s(2.5)
        assert board.node.rounds.number == 0
        self.reports = board.node.reports

    def pass_s(self, seconds, stop=False):
        """Let time pass; what reports the board has sent meanwhile, or with stop the first of them."""
        said = []
        for _ in range(round(seconds * 1000)):
            self.board.true_us += 1000
            frame = self.board.poll()
            if frame and frame[0] == 0x23:
                said.append(fixture.opened(SWARM, frame, A))
                if stop:
                    break
        return said

    def say(self, *parts, sender=GATHERER, gathered=1, beats=0, asks=False):
        """Have a member send a report."""
        self.sequence[sender] += 1
        said = fixture.text(*parts, gathered=gathered, beats=beats, asks=asks)
        self.board.hear(sealed(sender, self.sequence[sender], said))

    def records(self, seconds=2):
        """The records that the board says in that time."""
        return [one for said in self.pass_s(seconds) for one in said["records"]]


@pytest.fixture(params=(0, PERIOD - 4_000_000), ids=("", "wrap"))
def member(request):
    """A board that does not gather, while another does."""
    talker = Talker(us=request.param)
    talker.say()
    talker.pass_s(0.5)
    return talker


@pytest.fixture
def gatherer():
    return Talker(True)


# A member


def test_nobody_says_a_record_while_nobody_gathers():
    talker = Talker()
    talker.reports.put(0, SESSION, 5, VALUE)
    assert not talker.pass_s(5)


def test_a_record_is_said_until_it_is_known_to_be_gathered(member):
    member.reports.put(0, SESSION, 5, VALUE)
    mine = record(A, 0, session=SESSION, late_us=5)
    first, *more = member.pass_s(3)
    assert first["records"] == [mine] and len(more) >= 3 and more[-1]["records"] == [mine]
    member.say(beat(0, A), beats=1)
    assert not member.records()


def test_what_has_been_gathered_is_told_to_who_does_not_know_and_only_then(member):
    member.say(beat(0, FAR), beats=1)
    assert {FAR} in [said["beats"][SERIES, 0] for said in member.pass_s(2)]
    member.say(beat(0, FAR), beats=1, sender=OTHER)
    assert not member.pass_s(2)
    member.say(record(FAR, 0), sender=OTHER)
    (said,) = member.pass_s(1)
    assert said["beats"] == {(SERIES, 0): {FAR}} and not said["records"]


def test_what_is_known_of_a_beat_only_grows(member):
    member.say(beat(0, FAR), beats=1)
    member.say(beat(0, OTHER), beats=1, sender=OTHER)
    assert member.pass_s(2)[-1]["beats"] == {(SERIES, 0): {FAR, OTHER}}


def test_a_record_of_another_is_held_and_said_unless_somebody_else_says_it(member):
    theirs = record(FAR, 0)
    member.say(theirs, sender=OTHER)
    assert theirs in member.records(1)
    for _ in range(20):
        member.say(theirs, sender=OTHER)
        assert theirs not in [one for said in member.pass_s(0.03) for one in said["records"]]


def test_who_is_not_believed_adds_nothing(member):
    good = sealed(OTHER, 200, fixture.text(record(FAR, 0)))
    spoilt = bytearray(good)
    spoilt[30] ^= 1
    counts = {}
    for name, frame in {
        "forged": spoilt,
        "unproved": sealed(OTHER, 200, bytes(16), session=6),
        "foreign": b"\x23\x00" + b"none" + good[6:],
        "non_member": good[:6] + b"\xff\xff" + good[8:],
        "impossible": good[:15] + b"\x40" + good[16:],
        "malformed": good[:-1],
        "own": sealed(A, 200, bytes(16)),
    }.items():
        before = member.board.counter(name)
        member.board.hear(frame)
        counts[name] = member.board.counter(name) - before
    assert set(counts.values()) == {1}, counts
    assert not member.records()
    member.board.hear(good)
    assert record(FAR, 0) in member.records()
    before = member.board.counter("replayed")
    member.board.hear(good)
    assert member.board.counter("replayed") == before + 1


def test_no_question_of_its_own_has_a_number_that_takes_memory(gatherer):
    gatherer.reports.ask(OTHER, 1, 0)
    gatherer.say(question((1 << 30) - 1, OTHER), asks=True)
    gatherer.pass_s(3)
    gatherer.reports.ask(OTHER, 1, 0)
    assert gatherer.reports.asked.number == (1 << 30) - 1


@pytest.mark.parametrize("length", range(3))
def test_a_frame_of_next_to_nothing_is_malformed(member, length):
    before = member.board.counter("malformed")
    member.board.hear(b"\x23\x00"[:length])
    assert member.board.counter("malformed") == before + 1


def test_a_value_is_never_in_clear_and_no_two_frames_are_alike(member):
    member.reports.put(0, SESSION, 5, b'"the secret value"')
    frames = []
    for _ in range(3000):
        member.board.true_us += 1000
        frames.append(member.board.poll())
    frames = [frame for frame in frames if frame and frame[0] == 0x23]
    assert len(frames) > 3 and not any(b"secret" in frame for frame in frames)
    blocks = [frame[at : at + 16] for frame in frames for at in range(16, len(frame) - 8, 16)]
    assert len(set(blocks)) == len(blocks)


def test_a_value_too_long_for_a_frame_is_refused_and_the_longest_fits(member):
    room = member.reports.room()
    member.reports.put(0, SESSION, 5, bytes(range(48, 58)) * 20 if room > 200 else b"1" * room)
    assert member.records()[0][17:] == b"1" * room
    with pytest.raises(ValueError, match=f"{room + 1} bytes: a frame holds {room}: return less"):
        member.reports.put(0, SESSION, 5, b"1" * (room + 1))


def test_a_record_that_it_could_not_say_itself_is_not_held(member):
    room = member.reports.room()
    member.say(record(FAR, 0, b"1" * (room + 1)), sender=OTHER)
    member.say(record(FAR, 1, b"1" * room), sender=OTHER)
    assert {one[17:] for one in member.records()} == {b"1" * room}


def test_of_more_than_there_is_room_for_the_oldest_give_way(member):
    for n in range(200):
        member.reports.put(n, SESSION, 5, VALUE)
    said = {struct.unpack_from("<I", one, 5)[0] for one in member.records(5)}
    assert 199 in said and 0 not in said and len(said) > 20


def test_members_of_one_session_speak_at_moments_of_their_own():
    moments = {}
    for member in SWARM.members:
        trickle = Board(SWARM, member, SESSION, gather=False).node.reports.trickle
        for _ in range(4):
            trickle.start(0)
            moments.setdefault(member, []).append(trickle.due)
    for at_once in zip(*moments.values(), strict=True):
        assert len(set(at_once)) > len(at_once) // 2, moments


def test_shortly_before_a_beat_nothing_is_said(member):
    member.reports.put(0, SESSION, 5, VALUE)
    quiet = []
    for _ in range(20_000):
        member.board.true_us += 1000
        frame = member.board.poll()
        if frame and frame[0] == 0x23:
            quiet.append(member.board.node.first_sample.remaining_us(member.board.now[1]))
    assert quiet and all(not 0 < us < 1_249_000 for us in quiet)


def test_who_is_not_heard_any_more_does_not_gather(member):
    member.pass_s(2 * R / 1000)
    member.reports.put(6, SESSION, 5, VALUE)
    assert not member.records(5)


def test_what_nobody_takes_is_said_less_and_less(member):
    member.reports.put(0, SESSION, 5, VALUE)
    first = len(member.records(3))
    later = 0
    for gathered in (1, 2):
        member.say(gathered=gathered)
        later = len(member.records(10))
    assert first > 5 and later < first


# A gatherer


def test_a_gatherer_says_so_in_each_round(gatherer):
    said = gatherer.pass_s(3 * R / 1000)
    assert {one["gathered"] for one in said} >= {2, 3}
    assert len(said) < 20


def test_a_node_waits_no_longer_than_until_its_next_report(gatherer):
    node, now = gatherer.board.node, gatherer.board.now
    assert node.rounds.number >= 0
    for ms in (3, 1):
        node.trickle.due = (now[0] + 5) % (1 << 30)
        node.reports.trickle.due = (now[0] + ms) % (1 << 30)
        assert node.wait_ms(*now) == ms


def test_a_gatherer_takes_each_record_once_and_tells_whose_it_has(gatherer):
    gatherer.say(record(FAR, 0), record(OTHER, 0, b"[1, 2]", 6, -3), sender=OTHER)
    gatherer.say(record(FAR, 0), sender=OTHER)
    assert gatherer.reports.next() == (FAR, SERIES, 0, 5, 7, VALUE)
    assert gatherer.reports.next() == (OTHER, SERIES, 0, 6, -3, b"[1, 2]")
    assert gatherer.reports.next() is None
    assert gatherer.pass_s(1, stop=True)[0]["beats"] == {(SERIES, 0): {FAR, OTHER}}


def test_a_gatherer_takes_no_beat_before_those_that_it_keeps(gatherer):
    for n in range(4, 8):
        gatherer.say(record(FAR, n), sender=OTHER)
    gatherer.say(record(FAR, 3), sender=OTHER)
    assert [gatherer.reports.next()[2] for _ in range(4)] == [4, 5, 6, 7]
    assert gatherer.reports.next() is None
    assert (SERIES, 3) not in gatherer.pass_s(1, stop=True)[0]["beats"]


def test_of_the_beats_that_it_keeps_the_earliest_gives_way(gatherer):
    gatherer.say(beat(7, FAR), beat(4), beat(6), beat(5), beats=4)  # as of a node that heard of them so
    for n in (8, 9, 7, 10):
        gatherer.say(record(FAR, n), sender=OTHER)
    assert [gatherer.reports.next()[2] for _ in range(3)] == [8, 9, 10]
    assert gatherer.reports.next() is None
    assert {n for _, n in gatherer.pass_s(1, stop=True)[0]["beats"]} == {7, 8, 9, 10}


def test_a_record_of_another_series_is_on_flash_alone(member):
    member.reports.put(0, SESSION, 5, VALUE)
    other = fixture.beat(SWARM, 0, A, series=SERIES + 1), record(FAR, 0, series=SERIES + 1)
    member.say(*other, beats=1, sender=OTHER)
    assert set(member.records()) == {record(A, 0, session=SESSION, late_us=5)}


def test_with_another_series_what_was_held_and_known_of_the_last_one_is_forgotten(member):
    member.reports.put(0, SESSION, 5, VALUE)
    member.say(beat(0, OTHER), record(FAR, 1), beats=1, sender=OTHER)
    assert member.records()
    member.board.node.first_sample.series += 1
    assert not member.records()
    member.reports.put(0, SESSION, 5, VALUE)
    said = member.pass_s(1, stop=True)[0]
    assert not said["beats"] and said["records"] == [record(A, 0, session=SESSION, late_us=5, series=SERIES + 1)]


def test_a_gatherer_that_nobody_empties_takes_no_more_and_ceases_to_say_so(gatherer):
    for n in range(60):
        gatherer.say(record(FAR, n), sender=OTHER)
    gathered = {one["gathered"] for one in gatherer.pass_s(3 * R / 1000)}
    assert max(gathered, default=1) == 1
    taken = 0
    while gatherer.reports.next():
        taken += 1
    assert 30 < taken < 60
    assert max(one["gathered"] for one in gatherer.pass_s(R / 1000)) > 1


def test_an_answer_that_nobody_takes_is_no_hindrance_to_gather(gatherer):
    gatherer.say(question(5, A, asker=OTHER), asks=True, sender=OTHER)
    gatherer.reports.answer(4, 200, b"kept")
    for n in range(60):
        gatherer.say(record(FAR, n), sender=OTHER)
        assert gatherer.reports.next()[2] == n


def test_a_node_can_begin_to_gather_and_cease(member):
    member.say(record(FAR, 0), sender=OTHER)
    member.reports.set_gathers(True)
    assert member.reports.next() is None
    member.say(record(FAR, 1), sender=OTHER)
    assert member.reports.next()[2] == 1
    member.reports.set_gathers(False)
    assert member.reports.next() is None


def test_a_gatherer_answers_as_any_other_and_takes_its_answer_for_no_record(gatherer):
    gatherer.say(record(FAR, 0), sender=OTHER)
    gatherer.say(question(5, A, asker=OTHER), asks=True, sender=OTHER)
    gatherer.reports.answer(4, 200, b"kept")
    gatherer.say(record(OTHER, 0), sender=OTHER)
    assert answer(A, 5, OTHER, b"kept", 4, 200) in gatherer.records(1)
    assert [gatherer.reports.next()[0] for _ in range(2)] == [FAR, OTHER]
    assert gatherer.reports.next() is None
    gatherer.say(question(6, OTHER, asker=OTHER), asks=True, sender=OTHER)
    assert not gatherer.records(1)


# Questions


def test_a_question_is_asked_until_it_is_answered(gatherer):
    gatherer.reports.ask(FAR, 1, 77)
    asked = [said["question"] for said in gatherer.pass_s(2)]
    assert len(asked) > 4 and set(asked) == {(1, FAR, A, 1, 77)}
    gatherer.say(answer(FAR, 1, A, b"text", 3, 99), sender=OTHER)
    assert gatherer.reports.next() == (FAR, 0, 1, 3 | A << 16, 99, b"text")
    assert len(gatherer.pass_s(2)) <= 1


def test_an_answer_to_another_under_the_same_number_is_none(gatherer):
    gatherer.reports.ask(FAR, 1, 77)
    gatherer.say(answer(FAR, 1, GATHERER), sender=OTHER)
    assert gatherer.reports.next() is None and gatherer.reports.asked.waits
    gatherer.say(question(2, FAR, asker=OTHER), asks=True, sender=OTHER)
    gatherer.say(answer(FAR, 2, OTHER), sender=OTHER)
    assert gatherer.reports.next() is None and gatherer.reports.asked.waits
    assert gatherer.pass_s(1.5)[-1]["question"] == (3, FAR, A, 1, 77)


def test_the_answer_to_another_under_the_same_number_gives_way(member):
    member.say(question(5, FAR), asks=True)
    to_one, to_the_other = answer(FAR, 5, GATHERER), answer(FAR, 5, OTHER)
    member.say(record(A, 0), to_one, sender=OTHER)  # which stays, and so the answer is not the oldest that is held
    assert to_one in member.records(1)
    member.say(question(5, FAR, asker=OTHER), asks=True, sender=OTHER)
    member.say(to_the_other, sender=OTHER)
    member.say(to_one)
    said = member.records(2)
    assert to_the_other in said and to_one not in said


def test_an_answer_to_an_earlier_question_is_none(gatherer):
    gatherer.reports.ask(FAR, 1, 77)
    gatherer.reports.ask(FAR, 1, 78)
    gatherer.say(answer(FAR, 1, A), sender=OTHER)
    assert gatherer.reports.next() is None


def test_who_is_asked_answers(member):
    assert not member.reports.asked.wanted
    member.say(question(5, A, kind=1, place=30), asks=True)
    assert member.reports.asked.wanted and member.reports.asked.get() == (1, 30)
    assert not member.reports.asked.wanted
    member.reports.answer(4, 200, b"kept")
    assert answer(A, 5, GATHERER, b"kept", 4, 200) in member.records(1)
    member.say(question(6, OTHER), asks=True)
    assert not member.records(1)


def test_another_passes_a_question_on_only_if_nobody_answers(member):
    member.say(question(5, FAR), asks=True)
    assert not member.pass_s(0.15)
    assert member.pass_s(0.6)[0]["question"][0] == 5
    member.say(question(6, FAR), asks=True)
    member.say(answer(FAR, 6, GATHERER), sender=OTHER)
    assert all(said["records"] for said in member.pass_s(0.6))


def test_no_question_is_repeated_at_once_by_who_has_heard_it_asked(member):
    for n in range(5, 25):
        member.say(question(n, FAR), asks=True)
        member.reports.trickle.start(member.board.now[0])  # as news of something else has it do
        assert not member.pass_s(0.148)


def test_who_has_heard_the_answer_repeats_no_question():
    talker = Talker(True)
    talker.pass_s(1)
    talker.say(question(5, FAR), asks=True, gathered=1)
    talker.say(answer(FAR, 5, GATHERER), sender=OTHER)
    assert not talker.pass_s(1)


def test_an_answer_is_passed_on_until_another_question_comes(member):
    member.say(question(5, FAR), asks=True)
    told = answer(FAR, 5, GATHERER)
    member.say(told, sender=OTHER)
    assert told in member.records(1)
    member.say(question(6, GATHERER), asks=True)
    assert told not in member.records(2)


def test_a_gatherer_gives_way_to_anothers_question_and_asks_again(gatherer):
    gatherer.reports.ask(FAR, 1, 77)
    gatherer.say(question(8, OTHER, asker=OTHER), asks=True, sender=OTHER)
    assert {said["question"] for said in gatherer.pass_s(0.9)} == {(8, OTHER, OTHER, 1, 0)}
    assert gatherer.pass_s(1)[-1]["question"] == (9, FAR, A, 1, 77)


def test_of_two_that_ask_each_other_one_answers_and_asks_again(gatherer):
    """Under the same number the question of the asker with the higher id counts."""
    gatherer.reports.ask(OTHER, 1, 77)
    gatherer.say(question(1, A, asker=OTHER), asks=True, sender=OTHER)
    assert gatherer.reports.asked.wanted
    gatherer.reports.answer(4, 200, b"kept")
    said = gatherer.pass_s(0.9)
    assert answer(A, 1, OTHER, b"kept", 4, 200) in said[0]["records"]
    assert {one["question"] for one in said} == {(1, A, OTHER, 1, 0)}
    assert gatherer.pass_s(1)[-1]["question"] == (2, OTHER, A, 1, 77)


def test_of_two_questions_under_one_number_that_of_the_lower_asker_does_not_count(gatherer):
    gatherer.reports.ask(GATHERER, 1, 77)
    gatherer.say(question(1, A, asker=GATHERER), asks=True)
    assert not gatherer.reports.asked.wanted
    assert gatherer.pass_s(0.5)[-1]["question"] == (1, GATHERER, A, 1, 77)


def test_one_that_has_given_way_asks_a_second_later_whatever_else_is_asked(gatherer):
    """A long file is many questions, each above the one before."""
    gatherer.reports.ask(FAR, 1, 77)
    for n in range(8, 18):
        gatherer.say(question(n, FAR, asker=OTHER), asks=True, sender=OTHER)
        gatherer.pass_s(0.09)
    assert gatherer.pass_s(0.5)[-1]["question"] == (18, FAR, A, 1, 77)


def test_who_has_restarted_asks_above_what_the_others_remember(gatherer):
    gatherer.reports.ask(FAR, 1, 77)
    gatherer.say(question(8, FAR, asker=A), asks=True, sender=OTHER)
    assert gatherer.pass_s(0.5)[0]["question"][0] == 9


def test_who_asks_below_what_is_known_is_told(member):
    member.say(question(8, FAR, asker=OTHER), asks=True, sender=OTHER)
    member.pass_s(1)
    member.say(question(2, FAR), asks=True)
    assert [said["question"][0] for said in member.pass_s(1)] == [8]


def test_who_asks_no_more_has_the_last_answer_forgotten(gatherer):
    gatherer.reports.ask(FAR, 1, 77)
    gatherer.reports.cease()
    assert gatherer.pass_s(1)[0]["question"][:3] == (2, A, A)
    assert not gatherer.pass_s(2)


@pytest.mark.parametrize("asked", (FAR, A), ids=("a member", "nobody"))
def test_who_has_restarted_and_asks_nothing_has_what_it_asked_before_forgotten(gatherer, asked):
    gatherer.say(question(8, asked, asker=A), asks=True, sender=OTHER)
    assert not gatherer.reports.asked.wanted
    assert gatherer.pass_s(1, stop=True)[0]["question"][:3] == (9, A, A)
    assert not gatherer.pass_s(2)


def test_who_asks_has_no_other_question_to_answer(gatherer):
    gatherer.say(question(5, A, asker=OTHER), asks=True, sender=OTHER)
    gatherer.reports.ask(FAR, 1, 77)
    assert not gatherer.reports.asked.wanted


@pytest.mark.parametrize("gathers", (False, True))
def test_no_text_of_a_member_does_any_harm(gathers):
    import random

    rng = random.Random(15)
    talker = Talker(gathers)
    for _ in range(400):
        length = 16 * rng.randint(1, 14)
        text = bytearray(rng.randbytes(length))
        if rng.random() < 0.7:
            text[:4] = struct.pack("<I", rng.choice((0, 1, 2)))
        talker.sequence[OTHER] += 1
        talker.board.hear(sealed(OTHER, talker.sequence[OTHER], bytes(text)))
        talker.pass_s(0.01)
        talker.reports.next()
