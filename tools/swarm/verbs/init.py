"""Describe a swarm: write swarm.toml, which the other commands read, and a new key in swarm.key.

The key lets only this swarm's boards take part. It is in no other file and never shown; lose it, and a new one has to
go onto every board. Exit status: 0 written, 1 not written, 2 wrong use.
"""

from __future__ import annotations

import argparse
import os
import re
import secrets
from pathlib import Path

import tomlkit

from swarm import boards
from swarm.description import project, rules
from swarm.device import config as device_config
from swarm.output import writable
from swarm.output.streams import fail

_KEY_BYTES = 16
_EXAMPLES = """examples:
  swarm init --nodes 5 --board ESP32_GENERIC
  swarm init greenhouse --nodes 5 --quorum 4 --board ESP32_GENERIC_C3 --ports /dev/ttyACM*
  swarm init --members 10,11,20 --board ESP32_GENERIC --board ESP32_GENERIC --board RPI_PICO --link uart
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
    parser.add_argument("--on-timeout", default="retry", metavar="WHAT", help="retry or halt (default: %(default)s)")
    parser.add_argument("--channel", type=int, metavar="N", help="of the radio, 1 ... 14")
    parser.add_argument("--open", action="store_true", help="no key: anyone may take part")
    parser.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> int:
    path = options.folder / project.FILE
    key_path = path.with_suffix(".key")
    try:
        text = render(
            options.name or options.folder.resolve().name,
            _members(options),
            {
                "quorum": options.quorum,
                "deadline_ms": options.deadline,
                "lead_ms": options.lead,
                "on_timeout": options.on_timeout,
                "channel": options.channel,
            },
            options.open,
        )
        described = project.parse(text, path)
    except (_WrongUse, project.ProjectError) as error:
        # The file is not there yet, so its lines mean nothing to the reader.
        why = [re.sub(r"^:[0-9]+: ", "", line.removeprefix(str(path))) for line in str(error).splitlines()]
        return fail("init", "\n".join(why), 2)
    try:
        options.folder.mkdir(parents=True, exist_ok=True)
        for taken in (path, key_path):
            if taken.exists():
                raise FileExistsError(
                    f"{taken}: is there already and stays as it is: edit it, or move it away, or name another folder"
                )
        if options.open:
            writable.write_atomically(path, text)
        else:
            _write_both(path, text, key_path)
    except OSError as error:
        return fail("init", error, 1)
    members = "1 member" if len(described.members) == 1 else f"{len(described.members)} members"
    print(f"{path}: swarm {described.name}, {members}, digest {described.digest()}")
    if options.open:
        print("open: no key, anyone may take part")
    else:
        print(f"{key_path}: new key; keep a copy in a safe place, and out of version control")
    return 0


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


def _ids(options: argparse.Namespace) -> list[int]:
    if options.members is not None:
        try:
            return [int(one) for one in options.members.split(",")]
        except ValueError:
            raise _WrongUse(f"--members: {options.members!r}: write whole numbers and commas, such as 1,2,5") from None
    count = options.nodes if options.nodes is not None else len(options.ports)
    if options.nodes is None and not count:
        raise _WrongUse("say how many members: --nodes N, --members ID,ID,... or --ports PORT ...")
    most = device_config.MAX_MEMBERS
    if not 1 <= count <= most:
        raise _WrongUse(f"--nodes: {count}: write a whole number from 1 to {most}")
    return list(range(1, count + 1))


def render(name: str, members: list[project.Member], settings: dict[str, int | str | None], is_open: bool) -> str:
    """The text of a new swarm.toml, every key explained; settings that are None stay at their defaults."""
    lines = [
        "# A swarm: who belongs to it, and what it waits for. `swarm check` says whether this file is right.",
        "",
        f"name = {quoted(name)}",
    ]
    for key, meaning in _MEANINGS:
        value = settings.get(key)
        standard = rules.default(key) if key != "on_timeout" else "retry"
        shown = standard if value is None else value
        if shown is None:  # decided by the members
            baud = rules.default("baud")
            shown = len(members) if key == "quorum" else project.default_lead_ms(members, baud)
        written = f"{key} = {quoted(shown) if isinstance(shown, str) else shown}"
        # What the members decide by default stays a comment, so that it goes on following them.
        chosen = value is not None or standard is not None
        lines.append(f"{written if chosen else '# ' + written:<24} # {meaning}")
    if is_open:
        lines.append(f"{'open = true':<24} # no key: anyone may take part")
    lines += [
        "",
        "# A member's board is found by its `port`, or by `serial`, its USB serial number (mpremote connect list).",
        "# `hardware` is its machine.unique_id().hex(), `links` the ways it talks; left out, the board's choice.",
    ]
    for member in members:
        lines += ["", "[[member]]", f"id = {member.id}", f"board = {quoted(member.board)}"]
        if member.port is not None:
            lines.append(f"port = {quoted(member.port)}")
        if member.links is not None:
            lines.append(f"links = [{', '.join(quoted(link) for link in member.links)}]")
    return "\n".join(lines) + "\n"


_MEANINGS = (
    ("quorum", "how many members must be ready; left out: all"),
    ("deadline_ms", "milliseconds from a board's start until it gives up"),
    ("on_timeout", '"retry", or "halt"'),
    ("lead_ms", "milliseconds from the conclusion to the first sample; left out: by size and links"),
    ("channel", "of the radio, 1 ... 14, the same for all"),
)


def quoted(text: str) -> str:
    """Text as TOML writes it."""
    return tomlkit.string(text).as_string()


def write_key(path: Path) -> None:
    """Write a new key, for its owner's eyes only. FileExistsError when there is a file already."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as file:
        os.fchmod(file.fileno(), 0o600)  # a umask may have taken the owner's own permissions
        file.write(secrets.token_hex(_KEY_BYTES) + "\n")
        file.flush()
        os.fsync(file.fileno())


def _write_both(path: Path, text: str, key_path: Path) -> None:
    """The key first: a swarm.toml never lies there without the key that it speaks of, nor a key without it."""
    write_key(key_path)
    try:
        _ignore(key_path)
        writable.write_atomically(path, text)
    except BaseException:
        key_path.unlink()
        raise


def _ignore(key_path: Path) -> None:
    """Have git leave the key alone, where the folder is in a checkout."""
    folder = key_path.resolve().parent
    if not any((parent / ".git").exists() for parent in (folder, *folder.parents)):
        return
    ignore = folder / ".gitignore"
    text = ignore.read_text() if ignore.exists() else ""
    line = f"/{key_path.name}"
    if line not in text.splitlines():
        separator = "" if not text or text.endswith("\n") else "\n"
        ignore.write_text(f"{text}{separator}{line}\n")
