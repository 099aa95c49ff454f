"""faction.json and faction.key: every mistake has its own message with key, value and remedy, on every runtime."""

import json

import pytest

from swarm import paths, runtimes
from swarm.device.config import NUMBERS, SAMPLES_KB
from swarm.documents import configuration

FIRMWARE = paths.FIRMWARE
MARK = "<!-- configuration -->"
HERE = "240ac4000001"  # the hardware id of the board that reads the file
GOOD = {"swarm": "demo", "members": [1, 2, 3], "node": 2}
LISTED = [{"id": 1, "hardware": "24:0A:C4:00:00:01"}, {"id": 2, "hardware": "240ac4-000002"}, 3]


def good(**changes):
    return json.dumps({**GOOD, **changes}, ensure_ascii=False)


def without(key):
    return json.dumps({name: value for name, value in GOOD.items() if name != key})


# The file's text, then the key, the value as shown, and words of the remedy.
MISTAKES = (
    ("[1, 2]", "the file", "[1, 2]", "write an object, {...}"),
    ("null", "the file", "null", "write an object"),
    ('"demo"', "the file", '"demo"', "write an object"),
    (good(deadline=5), "deadline", "5", "no such key: one of baud, channel, deadline_ms"),
    (good(password="x"), "password", "null", "no such key: one of baud"),
    (good(Swarm="x"), "Swarm", '"x"', "no such key"),
    (without("swarm"), "swarm", "null", "write its name, 1 to 32 bytes"),
    (good(swarm=""), "swarm", '""', "write its name"),
    (good(swarm=7), "swarm", "7", "write its name"),
    (good(swarm="s" * 33), "swarm", "s" * 33, "1 to 32 bytes"),
    (good(swarm="\u00e4" * 17), "swarm", "", "1 to 32 bytes"),
    (good(swarm="a\nb"), "swarm", '"a"', "a control character, or half a character, comes next"),
    ('{"swarm": "no\\ud83d", "members": [1]}', "swarm", '"no"', "half a character, comes next: write plain text"),
    (without("members"), "members", "null", "list 1 to 680 members"),
    (good(members=[]), "members", "[]", "list 1 to 680 members"),
    (good(members=5), "members", "5", "list 1 to 680 members"),
    (good(members=list(range(681))), "members", "[0, 1, 2, 3", "list 1 to 680 members"),
    (good(members=[1, "2"]), "members", '"2"', "write a whole number from 0 to 65535"),
    (good(members=[1, -1]), "members", "-1", "from 0 to 65535"),
    (good(members=[65536]), "members", "65536", "from 0 to 65535"),
    (good(members=[1.5]), "members", "1.5", "whole number"),
    (good(members=[True]), "members", "true", "whole number"),
    (good(members=[[1]]), "members", "[1]", "whole number"),
    (good(members=[1, 2, 1]), "members", "1", "listed twice: give each member its own id"),
    (good(members=[{"hardware": "aa"}]), "members", "null", "whole number"),
    (good(members=[{"id": 1, "name": "a"}]), "members", '"name": "a"', '"id" and "hardware" and nothing else'),
    (good(members=[{"id": 1, "hardware": 17}]), "members", "17", "hexadecimal digits, such as 240ac4123456"),
    (good(members=[{"id": 1, "hardware": "24:0a:c"}]), "members", "24:0a:c", "hexadecimal digits"),
    (good(members=[{"id": 1, "hardware": ""}]), "members", '""', "hexadecimal digits"),
    (good(members=[{"id": 1, "hardware": "x0"}]), "members", '"x0"', "hexadecimal digits"),
    (
        good(members=[{"id": 1, "hardware": "AA"}, {"id": 2, "hardware": "aa"}]),
        "members",
        '"aa"',
        "two members have this hardware id: each board is one member",
    ),
    (without("node"), "node", "null", f"list this board's hardware id, {HERE}, with its member, or write its id here"),
    (good(node=9), "node", "9", "not a member: write the id of one"),
    (good(node="2"), "node", '"2"', "from 0 to 65535"),
    (good(node=-2), "node", "-2", "from 0 to 65535"),
    (good(required=0), "required", "0", "from 1 to 680"),
    (good(required=4), "required", "4", "from 1 to 3"),
    (good(required="all"), "required", '"all"', "whole number"),
    (good(deadline_ms=99), "deadline_ms", "99", "from 100 to 500000000"),
    (good(deadline_ms=None), "deadline_ms", "null", "whole number"),
    (good(deadline_ms=1e4 + 0.5), "deadline_ms", "10000.5", "whole number"),
    (good(lead_ms=49), "lead_ms", "49", "from 50 to 495000"),
    (good(lead_ms=495_001), "lead_ms", "495001", "from 50 to 495000"),
    (good(linger_ms=-1), "linger_ms", "-1", "from 0 to 500000000"),
    (good(period_ms=99), "period_ms", "99", "write 0 for the first sample alone, or at least 100"),
    (good(period_ms=-1), "period_ms", "-1", "from 0 to 2592000000"),
    (good(period_ms=2_592_000_001), "period_ms", "2592000001", "from 0 to 2592000000"),
    (good(period_ms=None), "period_ms", "null", "whole number"),
    (good(round_ms=-1), "round_ms", "-1", "from 0 to 900000"),
    (good(round_ms=900_001, period_ms=100), "round_ms", "900001", "from 0 to 900000"),
    (good(round_ms=9999, period_ms=100), "round_ms", "9999", "write 0 for none, or with a period_ms at least 10000"),
    (good(round_ms=30_000), "round_ms", "30000", "write 0 for none, or with a period_ms at least 10000"),
    (good(round_ms=30_000, period_ms=100, linger_ms=1), "linger_ms", "1", "write 0: with a round_ms"),
    (
        good(round_ms=30_000, period_ms=100, members=list(range(449)), node=0),
        "round_ms",
        "30000",
        "write 0: with rounds there are 448 members at most",
    ),
    (good(samples_kb=7), "samples_kb", "7", "from 8 to 65536"),
    (good(samples_kb=65_537), "samples_kb", "65537", "from 8 to 65536"),
    (good(channel=0), "channel", "0", "from 1 to 14"),
    (good(channel=15), "channel", "15", "from 1 to 14"),
    (good(baud=300), "baud", "300", "from 9600 to 3000000"),
    (good(trace=5000), "trace", "5000", "from 0 to 4096"),
    (good(trace=False), "trace", "false", "from 0 to 4096"),
    (good(watchdog_ms=8389), "watchdog_ms", "8389", "from 0 to 8388"),
    (good(watchdog_ms=2999), "watchdog_ms", "2999", "write 0 for none, or at least 3000"),
    (good(on_timeout="stop"), "on_timeout", '"stop"', "write one of: retry, halt"),
    (good(on_timeout=None), "on_timeout", "null", "write one of: retry, halt"),
    (good(on_timeout=["halt"]), "on_timeout", '["halt"]', "write one of: retry, halt"),
    (good(links=[]), "links", "[]", "list one or more of: espnow, uart, udp"),
    (good(links="uart"), "links", '"uart"', "list one or more of: espnow, uart, udp"),
    (good(links=["wifi"]), "links", '"wifi"', "list each once, of: espnow, uart, udp"),
    (good(links=["espnow", "udp"]), "links", '["espnow", "udp"]', "leave out espnow or udp: the access point"),
    (good(ssid=""), "ssid", '""', "write its name, 1 to 32 bytes"),
    (good(ssid=5), "ssid", "5", "write its name, 1 to 32 bytes"),
    (good(ssid="a\tb"), "ssid", '"a"', "a control character"),
    (good(udp_port=80), "udp_port", "80", "from 1024 to 65535"),
    (good(links=["uart", "uart"]), "links", '"uart"', "list each once"),
    (good(links=[{}]), "links", "{}", "list each once"),
    (good(links=[None]), "links", "null", "list each once"),
    (good(gateway=1, period_ms=100), "gateway", "1", "list the ids of those that gather always, or none: []"),
    (good(gateway=[9], period_ms=100), "gateway", "9", "list members, each once"),
    (good(gateway=[1, 1], period_ms=100), "gateway", "1", "list members, each once"),
    (good(gateway=[[]], period_ms=100), "gateway", "[]", "list members, each once"),
    (good(gateway=[1]), "gateway", "[1]", "give a period_ms as well"),
    (good(gateway=[], period_ms=100, linger_ms=2), "linger_ms", "2", "write 0: with a round_ms"),
    (good(locked="no"), "locked", '"no"', "write true or false"),
)
NOT_JSON = ("", "{", '{"swarm": "demo"', "{'swarm': 1}", good() + "}", '{"swarm": demo}')
# The key file's bytes; none of them may be seen in a message.
BAD_KEYS = (b"", b"00" * 15, b"00" * 17, b"5ecre7" * 6, b"0" * 31, b"\xff\xfe" * 16, b"5e" * 8 + b" " + b"5e" * 8)

