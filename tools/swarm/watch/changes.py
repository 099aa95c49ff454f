"""What a watched swarm does over time: from each answer of a node and the one before it, to events."""

from __future__ import annotations

from collections import Counter, deque
from dataclasses import dataclass

from swarm.serial.targets import Target
from swarm.watch import instants, node_table
from swarm.watch.instants import Bounds

EVENTS_MAX = 1000
# Nobody is asked from that long before the agreed instant to that long after it: a board that prints its answer over a
# slow serial line would take its first sample late.
_BEFORE_S, _AFTER_S = 0.5, 0.2
_CALM_MS = 5_000  # a series with a shorter period leaves no time for that
_ANSWERS = ("foreign", "no node", "other version", "other node")  # kinds of errors that a board has answered with
_DRIFT_US_PER_S = 100  # of two clocks
_SPOKEN = {"Bootstrapped": "good", "TimedOut": "bad"}


@dataclass(frozen=True)
class Event:
    """Something that happened. at_s: as the caller's clock tells; mood: good, bad or plain."""

    at_s: float
    text: str
    mood: str = "plain"


class Watch:
    """The boards that are watched, in their order: what each answered last, and what has happened.

    Times are seconds of one clock, the caller's.
    """

    def __init__(self, targets: list[Target]) -> None:
        self.targets = targets
        self.events: deque[Event] = deque(maxlen=EVENTS_MAX)
        self._instant_s: float | None = None  # the agreed one, while it was ahead at the last look
        self._answers: dict[Target, dict | None] = dict.fromkeys(targets)
        self._last: dict[Target, dict] = {}  # the last status of each, also of one that answers no more
        # When the agreed instant was, by board, session and series, and when that was told.
        self._instant_of: dict[tuple[Target, int, int], tuple[Bounds, float]] = {}

    @property
    def rows(self) -> list[tuple[Target, dict | None]]:
        """Each board and its answer; None before the first."""
        return list(self._answers.items())

    @property
    def swarms(self) -> list[str]:
        """Names of the nodes' swarms."""
        return sorted({status["swarm"] for status in self._known()})

    def expect(self, target: Target) -> None:
        """Have a row for a board, before its first answer."""
        self._answers.setdefault(target, None)

    def take(self, target: Target, answer: dict, at_s: float) -> None:
        """Take a board's answer: a status_dict, or {"error": why}.

        One that has come through another board ("via") is late, and that other one knows better who is lost.
        """
        before, self._answers[target] = self._answers.get(target), answer
        if "error" in answer:
            if "seen" in (known := self._last.get(target, {})):
                answer.setdefault("seen", known["seen"])
            if (before is None or before.get("error") != answer["error"]) and answer.get("kind") != "lost":
                self._tell(at_s, target, _failure(target, answer), "bad")
            return
        last = self._last.get(target)
        self._last[target] = answer
        if instant := answer.get("instant"):
            run = _run(target, answer)
            # The clock of a series goes on to be corrected: only its last word counts.
            before_that = None if answer.get("series") else self._instant_of.get(run)
            self._instant_of[run] = (instant.and_also(before_that[0] if before_that else None), at_s)
        if last is None:
            self._tell(at_s, target, f"is {answer['state']}, session {answer['session']}")
        elif before is not None and "error" in before:
            self._tell(at_s, target, "answers again")
        if last is not None and last["session"] != answer["session"]:
            self._tell(at_s, target, f"has rebooted: session {last['session']}, now {answer['session']}", "bad")
            last = None
        for text, mood in _changes(last or {}, answer):
            self._tell(at_s, target, text, mood)
        self._tell_lost(target, last or {}, answer, at_s)
        if (moved := answer.get("series")) and last and moved["moves"] > (last.get("series") or moved)["moves"]:
            self._tell(at_s, target, f"has moved its clock by {node_table.duration(moved['moved_us'])}", "bad")
        if answer["sample"] is not None and (last is None or last["sample"] is None):
            self._tell(at_s, target, self._sampled(answer["sample"]), "bad" if answer["sample"]["late"] else "good")
        series = answer.get("series")
        if (
            "via" not in answer
            and (answer["instant_in_us"] or 0) > 0
            and (series is None or series["period_ms"] >= _CALM_MS)
        ):
            self._instant_s = at_s + answer["instant_in_us"] / 1e6

    def _tell_lost(self, target: Target, last: dict, answer: dict, at_s: float) -> None:
        """Tell of members that are lost, which the first of the boards knows, and back when the last one does."""
        if "via" in answer:
            return
        before, now = set(node_table.lost(last)), set(node_table.lost(answer))
        others = {
            node
            for other, known in self._answers.items()
            if other != target and known and "error" not in known and "via" not in known
            for node in node_table.lost(known)
        }
        if gone := now - before - others:
            self._tell(at_s, target, f"has lost {node_table.ids(sorted(gone))}", "bad")
        if back := before - now - others:
            self._tell(at_s, target, f"has {node_table.ids(sorted(back))} back", "good")

    def quiet(self, now_s: float) -> bool:
        """Whether a first sample is due, so that nobody is to be asked."""
        instant_s = self._instant_s
        return instant_s is not None and instant_s - _BEFORE_S <= now_s < instant_s + _AFTER_S

    def _tell(self, at_s: float, target: Target, text: str, mood: str = "plain") -> None:
        known = self._last.get(target)
        self.events.append(Event(at_s, f"node {known['node']} {text}" if known else f"{target.key} {text}", mood))

    def _sampled(self, record: dict) -> str:
        text = f"samples {node_table.sample_text(record)}"
        skew = self.skew()
        return text if record["late"] or not skew else f"{text}; {skew}"

    def first_samples(self) -> str:
        """How many first samples there are, how many of them late, and their skew; of a series its beats."""
        if beats := [status["series"] for status in self._known() if status.get("series")]:
            return self._beats(beats)
        taken = [status["sample"]["late"] for status in self._known() if status["sample"]]
        late = f", {sum(taken)} late" if any(taken) else ""
        in_time = len(taken) - sum(taken)
        skew = self.skew() or ("skew not known: it was too long ago, or not watched" if in_time > 1 else "")
        return f"first samples: {len(taken)}{late}{', ' * bool(skew)}{skew}"

    def _beats(self, told: list[dict]) -> str:
        """How far a series is: the last beat, the next one, their spread and what was missed."""
        begun = [series for series in told if series["beat_in_us"] is not None]
        if not begun:
            return "series: not begun"
        text = f"series: beat {max(series['beat'] for series in begun)} next"
        if len({series["id"] for series in begun}) > 1:
            text += f", {len({series['id'] for series in begun})} series apart"
        text += f", {sum(series['missed'] for series in begun)} missed"
        skew = self.skew()
        return f"{text}, {skew}" if skew else text

    def skew(self) -> str:
        """The time between the earliest and the latest first sample in time, by this computer's clock; of a series
        between those of a beat, by the instants that boards have now and their last samples' lateness.

        Empty when it is not known.
        """
        sampled = []
        in_time = 0
        for target, status in self._answers.items():
            if status is None or "error" in status or not status["sample"] or status["sample"]["late"]:
                continue
            in_time += 1
            if known := self._instant_of.get(_run(target, status)):
                sampled.append((known[0].later(status["sample"]["late_us"]), known[1], status.get("series")))
        if len(sampled) < 2:
            return ""
        last_s = max(at_s for _, at_s, _ in sampled)
        bounds = [known.later(0, (last_s - at_s) * _DRIFT_US_PER_S if series else 0) for known, at_s, series in sampled]
        least, most = instants.skew(bounds)
        few = f" of {len(sampled)}" if len(sampled) < in_time else ""
        return f"skew{few} {node_table.span(round(least), round(most))}"

    def waits(self) -> str:
        """Whom those that have not bootstrapped wait for, and why as far as it is known; empty when none does."""
        wanted = Counter(
            node for status in self._known() if status["state"] != "Bootstrapped" for node in status["missing"]
        )
        told = [f"{count} for node {node} ({self._doing(node)})" for node, count in sorted(wanted.items())]
        if told:
            count, _, rest = told[0].partition(" ")
            told[0] = f"1 node waits {rest}" if count == "1" else f"{count} nodes wait {rest}"
        return ", ".join(told)

    def states(self) -> list[tuple[str, int]]:
        """How many boards are in each state, or have none and why; the most first."""
        return Counter(node_table.state(answer) for _, answer in self.rows if answer is not None).most_common()

    def _doing(self, node: int) -> str:
        """What a node that is not ready does instead."""
        for target, answer in self._answers.items():
            known = self._last.get(target)
            if (known["node"] if known else target.node) == node:
                if answer is None:
                    return "asked"
                if "error" in answer:
                    return node_table.state(answer)
                return "warming up" if node in answer["missing"] else "ready, not yet heard"
        return "not watched"

    def _known(self) -> list[dict]:
        return [status for status in self._answers.values() if status is not None and "error" not in status]


