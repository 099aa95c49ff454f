"""Describe a swarm: write swarm.toml, which the other commands read, and a new key in swarm.key.

The key lets only this swarm's boards take part. It is in no other file and never shown; lose it, and a new one has to
go onto every board. A WiFi's password, which the link udp needs, is asked for at a terminal, and goes into swarm.wifi.
Exit status: 0 written, 1 not written, 2 wrong use.
"""

from __future__ import annotations

import argparse
import getpass
import os
import re
import sys
from pathlib import Path

from swarm import boards
from swarm.description import new, project, rules
from swarm.description.secret import WIFI_REMEDY
from swarm.device import config as device_config
from swarm.output.streams import fail

_EXAMPLES = """examples:
  swarm init --nodes 5 --board ESP32_GENERIC
  swarm init greenhouse --nodes 5 --quorum 4 --board ESP32_GENERIC_C3 --ports /dev/ttyACM*
  swarm init --members 10,11,20 --board ESP32_GENERIC --board ESP32_GENERIC --board RPI_PICO --link uart
  swarm init --nodes 5 --board RPI_PICO_W --link udp --ssid roof        over the WiFi network of that name
  swarm init --nodes 5 --board RPI_PICO --period 60000                  a sample a minute, all boards at once
  swarm init --nodes 5 --board RPI_PICO_W --link udp --ssid roof --period 60000 --gateway 1    all samples at board 1
  swarm init bench --nodes 3 --board VIRTUAL --open       no key: anyone may take part
"""


class _WrongUse(Exception):
    """An option does not fit; the message names its value and the remedy."""


