"""The vector files are complete and match on every runtime, and a replay cannot pass by mistake."""

import copy
import gzip
import json
from pathlib import Path

import pytest

from model import COMMANDS, STATES
from swarm import cli
from swarm.runtimes.vectors import replay
from vectors import generate

FOLDER = Path(generate.HERE)
FILES = sorted(file for file in FOLDER.iterdir() if ".jsonl" in file.suffixes)
GOOD = generate.machine_vector(
    "good",
    2,
    [3, 1, 2],
    2,
    [("ParticipationObserved", 1), ("ReadyObserved", 3), "LocalParticipationCompleted", "Probe"],
)


QUICK = pytest.mark.parametrize("runtime", ("cpython", "unix"), indirect=True)  # the third has the same script


def read(file):
    opener = gzip.open if file.suffix == ".gz" else open
    with opener(file, "rt", encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]


REPORTS = read(FOLDER / "reports.jsonl")[0]


def machine_vectors():
    return [vector for file in FILES for vector in read(file) if "steps" in vector]


def write(path, *lines):
    path.write_text("".join((line if isinstance(line, str) else json.dumps(line)) + "\n" for line in lines))
    return path


def swarm_vectors(capsys, *arguments):
    """Exit status, standard output and standard error of `swarm vectors` with these arguments."""
    status = cli.main(["vectors", *map(str, arguments)])
    out, err = capsys.readouterr()
    return status, out, err


def test_files_are_what_the_generator_writes():
    generated = generate.files()
    assert sorted(generated) == sorted(file.name for file in FILES)
    for name, expected in generated.items():
        assert read(FOLDER / name) == json.loads(json.dumps(expected)), f"{name}: run host_tests/vectors/generate.py"


def test_every_state_meets_every_command_with_every_kind_of_peer():
    met = set()
    for vector in machine_vectors():
        config = vector["config"]
        before = {"peer_state": "Initial", "pinging_peers": [], "collecting_peers": []}
        for step in vector["steps"]:
            met.add((before["peer_state"], step["command"], kind(config, before, step)))
            before = step["view"]
    wanted = {(state, command, "no peer") for state in STATES for command in COMMANDS[2:]}
    wanted |= {(state, command, k) for state in STATES for command in COMMANDS[:2] for k in generate.KINDS}
    # In Initial nothing has been observed yet, so nothing can be a duplicate.
    wanted -= {("Initial", command, "duplicate") for command in COMMANDS[:2]}
    assert met == wanted, f"missing: {sorted(wanted - met)}; unexpected: {sorted(met - wanted)}"


def kind(config, before, step):
    """Which kind of peer a step's command is about."""
    if step["command"] not in COMMANDS[:2]:
        return "no peer"
    peer = step["peer_id"]
    if peer == config["peer_id"]:
        return "local"
    if peer not in config["peers"]:
        return "non-member"
    observed = before["pinging_peers" if step["command"] == "ParticipationObserved" else "collecting_peers"]
    return "duplicate" if peer in observed else "member"


def test_quorum_is_reached_in_every_way():
    ways = set()
    for vector in machine_vectors():
        members, required = len(vector["config"]["peers"]), vector["config"]["required_count"]
        for step in vector["steps"]:
            if {"outcome": "Concluded", "mode": "Bootstrapped"} in step["outcomes"]:
                size = "one member" if members == 1 else "several"
                ways.add((step["command"], "all" if required == members else "one" if required == 1 else "some", size))
    assert ways >= {
        ("ReadyObserved", "all", "several"),
        ("ReadyObserved", "some", "several"),
        ("LocalParticipationCompleted", "all", "several"),
        ("LocalParticipationCompleted", "some", "several"),
        ("LocalParticipationCompleted", "one", "several"),
        ("LocalParticipationCompleted", "all", "one member"),
    }


def test_sizes_on_both_sides_of_bytes_and_words_are_there_and_long():
    steps = dict.fromkeys((*generate.SIZES, generate.LARGEST), 0)
    for vector in machine_vectors():
        if vector["name"].endswith("steps"):
            steps[len(vector["config"]["peers"])] += len(vector["steps"])
    assert min(steps.values()) >= 900, steps


