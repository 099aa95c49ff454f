"""`make soak` in short, and that it tells what is lost, repeated, stuck or leaking."""

import copy
import json
import re

import pytest

from requirements import require
from swarm import paths
from swarm.proof.soak import soak
from swarm.proof.soak.__main__ import main
from swarm.proof.soak.faults import Faults
from swarm.proof.soak.ledger import Ledger
from swarm.proof.soak.soak import Soak
from swarm.watch.samples import Sample

SEED = 12
NODES = 6
SECONDS = 12


# With it all that use it are long.
@pytest.fixture(scope="module", params=[pytest.param(SECONDS, marks=pytest.mark.long)])
def done(request, tmp_path_factory):
    """A short soak, and the lines of its progress."""
    require("unix")
    lines = []
    done = Soak(tmp_path_factory.mktemp("soak"), NODES, request.param, SEED, lines.append)
    done.run()
    print(done.figures.block())
    return done, lines


def test_nothing_is_lost(done):
    done, lines = done
    assert done.problems() == [], f"seed {SEED}"
    figures = done.figures
    assert figures.soft and figures.cuts and figures.kills + figures.outages and figures.bursts + figures.splits
    assert figures.boots >= figures.sessions > 2 * NODES and figures.samples > NODES
    assert figures.collected >= figures.samples and any(figures.collective) and figures.worst_s < 10
    assert figures.memory_boots and figures.longest_s > SECONDS / 3 and set(figures.rss) == {"rig", "medium"}
    assert len(lines) >= 2 and all(re.search(r"^ +\d+ s  \d of 6 boards have power, \d Boot", line) for line in lines)


def test_the_figures_are_one_block(done):
    block = done[0].figures.block()
    assert re.findall(r"^([a-z]+).{20,}\d", block, re.MULTILINE) == [
        *("seed", "minutes", "boards", "reboots", "kills", "bursts", "sessions", "samples", "worst", "collective"),
        *("memory", "memory"),
    ]
    assert "max skew" in block and "memory of boards" in block and "memory of processes" in block


@pytest.fixture
def spoilt(done):
    """The soak again, to be spoilt; what is read from files and boards, and who has said what, can be changed."""
    return copy.deepcopy({name: value for name, value in vars(done[0]).items() if name not in ("rig", "_progress")})


def problems(spoilt):
    made = Soak.__new__(Soak)
    vars(made).update(spoilt)
    return made.problems()


def some_boot(spoilt, node=2):
    """A boot of that node which has sampled."""
    return next(boot for boot in spoilt["ledger"].boots[node] if boot.node.sample is not None)


def test_a_lost_sample_is_named(spoilt):
    assert problems(spoilt) == []
    boot = some_boot(spoilt)
    session = boot.node.session
    spoilt["table"] = [one for one in spoilt["table"] if (one.node, one.session) != (2, session)]
    (problem,) = problems(spoilt)
    assert problem.startswith(f"node 2, session {session}: its sample") and "is lost: it is in no file" in problem


def test_a_sample_that_is_owed_is_named(spoilt):
    boot = spoilt["ledger"].boots[1][-1]
    spoilt["table"] = [one for one in spoilt["table"] if (one.node, one.session) != (1, boot.node.session)]
    boot.node.sample = None
    spoilt["ended_us"] = boot.node.concluded_us + 4_000_000
    (problem,) = problems(spoilt)
    assert problem == f"node 1, session {boot.node.session}: Bootstrapped for 4 s, and no sample"
    spoilt["ended_us"] = boot.node.concluded_us + 400_000  # its instant may be to come
    assert problems(spoilt) == []


def test_a_second_sample_of_a_session_is_named(spoilt):
    one = spoilt["table"][0]
    spoilt["table"].append(Sample(one.node, one.session, one.late_us + 1, one.value, one.late))
    (problem,) = problems(spoilt)
    assert problem == f"node {one.node} sampled 2 times in session {one.session}"


def test_a_session_that_comes_again_is_named(spoilt):
    first, second = [boot for boot in spoilt["ledger"].boots[1] if boot.node.session][:2]
    second.node.session = first.node.session
    assert f"node 1 started session {first.node.session}, and {first.node.session} was before it" in problems(spoilt)


def test_a_start_that_a_soft_reset_interrupts_is_followed_by_another(spoilt):
    boot = spoilt["ledger"].boots[3][-1]
    boot.node.error = "the start was interrupted: tried again every 60 s"
    boot.node.session, boot.node.sample, boot.node.conclusion = None, None, None
    spoilt["ended_us"] = boot.start_us + 9_000_000
    assert problems(spoilt) == []
    spoilt["ended_us"] = boot.start_us + 11_000_000
    assert problems(spoilt) == ["node 3: had power for 11 s and started no session"]


def test_a_start_without_a_session_and_an_error_are_named(spoilt):
    first, last = spoilt["ledger"].boots[3][0], spoilt["ledger"].boots[3][-1]
    first.node.error = "tick: OSError: 5"
    last.node.session, last.node.sample, last.node.conclusion = None, None, None
    spoilt["ended_us"] = last.start_us + 11_000_000
    assert problems(spoilt) == [
        f"node 3, session {first.node.session}: tick: OSError: 5",
        "node 3: had power for 11 s and started no session",
    ]


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"state": "Collecting", "missing": [5]}, "node 4 is stuck: Collecting, missing [5]"),
        ({"conflict": True}, "node 4 is in conflict: it takes another board for one with its id"),
        ({"sample": None}, "node 4 is Bootstrapped and took no sample"),
        ({"errors": ["tick: x"]}, "node 4 reports: tick: x"),
        ({"error": "silence"}, "node 4 does not answer: silence"),
    ],
)
def test_a_board_that_is_stuck_is_named(changes, says, spoilt):
    spoilt["statuses"][4].update(changes)
    assert problems(spoilt) == [says]


