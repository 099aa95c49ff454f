"""What can be wrong with what a board runs first: files in its root, beside a version or before a frozen node."""

from __future__ import annotations

from collections.abc import Iterator

from swarm.deploy import precedence
from swarm.deploy.trial import SLOTS
from swarm.doctor.examination import Board
from swarm.doctor.finding import Finding, Words


class OfPrecedence(Words):
    """Findings about what lies on a board and is not used, or is used unexpectedly."""

    def of_precedence(self, board: Board) -> Iterator[Finding]:
        """What a user may have copied there for nothing, and what would start in a version's place."""
        facts = board.facts
        if precedence.is_mixed(facts):
            yield self.at(
                board,
                "mixed",
                "firmware in its root runs on the library that is frozen into its firmware",
                "two versions run as one: the root comes before what is frozen, and lib on the flash after it",
                f"{self.deploy_board(board)}, which has all of one version",
            )
        if facts["pointed"] not in SLOTS:
            return
        remove = f"mpremote connect {board.port} resume rm"
        for name in precedence.overridden(facts):
            yield self.at(
                board,
                "unused",
                f"{name} lies in its root, and is not used: the version that was deployed comes first",
                "what was copied there has no effect",
                f"put it into {self.swarm.path.parent} and {self.deploy_board(board)}, or remove it: {remove} :{name}",
            )
        if not self.swarm.open and precedence.would_open(facts):
            yield self.at(
                board,
                "open without its version",
                "a faction.json without a key lies in its root",
                "without its version this node would start open",
                f"{self.deploy_board(board)}, which puts it aside",
            )
