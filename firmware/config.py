"""faction.json and faction.key: what one board knows of its swarm. A mistake is named with key, value and remedy."""

import json
from binascii import unhexlify
from errno import ENOENT

from faction.frame import DEMONSTRATION_KEY, MAX_MEMBERS, MAX_MEMBERS_IN_ROUNDS

# Whole numbers: lowest, highest, default; None: no default, or one that the members decide.
NUMBERS = {
    "node": (0, 65535, None),
    "required": (1, MAX_MEMBERS, None),
    "deadline_ms": (100, 500_000_000, 60_000),
    "lead_ms": (50, 495_000, None),
    "linger_ms": (0, 500_000_000, 0),
    "period_ms": (0, 2_592_000_000, 0),
    "round_ms": (0, 900_000, 0),
    "samples_kb": (8, 65_536, None),
    "channel": (1, 14, 1),
    "udp_port": (1024, 65535, 47_017),
    "baud": (9600, 3_000_000, 115_200),
    "trace": (0, 4096, 32),
    "watchdog_ms": (0, 8388, 0),
}
LINKS = ("espnow", "uart", "udp")
ON_TIMEOUT = ("retry", "halt")  # the first is the default
_OTHERS = ("swarm", "members", "on_timeout", "links", "locked", "ssid", "gateway")
_NAME_BYTES = 32
SAMPLES_KB = (8, 256)  # what samples may take of the flash by default: the first sample alone; a series
GATEWAY_ROUND_MS = 30_000  # where there is a gateway and no other is given
_ROUND_MS = 10_000  # at least, since what is known of the members takes seconds to reach all
_PERIOD_MS = 100  # at least, since a board has more to do than to sample
_WATCHDOG_MS = 3000  # a radio without memory may hold its caller for 2.1 s (modespnow.c), and flash is written too
_SHOWN = 60  # characters of a value in a message


def _mistake(key, value, remedy):
    text = json.dumps(value)
    if len(text) > _SHOWN:
        text = text[:_SHOWN] + "..."
    raise ValueError("faction.json: %s: %s: %s" % (key, text, remedy))


def _whole(key, value, low, high):
    if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
        _mistake(key, value, "write a whole number from %d to %d" % (low, high))
    return value


def _name(key, name):
    if isinstance(name, str) and 1 <= len(name) <= _NAME_BYTES:
        for i in range(len(name)):
            code = ord(name[i])
            if code < 32 or 127 <= code < 160 or 0xD800 <= code < 0xE000:
                _mistake(key, name[:i], "a control character, or half a character, comes next: write plain text")
        if len(name.encode()) <= _NAME_BYTES:
            return
    _mistake(key, name, "write its name, 1 to %d bytes of text" % _NAME_BYTES)


def _hardware(owner):
    """A hardware id as machine.unique_id() gives it, of text that may have the colons of a radio's address."""
    try:
        plain = owner.lower().replace(":", "").replace("-", "")
        if unhexlify(plain):
            return plain
    except (AttributeError, ValueError):
        pass
    _mistake("members", owner, "write the hardware id in hexadecimal digits, such as 240ac4123456")


def _members(config, hardware):
    """Check the members, and find this board among them; returns their ids."""
    members = config.get("members")
    if not isinstance(members, list) or not 1 <= len(members) <= MAX_MEMBERS:
        _mistake("members", members, "list 1 to %d members" % MAX_MEMBERS)
    ids = []
    owners = {}
    for member in members:
        owner = None
        if isinstance(member, dict):
            for key in member:
                if key not in ("id", "hardware"):
                    _mistake("members", member, 'a member has "id" and "hardware" and nothing else')
            owner = member.get("hardware")
            member = member.get("id")
        _whole("members", member, 0, 65535)
        if member in ids:
            _mistake("members", member, "listed twice: give each member its own id")
        ids.append(member)
        if owner is not None:
            owner = _hardware(owner)
            if owner in owners:
                _mistake("members", owner, "two members have this hardware id: each board is one member")
            owners[owner] = member
    if config.get("node") is None:
        if hardware is None or hardware not in owners:
            _mistake(
                "node", None, "list this board's hardware id, %s, with its member, or write its id here" % hardware
            )
        config["node"] = owners[hardware]
    return ids


