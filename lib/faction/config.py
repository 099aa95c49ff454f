"""faction.json and faction.key: what one board knows of its swarm. A mistake is named with key, value and remedy."""

import json

from faction.frame import DEMONSTRATION_KEY, MAX_MEMBERS
from faction.node import default_lead_ms

# key: lowest value, highest value, default (None: see load())
NUMBERS = {
    "node": (0, 65535, None),
    "required": (1, MAX_MEMBERS, None),
    "deadline_ms": (100, 500_000_000, 60_000),
    "lead_ms": (50, 500_000, None),
    "linger_ms": (0, 500_000_000, 0),
    "channel": (1, 14, 1),
    "baud": (1200, 3_000_000, 115_200),
}
_KEYS = ("swarm", "members", "on_timeout", "links")
LINKS = ("espnow", "uart")


def _mistake(key, value, remedy):
    raise ValueError("faction.json: %s: %r: %s" % (key, value, remedy))


def _is_number(value):
    return isinstance(value, int) and not isinstance(value, bool)


def check(given):
    """Validate a configuration as parsed from JSON; returns a dict with every key, defaults filled in.

    Raises ValueError, which names key, value and remedy.
    """
    if not isinstance(given, dict):
        raise ValueError("faction.json: holds a %s: write an object, {...}" % type(given).__name__)
    for key in given:
        if key not in _KEYS and key not in NUMBERS:
            _mistake(key, given[key], "unknown key: one of " + ", ".join(sorted(_KEYS + tuple(NUMBERS))))
    config = {"on_timeout": "retry"}
    config.update(given)
    name = config.get("swarm")
    if not isinstance(name, str) or not 1 <= len(name.encode()) <= 32:
        _mistake("swarm", name, "write the swarm's name, 1 to 32 bytes of text")
    members = config.get("members")
    if not isinstance(members, list) or not 1 <= len(members) <= MAX_MEMBERS:
        _mistake("members", members, "list the ids of 1 to %d members" % MAX_MEMBERS)
    for i, member in enumerate(members):
        if not _is_number(member) or not 0 <= member <= 65535:
            _mistake("members", member, "an id is a whole number from 0 to 65535")
        if member in members[:i]:
            _mistake("members", member, "listed twice: give each member its own id")
    for key, (low, high, default) in NUMBERS.items():
        value = config.get(key, default)
        if value is not None and (not _is_number(value) or not low <= value <= high):
            _mistake(key, value, "write a whole number from %d to %d" % (low, high))
        config[key] = value
    if config["node"] not in members:
        _mistake("node", config["node"], "write this board's id, one of the members")
    if config["required"] is None:
        config["required"] = len(members)
    if config["required"] > len(members):
        _mistake("required", config["required"], "the swarm has only %d members" % len(members))
    if config["lead_ms"] is None:
        config["lead_ms"] = default_lead_ms(len(members))
    links = config.get("links")
    if links is not None and (not isinstance(links, list) or not links or any(link not in LINKS for link in links)):
        _mistake("links", links, "list one or more of: " + ", ".join(LINKS))
    if config["on_timeout"] not in ("retry", "halt"):
        _mistake("on_timeout", config["on_timeout"], 'write "retry" or "halt"')
    return config


def load(path="faction.json"):
    """Read and validate a board's configuration. Raises ValueError, which names the file, key, value and remedy."""
    try:
        with open(path) as file:
            given = json.load(file)
    except OSError:
        raise ValueError("%s: missing: write it, or deploy this board" % path)
    except ValueError as error:
        raise ValueError("%s: not JSON (%s): check quotes, commas and brackets" % (path, error))
    return check(given)


def load_key(path="faction.key"):
    """The swarm's 16-byte key; the published demonstration key when there is no file.

    Raises ValueError for a file that is not 32 hexadecimal digits, without showing what it holds.
    """
    try:
        with open(path) as file:
            text = file.read().strip()
    except OSError:
        return DEMONSTRATION_KEY
    try:
        key = bytes(int(text[i : i + 2], 16) for i in range(0, len(text), 2))
    except ValueError:
        key = b""
    if len(key) != 16 or len(text) != 32:
        raise ValueError("%s: not 32 hexadecimal digits: write the swarm's key again" % path)
    return key
