"""Put MicroPython itself onto boards, one after the other: members of swarm.toml, or any board at a port.

ESP32 boards are written with esptool: the chip is found out and compared with the board before anything is written,
and what was written is verified. RP2040 boards are asked into their loader, which shows itself as a drive, get the
file, and are waited for. A member's hardware id is noted in swarm.toml; a board with another one is refused.
Exit status: 0 all written, 1 not all, 2 wrong use, 130 interrupted.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from swarm import boards
from swarm.description import project
from swarm.flash import cache, esp, uf2
from swarm.flash.cache import Firmware
from swarm.flash.error import FlashError
from swarm.output.streams import fail

_EXAMPLES = """examples:
  swarm flash 1 2 3                                              members of swarm.toml, with official firmware
  swarm flash --all --erase                                      all of them, their files erased too (ESP32)
  swarm flash --board ESP32_GENERIC --port /dev/ttyUSB0
  swarm flash --board ESP32_GENERIC_S3 --port /dev/ttyACM0 --firmware ESP32_GENERIC_S3-v1.28.0.bin
  swarm flash --board RPI_PICO --port /dev/ttyACM0               asks MicroPython into the loader
  swarm flash --board RPI_PICO --volume /media/me/RPI-RP2        a new board: hold BOOTSEL while plugging it in
"""
_READ_BACK_KB = 64


class _WrongUse(Exception):
    """An option does not fit; the message names its value and the remedy."""


@dataclass(frozen=True)
class Target:
    """A board to be written."""

    board: str
    port: str | None  # None: in its loader, and at no port
    serial: str | None = None  # USB serial number, by which it is found again at another port
    member: project.Member | None = None  # None: of no described swarm

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


def register(subparsers) -> None:
    """Add `flash` to the command line."""
    parser = subparsers.add_parser(
        "flash",
        help="put MicroPython itself onto boards",
        description=__doc__,
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("nodes", nargs="*", type=int, metavar="NODE", help="members of swarm.toml")
    parser.add_argument("--all", action="store_true", help="all members of swarm.toml")
    project.add_option(parser)
    parser.add_argument("--board", metavar="BOARD", help="without NODE: the board")
    parser.add_argument(
        "--port", metavar="P", help="without NODE: its serial port; with one NODE: instead of the listed one"
    )
    parser.add_argument(
        "--firmware", type=Path, metavar="FILE", help="a .bin or .uf2 file (default: official firmware)"
    )
    parser.add_argument("--micropython", metavar="VERSION", help=f"of official firmware (default: {cache.VERSION})")
    parser.add_argument("--erase", action="store_true", help="ESP32: erase the whole flash before, files included")
    parser.add_argument("--no-stub", action="store_true", help="ESP32: leave out esptool's loader in RAM; slow")
    parser.add_argument(
        "--read-back", action="store_true", help=f"ESP32: also read the first {_READ_BACK_KB} KB back and compare them"
    )
    parser.add_argument("--baud", type=int, default=esp.BAUD, metavar="N", help="ESP32: speed (default: %(default)s)")
    parser.add_argument("--volume", type=Path, metavar="DIR", help="RP2040: where the loader's drive is or will be")
    parser.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> int:
    try:
        swarm = project.load(options.swarm) if options.nodes or options.all else None
    except project.ProjectError as error:
        return fail("flash", error, 2)
    try:
        targets = _targets(options, swarm)
        _refuse_unfit(options, targets)
    except (_WrongUse, boards.BoardError) as error:
        return fail("flash", error, 2)
    except project.ProjectError as error:  # of a board that is not plugged in
        return fail("flash", error, 1)
    settings = Settings(
        firmware=options.firmware,
        micropython=options.micropython or cache.VERSION,
        erase=options.erase,
        stub=not options.no_stub,
        read_back=options.read_back,
        baud=options.baud,
        volume=options.volume,
    )
    console = Console(highlight=False, soft_wrap=True)
    failed = 0
    for target in targets:
        try:
            said, hardware = flash(target, settings, console)
            console.print(said, markup=False)
            if swarm and target.member and hardware and target.member.hardware != hardware:
                target.member.hardware = hardware
                swarm.save()
        except (FlashError, project.ProjectError, OSError) as error:
            failed += fail("flash", f"{target.label}: {error}", 1)
        except KeyboardInterrupt:
            return fail("flash", f"{target.label}: interrupted: write this board again", 130)
    if len(targets) > 1:
        console.print(f"{len(targets) - failed} of {len(targets)} boards written")
    return 1 if failed else 0


def _targets(options: argparse.Namespace, swarm: project.Project | None) -> list[Target]:
    """The boards that the options name."""
    if swarm is None:
        if not options.board:
            raise _WrongUse("say which board: NODE ..., --all, or --board BOARD with --port PORT (or --volume DIR)")
        if options.port is None and boards.facts(options.board)["flash"]["tool"] != "uf2":
            raise _WrongUse(f"--board {options.board}: give its serial port with --port")
        return [Target(options.board, options.port)]
    if options.board:
        raise _WrongUse(
            f"--board {options.board}: members' boards are in {swarm.path}: leave it out, or leave out NODE"
        )
    if options.all and options.nodes:
        raise _WrongUse("--all: all members are meant: leave out the NODEs, or --all")
    known = {member.id: member for member in swarm.members}
    for node in options.nodes:
        if node not in known:
            raise _WrongUse(f"{node}: no such member in {swarm.path}: choose one of {', '.join(map(str, swarm.ids))}")
    members = swarm.members if options.all else [known[node] for node in dict.fromkeys(options.nodes)]
    if len(members) > 1 and (options.port or options.volume):
        raise _WrongUse("--port and --volume are one board's: give one NODE, or list the ports in swarm.toml")
    return [_target(member, options.port) for member in members]


def _target(member: project.Member, port: str | None) -> Target:
    """A member's board, at a given port or where swarm.toml says; an RP2040 in its loader may be at none."""
    if port is not None:
        return Target(member.board, port, None, member)
    try:
        port = project.port_of(member)
    except project.ProjectError:
        if boards.facts(member.board)["flash"]["tool"] != "uf2":
            raise
    return Target(member.board, port, member.serial, member)


