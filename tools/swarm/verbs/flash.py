"""Put MicroPython itself onto boards, one after the other: members of swarm.toml, or any board at a port.

ESP32 boards are written with esptool: the chip is found out and compared with the board before anything is written,
and what was written is verified. RP2040 and RP2350 boards are asked into their loader, which shows itself as a drive,
get the file, and are waited for. A member's hardware id is noted in swarm.toml; a board with another one is refused.
Exit status: 0 all written, 1 not all, 2 wrong use, 130 interrupted.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from swarm import boards
from swarm.description import project
from swarm.flash import board, cache, esp
from swarm.flash.board import READ_BACK_KB, Settings, Target
from swarm.flash.error import FlashError
from swarm.output.streams import fail
from swarm.verbs.options import add_swarm

_EXAMPLES = """examples:
  swarm flash 1 2 3                                              members of swarm.toml, with official firmware
  swarm flash --all --erase                                      all of them, their files erased too (ESP32)
  swarm flash --board ESP32_GENERIC --port /dev/ttyUSB0
  swarm flash --board ESP32_GENERIC_S3 --port /dev/ttyACM0 --firmware ESP32_GENERIC_S3-v1.28.0.bin
  swarm flash --board RPI_PICO --port /dev/ttyACM0               asks MicroPython into the loader
  swarm flash --board RPI_PICO --volume /media/me/RPI-RP2        a new board: hold BOOTSEL while plugging it in
"""


class _WrongUse(Exception):
    """An option does not fit; the message names its value and the remedy."""


_STAYS = (
    "; the node is in this firmware, and a version that was deployed onto the board before comes first: `swarm deploy` "
    "it, so that nothing old runs"
)


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
    add_swarm(parser)
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
        "--read-back", action="store_true", help=f"ESP32: also read the first {READ_BACK_KB} KB back and compare them"
    )
    parser.add_argument("--baud", type=int, default=esp.BAUD, metavar="N", help="ESP32: speed (default: %(default)s)")
    parser.add_argument("--volume", type=Path, metavar="DIR", help="Pico: where the loader's drive is or will be")
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
    return [board.target_of(member, options.port) for member in members]


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
    """Write one board, and show how far that is; what to say of it, and its hardware id, as board.write()."""
    firmware = board.firmware_for(target, settings)
    console.print(f"{target.label}: {firmware.described}, SHA-256 {firmware.checksum}", markup=False)
    columns = (TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bars:
        bar = bars.add_task("Starting", total=None)

        def progress(doing: str, done: int, total: int) -> None:
            if doing.startswith("warning:"):
                bars.print(doing, markup=False)
            else:
                bars.update(bar, description=doing, completed=done, total=total or None)

        said, hardware = board.write(target, firmware, settings, progress)
    if not settings.erase and board.has_node(firmware):
        said += _STAYS
    return f"{target.label}: {said}", hardware
