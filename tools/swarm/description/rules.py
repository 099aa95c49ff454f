"""What a swarm.toml may hold, checked key by key, so that every mistake in it is told at once, with its line.

The rules about numbers, names and members are the boards' own: firmware/config.py is asked, since it is what refuses a
configuration in the field. Here are only the rules about what no board sees: which board is on which port.
"""

from __future__ import annotations

import bisect
import json
import os
import re
from typing import Any

from swarm import boards
from swarm.device import config as device_config

# Names of swarm.toml where a board's faction.json has others.
_ON_BOARD = {"name": "swarm", "quorum": "required"}
NUMBERS = (
    "quorum",
    "deadline_ms",
    "lead_ms",
    "linger_ms",
    "period_ms",
    "round_ms",
    "samples_kb",
    "channel",
    "baud",
    "udp_port",
    "trace",
    "watchdog_ms",
)
KEYS = ("name", *NUMBERS, "on_timeout", "gateway", "ssid", "open", "member")
ANY = "any"  # as the gateway: nobody always, but whichever board a tool asks
MEMBER_KEYS = ("id", "board", "port", "serial", "hardware", "links")
_KEY = re.compile(r"[0-9a-f]{32}", re.IGNORECASE)
_TABLE = re.compile(r"\s*\[\[?\s*[\"']?([A-Za-z0-9_-]+)")
_ASSIGNMENT = re.compile(r"\s*[\"']?([A-Za-z0-9_-]+)[\"']?\s*=")


def default(key: str) -> Any:
    """What a number of swarm.toml is when the file does not say; None: decided by the members."""
    return device_config.NUMBERS[_ON_BOARD.get(key, key)][2]


def gathering(gateway: Any) -> Any:
    """Who gathers always, as a board's faction.json has it, of what swarm.toml says: an id, a list of them, or ANY."""
    if gateway == ANY:
        return []
    return [gateway] if type(gateway) is int else gateway


def find_lines(text: str) -> dict[tuple[int | None, str], int]:
    """Line of each key of a swarm.toml: (None, key) for the swarm's, (index, key) for those of the index-th member,
    and (index, "") for the line of its [[member]]."""
    lines: dict[tuple[int | None, str], int] = {}
    place: int | None = None
    count = 0
    for number, line in enumerate(text.splitlines(), 1):
        if table := _TABLE.match(line):
            if table[1] == "member":
                place = count
                count += 1
                lines[place, ""] = number
            else:
                lines.setdefault((None, table[1]), number)
        elif assignment := _ASSIGNMENT.match(line):
            lines.setdefault((place, assignment[1]), number)
    return lines


class Mistakes:
    """Collects what is wrong with a file: its path for the messages, its text for the lines."""

    def __init__(self, path: object, text: str) -> None:
        self._found: list[tuple[int, str]] = []
        self._path = path
        self._lines = find_lines(text)

    def add(self, key: str, value: Any, remedy: str, index: int | None = None, member: object = None) -> None:
        """Note a mistake. index: position of the member it is in, member: that member's id if it has one."""
        line = self._lines.get((index, key)) or self._lines.get((index, ""))
        where = f"{self._path}:{line}" if line else f"{self._path}"
        if index is not None:
            where += f": member {member}" if isinstance(member, int) else f": member number {index + 1} of the list"
        shown = "missing" if value is None else json.dumps(value, ensure_ascii=False, default=str)
        if _KEY.search(shown):
            shown = "not shown, since it looks like a key"
        if "pass" in key.lower():
            shown = "not shown, since it looks like a password"
        self._found.append((line or 0, f"{where}: {key}: {shown}: {remedy}"))

    @property
    def messages(self) -> list[str]:
        """What was noted, by line."""
        return [message for _, message in sorted(self._found, key=lambda found: found[0])]


def check(given: dict[str, Any], mistakes: Mistakes) -> None:
    """Note every mistake in a swarm.toml, as parsed from TOML into plain values."""
    if _find_dates(given, mistakes):
        return
    for key, value in given.items():
        if key not in KEYS:
            mistakes.add(key, value, f"no such key: one of {', '.join(KEYS)}")
    if "open" in given and not isinstance(given["open"], bool):
        mistakes.add("open", given["open"], "write true for a swarm without a key, false for one with a key")
    members = given.get("member")
    if not isinstance(members, list) or not all(isinstance(member, dict) for member in members) or not members:
        mistakes.add("member", members, "write a [[member]] table for each node, with its id and board")
        members = []
    for index, member in enumerate(members):
        _check_member(index, member, mistakes)
    _check_ports(members, mistakes)
    if not mistakes.messages:
        _check_reach(members, mistakes)
        _check_wifi(given, members, mistakes)
    ids = _check_ids(members, mistakes)
    for key in ("name", *NUMBERS, "on_timeout", "ssid"):
        if key in given or key == "name":
            value = given.get(key)
            if key != "round_ms" and (key != "quorum" or ids):
                _ask_board(key, value, ids or [0], mistakes)
    if not mistakes.messages and given.keys() & {"round_ms", "gateway"}:
        _check_rounds(given, ids, mistakes)


def _find_dates(given: dict[str, Any], mistakes: Mistakes) -> bool:
    """Note dates and times, which TOML has and the boards' JSON has not; returns whether there are any."""
    found = False
    members = given.get("member")
    tables = enumerate(members) if isinstance(members, list) else ()
    for index, table in ((None, given), *tables):
        if isinstance(table, dict):
            for key, value in table.items():
                try:
                    json.dumps(value)
                except TypeError:
                    if key != "member":
                        found = True
                        mistakes.add(key, value, "this is a date or a time: write it in quotes", index)
    return found


