"""The files beside swarm.toml that only their owner may read: the swarm's key, and its WiFi's password."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from swarm.description.error import ProjectError
from swarm.device.config import DEMONSTRATION_KEY
from swarm.output import readable

WIFI_REMEDY = "write the password into it, in one line, for its owner alone (chmod 600); nothing if there is none"
_OTHERS_MAY = stat.S_IRWXG | stat.S_IRWXO


def read_key(path: Path) -> bytes:
    """The 16 bytes of a key file.

    ProjectError, which never shows what the file holds, when it is missing, may be read by others, is not 32
    hexadecimal digits, or holds the demonstration key that everybody knows.
    """
    held = _read_secret(
        path,
        "the swarm's key",
        "put the file back, or `swarm init` in another folder makes a new one; a swarm without a key says "
        "`open = true`",
    )
    text = held.decode("ascii", "replace").strip()
    try:
        key = bytes.fromhex(text)
    except ValueError:
        key = b""
    if len(key) != len(DEMONSTRATION_KEY) or len(text) != 2 * len(key):
        raise ProjectError(f"{path}: not 32 hexadecimal digits: put the swarm's key back, or make a new swarm's")
    if key == DEMONSTRATION_KEY:
        raise ProjectError(f"{path}: this is the demonstration key, which is published: write `open = true`, or a key")
    return key


def read_wifi(path: Path) -> bytes:
    """The password in a file, empty for a network without one.

    ProjectError, which never shows what the file holds, when it is missing, may be read by others, or is no password.
    """
    password = _read_secret(path, "the WiFi's password", WIFI_REMEDY).rstrip(b"\r\n")
    if password and not 8 <= len(password) <= 64:
        raise ProjectError(f"{path}: not 8 to 64 characters: write the WiFi's password, or nothing if there is none")
    return password


def _read_secret(path: Path, what: str, remedy: str) -> bytes:
    """What a file holds that only its owner may read. ProjectError, which does not show it."""
    try:
        held = readable.read(path)
        mode = path.stat().st_mode
    except OSError as error:
        raise ProjectError(f"{path}: {what} cannot be read ({error.strerror}): {remedy}") from None
    if os.name == "posix" and mode & _OTHERS_MAY:
        raise ProjectError(f"{path}: mode {stat.S_IMODE(mode):04o} lets others use it: type `chmod 600 {path}`")
    return held
