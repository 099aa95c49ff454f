"""Copies firmware onto an RP2040 or RP2350, whose loader shows itself as a USB drive.

A board with MicroPython is asked into its loader over its serial port; any other gets there by its BOOTSEL button.
The loader is in ROM: whatever goes wrong, the board can be written again.
"""

from __future__ import annotations

import os
import re
import struct
import sys
import time
from collections.abc import Callable
from pathlib import Path

import serial
from mpremote.transport import TransportError

from swarm.flash.error import FlashError, Progress
from swarm.output import readable
from swarm.serial.port import BoardError
from swarm.serial.prompt import raw_repl
from swarm.serial.status import read_runtime

VOLUME_S = 20.0  # until the drive is there: the system may take some seconds to mount it
RETURN_S = 30.0  # until MicroPython answers: at its first start it makes its file system
_POLL_S = 0.1
_INFO = "INFO_UF2.TXT"
_BLOCK = struct.Struct("<8I476xI")
_START, _SECOND, _END = 0x0A324655, 0x9E5D5157, 0x0AB16F30
_HAS_FAMILY = 0x2000
_FAMILIES = {"rp2040": (0xE48BFF56,), "rp2350": (0xE48BFF59, 0xE48BFF5A)}  # by a board's mcu: Arm, RISC-V
_ABSOLUTE = 0xE48BFF57
_FAMILY_NAMES = {0xE48BFF56: "rp2040", 0xE48BFF59: "rp2350", 0xE48BFF5A: "rp2350", _ABSOLUTE: "rp2350 (any)"}
_FILLER = b"\xef" * 256
_CHUNK = 64 * 1024
_BOOTSEL = "hold BOOTSEL while plugging it in, and try again"


def check_image(path: Path, mcu: str) -> bytes:
    """The contents of a UF2 file for a chip (as in board.json). FlashError when it is none, cut, or another chip's."""
    try:
        image = readable.read(path)
    except OSError as error:
        raise FlashError(f"{path}: cannot be read ({error.strerror}): name a firmware file") from None
    if not image or len(image) % _BLOCK.size:
        raise FlashError(f"{path}: not a whole UF2 file: name the .uf2 file for this board, or fetch it again")
    whole, image = image, _without_filler(image) if mcu == "rp2350" else image
    count = len(image) // _BLOCK.size
    for number, block in enumerate(_BLOCK.iter_unpack(image)):
        start, second, flags, _, _, position, total, family, end = block
        if (start, second, end) != (_START, _SECOND, _END):
            raise FlashError(f"{path}: block {number} is no UF2: name the .uf2 file for this board, or fetch it again")
        if not flags & _HAS_FAMILY or family not in _FAMILIES[mcu]:
            found = _FAMILY_NAMES.get(family, f"family 0x{family:08x}") if flags & _HAS_FAMILY else "no family"
            raise FlashError(f"{path}: made for {found}, and the board has an {mcu}: name that board's firmware")
        if position != number or total != count:
            raise FlashError(f"{path}: block {number} of {count} says {position} of {total}: fetch the file again")
    return whole


def content(image: bytes) -> bytes:
    """What a UF2 file has a board hold, in one piece; of any other file, the file."""
    if image[:4] != _START.to_bytes(4, "little"):
        return image
    return b"".join(image[at + 32 : at + 32 + 256] for at in range(0, len(image), _BLOCK.size))


def _without_filler(image: bytes) -> bytes:
    """An RP2350's image without the block that picotool may put first, against erratum E10 of that chip: one of another
    family, which says that it is the first of two and holds nothing. The chip's loader passes over it.
    """
    *_, position, total, family, _ = _BLOCK.unpack_from(image)
    is_filler = (position, total, family) == (0, 2, _ABSOLUTE) and image[32 : 32 + len(_FILLER)] == _FILLER
    return image[_BLOCK.size :] if is_filler and len(image) > _BLOCK.size else image


def volumes(drive: str) -> list[Path]:
    """Mounted drives of loaders that call themselves `drive`, such as RPI-RP2."""
    return [folder for folder in _mount_points() if _drive_name(folder) == drive]


def _mount_points() -> list[Path]:
    """Where drives of the loader's kind, FAT, are mounted."""
    if sys.platform == "darwin":
        return sorted(Path("/Volumes").iterdir())
    found = []
    for line in Path("/proc/self/mounts").read_text(errors="surrogateescape").splitlines():
        _, folder, kind, *_ = line.split(" ")
        if kind in ("vfat", "msdos"):
            found.append(Path(re.sub(r"\\([0-7]{3})", lambda octal: chr(int(octal[1], 8)), folder)))
    return found


def _drive_name(folder: Path) -> str | None:
    """Board-ID of a loader's drive; None for any other folder."""
    try:
        found = re.search(r"^Board-ID:\s*(\S+)", (folder / _INFO).read_text(errors="replace"), re.MULTILINE)
    except OSError:
        return None
    return found[1] if found else ""


