"""The trace of a machine: what it keeps, what it takes, and that `swarm replay` tells when something differs."""

import contextlib
import io
import json
import random
from types import SimpleNamespace

import pytest
import report
from tracing import Trace

import frames_on_stack
from faction import core, names
from swarm import paths, runtimes
from swarm.cli import main
from swarm.device import replay
from swarm.runtimes.measure import allocation

IDS = [3, 7, 20, 4000, 65535]
SEEDS = range(30)
FIRMWARE = paths.FIRMWARE
PATHS = [FIRMWARE, paths.LIB]


class Interrupted(BaseException):
    """Stands for Ctrl-C."""


def machine_and_trace(size, required=3):
    trace = Trace(7, IDS, required, size)
    return core.Faction(7, IDS, required, trace), trace


def drive(machine, chance, steps):
    """Give the machine commands as a node does, with a fresh start now and then."""
    for _ in range(steps):
        what = chance.random()
        if what < 0.05 or machine.state >= core.BOOTSTRAPPED:
            machine.reset()
            machine.process(core.PARTICIPATION_OBSERVED, 7)
        elif what < 0.1:
            machine.process(core.LOCAL_PARTICIPATION_COMPLETED)
        elif what < 0.12:
            machine.process(core.DEADLINE_EXPIRED)
        elif what < 0.15:
            machine.process(core.PROBE)
        else:
            machine.process(chance.randrange(2), chance.choice([*IDS, 5]))


def printed(trace):
    """What faction.trace() prints."""
    output = io.StringIO()
    with contextlib.redirect_stdout(output):
        report.trace(SimpleNamespace(trace=trace), "")
    return output.getvalue().splitlines()


def replayed(lines, tmp_path, capsys):
    """Exit status and output of `swarm replay` for these lines."""
    file = tmp_path / "trace"
    file.write_bytes("\r\n".join(lines).encode())
    capsys.readouterr()
    status = main(["replay", str(file)])
    done = capsys.readouterr()
    return status, done.out + done.err


@pytest.mark.parametrize("seed", SEEDS)
def test_a_trace_replays_whatever_has_fallen_out_of_it(seed, tmp_path, capsys):
    chance = random.Random(seed)
    size = chance.choice((1, 2, 7, 64))
    machine, trace = machine_and_trace(size, chance.randint(1, 5))
    drive(machine, chance, chance.choice((0, 1, 5, 60, 400)))
    lines = printed(trace)
    assert len(lines) <= size + 1
    status, output = replayed(lines, tmp_path, capsys)
    assert status == 0, (seed, output)
    assert f"node 7: {len(lines) - 1} transitions, every outcome as traced" in output
    if len(lines) > 1:
        assert json.loads(lines[-1])["after"] == names.STATES[machine.state] or machine.state == core.INITIAL


def test_the_ring_begins_where_the_oldest_entry_begins():
    machine, trace = machine_and_trace(2)
    for peer in (7, 3, 20):
        machine.process(core.PARTICIPATION_OBSERVED, peer)
    machine.process(core.READY_OBSERVED, 3)
    first, *steps = [json.loads(line) for line in printed(trace)]
    assert first["config"] == {"peer_id": 7, "peers": IDS, "required_count": 3} and first["steps"] == 2
    assert first["view"]["pinging_peers"] == [3, 7] and first["view"]["peer_state"] == "Pinging"
    assert [(step["step"], step["command"], step["peer_id"]) for step in steps] == [
        (1, "ParticipationObserved", 20),
        (2, "ReadyObserved", 3),
    ]


def test_a_trace_of_no_size_keeps_nothing(tmp_path, capsys):
    machine, trace = machine_and_trace(0)
    drive(machine, random.Random(1), 50)
    assert replayed(printed(trace), tmp_path, capsys)[0] == 0 and len(printed(trace)) == 1


@pytest.mark.parametrize("part", ("_apply", "_note", "base.process", "base._mark"))
@pytest.mark.parametrize("at", range(4))
def test_an_interrupt_in_a_note_leaves_a_trace_that_replays(part, at, tmp_path, capsys):
    machine, trace = machine_and_trace(3)
    drive(machine, random.Random(at), 20 + at)
    owner = trace.base if part.startswith("base.") else trace
    name = part.split(".")[-1]
    real = getattr(owner, name)

    def cut_short(*arguments):
        result = real(*arguments)
        if result is not False:
            raise Interrupted
        return result

    setattr(owner, name, cut_short)
    with contextlib.suppress(Interrupted):
        drive(machine, random.Random(at + 100), 200)
    delattr(owner, name)
    assert replayed(printed(trace), tmp_path, capsys)[0] == 0
    machine.reset()  # as the node's repair does
    machine.process(core.PARTICIPATION_OBSERVED, 7)
    drive(machine, random.Random(at + 200), 10)
    status, output = replayed(printed(trace), tmp_path, capsys)
    assert status == 0, output


def test_printing_waits_for_a_transition_that_comes_meanwhile(tmp_path, capsys, monkeypatch):
    machine, trace = machine_and_trace(4)
    for peer in (7, 3, 20, 4000, 65535):
        machine.process(core.PARTICIPATION_OBSERVED, peer)
    peer_id = trace.peer_id
    calls = []

    def interrupted(at):
        if not calls:
            calls.append(at)
            machine.process(core.READY_OBSERVED, 3)
        return peer_id(at)

    monkeypatch.setattr(trace, "peer_id", interrupted)
    lines = printed(trace)
    assert json.loads(lines[-1])["command"] == "ReadyObserved"
    assert replayed(lines, tmp_path, capsys)[0] == 0