def _refuse_unfit(options: argparse.Namespace, targets: list[Target]) -> None:
    """Options that would be without effect are mistakes."""
    tools = {boards.facts(target.board)["flash"]["tool"]: target.board for target in targets}
    if "none" in tools:
        raise _WrongUse(f"{tools['none']} is made of files: nothing is flashed onto it")
    if options.firmware and len({target.board for target in targets}) > 1:
        raise _WrongUse(f"--firmware {options.firmware}: the members have different boards: flash each kind by itself")
    if options.firmware and options.micropython:
        raise _WrongUse(f"--micropython {options.micropython}: --firmware names the file already: leave one out")
    if options.erase and options.no_stub:
        raise _WrongUse(
            "--no-stub: the chip's own loader cannot erase the whole flash: leave out --no-stub, or --erase"
        )
    low, high = esp.BAUDS
    if not low <= options.baud <= high:
        raise _WrongUse(f"--baud {options.baud}: write a whole number from {low} to {high}")
    if "uf2" in tools:
        for name in ("erase", "no_stub", "read_back"):
            if getattr(options, name):
                raise _WrongUse(f"--{name.replace('_', '-')}: {tools['uf2']} has no such thing: leave it out")
    if options.volume and "esptool" in tools:
        raise _WrongUse(f"--volume {options.volume}: {tools['esptool']} shows no drive: leave it out")


def flash(target: Target, settings: Settings, console: Console) -> tuple[str, str | None]:
    """Write one board.

    Returns what to say of it, and its hardware id, None when the board could not be asked. FlashError when it failed.
    """
    facts = boards.facts(target.board)
    if settings.firmware:
        firmware = cache.from_file(settings.firmware)
    else:
        suffix = Path(facts["flash"]["file"]).suffix
        firmware = cache.official(facts["firmware"], facts["port"], suffix, settings.micropython)
    console.print(f"{target.label}: {firmware.described}, SHA-256 {firmware.checksum}", markup=False)
    columns = (TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bars:
        bar = bars.add_task("Starting", total=None)

        def progress(doing: str, done: int, total: int) -> None:
            if doing.startswith("warning:"):
                bars.print(doing, markup=False)
            else:
                bars.update(bar, description=doing, completed=done, total=total or None)

        write = _write_esp if facts["flash"]["tool"] == "esptool" else _write_uf2
        said, hardware = write(target, facts, firmware, settings, progress)
    return f"{target.label}: {said}", hardware


def _write_esp(target: Target, facts: dict, firmware: Firmware, settings: Settings, progress):
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
            size = min(len(image), _READ_BACK_KB * 1024)
            esp.read_back(loader, image, offset, size)
            said += f", the first {size} read back equal"
    return said, loader.hardware


def _write_uf2(target: Target, facts: dict, firmware: Firmware, settings: Settings, progress):
    """Write an RP2040; returns what to say of it, and its hardware id, None when it is at no port to be asked."""
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
    return target.port if target.serial is None else project.port_of_serial(target.serial)
