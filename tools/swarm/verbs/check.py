"""Judge a swarm.toml, its key and its WiFi's password: what is wrong, where, and what to write; else what the swarm is.

Exit status: 0 right, 1 wrong or not to be read, 2 wrong use.
"""

from __future__ import annotations

import argparse

from rich.table import Table

from swarm.description import project, rules
from swarm.output.streams import fail, show
from swarm.verbs.options import add_swarm

_EXAMPLES = """examples:
  swarm check
  swarm check --swarm greenhouse/swarm.toml
"""


def register(subparsers) -> None:
    """Add `check` to the command line."""
    parser = subparsers.add_parser(
        "check",
        help="judge swarm.toml and its key",
        description=__doc__,
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add_swarm(parser)
    parser.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> int:
    try:
        described = project.load(options.swarm)
        described.check_secrets()
    except project.ProjectError as error:
        return fail("check", error, 1)
    for line in summary(described):
        print(line)
    show(table(described))
    return 0


def summary(described: project.Project) -> list[str]:
    """What the swarm is, in a few lines."""
    trust = "open: no key, anyone may take part" if described.open else f"locked: key in {described.key_path}"
    then = "then a new attempt" if described.on_timeout == "retry" else "then halted"
    wifi = [f"WiFi network {described.ssid}: password in {described.wifi_path}"] if described.uses_wifi else []
    series = f", then one each {described.period_ms} ms" if described.period_ms else ""
    series += f", rounds of {described.agreed_round_ms} ms" if described.agreed_round_ms else ""
    series += _gateway(described)
    return [
        f"{described.path}: swarm {described.name}, digest {described.digest()}",
        trust,
        *wifi,
        f"{described.required} of {len(described.members)} members must be ready; "
        f"deadline {described.deadline_ms} ms, {then}; first sample {described.agreed_lead_ms} ms later{series}; "
        f"radio channel {described.channel}",
    ]


def _gateway(described: project.Project) -> str:
    """Who gathers, as words."""
    if described.gateway is None:
        return ""
    ids = rules.gathering(described.gateway)
    return f", gathered by {', '.join(map(str, ids))}" if ids else ", gathered by any board that is asked to"


def table(described: project.Project) -> Table:
    """The members, a row each."""
    rows = Table(box=None, pad_edge=False, header_style="")
    for title in ("node", "board", "at", "hardware", "links"):
        rows.add_column(title, no_wrap=title == "node", overflow="fold")
    for member in described.members:
        at = f"serial {member.serial}" if member.serial else member.port or "-"
        rows.add_row(str(member.id), member.board, at, member.hardware or "-", ", ".join(member.talks))
    return rows
