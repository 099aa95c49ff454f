"""Nodes with rounds and reports that lack a check of what goes round there."""

from __future__ import annotations

from struct import pack_into

from swarm.device.library import COUNTERS, Envelope, Records, RemoteNode, Reports, Rounds

_FORGED, _REPLAYED, _UNPROVED = map(COUNTERS.index, ("forged", "replayed", "unproved"))
_KEPT = 3  # numbers that sessions.heard has of each member
_AROUND = 24  # bytes of a report besides its text
_ASKER = 11  # where an answer has it
_BEFORE_ALL = -2  # what Records.beat() says of a beat before all that it keeps


class AnyRound(Rounds):
    """Takes who was present in another round for present in this one."""

    def take(self, buffer, now_us):
        """As if the frame told a mark of this round."""
        frame = self._frame
        mark = frame.mark
        if mark and self.number >= 0:
            frame.mark = self.number * self.marks + 1
        differed = super().take(buffer, now_us)
        frame.mark = mark
        return differed


class AnyReportTag(Envelope):
    """Takes a report whatever its tag."""

    def open(self, buffer, length):
        """A wrong tag is right."""
        verdict = super().open(buffer, length)
        if verdict != _FORGED:
            return verdict
        self._heard[_KEPT * self._member + 1] = self._numbers[3]
        pack_into(self._copy, self.text, 0, buffer)
        self._cipher.open((length - _AROUND) // 16)
        return 0


class AnyReportSequence(Envelope):
    """Takes a report again and again."""

    def _judge(self):
        verdict = super()._judge()
        return 0 if verdict == _REPLAYED else verdict


class AnyReportSession(Envelope):
    """Takes a report of a member of which no session is live, or another one."""

    def _judge(self):
        verdict = super()._judge()
        return 0 if verdict == _UNPROVED else verdict


class OldBeats(Records):
    """Knows nothing of beats before those that it keeps, and takes their records for new."""

    def beat(self, n, make):
        """In the place of the earliest, though that is later."""
        slot = super().beat(n, make)
        return self._make(min(range(self.beats), key=self._numbers.__getitem__), n) if slot == _BEFORE_ALL else slot


class AnyAsker(Reports):
    """Takes an answer to another's question for one to its own."""

    def _take_answer(self, at):
        asked, me = self.asked, self._machine.peer_id
        asker = asked.asker
        if self._records.keeps:
            asked.asker = me
            pack_into("<H", self._text, at + _ASKER, me)
        super()._take_answer(at)
        asked.asker = asker


class FarGathered(Reports):
    """Believes that somebody gathers in a round that is far ahead."""

    def _take_gathered(self, gathered):
        if gathered <= self._gathered:
            return super()._take_gathered(gathered)
        self._gathered = gathered
        return 2


class LoudBeforeBeats(Reports):
    """Says reports also shortly before a beat."""

    def _may_speak(self, now_us):
        return True


class OneTimer(RemoteNode):
    """Has one timer for readiness and reports: a report that it hears begins its interval anew."""

    def _hear(self, buffer, sent_us):
        super()._hear(buffer, sent_us)
        if self.frame.is_report:
            self.trickle.start(self._now)


def enveloped(envelope_class: type) -> type:
    """A node whose envelope is of that class."""

    def __init__(self, *args, **kwargs):
        RemoteNode.__init__(self, *args, **kwargs)
        self.reports._envelope.__class__ = envelope_class

    return type(envelope_class.__name__, (RemoteNode,), {"__init__": __init__})


def recorded(records_class: type) -> type:
    """A node whose records are of that class."""

    def __init__(self, *args, **kwargs):
        RemoteNode.__init__(self, *args, **kwargs)
        self.reports._records.__class__ = records_class

    return type(records_class.__name__, (RemoteNode,), {"__init__": __init__})
