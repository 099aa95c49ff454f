"""What can be wrong with the user's own code on a board: the sensor, its drivers, the application."""

from __future__ import annotations

import re
from collections.abc import Iterator

from swarm.deploy import payload
from swarm.deploy.own_code import APPLICATION, LIBRARY, SENSOR
from swarm.deploy.trial import failure
from swarm.doctor.examination import Board
from swarm.doctor.finding import Finding, some
from swarm.doctor.findings_application import APPLICATION_ERROR, OfApplication

_SENSORS = {"sensor.mpy", SENSOR}
_APPLICATIONS = {"application.mpy", APPLICATION}
_TOLD = {*payload.SETTINGS, *_SENSORS, *_APPLICATIONS}  # one by one
_HEALTH_FAILS = "health() fails"  # what a status has in place of what health() tells
_NO_MODULE = re.compile(r"no module named '([\w.]+)'")


class OfOwnCode(OfApplication):
    """Findings about what the user has written."""

    def of_sensor(self, board: Board, status: dict) -> Iterator[Finding]:
        """What its functions have raised."""
        if failed := failure([text for text in status["errors"] if not text.startswith(APPLICATION_ERROR)]):
            why = "its sample is lost" if failed.startswith("sample") else "it is not ready, and others may wait for it"
            yield self.at(board, "sensor fails", f"its sensor fails: {failed}", why, self.mend_sensor(board, failed))
        health = status.get("health")
        if isinstance(health, str) and health.startswith(_HEALTH_FAILS):
            why = "its status tells nothing of what that measures"
            yield self.at(board, "health fails", f"its {health}", why, self.mend_sensor(board, health))

    def mend_sensor(self, board: Board, failed: str) -> str:
        """What to type about a sensor that fails; a reset would only repeat that."""
        own = self.swarm.path.parent / SENSOR
        deploy = self.deploy_board(board)
        if _SENSORS & set(board.differs or ()):
            return f"{deploy}, which brings the sensor.py that is here"
        if lacks := _NO_MODULE.search(failed):
            give = f"mpremote connect {'PORT' if board.via else board.port} resume mip install {lacks[1]}"
            return f"put {lacks[1]} into {own.parent / LIBRARY}, or give it to the board: {give}; then {deploy}"
        mend = f"{'mend' if own.exists() else 'write'} {own}, then {deploy}"
        return f"look at its sensor and the wires; if they are right: {mend}" if "OSError" in failed else mend

    def of_own_files(self, board: Board, wrong: list[str]) -> Iterator[Finding]:
        """Which of its files are not those beside swarm.toml; wrong: paths of a version that differ."""
        if board.unfit and board.unfit != self.own_error:
            what, _, remedy = board.unfit.rpartition(": ")
            yield self.at(board, "own code", what, "it cannot be compared with that or deployed", remedy)
        if _SENSORS & set(wrong):
            yield self.at(
                board,
                "sensor",
                "its sensor.py is another than here",
                "it measures something else, or otherwise",
                self.deploy_board(board),
            )
        if _APPLICATIONS & set(wrong):
            yield self.of_own_file(board)
        if drivers := [path for path in wrong if not payload.is_ours(path) and path not in _TOLD]:
            yield self.at(
                board,
                "drivers",
                f"its drivers are others than here: {some(drivers)}",
                "its sensor or application may do something else",
                self.deploy_board(board),
            )
