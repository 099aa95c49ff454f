"""faction.json and faction.key with anything in them: a configuration, or a mistake in words that name the file.

The folder for the file is the third last argument of a script on MicroPython, and temporary on CPython.
"""

import json
import sys

import config

if sys.implementation.name == "cpython":
    import tempfile

    _kept = tempfile.TemporaryDirectory()
    _folder = _kept.name
else:
    _folder = sys.argv[-3]
MOST = 512
SEEDS = (
    b"",
    b"00112233445566778899aabbccddeeff\n",
    b'{"swarm": "demo", "members": [1, 2, {"id": 3, "hardware": "24:0a:c4:00:00:01"}], "required": 2}',
    b'{"swarm": "\xc3\xbc", "members": [1], "node": 1, "deadline_ms": 100, "lead_ms": 50, "linger_ms": 0, '
    b'"channel": 1, "baud": 9600, "trace": 0, "watchdog_ms": 3000, "on_timeout": "halt", "links": ["espnow", "uart"]}',
)
_HARDWARE = b"\x24\x0a\xc4\x00\x00\x01"
_LONGEST = 500  # characters of a mistake


def run(data):
    """One input, as either file."""
    path = _folder + "/faction.json"
    with open(path, "wb") as file:
        file.write(data)
    try:
        checked = config.load(path, _HARDWARE)
    except ValueError as error:
        _in_words(str(error))
    else:
        _whole(checked)
    try:
        key = config.load_key(path)
    except ValueError as error:
        _in_words(str(error))
    else:
        assert isinstance(key, bytes) and len(key) == 16


def _in_words(text):
    assert "faction.json: " in text and len(text) < _LONGEST, text


def _whole(checked):
    """What the firmware relies on."""
    members = checked["members"]
    assert members and checked["node"] in members and 1 <= checked["required"] <= len(members)
    assert len(set(members)) == len(members) and all(0 <= member < 65536 for member in members)
    assert checked["on_timeout"] in config.ON_TIMEOUT and 1 <= len(checked["swarm"].encode()) <= 32
    assert checked["links"] is None or all(link in config.LINKS for link in checked["links"])
    for key in ("deadline_ms", "linger_ms", "channel", "baud", "trace", "watchdog_ms"):
        low, high, _ = config.NUMBERS[key]
        assert low <= checked[key] <= high, key
    json.dumps(checked)
