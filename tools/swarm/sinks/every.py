"""All places to which samples go besides their file."""

from __future__ import annotations

from swarm.sinks import command, mqtt
from swarm.sinks.sink import Sink
from swarm.watch.samples import Sample


class Sinks:
    """Those that the options name. words: of a command, url: of a broker; None: there is none. ValueError for neither
    a command nor a broker."""

    def __init__(self, words: str | None, url: str | None) -> None:
        self._words = None if words is None else command.parse(words)
        self._broker = None if url is None else mqtt.parse(url)
        self._begun: list[Sink] = []

    def __bool__(self) -> bool:
        return self._words is not None or self._broker is not None

    def begin(self, table: list[Sample]) -> None:
        """Begin to hand on what is added to that table from now on. ValueError when one cannot."""
        if self._broker is not None:
            self._begun.append(mqtt.Mqtt(self._broker, table))
        if self._words is not None:
            try:
                self._begun.append(command.Command(self._words, table))
            except ValueError:
                self.end()
                raise

    def safe(self) -> None:
        """All that the table has is in the file now."""
        for sink in self._begun:
            sink.safe()

    def end(self) -> bool:
        """Hand on what is left, for some seconds; whether each was given all that it should have."""
        ended = [sink.end() for sink in self._begun]
        return all(ended)
