"""swarm doctor on what nodes tell of their series: clocks, beats, restarts; digests, and nodes of another version."""

import pytest

from swarm import cli
from swarm.description import project
from swarm.doctor import examination, findings
from swarm.serial import status as status_module

NOW_S = 1_700_000_000.0
PERIOD_MS = 2000
SERIES = {"id": 7, "period_ms": PERIOD_MS, "sampled": 500, "missed": 0, "moves": 0, "moved_us": 0}


@pytest.fixture
def described(tmp_path):
    """A swarm of four."""
    ports = ("a", "b", "c", "d")
    words = ["init", str(tmp_path), "--board", "VIRTUAL", "--open", "--period", str(PERIOD_MS), "--ports", *ports]
    assert cli.main(words) == 0
    return project.load(tmp_path / "swarm.toml")


def status(described, node, at_s=NOW_S, late_s=0.0, sample=None, **series):
    """What a node tells at that time, whose clock is so late; beat 0 was 1000 s before NOW_S."""
    since_us = round((at_s - NOW_S + 1000 - late_s) * 1e6)
    beat = since_us // (PERIOD_MS * 1000) + 1
    return {
        "swarm": described.name,
        "node": node,
        "digest": described.digest(),
        "open": True,
        "session": 1,
        "state": "Bootstrapped",
        "heard": described.ids,
        "ready": described.ids,
        "missing": [],
        "required": described.required,
        "generation": 1,
        "restarts": 0,
        "timeouts": 0,
        "conflict": False,
        "instant_in_us": 0,
        "sample": {"node": node, "late_us": 5, "value": 1, "late": False, **(sample or {})},
        "series": {**SERIES, "beat": beat, "beat_in_us": beat * PERIOD_MS * 1000 - since_us, **series},
        "counters": {"foreign": 0, "forged": 0},
        "links": {},
        "errors": [],
        "version": "1.0.0",
        "seen": at_s,
    }


def found(described, told):
    """What is wrong with members that have answered so: {(fault, node): finding}."""
    looked = [examination.of_member(described, one.get("node", 4), one, "p") for one in told]
    return {(one.fault, one.node): one for one in findings.find(described, looked, [], lambda boards: {})}


def test_nothing_is_wrong_with_a_series_in_step_however_long_answers_take(described):
    told = [status(described, node, NOW_S + 4 * node, late_s=4.9 * (node % 2)) for node in described.ids]
    assert found(described, told) == {}


@pytest.mark.parametrize(("late_s", "word"), [(30.0, "30 s late"), (10.5, "s late"), (-30.0, "30 s early")])
def test_a_clock_that_is_seconds_off_is_told(described, late_s, word):
    told = [status(described, node, NOW_S + node) for node in (1, 2, 3)]
    told.append(status(described, 4, NOW_S + 9, late_s=late_s))
    (one,) = found(described, told).values()
    assert (one.fault, one.node) == ("clock", 4) and word in one.what
    assert one.remedy == "switch it off and on: it takes the others' clock then" and one.port is None


@pytest.mark.parametrize("changes", [{"id": 8}, {"beat_in_us": None}, {"beat_in_us": 500_000_000}])
def test_no_clock_is_compared_with_what_cannot_tell(described, changes):
    told = [status(described, node) for node in (1, 2, 3)] + [status(described, 4, late_s=300, **changes)]
    assert found(described, told) == {}


def test_of_two_clocks_nobody_knows_which_is_wrong(described):
    assert found(described, [status(described, 1), status(described, 2, late_s=60)]) == {}


