"""What keeps a boot from starting the node. Only a boot needs it: afterwards it is let go, and its memory with it."""

import os

import board
import machine
from micropython import const

_SKIP_FILE = "faction.skip"  # while this file is there, the node is not started
_REASON = const(8)  # of an RP2040's watchdog, the register that tells in its lowest bit whether it was that


def wish():
    """Why the user does not want the node to be started at this boot, or None."""
    if _SKIP_FILE in os.listdir():
        return "the file %s is there: remove it and reset" % _SKIP_FILE
    if board.BUTTON is not None:
        button = machine.Pin(board.BUTTON, machine.Pin.IN, machine.Pin.PULL_UP)
        if not button.value():
            return "the button is held: release it and reset"
    return None


def hang():
    """The error of a boot that is the watchdog's doing, or None: whatever hangs would do so again."""
    registers = getattr(board, "WATCHDOG", None)  # an RP2040's: its reset_cause() is the same after all resets
    bitten = machine.mem32[registers + _REASON] & 1 if registers else machine.reset_cause() == machine.WDT_RESET
    if bitten:
        return OSError("the watchdog has reset the board: your code hangs, or the node stood still")
    return None
