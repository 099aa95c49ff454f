"""The defences of a node, each as a node, or a part of one, that lacks it: the adversary campaign must then succeed.

Each is taken out by what it does and not by its place in the source, so that the node may be written otherwise.
"""

from __future__ import annotations

from dataclasses import dataclass

from swarm.device.library import altered
from swarm.sim.attack.defences import frames, generations, instants, proofs, remote, speaking
from swarm.sim.attack.run import BABBLER, GATHERER, LIAR, LOOPER, OUTSIDER


@dataclass(frozen=True)
class Defence:
    """A defence: a node that lacks it, and who makes use of that, some of run.KINDS."""

    node_class: type
    against: tuple[str, ...] = (OUTSIDER,)


_BOTH = (OUTSIDER, LIAR)
DEFENCES = {
    "tag": Defence(frames.NoTag),
    "digest": Defence(frames.NoDigest, _BOTH),
    "proof": Defence(altered(sessions=proofs.NoProof)),
    "echoed-session": Defence(proofs.AnyEcho),
    "voucher-proved": Defence(altered(sessions=proofs.AnyVoucher)),
    "live-bit": Defence(altered(sessions=proofs.AnyVouch)),
    "heard-is-not-live": Defence(proofs.VouchesForAll),
    "sequence": Defence(altered(sessions=proofs.NoSequenceCheck)),
    "session-order": Defence(altered(sessions=proofs.NoSessionOrder)),
    "new-generation": Defence(altered(knowledge=generations.NoNewGeneration)),
    "doubts": Defence(altered(knowledge=generations.NoDoubts)),
    "older-generation": Defence(altered(knowledge=generations.AnyGeneration)),
    "starting-over": Defence(altered(knowledge=generations.NoStartingOver)),
    "own-contradiction": Defence(altered(knowledge=generations.NoOwnContradiction)),
    "own-frames": Defence(proofs.AnyOwnFrame),
    "latest-moment": Defence(instants.InstantFromArrival),
    "frame-before": Defence(altered(sessions=instants.AnyFrameBefore)),
    "earliest-instant": Defence(instants.LatestInstant, _BOTH),
    "never-silent": Defence(speaking.FallsSilent),
    "trickle": Defence(speaking.Answers),
    "by-member": Defence(altered(echoes=speaking.Ledger), _BOTH),
    "length": Defence(frames.NoLengthCheck, _BOTH),
    "members": Defence(frames.NoMemberCheck, (LIAR,)),
    "padding": Defence(frames.NoPaddingCheck, (LIAR,)),
    "numbers": Defence(frames.NoNumberCheck, (LIAR,)),
    "subset": Defence(frames.NoSubsetCheck, (LIAR,)),
    "offset-range": Defence(frames.NoOffsetRange, (LIAR,)),
    "own-readiness": Defence(altered(knowledge=generations.ConcludesUnready), (LIAR,)),
    "final-conclusion": Defence(altered(knowledge=generations.TakesConclusionsBack), (LIAR,)),
    "fixed-instant": Defence(instants.InstantNotFixed, (LIAR,)),
    "echoes-go-out": Defence(speaking.KeepsEchoes, (BABBLER,)),
    "asking": Defence(speaking.NeverAsks, (BABBLER,)),
    "own-round": Defence(altered(rounds=remote.AnyRound)),
    "report-tag": Defence(remote.enveloped(remote.AnyReportTag)),
    "report-sequence": Defence(remote.enveloped(remote.AnyReportSequence)),
    "report-session": Defence(remote.enveloped(remote.AnyReportSession)),
    "old-beats": Defence(remote.recorded(remote.OldBeats)),
    "gathered-round": Defence(altered(reports=remote.FarGathered), (GATHERER,)),
    "quiet-before-beats": Defence(altered(reports=remote.LoudBeforeBeats), (GATHERER,)),
    "own-timer": Defence(remote.OneTimer, (GATHERER,)),
    "asker": Defence(altered(reports=remote.AnyAsker), (GATHERER,)),
    "own-bits": Defence(altered(knowledge=generations.ForgetsItself), (LOOPER,)),
}
