"""Fetch the samples that nodes keep on their flash into one file, and draw them.

A node's late_us is relative to the instant that the swarm agreed on, of a series to the beat's, so that it is the same
axis for every node. The file may be there already: what it holds stays, and only samples that it does not hold yet are
added, those of earlier boots too; of a series only what is newer is read. Without NODE, --all and --port: the boards of
`swarm demo --keep` or of `swarm board --background`, or the members of swarm.toml.
"""

from __future__ import annotations

import argparse
import time
from contextlib import nullcontext
from pathlib import Path

from swarm.description.project import ProjectError
from swarm.output import svg, writable
from swarm.output.progress import meter, waiting
from swarm.output.streams import fail
from swarm.serial import targets, via
from swarm.serial.targets import Target
from swarm.sinks.every import Sinks
from swarm.verbs.options import add_targets, add_via, check_via
from swarm.watch import collection, dating, plot, samples
from swarm.watch.collection import Collection
from swarm.watch.fetch import Fetch
from swarm.watch.samples import SamplesError

_EVERY_S = 2.0  # between two looks of --follow at most so often
_SHARE = 10  # a file that takes long to write is written less often, so that at most a tenth of the time goes there
_EXAMPLES = """examples:
  swarm collect                                  the boards of `swarm demo --keep`, into samples.csv
  swarm collect --all --out greenhouse.csv       every member of swarm.toml
  swarm collect --all --out greenhouse.db        into an SQLite database; .jsonl: a line of JSON a sample
  swarm collect --all --wide beats.csv           and a row a beat, with a column for each node
  swarm collect --all --plot samples.svg         and a picture of all that the file then holds
  swarm collect --all --follow                   go on, and print samples as they come, until Ctrl-C
  swarm collect --all --follow --exec "python3 alarm.py"     and give each to a program as a line of JSON
  swarm collect --all --follow --mqtt mqtt://broker/house    and to an MQTT broker
  swarm collect --port /dev/ttyUSB0
  swarm collect --via /dev/ttyUSB0               every member, over the air, through one board (see `gateway`)

handing on, with --follow; each new sample once it is in the file, as a line of JSON that .jsonl files have too:
  --exec COMMAND             a program that runs along and reads lines; words as a shell has them, and no shell. If it
                             ends or reads no more, that is said, the file goes on, and the exit status is 1, as of tee
  --mqtt mqtt://[USER@]HOST[:PORT]/PREFIX
                             published at PREFIX/NODE, with QoS 1: node, session, series and n tell what came twice.
                             Not retained, so that nothing old looks new. The password is in SWARM_MQTT_PASSWORD. A
                             broker that is away is tried until it is back. Needs paho-mqtt: pip install '.[mqtt]'
Who is slow or away holds nobody up: it gets all later, of this run. After Ctrl-C it has 5 s for the rest; what it does
not take then is told, and the exit status is 1.

columns:
  node, session      session: number of the node's boot in which the sample was taken; each is above those before it
  series, n          of samples in series: a number that tells a series from others, and that of the beat, from 0
  utc, within_s      the agreed instant or the beat by this computer's clock, and to how many seconds that is known, by
                     what nodes told while they ran; each collect makes it as exact as it can, and less so of long ago
  late_us            lateness: microseconds from that instant, as this node has it, to the sample, by its clock;
                     what two nodes' differ by is not the swarm's skew, which `swarm monitor` measures
  value              a number or text as it is, a list as JSON; empty when the sensor failed, and for a dict
  value.KEY ...      of samples that are dicts: a column for each key, after the others; those of a dict within as
                     value.KEY.KEY. A picture has a row of axes for each, labelled with it: temperature_C tells its unit
  late               1 when the node bootstrapped, or heard of the instant, only after it

A node whose clock was moved by more than 5 ms in a series has said so: that is in samples.moves.csv, or in the
database's table moves, with the last beat before it.

exit status: 0 every node's samples were fetched, 1 a node did not answer (with --follow: at the end) or not all was
handed on, 2 used wrongly
"""


