"""What can be wrong with a node's radio for ESP-NOW: its memory, and that it hears nothing."""

from __future__ import annotations

from collections.abc import Iterator

from swarm.doctor.examination import Board
from swarm.doctor.finding import Finding, Words

_IDF_FREE = 20_000  # bytes: a radio takes up to 1.6 KB for each packet that waits, and some for itself


class OfRadio(Words):
    """Findings about the link espnow."""

    def of_radio(self, board: Board, counts: dict) -> Iterator[Finding]:
        """Whether its radio hears, and has memory for it; counts: what its link tells."""
        least, deaf = counts.get("idf_least", _IDF_FREE), counts.get("deaf")
        if least < _IDF_FREE:
            yield self.at(
                board,
                "radio memory",
                f"its chip once had only {least} bytes free for the radio",
                "a radio without memory hears nothing, and says nothing of it",
                f"have sensor.py and application.py take less memory, then {self.reset(board)}",
            )
        elif deaf and not self.swarm.linger_ms:
            yield self.at(
                board,
                "deaf",
                f"its radio has heard nothing for half a minute or more, {deaf} times",
                "a settled swarm speaks each second or two: the others are off or far, or this radio was deaf",
                f"look at the others: power, distance, channel; if they are right: {self.reset(board)}",
            )
