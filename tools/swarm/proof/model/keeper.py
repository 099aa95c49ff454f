"""What a node holds, saved and restored: all its attributes and those of its parts.

They are found generically. An attribute that is not named here is kept, so that a new one costs states at worst, and
never hides any. Left out are SCRATCH; the node's frame, which is written anew for each frame too; and its Trickle
timer, whose place the model checker takes.
"""

from __future__ import annotations

from array import array
from collections.abc import Sized
from typing import Any

# Attributes that a node or a part of it writes anew in each call, and the counters, which it never reads.
SCRATCH = {
    "counters", "sampled_late", "_now", "_now_us", "_busy", "_news", "since_us", "theirs_us",
}  # fmt: skip
_LEFT_OUT = ("frame", "trickle")


class Keeper:
    """Saves and restores what a node and its parts hold. names: of what is kept, as "machine.state"."""

    def __init__(self, node: Any) -> None:
        self._parts = [("", vars(node))]
        for name, value in vars(node).items():
            if hasattr(value, "__dict__") and name not in _LEFT_OUT:
                self._parts.append((name + ".", vars(value)))
        fields = [
            (prefix + name, values, name)
            for prefix, values in self._parts
            for name, value in values.items()
            if name not in SCRATCH and not hasattr(value, "__dict__")
        ]
        # Buffers are filled in place, since other objects may hold them too.
        self._plain = [field for field in fields if isinstance(field[1][field[2]], int | str | bytes | None)]
        self._bytes = [field for field in fields if isinstance(field[1][field[2]], bytearray)]
        self._arrays = [field for field in fields if isinstance(field[1][field[2]], array)]
        kept = self._plain + self._bytes + self._arrays
        self.names = [name for name, _, _ in kept]
        unknown = {name for name, _, _ in fields} - set(self.names)
        if unknown:
            raise TypeError(f"{', '.join(sorted(unknown))}: teach Keeper to save and restore a value of that type")

    def save(self) -> tuple:
        """All values, in the order of names."""
        return (
            *[values[name] for _, values, name in self._plain],
            *[bytes(values[name]) for _, values, name in self._bytes],
            *[values[name].tobytes() for _, values, name in self._arrays],
        )

    def restore(self, kept: tuple) -> None:
        """Put the node into a state that save() has returned."""
        at = 0
        for _, values, name in self._plain:
            values[name] = kept[at]
            at += 1
        for _, values, name in self._bytes:
            values[name][:] = kept[at]
            at += 1
        for _, values, name in self._arrays:
            values[name][:] = array(values[name].typecode, kept[at])
            at += 1

    def sizes(self) -> list[int]:
        """Lengths of all containers, and how many attributes there are."""
        return [
            len(value) for _, values in self._parts for value in (values, *values.values()) if isinstance(value, Sized)
        ]
