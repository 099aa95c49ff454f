"""Listens to a board that starts, and finds in what it says whether its node does."""

from __future__ import annotations

import re
import time

from mpremote.transport_serial import SerialTransport

from swarm.deploy.remote import BadVersion, DeployError

_QUIET_S = 4.0  # a board that has said nothing for so long is asked, unless it has said that it is starting
_STARTING = "faction: starting"
_STARTED = re.compile(r"faction: \d+ node \d+ swarm .* started session \d+")
# Of a start that failed; what a node that runs reports has its ticks in front, and is no reason to give up.
_FAILED = re.compile(r"faction: error: (\w+: .*)")
_REFUSED = re.compile(r"faction: (not started: .*)")  # by the user, not by the version
_ERROR = re.compile(r"\w+Error: ")
# What tells that there is nothing more to wait for: the prompt, or an application in its place.
_THERE = re.compile(r">>> |faction: \d+ node \d+ runs application\.py")
_TYPED = 'File "<stdin>"'  # of an error at the prompt, which comes of what an application was asked that there is none
_HEARD_MAX = 8192
_LISTEN_S = 0.1


def listen(transport: SerialTransport, deadline: float) -> None:
    """Listen to a starting board, without a word to it, until its prompt or an application comes, or it is quiet.

    DeployError when the board says that its node is not started, BadVersion when it says that it failed to.
    """
    port = transport.serial
    usual, port.timeout = port.timeout, _LISTEN_S
    heard = ""
    patience = time.monotonic() + _QUIET_S
    while time.monotonic() < min(patience, deadline) and not _THERE.search(heard):
        data = port.read(max(1, port.in_waiting)).decode("utf-8", "replace")
        known = bool(_STARTED.search(heard))
        heard = (heard + data)[-_HEARD_MAX:]
        if data and not known:
            starting = _STARTING in heard and not _STARTED.search(heard)
            patience = deadline if starting else time.monotonic() + _QUIET_S
    port.timeout = usual
    if refused := _REFUSED.search(heard):
        raise DeployError(f"its node is {refused[1].strip()}")
    if failed := _FAILED.search(heard):
        raise BadVersion(f"its node does not start: {failed[1].strip()}")
    errors = [line.strip() for line in heard.splitlines() if _ERROR.match(line) and _TYPED not in heard]
    if errors and _THERE.search(heard) and not _STARTED.search(heard):
        raise BadVersion(f"its node does not start: {errors[-1]}")