def check(given, hardware=None):
    """Validate a configuration as parsed from JSON.

    hardware: this board's machine.unique_id() in hexadecimal, by which it finds itself among the members when no
    `node` is given. Returns a dict with every key, defaults filled in and members as ids.
    Raises ValueError, which names key, value and remedy.
    """
    if not isinstance(given, dict):
        _mistake("the file", given, "write an object, {...}")
    config = {"on_timeout": ON_TIMEOUT[0], "links": None, "locked": False, "ssid": None, "gateway": None}  # type: dict
    for key in given:
        if key not in NUMBERS and key not in _OTHERS:
            shown = None if "pass" in key else given[key]  # the WiFi's, which is in a file of its own
            _mistake(key, shown, "no such key: one of " + ", ".join(sorted(_OTHERS + tuple(NUMBERS))))
        config[key] = given[key]
    _name("swarm", config.get("swarm"))
    if config["ssid"] is not None:
        _name("ssid", config["ssid"])
    ids = _members(config, hardware)
    for key in NUMBERS:
        low, high, default = NUMBERS[key]
        if key not in config:
            config[key] = default
        elif config[key] is not None or default is not None:
            _whole(key, config[key], low, high)
    if config["node"] not in ids:
        _mistake("node", config["node"], "not a member: write the id of one, and list this board with it")
    if config["required"] is None:
        config["required"] = len(ids)
    _whole("required", config["required"], 1, len(ids))
    if 0 < config["period_ms"] < _PERIOD_MS:
        _mistake("period_ms", config["period_ms"], "write 0 for the first sample alone, or at least %d" % _PERIOD_MS)
    _gateway(config, ids)
    if config["round_ms"] and not (config["period_ms"] and config["round_ms"] >= _ROUND_MS):
        _mistake("round_ms", config["round_ms"], "write 0 for none, or with a period_ms at least %d" % _ROUND_MS)
    if config["round_ms"] and config["linger_ms"]:
        _mistake("linger_ms", config["linger_ms"], "write 0: with a round_ms, whoever falls silent is lost")
    if config["round_ms"] and len(ids) > MAX_MEMBERS_IN_ROUNDS:
        _mistake(
            "round_ms", config["round_ms"], "write 0: with rounds there are %d members at most" % MAX_MEMBERS_IN_ROUNDS
        )
    if config["samples_kb"] is None:
        config["samples_kb"] = SAMPLES_KB[config["period_ms"] > 0]
    if 0 < config["watchdog_ms"] < _WATCHDOG_MS:
        _mistake("watchdog_ms", config["watchdog_ms"], "write 0 for none, or at least %d" % _WATCHDOG_MS)
    if config["on_timeout"] not in ON_TIMEOUT:
        _mistake("on_timeout", config["on_timeout"], "write one of: " + ", ".join(ON_TIMEOUT))
    if not isinstance(config["locked"], bool):
        _mistake("locked", config["locked"], "write true or false")
    links = config["links"]
    if links is not None:
        if not isinstance(links, list) or not links:
            _mistake("links", links, "list one or more of: " + ", ".join(LINKS))
        for link in links:
            if link not in LINKS or links.count(link) > 1:
                _mistake("links", link, "list each once, of: " + ", ".join(LINKS))
        if "espnow" in links and "udp" in links:
            _mistake("links", links, "leave out espnow or udp: the access point of the one chooses the other's channel")
    config["members"] = ids
    return config


def _gateway(config, ids):
    """Check who gathers; where anybody may, there are rounds."""
    gateway = config["gateway"]
    if gateway is None:
        return
    if not isinstance(gateway, list):
        _mistake("gateway", gateway, "list the ids of those that gather always, or none: [], where a tool may ask any")
    for member in gateway:
        if member not in ids or gateway.count(member) > 1:
            _mistake("gateway", member, "list members, each once")
    if not config["period_ms"]:
        _mistake("gateway", gateway, "give a period_ms as well: what is sampled in series goes over the air")
    config["round_ms"] = config["round_ms"] or GATEWAY_ROUND_MS


def load(path, hardware=None):
    """Read and validate a board's configuration; hardware: as in check(), as bytes.

    Raises ValueError, which names the file, and key, value and remedy.
    """
    try:
        with open(path) as file:
            given = json.load(file)
    except OSError as error:
        raise ValueError("%s: missing or not readable (%s): write it, or deploy this board" % (path, error))
    except ValueError as error:
        raise ValueError("%s: not JSON (%s): check quotes, commas and brackets" % (path, error))
    except RuntimeError as error:
        raise _too_deep(path, error)
    try:
        return check(given, hardware and "".join("%02x" % byte for byte in hardware))
    except RuntimeError as error:  # where reading takes no stack, saying the value in a message does
        raise _too_deep(path, error)


def _too_deep(path, error):
    return ValueError("%s: brackets within brackets without end (%s): write it anew" % (path, error))


def load_key(path, locked=False):
    """The swarm's 16-byte key; the published demonstration key when there is no file, unless the swarm is locked.

    Raises ValueError for a file that is not 32 hexadecimal digits, without showing what it holds, and for one that
    cannot be read: a node whose key is lost must not speak in the open.
    """
    try:
        with open(path, "rb") as file:
            text = file.read().strip()
    except OSError as error:
        if error.errno == ENOENT and not locked:
            return DEMONSTRATION_KEY
        raise ValueError("%s: not readable (%s): write the swarm's key again" % (path, error))
    try:
        key = unhexlify(text) if len(text) == 32 else b""  # it passes over spaces
    except ValueError:
        key = b""
    if len(key) != 16:
        raise ValueError("%s: not 32 hexadecimal digits: write the swarm's key again" % path)
    return key
