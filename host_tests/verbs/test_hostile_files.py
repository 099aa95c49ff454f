"""Any text in a configuration, a trace or a vector file, or from a board, gives a result or an error in words: never a
traceback, and soon."""

import io
import json
import time

import config
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from swarm import cli
from swarm.device import replay
from swarm.runtimes.vectors import replay as vectors
from swarm.serial import answer

words = st.sampled_from(["id", "hardware", "", "1", "retry", "uart", "240ac4000001", "Pinging", "Probe", "\ud800"])
atoms = st.none() | st.booleans() | st.integers(-2, 70_000) | st.integers() | st.floats() | words | st.text(max_size=4)
anything = st.recursive(
    atoms, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(words | st.text(max_size=4), inner, max_size=4)
)
DEEP = "[" * 100_000

GOOD_CONFIG = {"swarm": "demo", "members": [1, 2, {"id": 3, "hardware": "240ac4000001"}], "node": 2}
VIEW = {
    "peer_state": "Pinging",
    "conclusion": None,
    "is_pinging_completed": False,
    "pinging_peers": [1],
    "collecting_peers": [],
    "required_count": 2,
}
GOOD_TRACE = [
    {"config": {"peer_id": 1, "peers": [1, 2], "required_count": 2}, "view": VIEW, "steps": 1},
    {
        "step": 1,
        "before": "Pinging",
        "command": "ParticipationObserved",
        "peer_id": 2,
        "first_outcome": "ParticipationAccepted",
        "outcomes": 1,
        "after": "Pinging",
    },
]
GOOD_VECTOR = {
    "name": "one",
    "config": {"peer_id": 1, "peers": [1, 2], "required_count": 2},
    "steps": [{"command": "ReadyObserved", "peer_id": 2, "result": "Accepted", "outcomes": [], "view": VIEW}],
}
GOOD_FRAME = {
    "name": "two",
    "swarm": {"name": "demo", "members": [1, 2], "required_count": 2},
    "key": "00" * 16,
    "frame": "11" * 40,
    "verdict": "Malformed",
    "fields": None,
}
GOOD_CMAC = {"name": "three", "key": "00" * 16, "message": "", "tag": "00" * 16}


def changed(good):
    """good with some of its parts, at any depth, gone or anything else."""

    @st.composite
    def change(draw):
        value = json.loads(json.dumps(good))
        for _ in range(draw(st.integers(1, 2))):
            holder = value
            while True:
                keys = list(holder) if isinstance(holder, dict) else list(range(len(holder)))
                if not keys:
                    break
                key = draw(st.sampled_from(keys))
                if isinstance(holder[key], (dict, list)) and draw(st.booleans()):
                    holder = holder[key]
                    continue
                if isinstance(holder, dict) and draw(st.integers(0, 3)) == 0:
                    del holder[key]
                else:
                    holder[key] = draw(anything)
                break
        return value

    return change()


def dumped(*values):
    """Lines of JSON."""
    return "\n".join(map(json.dumps, values)).encode()


@given(
    anything | changed(GOOD_CONFIG) | changed({**GOOD_CONFIG, **dict.fromkeys(config.NUMBERS, 1), "links": ["uart"]})
)
def test_any_value_is_a_configuration_or_a_mistake(given):
    try:
        checked = config.check(given, "240ac4000001")
    except ValueError as error:
        assert str(error).startswith("faction.json: ") and len(str(error)) < 400
    else:
        assert checked.keys() == {
            *config.NUMBERS,
            "swarm",
            "members",
            "on_timeout",
            "links",
            "locked",
            "ssid",
            "gateway",
        }
        json.dumps(checked)


@given(st.binary(max_size=40) | changed(GOOD_CONFIG).map(dumped))
@example(DEEP.encode())
@example(b'{"swarm": ' + DEEP.encode())
def test_any_file_is_a_configuration_or_a_mistake(tmp_path_factory, data):
    path = tmp_path_factory.getbasetemp() / "faction.json"
    path.write_bytes(data)
    try:
        assert config.load(str(path))["members"]
    except ValueError as error:
        assert "faction.json: " in str(error)


