"""Prints the table of faction.json's keys for firmware/README.md, ranges and defaults from what a board executes.

python -m swarm.documents.configuration
"""

from swarm.device.config import MAX_MEMBERS, NUMBERS, SAMPLES_KB, default_lead_ms, imin_ms

_SMALL = 20  # members; up to so many the first sample's lead is the shortest

# Key -> meaning, and for a key that is no plain number, or whose default the members decide, its values and default.
_KEYS = {
    "swarm": ("name of the swarm, the same on all its boards", "text of 1 to 32 bytes", "must be given"),
    "members": (
        'ids of all members; with `{"id": 1, "hardware": "240ac4123456"}` in place of `1` that board finds itself by '
        "its `machine.unique_id()`",
        f"1 to {MAX_MEMBERS} ids of 0 to 65535",
        "must be given",
    ),
    "node": ("id of this board", None, "the member that lists this board's hardware id"),
    "required": ("how many members must be ready", "1 to the number of members", "all members"),
    "deadline_ms": ("time from start until the node reports a time-out",),
    "on_timeout": (
        "what follows a time-out: `retry` begins again with a new deadline, `halt` leaves it at that",
        "`retry`, `halt`",
        "`retry`",
    ),
    "lead_ms": (
        "time from the first conclusion to the first sample",
        None,
        f"{default_lead_ms(_SMALL)}, and {default_lead_ms(_SMALL + 1) - default_lead_ms(_SMALL)} for each member "
        f"beyond {_SMALL}; more on a slow `uart`, {default_lead_ms(_SMALL, imin_ms('udp', _SMALL, 0))} with `udp`",
    ),
    "linger_ms": ("time from this node's conclusion until it falls silent; 0: never",),
    "period_ms": (
        "time between two samples of a series, the same on all boards; 0: the first sample alone",
        f"0, or 100 to {NUMBERS['period_ms'][1]} (30 days)",
        "0",
    ),
    "round_ms": (
        "time in which each member makes itself heard, or is lost, the same on all boards; needs a `period_ms`, "
        "`linger_ms` 0 and at most 448 members; 0: nobody is missed",
        f"0, or 10000 to {NUMBERS['round_ms'][1]}",
        "0",
    ),
    "gateway": (
        "who gathers all members' samples over the air, the same on all boards; an empty list: nobody always, but a "
        "tool may have any board gather; needs a `period_ms`, and a `round_ms` is 30000 then where none is given",
        "list of members' ids, or `null`",
        "`null`: no samples over the air",
    ),
    "samples_kb": (
        "what samples may take of the flash, in KB; the oldest go first",
        None,
        f"{SAMPLES_KB[0]}, with a period {SAMPLES_KB[1]}",
    ),
    "links": ("how the board talks", "list of `espnow`, `uart`, `udp`; not both radios", "as its `board.py` says"),
    "locked": ("whether the node starts with its `faction.key` only", "`true`, `false`", "`false`"),
    "channel": ("WiFi channel of `espnow`; a radio without a country refuses 12 and above",),
    "ssid": (
        "name of the WiFi network that `udp` joins; its password is in `faction.wifi`",
        "text of 1 to 32 bytes",
        "none",
    ),
    "udp_port": ("port of `udp`: swarms in one network do not disturb each other on ports of their own",),
    "baud": ("speed of `uart`",),
    "trace": ("transitions kept for `faction.trace()`, 6 bytes each",),
    "watchdog_ms": (
        "reset the board when the node stands still for so long, at least 3000, since a radio may hold it for 2 s; "
        "0: only in a call of your sensor that takes 8 s",
    ),
}


def table() -> str:
    """The table in Markdown, without an end of line."""
    rows = [
        "| key | meaning | values | default |",
        "|---|---|---|---|",
    ]
    for key, (meaning, *others) in _KEYS.items():
        values, default = others or (None, None)
        if key in NUMBERS:
            low, high, standard = NUMBERS[key]
            values = values or f"{low} to {high}"
            default = default or str(standard)
        rows.append(f"| `{key}` | {meaning} | {values} | {default} |")
    return "\n".join(rows)


if __name__ == "__main__":
    print(table())
