"""What a board prints while its prompt is ours, line by line as it comes, whatever is asked there meanwhile."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from mpremote.transport_serial import SerialTransport

_LONGEST = 1 << 16  # bytes of a line; what is longer is none of a node's


@contextmanager
def tapped(transport: SerialTransport, take: Callable[[str], None]) -> Iterator[None]:
    """Have take() called with each line that is read of that port by anybody, with what may stand before it: the
    prompt's own signs, or the beginning of another line."""
    port = transport.serial
    read = port.read
    begun = bytearray()

    def tap(size: int = 1) -> bytes:
        data = read(size)
        begun.extend(data)
        if b"\n" in data:
            *lines, rest = begun.split(b"\n")
            begun[:] = rest
            for line in lines:
                take(line.decode("utf-8", "replace"))
        elif len(begun) > _LONGEST:
            begun.clear()
        return data

    port.read = tap
    try:
        yield
    finally:
        port.read = read
