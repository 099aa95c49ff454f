"""Watch a swarm live: a row a node, whom it waits for, what happens, first samples and their skew.

Boards are asked over their serial prompts about once a second, and left in peace while a first sample is due; their
ports are free in between. Without NODE, --all and --port: the boards of `swarm demo --keep` or of `swarm board
--background`, or the members of swarm.toml when none runs.
"""

from __future__ import annotations

import argparse
import sys
import time
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.text import Text

from swarm.description.project import ProjectError
from swarm.output.streams import fail, show
from swarm.serial import targets
from swarm.serial.targets import Target
from swarm.watch import keys, node_table
from swarm.watch.changes import Watch

_EVERY_S = 1.0
_EVERY_MIN_S = 0.2
_SHARE = 10  # a board that answers slowly is asked less often, so that it spends at most a tenth of its time on that
_REFRESH_S = 0.2
_LOG_MIN = 4  # lines of the log that stay when there are many nodes
_FIXED = 7  # lines that are neither nodes nor log
_MOODS = {"good": "green", "bad": "red", "plain": ""}
_FOOTER = "q quit   p pause   l log   j k scroll   ? help"
_HELP = """q        quit; so does Ctrl-C
p        pause: ask no board until p is pressed again
l        show the log alone, or the nodes again
j, k     scroll down and up, as the arrows do
?        this help; any key ends it

state        Pinging: its sensor warms up. Collecting: it is ready and waits for others.
             Bootstrapped: enough are ready. TimedOut: its deadline has passed.
ready        how many it knows to be ready, and how many are required
waits for    itself: its own sensor; "2 of 4 5 6": any two of those
sample       the first sample's value, and when it was taken after the agreed instant
skew         between the earliest and the latest first sample in time, by the nodes' own clocks"""
_EXAMPLES = """examples:
  swarm demo --keep                     leave a demo's boards running; then
  swarm monitor                         watch them
  swarm monitor --all                   every member of swarm.toml
  swarm monitor --port /dev/ttyUSB0 --port /dev/ttyUSB1
  swarm monitor --every 5               ask a board every five seconds
  swarm monitor --all --once            one look, for scripts

keys:
  q quit, p pause, l log, j k scroll, ? help

exit status: 0 the user has quit, or with --once every node answered, 1 one did not, 2 used wrongly
"""


