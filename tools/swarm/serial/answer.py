"""What a board has said, made fit to be shown and read: whoever holds a board may have it say anything."""

from __future__ import annotations

import json

SHOWN = 200  # characters of what a board says that go into a message


def parse(line: str | bytes):
    """The JSON that a board has sent, its texts plain(). ValueError when it is none."""
    try:
        return _all_plain(json.loads(line))
    except RecursionError:
        raise ValueError("brackets within brackets without end") from None


def _all_plain(value):
    if isinstance(value, dict):
        return {plain(key): _all_plain(part) for key, part in value.items()}
    if isinstance(value, list):
        return [_all_plain(part) for part in value]
    return plain(value) if isinstance(value, str) else value


def plain(text: str) -> str:
    """Text of a board without what could take over the terminal that shows it: control characters become U+FFFD."""
    return "".join(sign if sign.isprintable() or sign == "\n" else "\ufffd" for sign in text.replace("\r\n", "\n"))