FINE = (
    (good(), {}),
    (good(node=3, required=1, on_timeout="halt", links=["uart"]), {"node": 3, "required": 1, "links": ["uart"]}),
    (json.dumps({"swarm": "demo", "members": LISTED}), {"node": 1, "members": [1, 2, 3]}),
    (json.dumps({"swarm": "demo", "members": LISTED, "node": 2}), {"node": 2}),
    (good(required=None, lead_ms=None, links=None, node=1), {"required": 3, "lead_ms": None, "links": None}),
    (good(members=[0, 65535], node=65535), {"members": [0, 65535]}),
    (good(members=list(range(680)), node=0), {"required": 680}),
    (good(swarm="\u00e4" * 16), {"swarm": "\u00e4" * 16}),
    (good(locked=True), {"locked": True}),
    (good(ssid="roof", links=["uart", "udp"]), {"ssid": "roof", "udp_port": 47017}),
    (good(ssid=None), {"ssid": None}),
    (good(samples_kb=None), {"samples_kb": 8}),
    (good(period_ms=100), {"period_ms": 100, "samples_kb": 256}),
    (good(period_ms=2_592_000_000, samples_kb=65_536), {"period_ms": 2_592_000_000, "samples_kb": 65_536}),
    (good(period_ms=100, round_ms=10_000), {"round_ms": 10_000, "samples_kb": 256}),
    (good(period_ms=100, round_ms=900_000, members=list(range(448)), node=0), {"required": 448, "samples_kb": 256}),
    (good(period_ms=100, gateway=[]), {"gateway": [], "round_ms": 30_000, "samples_kb": 256}),
    (good(period_ms=100, gateway=[3, 1], round_ms=10_000), {"round_ms": 10_000, "samples_kb": 256}),
    (good(gateway=None), {"gateway": None}),
    (good(watchdog_ms=3000, trace=0, linger_ms=1, channel=14, baud=9600, lead_ms=50), {"trace": 0, "baud": 9600}),
)