def test_memory_that_grows_is_named(spoilt):
    boot = spoilt["ledger"].boots[1][-1]
    limit = soak.KEPT_BYTES + soak.SENDER_BYTES * (len(spoilt["nodes"]) - 1)
    boot.memory = [2000, 2100, 2000 + limit + 1]
    spoilt["figures"].rss["rig"] = (0, 1 << 20, (1 << 20) + soak.RSS_LIMIT + 1)
    board, rig = problems(spoilt)
    assert board.startswith(f"node 1: session {boot.node.session} holds more memory with time: [2000, 2100, ")
    assert rig.startswith("the memory of the rig grew from 1048576 to ")


def told(ledger, node, at_ms, *lines, kind=None):
    """Have a board start, or lose its power, or say lines; its clock shows true time."""
    if kind:
        clock = {"base_us": 0, "offset_us": 0, "ppb": 0}
        ledger.take({"event": kind, "node": node, "t_us": at_ms * 1000, "kind": "power", "pid": 1, **clock})
    for line in lines:
        ledger.take({"event": "line", "node": node, "t_us": at_ms * 1000, "line": line})


def says(ledger, node, at_ms, what):
    told(ledger, node, at_ms, f"faction: {at_ms} node {node} {what}")


def test_the_account_of_time():
    """Two nodes: the second is ready at 3 s, the first waits; then it loses its power, and the second waits for it."""
    ledger = Ledger([1, 2], 500)
    for node, at_ms in ((1, 1000), (2, 2000)):
        told(ledger, node, at_ms, kind="boot")
        says(ledger, node, at_ms + 1000, "ready")
    for node, at_ms in ((1, 3400), (2, 3300)):
        says(ledger, node, at_ms, "Bootstrapped")
        told(ledger, node, at_ms + 500, json.dumps({"late_us": 5, "node": node, "value": 2.5, "late": False}))
    assert [boot.node.node for boot in ledger.sampled] == [1, 2]
    waited_s, node = ledger.reconverged([])
    assert (waited_s, node.node) == (pytest.approx(0.4), 1), "not the second in which node 2 warmed up"
    assert ledger.reconverged([(3_100_000, 9_000_000)])[0] == pytest.approx(0.1), "nor bad air"
    ((skew,), none) = ledger.collective([])
    assert skew == 100_000 and not none
    assert ledger.collective([(0, 2_000_000)]) == ([skew], []), "that was over"
    assert ledger.collective([(0, 3_000_000)]) == ([], [skew])
    told(ledger, 1, 10_000, kind="off")
    told(ledger, 2, 11_000, kind="boot")
    says(ledger, 2, 12_000, "ready")
    told(ledger, 1, 14_000, kind="boot")
    says(ledger, 1, 15_000, "ready")
    says(ledger, 2, 15_200, "Bootstrapped")
    assert ledger.reconverged([])[0] == pytest.approx(0.4), "it waited for one that was off"
    assert ledger.current(1).start_us == 14_000_000 and len(ledger.all_boots()) == 4


def test_the_faults_come_from_the_seed():
    nodes = list(range(1, 17))
    plan = Faults(5, 3600, nodes, [1, 2]).plan()
    assert plan == Faults(5, 3600, nodes, [1, 2]).plan() != Faults(6, 3600, nodes, [1, 2]).plan()
    assert {kind for _, kind, _ in plan} == {"soft", "cut", "kill", "loss", "split", "outage"}
    assert [at for at, _, _ in plan] == sorted(at for at, _, _ in plan) and plan[-1][0] < 3600
    assert all(how["node"] not in (1, 2) for _, kind, how in plan if kind in ("soft", "cut", "kill"))
    outages = [at for at, kind, _ in plan if kind == "outage"]
    assert len(outages) == 6 and max(outages) < 1800
    assert 500 < len(plan) < 1000 and any(len(how.get("off_s", ())) > 1 for _, _, how in plan)


@pytest.mark.long
def test_a_board_that_never_gets_ready_fails_the_command(monkeypatch, capsys):
    """The whole command, with a sensor of one board that stays cold."""
    require("unix")
    laid = Soak._lay

    def lay(self):
        laid(self)
        sensor = self._flash(2) / "sensor.py"
        sensor.write_text(sensor.read_text() + "\n\ndef warm_up():\n    return False\n")

    monkeypatch.setattr(Soak, "_lay", lay)
    monkeypatch.setattr(soak, "SETTLE_S", 1.0)
    assert main(["--nodes", "2", "--minutes", "0.02", "--seed", str(SEED)]) == 1
    told = capsys.readouterr()
    assert f"soak: 2 boards, 0.02 minutes, seed {SEED}" in told.out and "problems, named above" in told.out
    assert "node 1 is stuck: Collecting, missing [2]" in told.err and f"(seed {SEED})" in told.err
    assert "node 2 is stuck: Pinging" in told.err


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--nodes", "1"], "NODES=1 is outside 2 ... 32"),
        (["--nodes", "33"], "NODES=33 is outside 2 ... 32"),
        (["--minutes", "0"], "MINUTES=0 is outside"),
    ],
)
def test_wrong_use(arguments, says, capsys):
    assert main(arguments) == 2
    assert says in capsys.readouterr().err


def test_the_target_passes_its_options_on():
    makefile = (paths.ROOT / "Makefile").read_text()
    (recipe,) = re.findall(r"^soak:.*\n\t(.*)", makefile, re.MULTILINE)
    assert all(f"$({name}" in recipe or f"({name})" in recipe for name in ("NODES", "MINUTES", "SEED"))
