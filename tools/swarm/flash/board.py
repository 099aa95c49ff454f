"""Writes one board of whichever kind: the right firmware, in the way of its chip, and onto the right board only."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from swarm import boards
from swarm.description.project import Member, ProjectError, port_of, port_of_serial
from swarm.flash import cache, esp, uf2
from swarm.flash.cache import Firmware
from swarm.flash.error import FlashError, Progress
from swarm.output import readable

READ_BACK_KB = 64
_Written = tuple[str, str | None]  # what to say of it, and its hardware id


@dataclass(frozen=True)
class Target:
    """A board to be written."""

    board: str
    port: str | None  # None: in its loader, and at no port
    serial: str | None = None  # USB serial number, by which it is found again at another port
    member: Member | None = None  # None: of no described swarm

    @property
    def label(self) -> str:
        """How the board is called in messages."""
        at = self.port or "its drive"
        return f"node {self.member.id} at {at}" if self.member else f"{self.board} at {at}"


@dataclass(frozen=True)
class Settings:
    """How boards are written."""

    firmware: Path | None = None  # None: official firmware
    micropython: str = cache.VERSION  # of official firmware
    erase: bool = False
    stub: bool = True
    read_back: bool = False
    baud: int = esp.BAUD
    volume: Path | None = None


def target_of(member: Member, port: str | None) -> Target:
    """A member's board, at a given port or where swarm.toml says; a Pico in its loader may be at none.

    ProjectError when the board is not plugged in, and that is no Pico.
    """
    if port is not None:
        return Target(member.board, port, None, member)
    try:
        port = port_of(member)
    except ProjectError:
        if boards.facts(member.board)["flash"]["tool"] != "uf2":
            raise
    return Target(member.board, port, member.serial, member)


def firmware_for(target: Target, settings: Settings) -> Firmware:
    """The firmware that a board gets: of a file, or else the official one. FlashError when there is none."""
    if settings.firmware:
        return cache.from_file(settings.firmware)
    facts = boards.facts(target.board)
    suffix = Path(facts["flash"]["file"]).suffix
    return cache.official(facts["firmware"], facts["port"], suffix, settings.micropython)


def has_node(firmware: Firmware) -> bool:
    """Whether the node is frozen into a firmware file: the name of its board, which is in it as text, says so."""
    return boards.FROZEN.encode() in uf2.content(readable.read(firmware.path))


def write(target: Target, firmware: Firmware, settings: Settings, progress: Progress) -> tuple[str, str | None]:
    """Write one board.

    Returns what to say of it, and its hardware id, None when the board could not be asked. FlashError when it failed.
    """
    facts = boards.facts(target.board)
    write_it = _write_esp if facts["flash"]["tool"] == "esptool" else _write_uf2
    return write_it(target, facts, firmware, settings, progress)


def _write_esp(target: Target, facts: dict, firmware: Firmware, settings: Settings, progress: Progress) -> _Written:
    """Write an ESP32; returns what to say of it, and its hardware id."""
    chip, offset = facts["flash"]["chip"], int(facts["flash"]["offset"], 0)
    image = esp.check_image(firmware.path, chip)
    assert target.port is not None
    with esp.loader(target.port, chip, stub=settings.stub, baud=settings.baud, progress=progress) as loader:
        expected = target.member and target.member.hardware
        if expected and expected != loader.hardware:
            raise FlashError(
                f"the board is {loader.hardware}, and {expected} is listed; nothing was written: plug in the right "
                "one, or correct the member's port or hardware in swarm.toml"
            )
        esp.write(loader, image, offset, erase=settings.erase)
        said = f"{loader.chip}, {loader.hardware}: {len(image)} bytes written and verified"
        if settings.read_back:
            size = min(len(image), READ_BACK_KB * 1024)
            esp.read_back(loader, image, offset, size)
            said += f", the first {size} read back equal"
    return said, loader.hardware


def _write_uf2(target: Target, facts: dict, firmware: Firmware, settings: Settings, progress: Progress) -> _Written:
    """Write a Pico; returns what to say of it, and its hardware id, None when it is at no port to be asked."""
    image = uf2.check_image(firmware.path, facts["mcu"])
    port = target.port
    expected = target.member.hardware if target.member else None

    def ask() -> None:
        progress("Asking the board into its loader", 0, 0)
        assert port is not None
        uf2.enter_loader(port, facts["port"], expected)

    # A board that is in its loader already has no serial port.
    has_prompt = port is not None and ("://" in port or Path(port).exists())
    try:
        volume = uf2.find_volume(facts["flash"]["drive"], settings.volume, ask if has_prompt else None)
    except FlashError as error:
        if port is None or has_prompt:
            raise
        raise FlashError(f"there is no port {port}, and {error}") from None
    uf2.copy(volume, image, progress)
    said = f"{len(image)} bytes copied to {volume}"
    if port is None and target.serial is None:
        return f"{said}, and the board restarted (without a port it was not asked)", None
    progress("Waiting for MicroPython", 0, 0)
    version, hardware = uf2.wait_for_board(lambda: _port_now(target))
    if expected not in (None, hardware):
        raise FlashError(
            f"written, but the board is {hardware}, and {expected} is listed: plug in the right one, or correct the "
            "member's hardware in swarm.toml"
        )
    return f"{said}, MicroPython {version} runs on {hardware}", hardware


def _port_now(target: Target) -> str | None:
    """Where the board is now: with a known serial number, wherever the system has put it."""
    return target.port if target.serial is None else port_of_serial(target.serial)
