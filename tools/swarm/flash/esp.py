"""Writes firmware onto an ESP32 chip, with esptool's Python interface.

The order is what protects a board: the file is judged without the board, then the chip, and only then anything is
erased or written. esptool resets the chip into its loader and, at the end, out of it.
"""

from __future__ import annotations

import contextlib
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import serial
from esptool.cmds import (
    attach_flash,
    detect_chip,
    erase_flash,
    read_flash,
    reset_chip,
    run_stub,
    verify_flash,
    write_flash,
)
from esptool.loader import ESPLoader
from esptool.logger import EsptoolLogger, TemplateLogger
from esptool.targets import CHIP_DEFS
from esptool.util import FatalError

from swarm.flash.error import FlashError, Progress
from swarm.output import readable
from swarm.serial.port import BoardError, open_port

BAUD = 460_800  # most USB bridges carry it; a chip's own USB does not care
BAUDS = (9_600, 4_000_000)
_ROM_BAUD = 115_200
_MAGIC = 0xE9  # of an ESP image
_CHIP_ID = struct.Struct("<H")
_CHIP_ID_AT = 12
_HEADER_BYTES = 24
_UNTOUCHED = (
    "nothing was written: check the cable and that no other program has the port; on a board without automatic reset "
    "hold BOOT, press RESET, and try again"
)
_PARTLY = "the board may be only partly written: put that right and run the same command again"
_WRITTEN = "it was written and verified before"


@dataclass
class Loader:
    """A chip that waits in its loader, found to be the right one."""

    esp: ESPLoader
    chip: str  # what esptool calls it
    hardware: str  # what machine.unique_id().hex() will be: the chip's base address
    remedy: str = _UNTOUCHED  # what to do when the connection is lost now


def check_image(path: Path, chip: str) -> bytes:
    """The contents of a firmware file for a chip (as in board.json). FlashError when it is none, or another chip's."""
    try:
        image = readable.read(path)
    except OSError as error:
        raise FlashError(f"{path}: cannot be read ({error.strerror}): name a firmware file") from None
    if len(image) < _HEADER_BYTES or image[0] != _MAGIC:
        raise FlashError(f"{path}: not an ESP32 image: name the .bin file for this board (not .uf2, .app-bin or .elf)")
    (chip_id,) = _CHIP_ID.unpack_from(image, _CHIP_ID_AT)
    if chip_id != CHIP_DEFS[chip].IMAGE_CHIP_ID:
        made_for = [name for name, rom in CHIP_DEFS.items() if getattr(rom, "IMAGE_CHIP_ID", None) == chip_id]
        known = made_for[0] if made_for else f"chip number {chip_id}"
        raise FlashError(f"{path}: made for {known}, and the board has an {chip}: name that board's firmware")
    return image


@contextmanager
def loader(port: str, chip: str, *, stub: bool = True, baud: int = BAUD, progress: Progress) -> Iterator[Loader]:
    """The chip at a port, in its loader; nothing has been written when this yields.

    stub: load esptool's own faster loader into RAM. FlashError when no chip answers, it is another chip than `chip`,
    or the connection is lost inside the block. Unless it is, the chip is reset into its program at the end.
    """
    if "://" not in port:
        _try_port(port)
    with _esptool_tells(progress):
        chip_found: Loader | None = None
        esp: ESPLoader | None = None
        try:
            esp = detect_chip(port, _ROM_BAUD)
            _refuse_other_chip(esp, chip)
            chip_found = Loader(esp, esp.get_chip_description(), bytes(esp.read_mac()).hex())
            if stub:
                chip_found.esp = run_stub(esp)
            if baud != _ROM_BAUD:
                chip_found.esp.change_baud(baud)
            attach_flash(chip_found.esp)
            try:
                yield chip_found
            except (FlashError, KeyboardInterrupt):
                reset_chip(chip_found.esp)
                raise
            reset_chip(chip_found.esp)
        except (FatalError, serial.SerialException, OSError) as error:
            remedy = chip_found.remedy if chip_found else _UNTOUCHED
            raise FlashError(f"{_reason(error)}; {remedy}") from None  # let go of the port
        finally:
            if esp:
                with contextlib.suppress(Exception):
                    esp._port.close()


def _try_port(port: str) -> None:
    """Why a port does not open, and what to type, is known better here than by esptool."""
    try:
        with open_port(port):
            pass
    except BoardError as error:
        raise FlashError(f"{error}; nothing was written") from None


def _refuse_other_chip(esp: ESPLoader, chip: str) -> None:
    found, expected = esp.CHIP_NAME, CHIP_DEFS[chip].CHIP_NAME
    if found == expected:  # their classes inherit from each other
        return
    reset_chip(esp)
    raise FlashError(
        f"the board has an {found}, not the {expected} that is expected; nothing was written: check "
        "--board and the port"
    )


def _reason(error: Exception) -> str:
    """The first line of what esptool or the port says, without advice about esptool's own options."""
    lines = str(error).partition("Use --force")[0].strip().splitlines()
    return lines[0].rstrip(".") if lines else type(error).__name__


def write(chip: Loader, image: bytes, offset: int, *, erase: bool = False) -> None:
    """Write an image at an offset, the whole flash erased before if asked for, and have the chip compare checksums."""
    chip.remedy = _PARTLY
    if erase:
        erase_flash(chip.esp)
    write_flash(chip.esp, [(offset, image)])
    verify_flash(chip.esp, [(offset, image)])
    chip.remedy = _WRITTEN


def read_back(chip: Loader, image: bytes, offset: int, size: int) -> None:
    """Read the image's first `size` bytes from the flash and compare them. FlashError, which says where they differ."""
    expected = image[:size]
    found = read_flash(chip.esp, offset, len(expected)) or b""
    if found != expected:
        at = next((i for i, (a, b) in enumerate(zip(found, expected, strict=False)) if a != b), len(found))
        raise FlashError(f"the flash differs from the file at 0x{offset + at:x}: flash again; if it stays, use --erase")


class _Listener(TemplateLogger):
    """Takes what esptool says: progress and warnings go on, the rest is left."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._doing = ""

    def print(self, *args, **kwargs) -> None:
        said = " ".join(str(arg) for arg in args).strip()
        if said.endswith("..."):
            self._doing = said.rstrip(".").partition(" (")[0]
            self._progress(self._doing, 0, 0)

    def warning(self, message: str) -> None:
        self._progress(f"warning: {message}", 0, 0)

    error = warning

    def note(self, message: str) -> None:
        """Notes are about esptool's own options."""

    def stage(self, finish: bool = False) -> None:
        """Stages only matter for folding lines."""

    def set_verbosity(self, verbosity: str) -> None:
        """There is one verbosity here."""

    def progress_bar(self, cur_iter, total_iters, prefix="", suffix="", bar_length=30) -> None:
        self._progress(prefix.strip().partition(" at ")[0].partition(" from ")[0], cur_iter, total_iters)


@contextmanager
def _esptool_tells(progress: Progress) -> Iterator[None]:
    """Have esptool report to progress instead of the terminal."""
    own = EsptoolLogger()
    own.set_logger(_Listener(progress))
    try:
        yield
    finally:
        own.set_logger(own)
