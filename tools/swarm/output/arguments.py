"""Values that options take, and what is said of one that does not fit."""

from __future__ import annotations

import argparse


def whole(text: str) -> int:
    """A whole number, in place of argparse's int, which says of another word that it is an invalid int value."""
    try:
        return int(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r}: write a whole number") from None


def number(text: str) -> float:
    """A number, in place of argparse's float."""
    try:
        return float(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r}: write a number") from None


def count(text: str) -> int:
    """The number that an option of argparse gives of things of which there is one at least."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r}: write a whole number, 1 or more")
    return int(text)
