"""Hands samples on one after the other, once they are safe in their file, while others go on to read them."""

from __future__ import annotations

import json
import threading
import time

from swarm.output.streams import fail
from swarm.watch import collection, samples
from swarm.watch.samples import Sample

END_S = 5.0  # after the end of the reading a sink may take so long for what it has not taken yet


class Sink(threading.Thread):
    """One place to which each sample goes that is added to a table from now on.

    name: what messages call it; table: of samples, which only grows. A sink that is slow or away falls behind in the
    table, which is held anyway: so it holds nobody up, nothing is dropped, and it takes no memory.

    Attribute to read: failed (it could not be given all that it should have).
    """

    def __init__(self, name: str, table: list[Sample]) -> None:
        super().__init__(daemon=True)
        self.label = name
        self.failed = False
        self._table = table
        self._begin = self._next = self._safe = len(table)
        self._ends_s: float | None = None
        self._changed = threading.Condition()

    def safe(self) -> None:
        """All that the table has is in the file now."""
        with self._changed:
            self._safe = len(self._table)
            self._changed.notify_all()

    def end(self) -> bool:
        """Give it what is left, for END_S at most; whether all has gone well."""
        with self._changed:
            self._ends_s = time.monotonic() + END_S
            self._changed.notify_all()
        self.join(END_S)
        self.close()
        if not self.failed and (left := self._safe - self.taken()):
            self.say(f"{left} of {samples.counted(self._safe - self._begin)} not taken in time: in the file alone")
            self.failed = True
        return not self.failed

    def say(self, words: str) -> None:
        """Tell the user what is wrong."""
        fail("collect", f"{self.label}: {words}", 1)

    # What a sink of a kind brings

    def run(self) -> None:
        """Hand on until the end: a sample with next(), and then the one after it with done()."""
        raise NotImplementedError

    def close(self) -> None:
        """Leave nothing open."""
        raise NotImplementedError

    def taken(self) -> int:
        """How many of the table's samples need no more handing on."""
        return self._next

    # For these

    def next(self, wait_s: float) -> Sample | None:
        """The next sample, waited for so long at most; None: there is none."""
        with self._changed:
            if self._next >= self._safe and not self.ends:
                self._changed.wait(wait_s)
            return self._table[self._next] if self._next < self._safe else None

    def done(self) -> None:
        """Go on to the one after it."""
        self._next += 1

    @property
    def ends(self) -> bool:
        """Whether nothing comes any more."""
        return self._ends_s is not None

    @property
    def left_s(self) -> float:
        """Seconds until it is to be done, once it ends."""
        return END_S if self._ends_s is None else max(self._ends_s - time.monotonic(), 0.0)


def line(one: Sample) -> str:
    """A sample as a line of JSON, as a .jsonl file has it, without the end of the line."""
    return json.dumps(collection.as_record(one), ensure_ascii=False)