@pytest.fixture
def lines():
    machine, trace = machine_and_trace(64)
    for command, peer in ((0, 7), (0, 3), (1, 3), (0, 3), (1, 20), (2, 0)):
        machine.process(command, peer)
    return printed(trace)


def test_a_capture_with_everything_around_it(lines, tmp_path, capsys):
    around = [
        "faction: 10234 node 3 ready",
        '{"node": 3, "late_us": 12, "value": 24.5, "late": false}',
        '{"broken": ',
        ">>> faction.trace()",
        ">>> " + lines[0],
    ]
    mixed = around + [part for line in lines[1:] for part in ("noise \xff", line)] + [">>> ", *lines]
    status, output = replayed(mixed, tmp_path, capsys)
    assert status == 0 and output.count("6 transitions, every outcome as traced") == 2


CHANGES = (
    ("first_outcome", "ReadyAccepted", "step 4, ParticipationObserved 3 in Pinging: DuplicateParticipationIgnored fi"),
    ("after", "Collecting", "and then Pinging, traced DuplicateParticipationIgnored first of 1 and then Collecting"),
    ("outcomes", 2, "first of 1 and then Pinging, traced DuplicateParticipationIgnored first of 2"),
    ("before", "Collecting", "the state before it is Pinging here"),
    ("command", "Probe", "it is rejected here"),
    ("peer_id", 4000, "ParticipationAccepted first"),
)


@pytest.mark.parametrize("key, value, says", CHANGES)
def test_the_first_difference_is_reported(key, value, says, lines, tmp_path, capsys):
    changed = list(lines)
    for number in (4, 6):  # the second is not reported
        step = json.loads(lines[number])
        changed[number] = json.dumps({**step, key: value} if number == 4 else {**step, "after": "Initial"})
    status, output = replayed(changed, tmp_path, capsys)
    assert status == 1 and says in output and "line 5: step 4" in output, output


def test_a_trace_with_a_line_missing_is_not_taken(lines, tmp_path, capsys):
    status, output = replayed(lines[:3] + lines[4:], tmp_path, capsys)
    assert status == 2 and "line 1: step 3 is missing: capture the trace again" in output
    status, output = replayed([*lines, lines[2]], tmp_path, capsys)
    assert status == 2 and "steps are not 1 to 6 in order" in output


@pytest.mark.parametrize("text", ("", "faction: 1 node 3 ready", '{"config": 1}'))
def test_a_file_without_a_trace(text, tmp_path, capsys):
    status, output = replayed([text], tmp_path, capsys)
    assert status == 2 and "holds no trace: capture what" in output


@pytest.mark.parametrize(
    "number, key, value, says",
    (
        (0, "config", {"peer_id": 9, "peers": [1], "required_count": 1}, "local peer id 9: not a member"),
        (0, "config", [], "no machine begins like this"),
        (0, "view", {}, "no machine begins like this"),
        (2, "command", "Dance", "line 3: no step of a trace"),
        (2, "peer_id", "x", "line 3: no step of a trace"),
    ),
)
def test_values_that_make_no_trace(number, key, value, says, lines, tmp_path, capsys):
    lines[number] = json.dumps({**json.loads(lines[number]), key: value})
    status, output = replayed(lines, tmp_path, capsys)
    assert status == 2 and says in output and "capture the trace again" in output, output


def test_a_file_that_is_not_there_and_one_that_differs(lines, tmp_path, capsys):
    assert main(["replay", str(tmp_path / "none")]) == 2
    assert "none" in capsys.readouterr().err
    good = tmp_path / "good"
    good.write_text("\n".join(lines))
    assert main(["replay", str(good), str(tmp_path / "none")]) == 2


def test_standard_input(lines, monkeypatch, capsys):
    monkeypatch.setattr("sys.stdin", SimpleNamespace(buffer=io.BytesIO("\n".join(lines).encode())))
    assert main(["replay", "-"]) == 0
    assert "6 transitions" in capsys.readouterr().out


def test_help_has_examples(capsys):
    with pytest.raises(SystemExit) as ended:
        main(["replay", "--help"])
    assert ended.value.code == 0 and "swarm replay node3.trace" in capsys.readouterr().out


SETUP = """
from faction.core import Faction
from tracing import Trace
trace = Trace(30, [40, 10, 30, 20, 50], 3, {size})
m = Faction(30, [40, 10, 30, 20, 50], 3, trace)
"""
COMMANDS = ((0, 30), (0, 10), (1, 10), (1, 99), (2, 0), (1, 20))
HOT = "m.reset()\n" + "\n".join(f"m.process({command}, {peer})" for command, peer in COMMANDS)


@pytest.mark.parametrize("size", (0, 1, 64))
def test_a_noted_transition_takes_no_memory(micropython, size):
    assert allocation.per_call(micropython, SETUP.format(size=size), HOT, paths=PATHS) == 0


def test_no_note_takes_its_frame_from_the_heap():
    words = frames_on_stack.words(FIRMWARE / "tracing.py")
    del words["Trace.__init__"]  # that takes memory anyway
    assert max(words.values()) <= frames_on_stack.LIMIT, words


def test_the_trace_on_a_device_replays_here(micropython, tmp_path, capsys):
    script = tmp_path / "script.py"
    script.write_text(
        SETUP.format(size=5) + HOT + "\nimport report\n"
        "class app:\n    pass\napp.trace = trace\nreport.trace(app, '')\nreport.trace(None, 'why')\n"
    )
    lines = runtimes.run(micropython, script, paths=PATHS).splitlines()
    status, output = replayed(lines, tmp_path, capsys)
    assert status == 0 and "node 30: 5 transitions" in output
    assert lines[-1] == "no node runs on this board: why"
    assert replay.begin(json.loads(lines[0])["config"], json.loads(lines[0])["view"]).pinging_count == 1
