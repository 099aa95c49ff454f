"""What can be wrong with a board of which there is only its node's answer: an application on asyncio runs beside it, or
it was asked over the air; and with the application."""

from __future__ import annotations

from collections.abc import Iterator

import swarm
from swarm.deploy.own_code import APPLICATION
from swarm.doctor.examination import Board
from swarm.doctor.finding import Finding, Words

APPLICATION_ERROR = "application: "  # what the errors of an application begin with in a node's status

NOT_STARTED = "was not started"  # of an application whose node started late; a reset gives it its turn
_UNHURT = ("KeyboardInterrupt", NOT_STARTED)  # of these a reset is all that is needed


class OfApplication(Words):
    """Findings about an application, and of a node that answers by lines while one runs."""

    def of_answer(self, board: Board, status: dict) -> Iterator[Finding]:
        """What a status tells of how its node was provisioned; a prompt would tell more, and stop an application."""
        theirs, ours = (status["swarm"], status["required"]), (self.swarm.name, self.swarm.required)
        if theirs == ours and board.look["digest"] != self.swarm.digest():
            yield self.at(
                board,
                "digest",
                f"its digest is {board.look['digest']}, the swarm's is {self.swarm.digest()}",
                "its members, period or rounds differ, and nodes with different ones ignore each other",
                self.deploy_board(board),
            )
        if theirs != ours:
            yield self.at(
                board,
                "digest",
                f"its swarm is {theirs[0]} with a quorum of {theirs[1]}, not {ours[0]} with {ours[1]}",
                "nodes with different names, members or quorums ignore each other",
                self.deploy_board(board),
            )
        if status["open"] != self.swarm.open:
            what = "it has no key, and the swarm is locked" if status["open"] else "it has a key, and the swarm is open"
            yield self.at(
                board,
                "open" if status["open"] else "locked",
                what,
                "nodes with different keys ignore each other",
                self.deploy_board(board),
            )
        if status["version"] != swarm.__version__:
            yield self.at(
                board,
                "version",
                f"its faction is {status['version']}, here is {swarm.__version__}",
                "it runs other code than this checkout's",
                self.deploy_board(board),
            )

    def of_own_error(self, board: Board, error: str) -> Finding:
        """The application's last error."""
        mend = f"mend {self.swarm.path.parent / APPLICATION}, then {self.deploy_board(board)}"
        return self.at(
            board,
            "application",
            f"its node reports {error}",
            "its node goes on without it",
            self.reset(board) if any(word in error for word in _UNHURT) else mend,
        )

    def of_own_file(self, board: Board) -> Finding:
        """Its application differs from the one beside swarm.toml."""
        return self.at(
            board,
            "application",
            "its application.py is another than here",
            "it does something else, or nothing, beside its node",
            self.deploy_board(board),
        )
