"""What both ways of flashing share: the error, and how they tell how far they are."""

from collections.abc import Callable

Progress = Callable[[str, int, int], None]  # what is being done, and how much of how much; 0 of 0: not known


class FlashError(Exception):
    """Firmware was not written, or not wholly; the message says which, why, and what to do."""
