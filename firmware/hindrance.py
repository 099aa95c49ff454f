"""What keeps a boot from starting the node. Only a boot needs it: afterwards it is let go, and its memory with it."""

import os
import sys

import board
import machine
import signs
from micropython import const

_OLDEST = (1, 24)  # before it, ticks are wrong from 2^30 ms of uptime on
_BITTEN_FILE = "faction.bitten"  # the watchdog has reset the board: the next start, which removes it, is to know
_SKIP_FILE = "faction.skip"  # while this file is there, the node is not started
_ENABLE = const(0x4000_0000)  # in an RP2040's first register of the watchdog: it runs
_REASON = const(8)  # of an RP2040's watchdog, the register that tells in its lowest bit whether it was that


def outlive():
    """Give a watchdog that a soft reset has left running, which stops none, the time that a start takes."""
    registers = getattr(board, "WATCHDOG", None)
    if machine.mem32[registers] & _ENABLE if registers else machine.reset_cause() == machine.SOFT_RESET:
        signs.watch(1)


def wish():
    """Why the node is not to be started at this boot, or None."""
    version = sys.implementation.version
    if version[:2] < _OLDEST:
        return "MicroPython %d.%d tells the time wrongly from the 13th day on: flash 1.24 or newer" % version[:2]
    if _SKIP_FILE in os.listdir():
        return "the file %s is there: remove it and reset" % _SKIP_FILE
    if board.BUTTON is not None:
        button = machine.Pin(board.BUTTON, machine.Pin.IN, machine.Pin.PULL_UP)
        if not button.value():
            return "the button is held: release it and reset"
    return None


def hang(left):
    """The error of a boot that is the watchdog's doing, or None: whatever hangs would do so again.

    left: what did has been left, for the version before. Else the next start leaves health() out, which nobody needs
    and a monitor calls again and again.
    """
    registers = getattr(board, "WATCHDOG", None)  # an RP2040's: its reset_cause() is the same after all resets
    bitten = machine.mem32[registers + _REASON] & 1 if registers else machine.reset_cause() == machine.WDT_RESET
    if bitten and not left:
        try:
            with open(_BITTEN_FILE, "w"):
                pass
        except OSError:
            pass  # the flash is full
        return OSError("the watchdog has reset the board: your code hangs, or the node stood still")
    return None
