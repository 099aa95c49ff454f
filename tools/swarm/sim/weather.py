"""What befalls frames on their way: loss, bursts of it, copies, delays, flipped bits, partitions."""

from __future__ import annotations

from typing import TYPE_CHECKING

from swarm.sim.invariants import Damaged
from swarm.sim.plan import Plan

if TYPE_CHECKING:
    from swarm.sim.kernel import Kernel

# Gilbert-Elliott: a link goes bad with the first probability at each frame and good again with the second.
GOES_BAD, GOES_GOOD, BAD_LOSS = 0.03, 0.2, 0.9
WORST_ASYMMETRY = 0.6
SHARE = 0.1  # of the frames that each of the faults below strikes
REORDER_US = (3_000, 15_000)
DUPLICATE_US = (200, 5_000)
DELAY_US = 5_000


class Weather:
    """Decides for each frame and hearer; everything from the seed."""

    def __init__(self, kernel: Kernel, plan: Plan) -> None:
        self._kernel = kernel
        self._loss = plan.options.loss
        self._random = kernel.random("weather")
        self._cuts = [cut for cut in (plan.partition, plan.cut) if cut]
        self._faults = frozenset(plan.faults)
        self._bad: dict[tuple[int, int], bool] = {}
        self._bias: dict[tuple[int, int], float] = {}
        # Without any of these only the loss is left to be drawn.
        self._simple = not self._faults & {
            "burst", "asymmetric", "duplicate", "reorder", "corrupt", "delay", "partition", "cut",
        }  # fmt: skip

    def arrive(self, medium, sender, hearer, sent) -> None:
        """A frame reaches the place of a hearer undisturbed."""
        if self._loss and self._random.random() < self._loss:
            return
        if self._simple:
            hearer.hear(medium, sent.frame, sent.payload)
        else:
            self._arrive(medium, sender, hearer, sent)

    def _arrive(self, medium, sender, hearer, sent) -> None:
        if self._cut(sender.place, hearer.place) or self._link_loses((sender.place, hearer.place)):
            return
        chance = self._random.random
        frame, payload = sent.frame, sent.payload
        # Noise is left as it is: a second flip of the same bit would heal what is to be damaged.
        if "corrupt" in self._faults and payload is not Damaged and chance() < SHARE:
            broken = bytearray(frame)
            for _ in range(self._random.randint(1, 3)):
                bit = self._random.randrange(8 * len(broken))
                broken[bit >> 3] ^= 1 << (bit & 7)
            if bytes(broken) != frame:
                frame, payload = bytes(broken), Damaged
        after_us = 0
        if "delay" in self._faults:
            after_us = self._random.randint(0, DELAY_US)
        if "reorder" in self._faults and chance() < SHARE:
            after_us += self._random.randint(*REORDER_US)
        self._give(after_us, medium, hearer, frame, payload)
        if "duplicate" in self._faults and chance() < SHARE:
            self._give(after_us + self._random.randint(*DUPLICATE_US), medium, hearer, frame, payload)

    def _give(self, after_us: int, medium, hearer, frame: bytes, payload) -> None:
        if after_us:
            self._kernel.at(self._kernel.now + after_us, hearer.hear, medium, frame, payload)
        else:
            hearer.hear(medium, frame, payload)

    def _cut(self, one: int, other: int) -> bool:
        return any(
            start <= self._kernel.now < end and (side >> one ^ side >> other) & 1 == 1
            for start, end, side in self._cuts
        )

    def _link_loses(self, link: tuple[int, int]) -> bool:
        if "asymmetric" in self._faults:
            bias = self._bias.get(link)
            if bias is None:
                bias = self._bias[link] = self._random.random() * WORST_ASYMMETRY
            if self._random.random() < bias:
                return True
        if "burst" in self._faults:
            bad = self._bad.get(link, False)
            bad = self._random.random() >= GOES_GOOD if bad else self._random.random() < GOES_BAD
            self._bad[link] = bad
            return bad and self._random.random() < BAD_LOSS
        return False
