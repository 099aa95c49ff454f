"""Values that options of several verbs take."""

from __future__ import annotations

import argparse


def count(text: str) -> int:
    """The number that an option of argparse gives of things of which there is one at least."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r}: write a whole number, 1 or more")
    return int(text)