SCRIPT = """
import json
import sys

import config

hardware = bytes([0x24, 0x0A, 0xC4, 0, 0, 1])
with open(sys.argv[1]) as file:
    cases = json.load(file)


def outcome(function, *arguments):
    try:
        value = function(*arguments)
    except Exception as error:
        return {"error": type(error).__name__, "message": str(error)}
    return {"value": [byte for byte in value] if isinstance(value, bytes) else value}


def loaded(content, function, *arguments):
    with open(sys.argv[2], "wb") as file:
        file.write(bytes(content))
    return outcome(function, sys.argv[2], *arguments)


results = {
    "files": [loaded(content, config.load, hardware) for content in cases["files"]],
    "keys": [loaded(content, config.load_key) for content in cases["keys"]],
    "absent": outcome(config.load, sys.argv[2] + ".none", hardware),
    "no_key": outcome(config.load_key, sys.argv[2] + ".none"),
    "lost_key": outcome(config.load_key, sys.argv[2] + ".none", True),
    "unread_key": outcome(config.load_key, sys.argv[3]),
    "no_hardware": outcome(config.check, {"swarm": "a", "members": [1]}),
}
print(json.dumps(results))
"""


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    """What each runtime makes of all cases, by runtime; each runs once."""
    known = {}

    def of(runtime):
        if runtime not in known:
            known[runtime] = _run(runtime, tmp_path_factory.mktemp(runtime))
        return known[runtime]

    return of


def _run(runtime, folder):
    files = [text.encode() for text in (*(case[0] for case in (*MISTAKES, *FINE)), *NOT_JSON)]
    keys = [*BAD_KEYS, b"0123456789abcdefABCDEF0123456789\r\n"]
    cases = {"files": [list(data) for data in files], "keys": [list(data) for data in keys]}
    script, given, work = folder / "script.py", folder / "cases.json", folder / "work"
    script.write_text(SCRIPT)
    given.write_text(json.dumps(cases))
    work.write_text("")
    folders = [paths.LIB, FIRMWARE] + [paths.SHIMS / "wasm"] * (runtime == "wasm")
    # Opening a folder succeeds or fails, by the runtime; reading it fails on all.
    printed = runtimes.run(runtime, script, [given, work, folder], paths=folders, files=[given, work])
    return json.loads(printed)


def mistakes(result):
    return result["files"][: len(MISTAKES)]


