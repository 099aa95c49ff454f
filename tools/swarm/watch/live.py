"""The live view of a watched swarm in the terminal: has the boards asked, shows them, and takes the user's keys."""

from __future__ import annotations

import io
import re
import time
from contextlib import ExitStack

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.text import Text

from swarm.watch import keys, node_table
from swarm.watch.changes import Watch
from swarm.watch.turns import Turns, TurnsVia

_REFRESH_S = 0.2
_LOG_MIN = 4  # lines of the log that stay when there are many nodes
_FIXED = 7  # lines that are neither nodes nor log
_WIDE = 100  # columns of a terminal that has room for what is wrong beside the rest; on others the log tells it
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
reboots seen how often it has heard another member come back in a new session
sample       the last sample's value, and its lateness: since the agreed instant or beat, as this node has it; in a
             series the beat's number, and how far ahead the next one is
last heard   of a member that is asked through another: so old is what its row tells
skew         from the earliest to the latest first sample in time, by this computer's clock; in a series of a beat"""


class Monitor:
    """The live view of a watch, whose boards are asked in turns; those are at an end when run() is."""

    def __init__(self, watch: Watch, turns: Turns | TurnsVia) -> None:
        self._watch = watch
        self._turns = turns
        self._paused = self._log_alone = self._help = False
        self._first_row = 0
        self._log_back = 0  # events after the last one shown

    def run(self) -> None:
        """Show it until the user quits."""
        console = Console(highlight=False)
        with ExitStack() as stack:
            stack.callback(self._turns.end)  # last: the terminal is in order meanwhile
            pressed = stack.enter_context(keys.Keys())
            live = stack.enter_context(Live(console=console, screen=True, auto_refresh=False))
            try:
                while True:
                    self.ask()
                    live.update(self._frame(*console.size), refresh=True)
                    for key in pressed.read(_REFRESH_S):
                        if key == "q":
                            return
                        self._press(key)
                    self.take()
            except (KeyboardInterrupt, EOFError):
                return

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

    def ask(self) -> None:
        """Have every board asked whose turn it is."""
        now = time.monotonic()
        if not self._paused and not self._watch.quiet(now):
            self._turns.begin(now)

    def take(self) -> None:
        """Take the answers that have come."""
        now = time.monotonic()
        for target, answer in self._turns.ended(now):
            if answer is None:
                self._watch.expect(target)
            else:
                self._watch.take(target, answer, now)

    def picture(self, width: int, height: int) -> str:
        """What is on a screen of so many characters and lines, as SVG."""
        console = Console(
            record=True, file=io.StringIO(), width=width, height=height, force_terminal=True, highlight=False
        )
        console.print(self._frame(width, height))
        # Fonts are whatever the reader's machine has: rich would have them fetched from elsewhere.
        return re.sub(r"\s*@font-face \{.*?\}", "", console.export_svg(title="swarm monitor"), flags=re.DOTALL)

    def _frame(self, width: int, height: int) -> RenderableType:
        """All that is on the screen."""
        footer = Text(_FOOTER, style="dim", no_wrap=True, overflow="ellipsis")
        if self._help:
            return Group(title(self._watch), Text(), Text(_HELP), Text(), Text("any key goes back", style="dim"))
        head = title(self._watch)
        if self._paused:
            head.append("  paused", style="bold yellow")
        if self._log_alone:
            return Group(head, Text(), *self._log(height - 4, self._log_back), Text(), footer)
        self._log_back = 0
        rows = self._watch.rows
        space = max(1, height - _FIXED - _LOG_MIN)
        if len(rows) > space:
            rows.sort(key=lambda row: node_table.trouble(row[1]))
        self._first_row = max(0, min(self._first_row, len(rows) - space))
        shown = rows[self._first_row : self._first_row + space]
        more = Text(style="dim", no_wrap=True, overflow="ellipsis")
        if len(shown) < len(rows):
            first, last = self._first_row + 1, self._first_row + len(shown)
            more.append(f"rows {first} to {last} of {len(rows)}, trouble first: j k scroll")
        table = node_table.table(shown, waiting=True, one_line=True, wrong=width >= _WIDE, width=width)
        log = self._log(height - _FIXED - len(shown), 0)
        return Group(head, table, more, *summary(self._watch), *log, Text(), footer)

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


def title(watch: Watch) -> Text:
    """Which swarms are watched, how many nodes answer, and how many are in which state."""
    answered = sum(status is not None and "error" not in status for _, status in watch.rows)
    name = f"swarm {', '.join(watch.swarms)}" if watch.swarms else "no swarm yet"
    text = Text(
        f"{name}: {answered} of {len(watch.rows)} nodes answer", style="bold", no_wrap=True, overflow="ellipsis"
    )
    for place, (state, count) in enumerate(watch.states()):
        text.append(", " if place else ": ", style="not bold")
        text.append(f"{count} {state}", style=f"not bold {node_table.STYLES.get(state, '')}")
    return text


def summary(watch: Watch) -> list[Text]:
    """Who is awaited, and how far apart the first samples are: two lines."""
    waits = watch.waits()
    return [
        Text(waits or ("nobody waits" if watch.swarms else ""), no_wrap=True, overflow="ellipsis"),
        Text(watch.first_samples(), no_wrap=True, overflow="ellipsis"),
    ]
