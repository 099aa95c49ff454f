"""The defences of a node, each as a node that lacks it: the adversary campaign must then succeed.

Each is taken out by what it does and not by its place in the source, so that the node may be written otherwise.
"""

from __future__ import annotations

from dataclasses import dataclass

from swarm.sim.attack.defences import frames, generations, instants, proofs, speaking
from swarm.sim.attack.run import BABBLER, LIAR, LOOPER, OUTSIDER


@dataclass(frozen=True)
class Defence:
    """A defence: a node that lacks it, and who makes use of that, some of run.KINDS."""

    node_class: type
    against: tuple[str, ...] = (OUTSIDER,)


_BOTH = (OUTSIDER, LIAR)
DEFENCES = {
    "tag": Defence(frames.NoTag),
    "digest": Defence(frames.NoDigest, _BOTH),
    "proof": Defence(proofs.NoProof),
    "echoed-session": Defence(proofs.AnyEcho),
    "sequence": Defence(proofs.NoSequenceCheck),
    "session-order": Defence(proofs.NoSessionOrder),
    "new-generation": Defence(generations.NoNewGeneration),
    "doubts": Defence(generations.NoDoubts),
    "older-generation": Defence(generations.AnyGeneration),
    "starting-over": Defence(generations.NoStartingOver),
    "own-contradiction": Defence(generations.NoOwnContradiction),
    "own-frames": Defence(proofs.AnyOwnFrame),
    "latest-moment": Defence(instants.InstantFromArrival),
    "frame-before": Defence(instants.AnyFrameBefore),
    "frame-before-proved": Defence(instants.UnprovedFrameBefore),
    "earliest-instant": Defence(instants.LatestInstant, _BOTH),
    "never-silent": Defence(speaking.FallsSilent),
    "trickle": Defence(speaking.Answers),
    "queue": Defence(speaking.UnboundedQueue, _BOTH),
    "length": Defence(frames.NoLengthCheck, _BOTH),
    "members": Defence(frames.NoMemberCheck, (LIAR,)),
    "padding": Defence(frames.NoPaddingCheck, (LIAR,)),
    "numbers": Defence(frames.NoNumberCheck, (LIAR,)),
    "subset": Defence(frames.NoSubsetCheck, (LIAR,)),
    "offset-range": Defence(frames.NoOffsetRange, (LIAR,)),
    "own-readiness": Defence(generations.ConcludesUnready, (LIAR,)),
    "final-conclusion": Defence(generations.TakesConclusionsBack, (LIAR,)),
    "fixed-instant": Defence(instants.InstantNotFixed, (LIAR,)),
    "echoes-go-out": Defence(speaking.KeepsEchoes, (BABBLER,)),
    "asking": Defence(speaking.NeverAsks, (BABBLER,)),
    "own-bits": Defence(generations.ForgetsItself, (LOOPER,)),
}