# The 32-bit one takes ten seconds for all of them, so here it has each fourth.
@pytest.mark.parametrize(
    "runtime, every",
    [("cpython", 1), ("unix", 1), ("wasm", 4), pytest.param("wasm", 1, marks=pytest.mark.long)],
    indirect=["runtime"],
)
def test_all_files_match_on(runtime, every, capsys, tmp_path):
    everything = [vector for file in FILES for vector in read(file)[::every]]
    files = FILES if every == 1 else [write(tmp_path / "some.jsonl", *everything)]
    status, out, err = swarm_vectors(capsys, *files, "--runtime", runtime)
    steps = sum(len(vector.get("steps") or vector.get("exchange", "1")) for vector in everything)
    # An accepted frame is also built from its fields again.
    steps += sum(vector.get("verdict") == "Accepted" and vector.get("encodes", True) for vector in everything)
    assert (status, out, err) == (0, f"{len(everything)} vectors, {steps} steps, 0 mismatches\n", "")


WRONG = [
    ("result", "Rejected", None),
    ("outcomes", [], None),
    ("outcomes", [{"outcome": "ParticipationAccepted", "peer_id": 3}], None),
    ("outcomes", [{"outcome": "ParticipationAccepted", "peer_id": 1}] * 2, None),
    ("view", "peer_state", "Collecting"),
    ("view", "conclusion", "TimedOut"),
    ("view", "is_pinging_completed", True),
    ("view", "is_pinging_completed", 0),  # not the same as false
    ("view", "pinging_peers", [3]),
    ("view", "pinging_peers", []),
    ("view", "collecting_peers", [1]),
    ("view", "required_count", 3),
    ("view", "something_else", 1),
    ("admissible", ["Probe"], None),
    ("admissible", list(reversed(COMMANDS)), None),
]


def test_a_wrong_expectation_is_reported(runtime, capsys, tmp_path, monkeypatch):
    monkeypatch.setattr("swarm.verbs.developer.vectors._SHOWN", len(WRONG))
    wrong = []
    for part, value, within in WRONG:
        vector = copy.deepcopy(GOOD)
        step = vector["steps"][0]
        if part == "view":
            step["view"][value] = within
        else:
            step[part] = value
        wrong.append(vector)
    file = write(tmp_path / "wrong.jsonl", GOOD, *wrong)
    status, out, err = swarm_vectors(capsys, file, "--runtime", runtime)
    assert status == 1 and err == ""
    told = out.split(f"{file}:")
    for line, ((part, _, _), vector, said) in enumerate(zip(WRONG, wrong, told[1:], strict=True), 2):
        first, second, *_ = said.splitlines()
        assert (first, second) == (f"{line}: good, step 1: ParticipationObserved 1", f"  {part}")
        assert f"expected {json.dumps(vector['steps'][0][part])}" in said
    count = 1 + len(WRONG)
    assert out.endswith(f"{count} vectors, {4 * count} steps, {len(WRONG)} mismatches\n")


def test_a_view_key_that_is_missing_is_reported(capsys, tmp_path):
    vector = copy.deepcopy(GOOD)
    del vector["steps"][1]["view"]["conclusion"]
    status, out, _ = swarm_vectors(capsys, write(tmp_path / "v.jsonl", vector))
    assert status == 1 and "step 2: ReadyObserved 3" in out


def test_every_step_is_compared(runtime, capsys, tmp_path):
    lines = []
    for at in range(len(GOOD["steps"])):
        vector = copy.deepcopy(GOOD)
        vector["steps"][at]["view"]["required_count"] = 1
        lines.append(vector)
    status, out, _ = swarm_vectors(capsys, write(tmp_path / "v.jsonl", *lines), "--runtime", runtime)
    assert status == 1 and out.endswith("4 vectors, 16 steps, 4 mismatches\n")


def test_only_the_first_mismatches_are_shown_and_all_are_counted(capsys, tmp_path):
    vector = copy.deepcopy(GOOD)
    for step in vector["steps"]:
        step["result"] = "Nonsense"
    status, out, _ = swarm_vectors(capsys, write(tmp_path / "v.jsonl", *[vector] * 50))
    assert status == 1
    assert out.count("Nonsense") == 5
    assert out.endswith("... and 195 more mismatches\n50 vectors, 200 steps, 200 mismatches\n")


def test_a_config_that_the_machine_refuses_is_a_mismatch(runtime, capsys, tmp_path):
    vector = copy.deepcopy(GOOD)
    vector["config"]["required_count"] = 4
    file = write(tmp_path / "v.jsonl", vector, GOOD)
    status, out, _ = swarm_vectors(capsys, file, "--runtime", runtime)
    assert status == 1
    assert out.splitlines()[0] == f"{file}:1: good, config"
    assert "the machine refuses this config: required count 4: outside 1 ... 3 members" in out
    assert out.endswith("2 vectors, 8 steps, 5 mismatches\n")


