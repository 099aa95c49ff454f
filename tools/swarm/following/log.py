"""What has come while boards are followed: added to what there is, and printed."""

from __future__ import annotations

from swarm.output.streams import fail
from swarm.serial.targets import Target
from swarm.watch import collection, samples
from swarm.watch.collection import Collection
from swarm.watch.dating import Reading


class Log:
    """What was followed so far."""

    def __init__(self, held: Collection) -> None:
        self._held = held
        self._readings: dict[int, Reading] = {}
        self._silent: dict[str, bool] = {}

    @property
    def size(self) -> tuple[int, int]:
        """Other than before when there is something to save."""
        return len(self._held.samples), len(self._held.moves)

    @property
    def all_answer(self) -> bool:
        """Whether somebody has answered, and nobody is silent."""
        return bool(self._silent) and not any(self._silent.values())

    def take(self, asked: list[tuple[Target, dict]]) -> None:
        """Take answers, print what is new of them, and say who has fallen silent or answers again."""
        for target, answer in asked:
            was_silent, self._silent[target.key] = self._silent.get(target.key, False), "error" in answer
            if "error" in answer and not was_silent:
                fail("collect", words(target, answer), 1)
            elif was_silent and "error" not in answer:
                print(f"{target.key}: answers again", flush=True)
        before = len(self._held.samples)
        if answered := [answer for _, answer in asked if "error" not in answer]:
            collection.take(self._held, answered, self._readings)
        for one in sorted(self._held.samples[before:], key=lambda one: (one.n or 0, one.node)):
            print(_line(one), flush=True)


def words(target: Target, answer: dict) -> str:
    """Why a board did not answer."""
    return f"{target.key}: {answer['error'].removeprefix(f'{target.port}: ')}"


def _line(one: samples.Sample) -> str:
    """A sample that has come, in a line."""
    beat = "" if one.n is None else f", beat {one.n}"
    value = one.value or " ".join(f"{key.removeprefix(samples.PART)} {text}" for key, text in one.parts.items())
    late = " late" if one.late else ""
    return f"{one.utc or '-'}  node {one.node}{beat}: {value}, {one.late_us:+d} us{late}"
