"""Steers a medium and asks it, from another process: the other end of its control messages."""

from __future__ import annotations

import json
import socket


class MediumClient:
    """Steers a medium that runs on loopback `port`."""

    TRIES = 5
    TIMEOUT_S = 0.5

    def __init__(self, port: int) -> None:
        self.port = port
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind(("127.0.0.1", 0))
        self._socket.connect(("127.0.0.1", port))
        self._socket.settimeout(self.TIMEOUT_S)
        self._asked = 0

    def do(self, verb: str, **parameters) -> dict:
        """Send a control message and return the answer; OSError when none comes, ValueError when it is refused."""
        self._asked += 1
        for _attempt in range(self.TRIES):
            self._socket.send(json.dumps({"do": verb, "question": self._asked, **parameters}).encode())
            try:
                reply = {}
                while reply.pop("question", None) != self._asked:  # else it answers an earlier question, late
                    reply = json.loads(self._socket.recv(65536))
            except (TimeoutError, ConnectionError):
                continue
            if "error" in reply:
                raise ValueError(reply["error"])
            return reply
        raise OSError(
            f"no answer from the medium on 127.0.0.1:{self.port}: it is not running, or this computer is too busy"
        )

    def recorded(self) -> list[dict]:
        """Every recorded message."""
        messages: list[dict] = []
        while True:
            part = self.do("recorded", **{"from": len(messages)})
            messages += part["messages"]
            if len(messages) >= part["count"] or not part["messages"]:
                return messages

    def close(self) -> None:
        """Let go of the medium."""
        self._socket.close()