def test_files_as_others_write_them(runtime, capsys, tmp_path):
    vector = copy.deepcopy(GOOD)
    for step in vector["steps"]:
        step["comment"] = "ignored"
        if step["result"] != "Accepted":
            del step["outcomes"]
    vector["steps"][2]["peer_id"] = None
    del vector["name"]
    plain = write(tmp_path / "plain.jsonl", "", vector, "  ", "")
    packed = tmp_path / "packed.jsonl.gz"
    packed.write_bytes(gzip.compress(json.dumps({"name": "Größe", **vector}).encode()))
    status, out, _ = swarm_vectors(capsys, plain, packed, "--runtime", runtime)
    assert (status, out) == (0, "2 vectors, 8 steps, 0 mismatches\n")


def changed(**step):
    """GOOD with its first step changed; a part that is None is taken away."""
    vector = copy.deepcopy(GOOD)
    first = {**vector["steps"][0], **step}
    vector["steps"][0] = {part: value for part, value in first.items() if value is not None}
    return vector


REFUSED = [
    (changed(command="Pray"), "v.jsonl:2: step 1: unknown command 'Pray'"),
    (changed(command=None), "v.jsonl:2: step 1: no command"),
    (changed(peer_id=None), "v.jsonl:2: step 1: no peer_id"),
    (changed(peer_id="1"), "v.jsonl:2: step 1: peer_id '1': not a int"),
    (changed(result=None), "v.jsonl:2: step 1: no result"),
    (changed(outcomes=None), "v.jsonl:2: step 1: no outcomes"),
    (changed(view=None), "v.jsonl:2: step 1: no view"),
    (changed(admissible=None), "v.jsonl:2: step 1: no admissible"),
    ({**GOOD, "config": None}, "v.jsonl:2: config None: not a dict"),
    ({**GOOD, "config": {"peer_id": 0, "peers": [0]}}, "v.jsonl:2: no required_count"),
    ({**GOOD, "config": {"peer_id": 0, "peers": ["0"], "required_count": 1}}, "v.jsonl:2: peers ['0']"),
    ({"name": "what"}, "v.jsonl:2: neither a machine vector"),
    ("[1, 2]", "v.jsonl:2: a vector is an object"),
    ('{"name": ', "v.jsonl:2: not JSON"),
    ({"name": "tag", "key": "00", "message": "0g", "tag": "00"}, "v.jsonl:2: message '0g': not bytes in hex"),
    ({"name": "tag", "key": "00", "tag": "00"}, "v.jsonl:2: no message"),
    ({"frame": "00", "key": "00", "swarm": {}, "verdict": "Forged"}, "v.jsonl:2: no name"),
    ({**REPORTS, "node": {"peer_id": 1}}, "v.jsonl:2: no session"),
    ({**REPORTS, "swarm": {**REPORTS["swarm"], "round_ms": "30"}}, "v.jsonl:2: round_ms '30': not a int"),
    ({**REPORTS, "exchange": [{"sing": 1}]}, "v.jsonl:2: step 1: a step of an exchange has one of hear, complete"),
    ({**REPORTS, "exchange": [{"hear": "0", "counted": []}]}, "v.jsonl:2: step 1: hear '0': not bytes in hex"),
    ({**REPORTS, "exchange": [{"says": None, "sequence": 1}]}, "v.jsonl:2: step 1: no within_ms"),
]


@pytest.mark.parametrize(("line", "says"), REFUSED)
def test_a_file_that_cannot_be_compared_is_an_error(line, says, capsys, tmp_path):
    status, out, err = swarm_vectors(capsys, write(tmp_path / "v.jsonl", GOOD, line))
    assert (status, out) == (2, "")
    assert says in err


@pytest.mark.parametrize("lines", [[], ["", "  "], [{**GOOD, "steps": []}]])
def test_nothing_to_compare_is_an_error(lines, capsys, tmp_path):
    status, out, err = swarm_vectors(capsys, write(tmp_path / "v.jsonl", *lines))
    assert (status, out) == (2, "") and "v.jsonl" in err


def test_one_empty_file_among_others_is_an_error(capsys, tmp_path):
    good, empty = write(tmp_path / "good.jsonl", GOOD), write(tmp_path / "empty.jsonl")
    status, _, err = swarm_vectors(capsys, good, empty)
    assert status == 2 and "empty.jsonl: no vectors in it" in err