@pytest.mark.parametrize(
    ("changes", "fault", "says"),
    [
        ({"moves": 2, "moved_us": 90_000}, None, ""),
        ({"moves": 9, "moved_us": 49_999}, None, ""),
        ({"moves": 3, "moved_us": 50_000}, "clock", "moved 3 times, last by 50.0 ms"),
        ({"moves": 3, "moved_us": -50_000}, "clock", "moved 3 times, last by -50.0 ms"),
        ({"missed": 2, "sampled": 4}, None, ""),
        ({"missed": 3, "sampled": 58}, None, ""),
        ({"missed": 3, "sampled": 57}, "beats missed", "it has missed 3 of 60 beats"),
        ({"sample": {"late_us": 249_999}}, None, ""),
        ({"sample": {"late_us": 250_000}}, "late", "its last sample was begun 250.0 ms after its beat"),
        ({"sample": {"late_us": 900_000, "late": True}}, None, ""),  # it has just joined
    ],
)
def test_what_a_series_counts_is_told_from_a_point_on(described, changes, fault, says):
    others = [status(described, node) for node in (1, 2, 3)]
    told = found(described, [*others, status(described, 4, **changes)])
    assert list(told) == [(fault, 4)] * bool(fault), told
    assert all(says in one.what for one in told.values())


@pytest.mark.parametrize(
    ("restarts", "life", "young", "wrong"),
    [
        (8, 10_000, 10, True),  # 8 in 20000 s
        (7, 10_000, 10, False),  # no more than deploys make
        (8, 14_401, 10, False),  # less than one an hour
        (8, 10_000, 1001, False),  # none has just started
    ],
)
def test_who_starts_again_and_again_is_told_by_who_has_seen_it(described, restarts, life, young, wrong):
    told = [status(described, node, sampled=life) for node in (1, 2, 3)]
    told[1] = {**status(described, 2, sampled=life + 1), "restarts": restarts}
    told.append(status(described, 4, sampled=young - 1, missed=1))
    all_ = found(described, told)
    assert list(all_) == [("restarts", 4)] * wrong
    for one in all_.values():
        assert one.what == "it started 20 s ago, and node 2 has seen 8 restarts in 6 h"
        assert "`swarm doctor 4`" in one.remedy


def test_where_no_board_has_the_swarms_digest_that_is_one_finding(described):
    told = [{**status(described, node), "digest": "aaaa0000" if node < 4 else "bbbb0000"} for node in described.ids]
    (one,) = found(described, told).values()
    assert (one.fault, one.node, one.port) == ("digest", None, None) and one.where == "the swarm"
    ours = described.digest()
    assert one.what == (
        f"no board that was looked at has the swarm's digest, {ours}: aaaa0000 of node 1-3; bbbb0000 of node 4"
    )
    assert one.remedy.startswith("swarm deploy --all") and "swarm.toml" in one.remedy
    told[0]["digest"] = ours
    assert list(found(described, told)) == [("digest", 2), ("digest", 3), ("digest", 4)], "one has it"
    assert list(found(described, told[3:])) == [("digest", 4)], "one board is no swarm"


@pytest.mark.parametrize("lacks", [("digest",), ("open",), ("links",), ("digest", "open", "links")])
def test_a_node_that_does_not_tell_all_is_of_another_version(described, lacks):
    told = [status(described, node) for node in described.ids]
    for name in lacks:
        del told[3][name]
    (one,) = found(described, told).values()
    assert (one.where, one.what, one.fault) == ("node 4", "it runs another version of faction", "version")
    assert one.why == f"its status has no {', '.join(lacks)}" and one.remedy.startswith("swarm deploy 4")


def test_a_node_whose_status_no_verb_can_show_is_of_another_version_too(described):
    told = [status(described, node) for node in (1, 2, 3)]
    with pytest.raises(status_module.BoardError) as raised:
        status_module.check_version("node 4", {"node": 4})
    told.append({"error": str(raised.value), "kind": raised.value.kind})
    (one,) = found(described, told).values()
    assert (one.where, one.what, one.why) == (
        "node 4",
        "it runs another version of faction",
        "it cannot be examined",
    )


def test_counters_that_a_node_does_not_have_are_none(described):
    told = [status(described, node) for node in described.ids]
    for name in ("series", "presence", "gathers"):
        told[0].pop(name, None)
    assert found(described, told) == {}
