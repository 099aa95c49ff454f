"""A new swarm: the text of its swarm.toml, and that, its key and its WiFi's password on the disk."""

from __future__ import annotations

import os
import secrets
import stat
from pathlib import Path

import tomlkit

from swarm.description import rules
from swarm.description.project import Member, Project, default_lead_ms
from swarm.device.config import GATEWAY_ROUND_MS
from swarm.output import readable, writable

_KEY_BYTES = 16
_MEANINGS = (
    ("quorum", "how many members must be ready; left out: all"),
    ("deadline_ms", "milliseconds from a board's start until it gives up"),
    ("on_timeout", '"retry", or "halt"'),
    ("lead_ms", "milliseconds from the conclusion to the first sample; left out: by size and links"),
    ("period_ms", "milliseconds between two samples of a series; 0: the first sample alone"),
    ("round_ms", "milliseconds in which each member makes itself heard, or is lost; 0: nobody is missed"),
    ("channel", "of the radio, 1 ... 14, the same for all"),
)


def render(name: str, members: list[Member], settings: dict[str, int | str | list[int] | None], is_open: bool) -> str:
    """The text of a new swarm.toml, every key explained; settings that are None stay at their defaults."""
    lines = [
        "# A swarm: who belongs to it, and what it waits for. `swarm check` says whether this file is right.",
        "",
        f"name = {_quoted(name)}",
    ]
    for key, meaning in _MEANINGS:
        value = settings.get(key)
        standard = rules.default(key) if key != "on_timeout" else "retry"
        if key == "round_ms" and settings.get("gateway") is not None:
            standard = None
        shown = standard if value is None else value
        if shown is None:  # decided by the members, or by the gateway
            baud = rules.default("baud")
            decided = {"quorum": len(members), "lead_ms": default_lead_ms(members, baud), "round_ms": GATEWAY_ROUND_MS}
            shown = decided[key]
        written = f"{key} = {_quoted(shown) if isinstance(shown, str) else shown}"
        # What the members decide by default stays a comment, so that it goes on following them.
        chosen = value is not None or standard is not None
        lines.append(f"{written if chosen else '# ' + written:<24} # {meaning}")
    if (gateway := settings.get("gateway")) is not None:
        written = f"gateway = {_quoted(gateway) if isinstance(gateway, str) else gateway}"
        lines.append(f'{written:<24} # gathers all samples over the air: ids, or "any" board that is asked to')
    if settings.get("ssid") is not None:
        ssid = f"ssid = {_quoted(str(settings['ssid']))}"
        lines.append(f"{ssid:<24} # WiFi network of the link udp; its password is in the file that ends in .wifi")
    if is_open:
        lines.append(f"{'open = true':<24} # no key: anyone may take part")
    lines += [
        "",
        "# A member's board is found by its `port`, or by `serial`, its USB serial number (mpremote connect list).",
        "# `hardware` is its machine.unique_id().hex(), `links` the ways it talks; left out, the board's choice.",
    ]
    for member in members:
        lines += ["", "[[member]]", f"id = {member.id}", f"board = {_quoted(member.board)}"]
        if member.port is not None:
            lines.append(f"port = {_quoted(member.port)}")
        if member.links is not None:
            lines.append(f"links = [{', '.join(_quoted(link) for link in member.links)}]")
    return "\n".join(lines) + "\n"


def _quoted(text: str) -> str:
    """Text as TOML writes it."""
    return tomlkit.string(text).as_string()


def write(described: Project, text: str, password: str | None = None) -> None:
    """Write a new swarm's file, and a new key unless the swarm is open, into a folder that is made where it is missing.

    described: the swarm that the text describes; password: of its WiFi, None for none to be written. FileExistsError
    when one of the files is there already, else OSError.
    """
    held = {} if described.open else {described.key_path: secrets.token_hex(_KEY_BYTES)}
    if password is not None:
        held[described.wifi_path] = password
    described.path.parent.mkdir(parents=True, exist_ok=True)
    for taken in (described.path, *held):
        if taken.exists():
            raise FileExistsError(
                f"{taken}: is there already and stays as it is: edit it, or move it away, or name another folder"
            )
    _write_all(described.path, text, held)
    if described.uses_wifi:
        _ignore(described.wifi_path)  # also one that is still to be written


def _write_secret(path: Path, secret: str) -> None:
    """Write a secret, for its owner's eyes only. FileExistsError when there is a file already."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            os.fchmod(file.fileno(), 0o600)  # a umask may have taken the owner's own permissions
            file.write(secret + "\n")
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        path.unlink()
        raise OSError(error.errno, error.strerror, str(path)) from None


def _write_all(path: Path, text: str, held: dict[Path, str]) -> None:
    """The secrets first: a swarm.toml never lies there without the key that it speaks of, nor a key without it."""
    written: list[Path] = []
    try:
        for secret_path, secret in held.items():
            _write_secret(secret_path, secret)
            written.append(secret_path)
            _ignore(secret_path)
        writable.write_atomically(path, text)
    except BaseException:
        for secret_path in written:
            secret_path.unlink()
        raise


def _ignore(secret: Path) -> None:
    """Have git leave a secret alone, where the folder is in a checkout."""
    folder = secret.resolve().parent
    if not any((parent / ".git").exists() for parent in (folder, *folder.parents)):
        return
    ignore = folder / ".gitignore"
    held = readable.read(ignore) if ignore.exists() else b""  # in whatever encoding
    line = os.fsencode(f"/{secret.name}")
    if line not in held.splitlines():
        separator = b"" if not held or held.endswith(b"\n") else b"\n"
        mode = stat.S_IMODE(ignore.stat().st_mode) if held else 0o644
        writable.write_atomically(ignore, held + separator + line + b"\n", mode)