def test_files_that_cannot_be_read(capsys, tmp_path):
    status, _, err = swarm_vectors(capsys, tmp_path / "absent.jsonl")
    assert status == 2 and "absent.jsonl: No such file" in err
    (tmp_path / "plain.jsonl.gz").write_text("not gzip\n")
    status, _, err = swarm_vectors(capsys, tmp_path / "plain.jsonl.gz")
    assert status == 2 and "plain.jsonl.gz: Not a gzipped file" in err
    (tmp_path / "cut.jsonl.gz").write_bytes(gzip.compress(json.dumps(GOOD).encode())[:-20])
    status, _, err = swarm_vectors(capsys, tmp_path / "cut.jsonl.gz")
    assert status == 2 and "cut.jsonl.gz" in err
    (tmp_path / "latin.jsonl").write_bytes(b'{"name": "\xe9"}')
    status, _, err = swarm_vectors(capsys, tmp_path / "latin.jsonl")
    assert status == 2 and "latin.jsonl" in err


def test_a_runtime_that_is_missing_says_what_installs_it(monkeypatch, capsys, tmp_path):
    monkeypatch.setattr("swarm.runtimes._WASM_MODULE", tmp_path / "absent.mjs")
    status, _, err = swarm_vectors(capsys, write(tmp_path / "v.jsonl", GOOD), "--runtime", "wasm")
    assert status == 2 and "make setup" in err


@QUICK
@pytest.mark.parametrize("index", range(8))
def test_frames_and_tags_that_differ_are_reported(index, runtime, capsys, tmp_path):
    frames = read(FOLDER / "frames.jsonl")
    accepted = next(v for v in frames if v["fields"] and v["fields"]["echoes"] and v["fields"]["readiness"])
    forged = next(v for v in frames if v["verdict"] == "Forged")
    tag = read(FOLDER / "cmac.jsonl")[1]
    wrong = [
        {**accepted, "fields": {**accepted["fields"], "session": accepted["fields"]["session"] ^ 1}},
        {**accepted, "fields": {**accepted["fields"], "echoes": []}},
        {**accepted, "fields": {**accepted["fields"], "readiness": [*accepted["fields"]["readiness"][1:]]}},
        {**accepted, "key": "11" * 16},
        {**accepted, "verdict": "Forged", "fields": None},
        {**forged, "verdict": "Foreign"},
        {**tag, "tag": "00" * 16},
        {**tag, "message": tag["message"] + "00"},
    ][index]
    status, out, _ = swarm_vectors(capsys, write(tmp_path / "v.jsonl", wrong), "--runtime", runtime)
    assert status == 1 and "0 mismatches" not in out


# A step that is there in some exchange, by the part that is compared, and another value of that.
OTHERWISE = {
    "counted": ["stale"],
    "text": "ff",
    "refused": None,
    "says": "00" * 40,
    "take": [1, 2, 3, 4, 5, ""],
    "asked": [9, 9],
}


@QUICK
@pytest.mark.parametrize("part", OTHERWISE)
def test_an_exchange_that_goes_otherwise_is_reported(part, runtime, capsys, tmp_path):
    vectors = read(FOLDER / "reports.jsonl")[:3]
    found = 0
    for vector in vectors:
        for step in vector["exchange"]:
            if step.get(part) is not None:
                step[part] = OTHERWISE[part] if part != "refused" else not step[part]
                found += 1
    status, out, _ = swarm_vectors(capsys, write(tmp_path / "v.jsonl", *vectors), "--runtime", runtime)
    assert status == 1 and found and out.endswith(f" {found} mismatches\n") and f"  {part}\n" in out


def test_a_node_that_cannot_be_is_a_mismatch(runtime, capsys, tmp_path):
    vector = {**REPORTS, "node": {**REPORTS["node"], "peer_id": 70_000}}
    status, out, _ = swarm_vectors(capsys, write(tmp_path / "v.jsonl", vector), "--runtime", runtime)
    assert status == 1 and "no node for this swarm and key: " in out
    assert out.endswith(f"1 vectors, {len(vector['exchange'])} steps, {1 + len(vector['exchange'])} mismatches\n")


def test_exchanges_meet_every_check_that_a_report_may_fail():
    steps = [step for vector in read(FOLDER / "reports.jsonl") for step in vector["exchange"]]
    counted = {name for step in steps for name in step.get("counted", ())}
    assert counted == {"received", "malformed", "foreign", "non_member", "impossible", "forged", "replayed", "unproved",
                       "own"}  # fmt: skip


def test_device_vectors_names_the_machines_commands():
    from faction import names

    assert names.COMMANDS == replay.COMMANDS == COMMANDS
    assert names.STATES == STATES