def register(subparsers) -> None:
    """Add `collect` to the command line."""
    parser = subparsers.add_parser(
        "collect",
        help="fetch nodes' samples into a file, and plot them",
        description=__doc__,
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add_targets(parser)
    add_via(parser)
    parser.add_argument(
        "--out",
        "--output",
        type=Path,
        default=Path("samples.csv"),
        metavar="FILE",
        help="file to add to: .csv, .jsonl or .db (default: %(default)s)",
    )
    parser.add_argument("--wide", type=Path, metavar="FILE", help="write a row a beat with a column a node, as --out")
    parser.add_argument("--plot", metavar="FILE", help="draw what the file then holds, as SVG")
    parser.add_argument("--follow", action="store_true", help="go on, and print each sample, until Ctrl-C")
    parser.add_argument("--exec", metavar="COMMAND", help="with --follow: give each sample to a command")
    parser.add_argument("--mqtt", metavar="URL", help="with --follow: publish each sample")
    parser.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> int:
    try:
        svg.check(options.plot)
        writable.check(options.out)
        if options.wide:
            writable.check(options.wide)
        check_via(options)
        sinks = Sinks(options.exec, options.mqtt)
        if sinks and not options.follow:
            raise targets.WrongUse("--exec and --mqtt hand on what comes while it is followed: give --follow as well")
        boards = _Via(options) if options.via else _Boards(options)
        held = collection.load(options.out)
        sinks.begin(held.samples)
    except (targets.WrongUse, ProjectError, SamplesError, ValueError) as error:
        return fail("collect", error, 2)
    if options.follow:
        return _follow(options, boards, held, sinks)
    asked = boards.ask(held)
    for target, answer in asked:
        if "error" in answer:
            fail("collect", _words(target, answer), 1)
    answered = [answer for _, answer in asked if "error" not in answer]
    if not answered:
        return 1
    before = len(held.samples)
    for answer, found, new, spoilt in _take(held, answered):
        told_spoilt = f"; {spoilt} spoilt lines passed over" if spoilt else ""
        print(f"node {answer['node']}: {samples.counted(found)}, {new} new{told_spoilt}")
    _save(options, held, boards)
    print(f"{options.out}: {samples.counted(len(held.samples))}, {len(held.samples) - before} new")
    if options.plot:
        print(options.plot)
    return 0 if len(answered) == len(asked) else 1


def _words(target: Target, answer: dict) -> str:
    """Why a board did not answer."""
    return f"{target.key}: {answer['error'].removeprefix(f'{target.port}: ')}"


class _Boards:
    """The boards that the options name, each at its port."""

    def __init__(self, options: argparse.Namespace) -> None:
        self._chosen = targets.choose(options.node, options.all, options.port, options.swarm)
        self._follows = options.follow

    def ask(self, held: Collection) -> list[tuple[Target, dict]]:
        """What they tell and keep that is not held."""
        with nullcontext() if self._follows else meter("reading") as told:
            fetch = Fetch(samples.newest(held.samples), told)
            return targets.ask_all(self._chosen, fetch.prompt, fetch.by_line)

    def save(self) -> None:
        """Keep what the next run needs of this one."""


class _Via:
    """All members of a swarm, through one board."""

    def __init__(self, options: argparse.Namespace) -> None:
        self._port = options.via
        self._follows = options.follow
        self._file = options.out.with_suffix(".places.json")
        self._places: via.Places = {}
        if options.out.exists() and self._file.exists():
            self._places = via.load_places(self._file.read_text())

    def ask(self, held: Collection) -> list[tuple[Target, dict]]:
        """As _Boards.ask()."""
        fetch = Fetch(samples.newest(held.samples))
        with nullcontext() if self._follows else waiting("reading") as told:
            return via.ask_all(self._port, fetch.prompt, self._places, told)

    def save(self) -> None:
        """As _Boards.save(); after the samples, of which none is read again then."""
        writable.write_atomically(self._file, via.dump_places(self._places))


def _take(held: Collection, answered: list[dict]) -> list[tuple[dict, int, int, int]]:
    """Add what boards have answered, and date all; of each board's samples how many were read, new and spoilt."""
    counts = []
    for answer in answered:
        found, spoilt = samples.parse(answer)
        counts.append((answer, len(found), samples.merge(held.samples, found), spoilt))
        held.moves += [move for move in samples.moves(answer) if move not in held.moves]
    readings = [reading for answer in answered if (reading := dating.reading(answer))]
    dating.date(held.samples, held.moves, readings)
    return counts


def _save(options: argparse.Namespace, held: Collection, boards: _Boards | _Via) -> None:
    collection.save(options.out, held)
    boards.save()
    if options.wide:
        collection.save_wide(options.wide, held)
    if options.plot:
        svg.save(options.plot, plot.picture(held.samples, options.out.name))


def _follow(options: argparse.Namespace, boards: _Boards | _Via, held: Collection, sinks: Sinks) -> int:
    """Ask again and again, and print what is new; the exit status."""
    silent: dict[str, bool] = {}
    unsaved, save_s = 0, 0.0
    try:
        while True:
            begun_s = time.monotonic()
            asked = boards.ask(held)
            every_s = _EVERY_S
            for target, answer in asked:
                was_silent, silent[target.key] = silent.get(target.key, False), "error" in answer
                if "error" in answer and not was_silent:
                    fail("collect", _words(target, answer), 1)
                elif was_silent and "error" not in answer:
                    print(f"{target.key}: answers again", flush=True)
                if series := answer.get("series"):
                    every_s = max(every_s, series["period_ms"] / 1000)
            before = len(held.samples)
            _take(held, [answer for _, answer in asked if "error" not in answer])
            for one in sorted(held.samples[before:], key=lambda one: (one.n or 0, one.node)):
                print(_line(one), flush=True)
            unsaved += len(held.samples) - before
            if unsaved and time.monotonic() >= save_s:
                begun_save_s = time.monotonic()
                _save(options, held, boards)
                sinks.safe()
                unsaved = 0
                save_s = time.monotonic() + _SHARE * (time.monotonic() - begun_save_s)
            took_s = time.monotonic() - begun_s
            time.sleep(max(every_s - took_s, took_s))  # who takes long is left in peace as long
    except KeyboardInterrupt:
        if unsaved:
            _save(options, held, boards)
            sinks.safe()
    print(f"{options.out}: {samples.counted(len(held.samples))}", flush=True)
    handed_on = sinks.end()
    return 1 if any(silent.values()) or not silent or not handed_on else 0


def _line(one: samples.Sample) -> str:
    """A sample that has come, in a line."""
    beat = "" if one.n is None else f", beat {one.n}"
    value = one.value or " ".join(f"{key.removeprefix(samples.PART)} {text}" for key, text in one.parts.items())
    late = " late" if one.late else ""
    return f"{one.utc or '-'}  node {one.node}{beat}: {value}, {one.late_us:+d} us{late}"