def _run(target: Target, status: dict) -> tuple[Target, int, int]:
    """What a node's agreed instant belongs to."""
    return target, status["session"], status["series"]["id"] if status.get("series") else 0


def _failure(target: Target, answer: dict) -> str:
    """Why a board has not answered, to follow its name."""
    text = node_table.reason(target, answer)
    if text.startswith(f"{target.key} "):
        return text.removeprefix(f"{target.key} ")
    what = f"shows {node_table.state(answer)}" if answer.get("kind") in _ANSWERS else "does not answer"
    return f"{what}: {text}"


def _changes(last: dict, status: dict) -> list[tuple[str, str]]:
    """What is to be told about a node beside its sample; last: {} for its first answer or after a reboot."""
    told = []
    if last and last["state"] != status["state"]:
        told.append((f"is {status['state']}, was {last['state']}", _SPOKEN.get(status["state"], "plain")))
    if last and status["node"] in status["ready"] and status["node"] not in last["ready"]:
        told.append(("is ready", "good"))
    heard = [node for node in status["heard"] if node not in last.get("heard", status["heard"])]
    if heard:
        told.append((f"hears {node_table.ids(heard)}", "plain"))
    if last and status["generation"] != last["generation"]:
        told.append((f"begins again, generation {status['generation']}: a member that was ready has rebooted", "bad"))
    if status["timeouts"] > last.get("timeouts", 0):
        told.append((f"timed out ({status['timeouts']}), missing {node_table.ids(status['missing'])}", "bad"))
    old = node_table.errors(last) if last else []
    told += [(f"error: {text}", "bad") for text in node_table.errors(status) if text not in old]
    return told
