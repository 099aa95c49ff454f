"""Where samples come from: boards at their ports, or a swarm through one of its boards; once, or as they come."""

from __future__ import annotations

import time
from contextlib import nullcontext
from pathlib import Path

from swarm.following.air import Air
from swarm.output import writable
from swarm.output.progress import meter, waiting
from swarm.serial import targets, via
from swarm.serial.targets import Target
from swarm.watch import samples
from swarm.watch.collection import Collection
from swarm.watch.fetch import Fetch

_EVERY_S = 2.0  # between two looks at boards at most so often
_WAIT_S = 0.2  # for what comes over the air


class Boards:
    """Boards each at its port. out: the file that is added to; follows: nobody is to be told how far reading is."""

    def __init__(self, chosen: list[Target], out: Path, follows: bool) -> None:
        self._chosen = chosen
        self._follows = follows
        self._holes = _places_file(out).exists()  # what came over the air may lack what the boards have
        self._due_s = 0.0

    def ask(self, held: Collection) -> list[tuple[Target, dict]]:
        """What they tell and keep that is not held."""
        with nullcontext() if self._follows else meter("reading") as told:
            fetch = Fetch(None if self._holes else samples.newest(held.samples), told)
            asked = targets.ask_all(self._chosen, fetch.prompt, fetch.by_line)
        self._holes = self._holes and any("error" in answer for _, answer in asked)
        return asked

    def follow(self, held: Collection) -> list[tuple[Target, dict]]:
        """As ask(), again and again; it waits as long as they need it."""
        time.sleep(max(self._due_s - time.monotonic(), 0.0))
        begun_s = time.monotonic()
        asked = self.ask(held)
        took_s = time.monotonic() - begun_s
        every_s = max([_EVERY_S, *(found["period_ms"] / 1000 for _, one in asked if (found := one.get("series")))])
        self._due_s = begun_s + max(every_s, 2 * took_s)  # who takes long is left in peace as long
        return asked

    def end(self) -> list[tuple[Target, dict]]:
        """Follow no more; what has come since."""
        return []

    def save(self) -> None:
        """Keep what the next run needs of this one."""


class Via:
    """All members of a swarm, through one board."""

    def __init__(self, port: str, out: Path) -> None:
        self._port = port
        self._file = _places_file(out)
        self._places: via.Places = {}
        if out.exists() and self._file.exists():
            self._places = via.load_places(self._file.read_text())
        self._air: Air | None = None
        self._taken_s = 0.0

    def ask(self, _held: Collection) -> list[tuple[Target, dict]]:
        """As Boards.ask()."""
        with waiting("reading") as told:
            return via.ask_all(self._port, Fetch().prompt, self._places, told)

    def follow(self, _held: Collection) -> list[tuple[Target, dict]]:
        """As Boards.follow(), of records as they come."""
        if self._air is None:
            self._air = Air(self._port, self._places)
            self._air.start()
            self._taken_s = time.monotonic()
        time.sleep(time.monotonic() - self._taken_s)  # as long as it took to take what came before
        asked = self._air.take(_WAIT_S)
        self._taken_s = time.monotonic()
        return self._moved_on(asked)

    def end(self) -> list[tuple[Target, dict]]:
        """As Boards.end(); the board's prompt is free then."""
        if self._air is None:
            return []
        self._air.stop()
        return self._moved_on(self._air.take())

    def _moved_on(self, asked: list[tuple[Target, dict]]) -> list[tuple[Target, dict]]:
        self._places |= {answer["node"]: answer["place"] for _, answer in asked if "place" in answer}
        return asked

    def save(self) -> None:
        """As Boards.save(); after the samples, of which none is read again then."""
        writable.write_atomically(self._file, via.dump_places(self._places))


def _places_file(out: Path) -> Path:
    """Where it is kept up to which place what members keep was read over the air."""
    return out.with_suffix(".places.json")


Source = Boards | Via