def register(subparsers) -> None:
    """Add `init` to the command line."""
    parser = subparsers.add_parser(
        "init",
        help="describe a new swarm: swarm.toml and its key",
        description=__doc__,
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("folder", nargs="?", type=Path, default=Path(), metavar="DIR", help="default: this folder")
    parser.add_argument("--name", metavar="NAME", help="the swarm's name (default: the folder's)")
    who = parser.add_mutually_exclusive_group()
    who.add_argument("--nodes", type=int, metavar="N", help="members 1 ... N (default: one a port)")
    who.add_argument("--members", metavar="ID,ID,...", help="members' ids")
    parser.add_argument(
        "--board", action="append", required=True, metavar="BOARD", help="all members' board; or repeated, one a member"
    )
    parser.add_argument("--ports", nargs="+", default=[], metavar="PORT", help="serial ports, in the members' order")
    parser.add_argument("--link", action="append", metavar="LINK", help="link of all members; may be repeated")
    parser.add_argument("--quorum", type=int, metavar="N", help="how many must be ready (default: all)")
    parser.add_argument("--deadline", type=int, metavar="MS", help="when nodes give up")
    parser.add_argument("--lead", type=int, metavar="MS", help="from the conclusion to the first sample")
    parser.add_argument("--period", type=int, metavar="MS", help="between two samples (default: the first one alone)")
    parser.add_argument("--round", type=int, metavar="MS", help="in which each node is heard, or lost (default: none)")
    parser.add_argument(
        "--gateway", metavar="ID|any", help="who gathers all samples over the air: ids, or any board that is asked to"
    )
    parser.add_argument("--on-timeout", default="retry", metavar="WHAT", help="retry or halt (default: %(default)s)")
    parser.add_argument("--channel", type=int, metavar="N", help="of the radio, 1 ... 14")
    parser.add_argument("--ssid", metavar="NAME", help="the WiFi network of --link udp; its password is asked for")
    parser.add_argument("--open", action="store_true", help="no key: anyone may take part")
    parser.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> int:
    path = options.folder / project.FILE
    try:
        text = new.render(
            _text(options.name or options.folder.resolve().name),
            _members(options),
            {
                "quorum": options.quorum,
                "deadline_ms": options.deadline,
                "lead_ms": options.lead,
                "period_ms": options.period,
                "round_ms": options.round,
                "on_timeout": options.on_timeout,
                "channel": options.channel,
                "gateway": _gateway(options.gateway),
                "ssid": options.ssid and _text(options.ssid),
            },
            options.open,
        )
        described = project.parse(text, path)
    except (_WrongUse, project.ProjectError) as error:
        # The file is not there yet, so its lines mean nothing to the reader.
        why = [re.sub(r"^:[0-9]+: ", "", line.removeprefix(str(path))) for line in str(error).splitlines()]
        return fail("init", "\n".join(why), 2)
    try:
        new.write(described, text, _password(described))
    except OSError as error:
        return fail("init", error, 1)
    members = "1 member" if len(described.members) == 1 else f"{len(described.members)} members"
    print(f"{path}: swarm {described.name}, {members}, digest {described.digest()}")
    if options.open:
        print("open: no key, anyone may take part")
    else:
        print(f"{described.key_path}: new key; keep a copy in a safe place, and out of version control")
    if described.uses_wifi:
        there = described.wifi_path.exists()
        print(f"{described.wifi_path}: " + ("the WiFi's password" if there else f"is missing: {WIFI_REMEDY}"))
    return 0


def _password(described: project.Project) -> str | None:
    """The password of the swarm's WiFi, as somebody at a terminal types it; None when there is none to type it."""
    if not described.uses_wifi or not sys.stdin.isatty():
        return None
    while True:
        password = getpass.getpass(f"password of the WiFi network {described.ssid} (none: Enter): ")
        if not password or 8 <= len(password.encode()) <= 64:
            return password
        print("a password of WiFi has 8 to 63 characters", file=sys.stderr)


def _text(word: str) -> str:
    """A word of the command line or of the disk, which Python does not read as UTF-8 in every locale."""
    try:
        return os.fsencode(word).decode("utf-8")
    except UnicodeError:
        return word


def _members(options: argparse.Namespace) -> list[project.Member]:
    """The members that the options describe."""
    for port in options.ports:
        if set("*?[") & set(port) and not Path(port).exists():  # the shell has left it as it was
            raise _WrongUse(f"--ports: {port}: no port is named so: plug the boards in, or correct the pattern")
    ids = _ids(options)
    if len(options.board) not in (1, len(ids)):
        raise _WrongUse(f"--board: {len(options.board)} boards for {len(ids)} members: give one, or one a member")
    if options.ports and len(options.ports) != len(ids):
        raise _WrongUse(f"--ports: {len(options.ports)} ports for {len(ids)} members: give one a member, or none")
    kinds = options.board * len(ids) if len(options.board) == 1 else options.board
    ports = options.ports or [None] * len(ids)
    for kind in kinds:
        if kind not in boards.names():
            raise _WrongUse(f"--board: {kind!r}: choose one of {', '.join(boards.names())}")
    return [
        project.Member(node, kind, port, links=options.link) for node, kind, port in zip(ids, kinds, ports, strict=True)
    ]


def _gateway(given: str | None) -> str | list[int] | None:
    return given if given in (None, rules.ANY) else _listed("--gateway", given)


def _listed(option: str, given: str) -> list[int]:
    """The ids that an option lists."""
    try:
        return [int(one) for one in given.split(",")]
    except ValueError:
        either = f"{rules.ANY}, or " if option == "--gateway" else ""
        raise _WrongUse(f"{option}: {given!r}: write {either}whole numbers and commas, such as 1,2,5") from None


def _ids(options: argparse.Namespace) -> list[int]:
    if options.members is not None:
        return _listed("--members", options.members)
    count = options.nodes if options.nodes is not None else len(options.ports)
    if options.nodes is None and not count:
        raise _WrongUse("say how many members: --nodes N, --members ID,ID,... or --ports PORT ...")
    most = device_config.MAX_MEMBERS
    if not 1 <= count <= most:
        raise _WrongUse(f"--nodes: {count}: write a whole number from 1 to {most}")
    return list(range(1, count + 1))