def _check_rounds(given: dict[str, Any], ids: list[int], mistakes: Mistakes) -> None:
    """Rounds and a gateway are of a series, and rounds of members that never fall silent."""
    beside: dict[str, Any] = {}
    for key in ("period_ms", "gateway", "round_ms", "linger_ms"):
        if key in given and not mistakes.messages:
            _ask_board(key, given[key], ids, mistakes, **beside)
            beside[key] = gathering(given[key]) if key == "gateway" else given[key]


def _ask_board(key: str, value: Any, ids: list[int], mistakes: Mistakes, **others: Any) -> None:
    """Have the boards' validator judge one of the swarm's keys by itself, or beside others."""
    trial = {"swarm": "swarm", "members": ids, "node": ids[0], **others, _ON_BOARD.get(key, key): value}
    if key == "gateway":
        trial[key] = gathering(value)
    if remedy := _remedy(trial):
        mistakes.add(key, value, remedy)


def _remedy(trial: dict[str, Any]) -> str | None:
    """What the boards' validator says to do about a configuration; None when it accepts it."""
    try:
        device_config.check(trial)
    except ValueError as error:
        rest = str(error).split(": ", 2)[2]  # after the file and the key comes the value, in JSON, cut when it is long
        try:
            end = json.JSONDecoder().raw_decode(rest)[1]
        except ValueError:
            end = rest.rindex("...: ")
        return rest[end:].removeprefix("...").removeprefix(": ")
    return None


def _check_ids(members: list[dict[str, Any]], mistakes: Mistakes) -> list[int]:
    """Check ids and hardware ids as a board would; returns the ids when they hold, else none."""
    listed = [{"id": member.get("id"), "hardware": member.get("hardware")} for member in members]

    def judge(listed: list[dict[str, Any]]) -> str | None:
        # A valid `node` comes from the list itself: what is wrong with the list is found before it is looked at.
        return _remedy({"swarm": "swarm", "members": listed, "node": listed[0]["id"]})

    if not listed or (remedy := judge(listed)) is None:
        return [one["id"] for one in listed]
    if len(listed) > device_config.MAX_MEMBERS:
        mistakes.add("member", len(listed), remedy)
        return []
    # The first member with which the list is refused has the mistake: of two that are alike, the second.
    index = bisect.bisect_left(range(len(listed)), True, key=lambda last: judge(listed[: last + 1]) is not None)
    without_hardware = [*listed[:index], {"id": listed[index]["id"]}]
    key = "id" if judge(without_hardware) else "hardware"
    mistakes.add(key, listed[index][key], remedy, index, listed[index]["id"])
    return []


def _check_member(index: int, member: dict[str, Any], mistakes: Mistakes) -> None:
    """Check what a member's table says about its board, its port and its links."""
    node = member.get("id")
    for key, value in member.items():
        if key not in MEMBER_KEYS:
            mistakes.add(key, value, f"no such key: one of {', '.join(MEMBER_KEYS)}", index, node)
    for key in ("port", "serial"):
        if key in member and (not isinstance(member[key], str) or not member[key]):
            mistakes.add(key, member[key], "write it in quotes, as `mpremote connect list` shows it", index, node)
    board = member.get("board")
    if board not in boards.names():
        mistakes.add("board", board, f"choose one of {', '.join(boards.names())}", index, node)
    if "links" in member:
        _check_links(index, member, mistakes)


def _check_links(index: int, member: dict[str, Any], mistakes: Mistakes) -> None:
    links, node, board = member["links"], member.get("id"), member.get("board")
    remedy = _remedy({"swarm": "swarm", "members": [0], "node": 0, "links": links})
    if remedy:
        mistakes.add("links", links, remedy, index, node)
    elif board in boards.names():
        offered = boards.facts(board)["links"]
        for link in links:
            if link not in offered:
                mistakes.add("links", link, f"{board} has none: write one of {', '.join(offered)}", index, node)


def _check_ports(members: list[dict[str, Any]], mistakes: Mistakes) -> None:
    """Two members cannot be the board at one port, whatever names that has."""
    owners: dict[tuple[str, str], tuple[object, str]] = {}
    for index, member in enumerate(members):
        for key in ("port", "serial"):
            value = member.get(key)
            if not isinstance(value, str):
                continue
            at = key, os.path.realpath(value) if key == "port" and "\0" not in value else value
            if at in owners:
                owner, named = owners[at]
                also = "" if named == value else f", as {named}"
                remedy = f"member {owner} has it too{also}: each board is one member, so correct or remove one"
                mistakes.add(key, value, remedy, index, member.get("id"))
            owners[at] = member.get("id"), value


def links_of(board: str, links: list[str] | None) -> list[str]:
    """The links of a member with that board: those that are listed, else the board's own."""
    return links or list(boards.pins(board)["LINKS"])


def _check_wifi(given: dict[str, Any], members: list[dict[str, Any]], mistakes: Mistakes) -> None:
    """A link over WiFi needs to know the network."""
    for member in members:
        if "ssid" not in given and "udp" in links_of(member["board"], member.get("links")):
            mistakes.add("ssid", None, f"member {member['id']} has udp: write the name of the WiFi network to join")
            return


def _check_reach(members: list[dict[str, Any]], mistakes: Mistakes) -> None:
    """Members that share no link with the others, directly or through members with several, can never be heard."""
    links = [set(links_of(member["board"], member.get("links"))) for member in members]
    reached = set(links[0])
    while any(one & reached and not one <= reached for one in links):
        reached |= set().union(*(one for one in links if one & reached))
    for index, member in enumerate(members):
        if not links[index] & reached:
            remedy = f"none of the other members' ({', '.join(sorted(reached))}): change it, or give one member both"
            mistakes.add("links", sorted(links[index]), remedy, index, member.get("id"))