def register(subparsers) -> None:
    """Add `monitor` to the command line."""
    parser = subparsers.add_parser(
        "monitor",
        help="watch nodes live in the terminal",
        description=__doc__,
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    targets.add_options(parser)
    parser.add_argument("--once", action="store_true", help="print one look and end")
    parser.add_argument(
        "--every", type=float, default=_EVERY_S, metavar="S", help="ask each board so often (default: %(default)s s)"
    )
    parser.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> int:
    try:
        if not options.every >= _EVERY_MIN_S:
            raise targets.WrongUse(f"--every {options.every} is below {_EVERY_MIN_S} s: boards have their own work")
        if not options.once and (keys.termios is None or not (sys.stdin.isatty() and sys.stdout.isatty())):
            raise targets.WrongUse("the live view needs a terminal; --once prints one look")
        watch = Watch(targets.choose(options))
    except (targets.WrongUse, ProjectError) as error:
        return fail("monitor", error, 2)
    return _look_once(watch) if options.once else _Monitor(watch, options.every).run()


def _look_once(watch: Watch) -> int:
    asked = targets.ask_all(watch.targets)
    for target, answer in asked:
        watch.take(target, answer, 0)
    show(Group(_title(watch), node_table.Nodes(watch.rows, waiting=True), *_summary(watch)))
    return 1 if any("error" in answer for _, answer in asked) else 0


class _Monitor:
    """The live view of a watch, which asks each board every so many seconds."""

    def __init__(self, watch: Watch, every_s: float) -> None:
        self._watch = watch
        self._every_s = every_s
        self._due_s = dict.fromkeys(watch.targets, 0.0)
        self._asking: dict[Future, Target] = {}
        self._paused = self._log_alone = self._help = False
        self._first_row = 0
        self._log_back = 0  # events after the last one shown

    def run(self) -> int:
        """Show it until the user quits; the exit status."""
        console = Console(highlight=False)
        with ExitStack() as stack:
            pool = ThreadPoolExecutor(min(len(self._watch.targets), targets.AT_ONCE))
            stack.callback(pool.shutdown, cancel_futures=True)  # last: whoever is asked has its prompt left in order
            pressed = stack.enter_context(keys.Keys())
            live = stack.enter_context(Live(console=console, screen=True, auto_refresh=False))
            try:
                while True:
                    self._ask(pool)
                    live.update(self._frame(console.size.height), refresh=True)
                    for key in pressed.read(_REFRESH_S):
                        if key == "q":
                            return 0
                        self._press(key)
                    self._take()
            except (KeyboardInterrupt, EOFError):
                return 0

    def _press(self, key: str) -> None:
        if self._help:
            self._help = False
        elif key == "?":
            self._help = True
        elif key == "p":
            self._paused = not self._paused
        elif key == "l":
            self._log_alone = not self._log_alone
        elif key in ("j", "down", "k", "up"):
            step = 1 if key in ("j", "down") else -1
            if self._log_alone:
                self._log_back -= step
            else:
                self._first_row += step

    def _ask(self, pool: ThreadPoolExecutor) -> None:
        """Have every board asked whose turn it is."""
        now = time.monotonic()
        if self._paused or self._watch.quiet(now):
            return
        for target, due_s in self._due_s.items():
            if due_s <= now:
                self._due_s[target] = float("inf")
                self._asking[pool.submit(_ask_timed, target)] = target

    def _take(self) -> None:
        """Take the answers that have come."""
        now = time.monotonic()
        for job in [job for job in self._asking if job.done()]:
            target = self._asking.pop(job)
            answer, took_s = job.result()
            self._watch.take(target, answer, now)
            rest_s = 0.0 if "error" in answer else took_s * _SHARE
            self._due_s[target] = now + max(self._every_s, rest_s)

    def _frame(self, height: int) -> RenderableType:
        """All that is on the screen."""
        footer = Text(_FOOTER, style="dim", no_wrap=True, overflow="ellipsis")
        if self._help:
            return Group(_title(self._watch), Text(), Text(_HELP), Text(), Text("any key goes back", style="dim"))
        title = _title(self._watch)
        if self._paused:
            title.append("  paused", style="bold yellow")
        if self._log_alone:
            return Group(title, Text(), *self._log(height - 4, self._log_back), Text(), footer)
        self._log_back = 0
        rows = self._watch.rows
        space = max(1, height - _FIXED - _LOG_MIN)
        self._first_row = max(0, min(self._first_row, len(rows) - space))
        shown = rows[self._first_row : self._first_row + space]
        if len(shown) < len(rows):
            title.append(f"  rows {self._first_row + 1} to {self._first_row + len(shown)}", style="dim")
        table = node_table.table(shown, waiting=True, one_line=True)
        log = self._log(height - _FIXED - len(shown), 0)
        return Group(title, table, *_summary(self._watch), Text(), *log, Text(), footer)

    def _log(self, lines: int, back: int) -> list[Text]:
        """The last events, but `back` of them, as that many lines."""
        events = list(self._watch.events)
        back = self._log_back = max(0, min(back, len(events) - lines))
        end = len(events) - back
        offset_s = time.time() - time.monotonic()
        texts = []
        for event in events[max(0, end - lines) : end]:
            when = time.strftime("%H:%M:%S", time.localtime(offset_s + event.at_s))
            style = _MOODS[event.mood]
            texts.append(Text(f"{when}  {event.text}", style=style, no_wrap=True, overflow="ellipsis"))
        return texts + [Text()] * (lines - len(texts))


def _ask_timed(target: Target) -> tuple[dict, float]:
    """A board's answer, and the seconds that took."""
    start_s = time.monotonic()
    return targets.ask(target), time.monotonic() - start_s


def _title(watch: Watch) -> Text:
    answered = sum(status is not None and "error" not in status for _, status in watch.rows)
    name = f"swarm {', '.join(watch.swarms)}" if watch.swarms else "no swarm yet"
    return Text(f"{name}: {answered} of {len(watch.rows)} nodes answer", style="bold", no_wrap=True)


def _summary(watch: Watch) -> list[Text]:
    """Who is awaited, and how far apart the first samples are: two lines."""
    waits = watch.waits()
    count, skew_us = watch.skew()
    skew = f", skew {node_table.duration(skew_us)}" if skew_us is not None else ""
    return [
        Text(
            f"waiting: {waits}" if waits else "nobody waits" if watch.swarms else "", no_wrap=True, overflow="ellipsis"
        ),
        Text(f"first samples: {count}{skew}", no_wrap=True),
    ]
