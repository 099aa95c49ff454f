"""Fetch the samples that nodes keep on their flash into one file, and draw them.

A node's late_us is relative to the instant that the swarm agreed on, of a series to the beat's, so that it is the same
axis for every node. The file may be there already: what it holds stays, and only samples that it does not hold yet are
added, those of earlier boots too; of a series only what is newer is read. Without NODE, --all and --port: the boards of
`swarm demo --keep` or of `swarm board --background`, or the members of swarm.toml.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

from swarm.description.project import ProjectError
from swarm.following.log import Log, words
from swarm.following.sources import Boards, Source, Via
from swarm.output import svg, writable
from swarm.output.streams import fail
from swarm.serial import targets
from swarm.sinks.every import Sinks
from swarm.verbs.options import add_targets, add_via, check_via
from swarm.watch import collection, plot, samples
from swarm.watch.collection import Collection
from swarm.watch.samples import SamplesError

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

--follow --via PORT: what members have kept comes first, then each record as it comes over the air. What did not come so
in four beats, or 30 s, is asked of its member's flash: one member at a time, with a rest of ten times what that took. A
board that is unplugged or restarts is tried until it is back. Two of these at two boards both get everything.

columns:
  node, session      session: number of the node's boot in which the sample was taken; each is above those before it
  series, n          of samples in series: a number that tells a series from others, and that of the beat, from 0
  utc, within_s      the agreed instant or the beat by this computer's clock, and to how many seconds that is known, by
                     what nodes told while they ran; each collect makes it as exact as it can, and less so of long ago
                     (what is new of a series that has ended is dated where the file has two of its beats)
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
        if options.via:
            boards: Source = Via(options.via, options.out)
        else:
            chosen = targets.choose(options.node, options.all, options.port, options.swarm)
            boards = Boards(chosen, options.out, options.follow)
        held = collection.load(options.out)
        sinks.begin(held.samples)
    except (targets.WrongUse, ProjectError, SamplesError, ValueError) as error:
        return fail("collect", error, 2)
    if options.follow:
        return _follow(options, boards, held, sinks)
    asked = boards.ask(held)
    for target, answer in asked:
        if "error" in answer:
            fail("collect", words(target, answer), 1)
    answered = [answer for _, answer in asked if "error" not in answer]
    if not answered:
        return 1
    before = len(held.samples)
    for answer, found, new, spoilt in collection.take(held, answered, {}):
        told_spoilt = f"; {spoilt} spoilt lines passed over" if spoilt else ""
        print(f"node {answer['node']}: {samples.counted(found)}, {new} new{told_spoilt}")
    _save(options, held, boards)
    print(f"{options.out}: {samples.counted(len(held.samples))}, {len(held.samples) - before} new")
    if options.plot:
        print(options.plot)
    return 0 if len(answered) == len(asked) else 1


def _save(options: argparse.Namespace, held: Collection, boards: Source) -> None:
    collection.save(options.out, held)
    boards.save()
    if options.wide:
        collection.save_wide(options.wide, held)
    if options.plot:
        svg.save(options.plot, plot.picture(held.samples, options.out.name))


def _follow(options: argparse.Namespace, boards: Source, held: Collection, sinks: Sinks) -> int:
    """Follow until Ctrl-C, and print what is new; the exit status."""
    log = Log(held)
    saved, save_s = log.size, 0.0

    def save() -> None:
        _save(options, held, boards)
        sinks.safe()

    try:
        while True:
            log.take(boards.follow(held))
            if log.size != saved and time.monotonic() >= save_s:
                begun_s = time.monotonic()
                save()
                saved, save_s = log.size, time.monotonic() + _SHARE * (time.monotonic() - begun_s)
    except KeyboardInterrupt:
        pass
    finally:
        rest = boards.end()
    log.take(rest)
    if log.size != saved:
        save()
    print(f"{options.out}: {samples.counted(len(held.samples))}", flush=True)
    handed_on = sinks.end()
    return 0 if log.all_answer and handed_on else 1