@pytest.mark.parametrize("number", range(len(MISTAKES)))
def test_a_mistake_is_named_with_key_value_and_remedy(runtime, results, number):
    text, key, value, remedy = MISTAKES[number]
    result = mistakes(results(runtime))[number]
    assert result.get("error") in ("ValueError", "UnicodeError"), (text, result)
    message = result["message"]
    assert message.startswith(f"faction.json: {key}: ") and value in message and remedy in message, (text, message)
    assert len(message) < 300, f"too long for a serial line: {message}"


def test_every_mistake_has_its_own_message(runtime, results):
    messages = [result["message"] for result in mistakes(results(runtime))]
    assert len(set(messages)) == len(messages) >= 35, [m for m in messages if messages.count(m) > 1]


def test_all_runtimes_say_the_same(results, micropython):
    theirs = results(micropython)
    ours = results("cpython")
    for text, one, other in zip((case[0] for case in MISTAKES), mistakes(ours), mistakes(theirs), strict=True):
        assert one == other or not text.isascii(), text


@pytest.mark.parametrize("number", range(len(NOT_JSON)))
def test_what_is_not_json_is_named(runtime, results, number):
    result = results(runtime)["files"][len(MISTAKES) + len(FINE) + number]
    assert result["error"] == "ValueError", (NOT_JSON[number], result)
    assert "not JSON" in result["message"] and "check quotes, commas and brackets" in result["message"]


@pytest.mark.parametrize("number", range(len(FINE)))
def test_a_good_file_is_taken_with_all_defaults(runtime, results, number):
    text, expected = FINE[number]
    result = results(runtime)["files"][len(MISTAKES) + number]
    assert "value" in result, (text, result)
    config = result["value"]
    given = json.loads(text)
    defaults = {key: default for key, (_, _, default) in NUMBERS.items()}
    defaults |= {"on_timeout": "retry", "links": None, "locked": False, "ssid": None, "gateway": None}
    members = [member["id"] if isinstance(member, dict) else member for member in given["members"]]
    whole = {**defaults, **given, "members": members}
    whole["samples_kb"] = SAMPLES_KB[0]
    whole["required"] = given.get("required") or len(members)
    whole["node"] = given.get("node", 1)
    assert config == {**whole, **expected}


def test_files_that_are_missing(runtime, results):
    result = results(runtime)
    assert result["absent"]["error"] == "ValueError" and "missing" in result["absent"]["message"]
    assert "deploy this board" in result["absent"]["message"]
    if runtime != "wasm":  # whose files have Emscripten's error numbers, as no board's have
        assert result["no_key"] == {"value": [0] * 16}, "without a key file the swarm is open"
        assert "write the swarm's key again" in result["lost_key"]["message"], "unless it is known to be locked"
    assert result["no_hardware"]["message"].startswith("faction.json: node: null: ")


def test_a_key_file_is_never_shown_and_never_taken_for_none(runtime, results):
    result = results(runtime)
    assert result["keys"][-1] == {"value": list(bytes.fromhex("0123456789abcdefABCDEF0123456789"))}
    for content, got in zip(BAD_KEYS, result["keys"], strict=False):
        assert got["error"] == "ValueError", (content, got)
        message = got["message"].split("work: ")[1]
        assert message == "not 32 hexadecimal digits: write the swarm's key again", content
    unread = result["unread_key"]
    assert unread["error"] == "ValueError" and "not readable" in unread["message"]
    assert "write the swarm's key again" in unread["message"]


def test_a_number_has_one_table():
    ranges = NUMBERS
    for key, (low, high, default) in ranges.items():
        # A period is cut in halves at the start; what runs knows no number beyond a small int.
        assert 0 <= low < high and (high < 1 << 30 or key == "period_ms"), key
        assert default is None or low <= default <= high, key


def test_the_readme_holds_the_table():
    readme = (paths.FIRMWARE / "README.md").read_text()
    parts = readme.split(MARK)
    assert len(parts) == 3, f"firmware/README.md has the table once, between two lines {MARK}"
    assert parts[1].strip() == configuration.table(), "paste what `python -m swarm.documents.configuration` prints"


def test_the_table_has_a_row_for_every_key():
    rows = configuration.table().splitlines()[2:]
    keys = [row.split("`")[1] for row in rows]
    assert sorted(keys) == sorted([*NUMBERS, "swarm", "members", "on_timeout", "links", "locked", "ssid", "gateway"])
