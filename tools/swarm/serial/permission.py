"""What to type where a port is there and the system does not let this user open it."""

from __future__ import annotations

import os
import re
import stat
import sys
from contextlib import suppress

# Groups that systems make for serial ports. Any other, root above all, gives its members far more than a port.
_FOR_PORTS = ("dialout", "uucp")
_RULES = "/etc/udev/rules.d/70-swarm.rules"


def remedy(port: str) -> str:
    """What lets this user open the port."""
    status = os.stat(port)
    device = os.path.realpath(port)
    name = _group_of(status.st_gid)
    if name in _FOR_PORTS and status.st_mode & stat.S_IRGRP and status.st_mode & stat.S_IWGRP:
        if _is_listed_in(name):
            return f"you are in its group {name}, though not since this login: log out and in again"
        return f"type `sudo usermod -a -G {name} $USER`, then log out and in again"
    if device.startswith("/dev/pts/"):
        return f"it is a virtual board or a terminal of another user's ({_user(status.st_uid)}): run this as that user"
    if sys.platform != "linux":
        return f"it belongs to {_user(status.st_uid)}: type `sudo chmod a+rw {port}`"
    kind = re.sub(r"\d+$", "", os.path.basename(device))
    group = next((one for one in _FOR_PORTS if _exists(one)), _FOR_PORTS[0])
    rule = f'KERNEL=="{kind}[0-9]*", GROUP="{group}", MODE="0660"'
    return (
        f"it is left to {name or _user(status.st_uid)} alone: have the system give such ports to the group {group}: "
        f"type `echo '{rule}' | sudo tee {_RULES}` and `sudo usermod -a -G {group} $USER`, then log out and in again, "
        "and plug the board in again"
    )


def _group_of(number: int) -> str | None:
    with suppress(KeyError, ImportError):
        import grp

        return grp.getgrgid(number).gr_name
    return None


def _exists(group: str) -> bool:
    with suppress(KeyError, ImportError):
        import grp

        grp.getgrnam(group)
        return True
    return False


def _is_listed_in(group: str) -> bool:
    """Whether this user is a member of the group by the system's list, whatever this login's groups are."""
    with suppress(KeyError, ImportError):
        import grp

        return _user(os.getuid()) in grp.getgrnam(group).gr_mem
    return False


def _user(number: int) -> str:
    with suppress(KeyError, ImportError):
        import pwd

        return pwd.getpwuid(number).pw_name
    return f"user {number}"
