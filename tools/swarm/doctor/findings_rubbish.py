"""What a node's links bring that is no frame: noise on a line, and other people's packets on a radio."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from swarm.doctor.examination import Board
from swarm.doctor.finding import Finding, Words

# How much is told: a cut frame here and there is not, nor one neighbour who speaks now and then.
_NOISE = 10
_PACKETS = 50


class OfRubbish(Words):
    """Findings about what is heard and is no frame, as long as it goes on: of what is past only the status tells."""

    def with_rubbish(self) -> list[Board]:
        """The boards that have heard much of it."""
        heard = [(board, _counts(board.status)) for board in self.looked if board.status]
        return [board for board, (noise, packets) in heard if noise >= _NOISE or packets >= _PACKETS]

    def of_rubbish(self, boards: list[Board], later: dict[str, dict[str, Any]]) -> Iterator[Finding]:
        """What goes on; later: what these boards' nodes tell after a while, by port."""
        for board in boards:
            if board.port not in later or not board.status:
                continue
            before, after = _counts(board.status), _counts(later[board.port])
            noise, packets = after[0] - before[0], after[1] - before[1]
            if noise >= _NOISE:
                yield self.at(
                    board,
                    "noise",
                    f"its line brought {noise} times what is no frame just now",
                    "frames are lost in it: another baud rate, a loose wire, no common earth, a line without resistors",
                    f"compare baud in {self.swarm.path} with that of all boards, and look at the wires",
                )
            if packets >= _PACKETS:
                yield self.at(
                    board,
                    "packets of others",
                    f"{packets} packets that are no frames were heard just now",
                    "somebody else uses the same channel, or port: that takes time, and may push frames out",
                    f"write another channel, or udp_port, into {self.swarm.path}, then {self.deploy('--all')}",
                )


def _counts(status: dict[str, Any]) -> tuple[int, int]:
    """How often a line has brought noise, and how many packets were none of any swarm."""
    return status["links"].get("uart", {}).get("noise", 0), status["counters"].get("malformed", 0)
