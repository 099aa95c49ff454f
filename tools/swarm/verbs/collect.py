"""Fetch the samples that nodes keep on their flash into one CSV file, and draw them on the common time axis.

A node's late_us is relative to the instant that the swarm agreed on, so that it is the same axis for every node. The
file may be there already: what it holds stays, and only samples that it does not hold yet are added. Without NODE,
--all and --port: the boards of `swarm demo --keep` or of `swarm board --background`, or the members of swarm.toml.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from swarm.description.project import ProjectError
from swarm.output import svg, writable
from swarm.output.streams import fail
from swarm.serial import targets
from swarm.verbs.options import add_targets
from swarm.watch import plot, samples
from swarm.watch.fetch import fetch, fetch_by_line
from swarm.watch.samples import SamplesError

_EXAMPLES = """examples:
  swarm collect                                  the boards of `swarm demo --keep`, into samples.csv
  swarm collect --all --out greenhouse.csv       every member of swarm.toml
  swarm collect --all --plot samples.svg         and a picture of all that the file then holds
  swarm collect --port /dev/ttyUSB0

columns:
  node, session      session: number of the node's boot in which the sample was taken; each is above those before it
  late_us            lateness: microseconds from the agreed instant, as this node has it, to the sample, by its clock;
                     what two nodes' differ by is not the swarm's skew, which `swarm monitor` measures
  value              a number or text as it is, a list as JSON; empty when the sensor failed, and for a dict
  value.KEY ...      of samples that are dicts: a column for each key, after the others; those of a dict within as
                     value.KEY.KEY. A picture has a row of axes for each, labelled with it: temperature_C tells its unit
  late               1 when the node bootstrapped, or heard of the instant, only after it
  agreed             the agreed instant by this computer's clock (UTC), where the node still tells it

exit status: 0 every node's samples were fetched, 1 a node did not answer, 2 used wrongly
"""


def register(subparsers) -> None:
    """Add `collect` to the command line."""
    parser = subparsers.add_parser(
        "collect",
        help="fetch nodes' samples into a CSV file, and plot them",
        description=__doc__,
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add_targets(parser)
    parser.add_argument(
        "--out", type=Path, default=Path("samples.csv"), metavar="FILE", help="CSV to add to (default: %(default)s)"
    )
    parser.add_argument("--plot", metavar="FILE", help="draw what the CSV then holds, as SVG")
    parser.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> int:
    try:
        svg.check(options.plot)
        writable.check(options.out)
        chosen = targets.choose(options.node, options.all, options.port, options.swarm)
        table = samples.load(options.out)
    except (targets.WrongUse, ProjectError, SamplesError, ValueError) as error:
        return fail("collect", error, 2)
    asked = targets.ask_all(chosen, fetch, fetch_by_line)
    answered = [answer for _, answer in asked if "error" not in answer]
    for target, answer in asked:
        if "error" in answer:
            why = answer["error"].removeprefix(f"{target.port}: ")
            fail("collect", f"{target.key}: {why}", 1)
    if not answered:
        return 1
    added = 0
    for answer in answered:
        found, spoilt = samples.parse(answer)
        new = samples.merge(table, found)
        added += new
        told = f"; {spoilt} spoilt lines passed over" if spoilt else ""
        print(f"node {answer['node']}: {samples.counted(len(found))}, {new} new{told}")
    samples.save(options.out, table)
    print(f"{options.out}: {samples.counted(len(table))}, {added} new")
    if options.plot:
        svg.save(options.plot, plot.picture(table, options.out.name))
        print(options.plot)
    return 0 if len(answered) == len(asked) else 1