def enter_loader(port: str, platform: str, expected_hardware: str | None) -> None:
    """Ask the MicroPython at a port to start the loader.

    FlashError when none answers, it runs on another platform (sys.platform), or the board is not the one with the
    expected hardware id (None: any).
    """
    try:
        with raw_repl(port) as transport:
            found = transport.eval("__import__('sys').platform")
            if found != platform:
                raise FlashError(
                    f"{port}: the board runs MicroPython for {found}, and {platform} is expected; nothing was written: "
                    "check --board and the port"
                )
            hardware = str(transport.eval("__import__('machine').unique_id().hex()"))
            if expected_hardware not in (None, hardware):
                raise FlashError(
                    f"the board is {hardware}, and {expected_hardware} is listed; nothing was written: plug in the "
                    "right one, or correct the member's port or hardware in swarm.toml"
                )
            # The pause lets the answer to this line out before the port goes.
            transport.exec_raw_no_follow("import time, machine; time.sleep_ms(100); machine.bootloader()")
    except BoardError as error:
        if error.kind == "foreign":
            told = str(error).partition(", and ")[0]
            raise FlashError(f"{told}, which does not start the loader from here: {_BOOTSEL} without --port") from None
        raise FlashError(f"{error}; if it has none yet, {_BOOTSEL} without --port") from None
    except (TransportError, OSError, serial.SerialException, SyntaxError, ValueError) as error:
        raise FlashError(f"{port}: the board did not go into its loader ({error}): {_BOOTSEL}") from None


def find_volume(drive: str, given: Path | None, ask: Callable[[], None] | None) -> Path:
    """The drive of the one board that is in its loader.

    given: where it is or will be mounted, None: looked for; ask: brings a board into its loader, None: one is there by
    its button. FlashError when there is none, several, or one of another kind.
    """
    before = volumes(drive) if given is None else []
    if ask and (given is None or not (given / _INFO).exists()):
        ask()
        found = _wait_for(lambda: _present(drive, given, before), VOLUME_S)
    else:
        found = _present(drive, given, [])
    if not found:
        where = str(given) if given else f"a drive {drive}"
        raise FlashError(
            f"{where}: no loader's drive is mounted there: mount it (udisksctl mount -b /dev/disk/by-label/{drive}), "
            f"or say where it is with --volume DIR; without a drive, {_BOOTSEL}"
        )
    if len(found) > 1:
        raise FlashError(f"{', '.join(map(str, found))}: several boards are in their loaders: choose with --volume DIR")
    name = _drive_name(found[0])
    if name != drive:
        raise FlashError(
            f"{found[0]}: {_INFO} says {name!r}, and {drive} is expected; nothing was written: check --board"
        )
    return found[0]


def _present(drive: str, given: Path | None, before: list[Path]) -> list[Path]:
    if given is not None:
        return [given] if (given / _INFO).exists() else []
    return [folder for folder in volumes(drive) if folder not in before]


def copy(volume: Path, image: bytes, progress: Progress) -> None:
    """Copy a UF2 file; the board starts it as soon as it has the last block, and its drive goes away.

    FlashError when the drive goes before, or stays.
    """
    done = 0
    try:
        with open(volume / "firmware.uf2", "wb", buffering=0) as file:
            while done < len(image):
                done += file.write(image[done : done + _CHUNK])
                progress("Writing", done, len(image))
                os.fsync(file.fileno())  # else the system takes it all at once and writes it unseen
    except OSError as error:
        # With the last block the board restarts; the system may then complain that the drive is gone.
        if done < len(image):
            raise FlashError(f"{volume}: {error.strerror}; the board is only partly written: {_BOOTSEL}") from None
    progress("Waiting for the board to restart", 0, 0)
    if not _wait_for(lambda: not (volume / _INFO).exists(), RETURN_S):
        raise FlashError(f"{volume}: the board did not start what was copied: {_BOOTSEL}")


def wait_for_board(find_port: Callable[[], str | None]) -> tuple[str, str]:
    """Wait until MicroPython answers at a port, looked up anew each time; returns its version and its hardware id.

    FlashError when it does not.
    """
    last = "nothing"

    def answer() -> tuple[str, str] | None:
        nonlocal last
        port = find_port()
        if port is None:
            last = "it is not plugged in"
            return None
        try:
            with raw_repl(port) as transport:
                version = ".".join(str(part) for part in read_runtime(transport, port)["version"][:3])
                return version, str(transport.eval("__import__('machine').unique_id().hex()"))
        except (BoardError, TransportError, OSError) as error:
            last = str(error)
            return None

    found = _wait_for(answer, RETURN_S)
    if not found:
        raise FlashError(f"the firmware was copied, but MicroPython does not answer: {last}")
    return found


def _wait_for(look: Callable, seconds: float):
    """What look() returns as soon as that is true, else its last answer."""
    end = time.monotonic() + seconds
    while not (found := look()) and time.monotonic() < end:
        time.sleep(_POLL_S)
    return found
