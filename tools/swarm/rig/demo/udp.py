"""The network of a demo whose nodes talk over UDP: real sockets on loopback, and an ear among them."""

from __future__ import annotations

import contextlib
import socket
from pathlib import Path

from swarm.rig.demo.sniffer import sight

NETWORK, PASSWORD = "demo", "not a secret"
_LONGEST = 252


def free_port() -> int:
    """A UDP port that nobody on this host uses just now."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as trial:
        trial.bind(("", 0))
        return trial.getsockname()[1]


def lay_access_point(folder: Path, name: str = NETWORK, password: str = PASSWORD) -> None:
    """Have an access point where the boards in that folder look for one (host_tests/shims/device/network.py)."""
    (folder / "access_point").write_text(f"{name}\n{password}\n")


class Ear:
    """Hears what all nodes on a port say."""

    def __init__(self, port: int) -> None:
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._socket.setblocking(False)
        self._socket.bind(("", port))
        self._boards: dict[str, dict] = {}

    def stats(self) -> dict:
        """What was heard since it was made, as the medium's statistics: frames in all, and by node with the last."""
        with contextlib.suppress(BlockingIOError):
            while True:
                heard = self._socket.recv(_LONGEST)
                frame = heard[: heard[-1]] if heard else b""
                if sighting := sight(frame):
                    board = self._boards.setdefault(str(sighting.node), {"frames": 0})
                    board["frames"] += 1
                    board["last_frame"] = frame.hex()
        return {"frames": sum(board["frames"] for board in self._boards.values()), "boards": self._boards}

    def close(self) -> None:
        """Stop listening."""
        self._socket.close()