@given(st.binary(max_size=40))
def test_any_key_file_is_a_key_or_a_mistake(tmp_path_factory, data):
    path = tmp_path_factory.getbasetemp() / "faction.key"
    path.write_bytes(data)
    try:
        assert len(config.load_key(str(path))) == 16
    except ValueError as error:
        assert "swarm's key again" in str(error)


def refused_or_done(tmp_path_factory, command, name, data):
    """Run a command on a file with that in it: it ends with a status, having said something."""
    path = tmp_path_factory.getbasetemp() / name
    path.write_bytes(data)
    with pytest.MonkeyPatch.context() as patch:
        said = io.TextIOWrapper(io.BytesIO(), "utf-8", write_through=True)
        patch.setattr("sys.stdout", said)
        patch.setattr("sys.stderr", said)
        status = cli.main([command, str(path)])
    assert status in (0, 1, 2)
    text = said.buffer.getvalue()
    assert text and b"Traceback" not in text


@given(anything.map(json.dumps) | st.binary(max_size=40))
@example(DEEP)
@example("[" * 500 + "]" * 500)
@example('["\\u001b[2J"]')
def test_any_line_of_a_board_is_plain_json_or_none(line):
    try:
        parsed = answer.parse(line)
    except ValueError:
        return
    assert "\\u001b" not in json.dumps(parsed)


def test_a_long_trace_with_a_step_missing_is_refused_at_once():
    steps = (json.dumps({**GOOD_TRACE[1], "step": number}) for number in range(1, 50_001))
    lines = [json.dumps({**GOOD_TRACE[0], "steps": 60_000}), *steps]
    began = time.process_time()
    with pytest.raises(replay.TraceError, match="step 50001 is missing"):
        list(replay.read(lines))
    assert time.process_time() - began < 4, "seconds: looking for each step among all takes much longer"


@given(st.binary(max_size=60) | st.lists(anything, max_size=3).map(lambda values: dumped(*values)))
@example(b'{"config":' + DEEP.encode())
def test_any_text_to_replay(tmp_path_factory, data):
    refused_or_done(tmp_path_factory, "replay", "any.trace", data)


@given(changed(GOOD_TRACE))
@example([{**GOOD_TRACE[0], "steps": 10**12}])
@example([{**GOOD_TRACE[0], "steps": "one"}])
@example([GOOD_TRACE[0], {**GOOD_TRACE[1], "before": "\ud800"}])
@example([GOOD_TRACE[0], {**GOOD_TRACE[1], "before": "Collecting", "command": None}])
@example(GOOD_TRACE)
def test_any_trace(tmp_path_factory, trace):
    data = dumped(*trace) if isinstance(trace, list) else dumped(trace)
    refused_or_done(tmp_path_factory, "replay", "changed.trace", data)


@given(st.binary(max_size=60) | st.lists(anything, max_size=3).map(lambda values: dumped(*values)))
@settings(max_examples=30)
@example(b'{"steps":' + DEEP.encode())
@example(b"\x1f\x8b\x08")
def test_any_text_to_vectors(tmp_path_factory, data):
    refused_or_done(tmp_path_factory, "vectors", "any.jsonl", data)


@given(changed(GOOD_VECTOR) | changed(GOOD_FRAME) | changed(GOOD_CMAC))
@settings(max_examples=300)
def test_any_vector_is_read_or_refused(vector):
    try:
        entries = vectors._entries(vector, "here")
    except vectors.VectorError as error:
        assert str(error).startswith("here")
    else:
        assert json.dumps(entries)


@given(st.lists(changed(GOOD_VECTOR) | changed(GOOD_FRAME) | changed(GOOD_CMAC), min_size=1, max_size=3))
@settings(max_examples=30)
@example([GOOD_VECTOR, GOOD_FRAME, GOOD_CMAC])
@example([{**GOOD_FRAME, "key": ""}])
@example([{**GOOD_FRAME, "swarm": {"name": "demo", "members": ["one"], "required_count": 2}}])
@example([{**GOOD_FRAME, "swarm": {"name": "\ud800", "members": [1], "required_count": 1}}])
@example([{**GOOD_CMAC, "name": "\ud800"}])
def test_any_vector_is_replayed_or_refused(tmp_path_factory, listed):
    refused_or_done(tmp_path_factory, "vectors", "changed.jsonl", dumped(*listed))
