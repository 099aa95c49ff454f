"""Nodes that keep what they know beyond its generation, or conclude from what is not so."""

from __future__ import annotations

from swarm.device.library import BOOTSTRAPPED, LOCAL_PARTICIPATION_COMPLETED, Node


class NoNewGeneration(Node):
    """Forgets nothing when a member that was ready has rebooted."""

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self._keeps = False

    def _prove(self, buffer):
        self._keeps = True
        proved = super()._prove(buffer)
        self._keeps = False
        return proved

    def _new_generation(self):
        if not self._keeps:
            super()._new_generation()


class NoOwnContradiction(Node):
    """Lets others say that it is ready when it is not."""

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self._pretends = False

    def ready(self):
        """Whether it is ready; when it is about to look for what contradicts it, yes."""
        pretends, self._pretends = self._pretends, False
        return pretends or super().ready()

    def _contradicts(self, buffer):
        self._pretends = True
        return super()._contradicts(buffer)


class NoDoubts(Node):
    """Believes of a rebooted member what another still says of it."""

    def _stale(self, buffer, i):
        return 0


class AnyGeneration(Node):
    """Takes the bits of an older generation for bits of its own."""

    def _prove(self, buffer):
        proved = super()._prove(buffer)
        self.frame.generation = max(self.frame.generation, self.generation)
        return proved


class NoStartingOver(Node):
    """Keeps all bits when it adopts a newer generation."""

    def _start_over(self, generation):
        self.generation = generation


class ForgetsItself(Node):
    """Begins a generation knowing nothing, not even itself."""

    def _start_over(self, generation):
        super()._start_over(generation)
        for at in (self._me, self._me + 8 * self.frame.width):
            self.bitmaps[at >> 3] &= ~(1 << (at & 7))


class TakesConclusionsBack(Node):
    """Gives a conclusion up with the generation that it was drawn in."""

    def _start_over(self, generation):
        super()._start_over(generation)
        if self.machine.state == BOOTSTRAPPED:
            self._feed_again()


class ConcludesUnready(Node):
    """Concludes on the others' readiness alone."""

    def _feed(self, at, bits):
        if at >= self.frame.width and not self.ready():
            self.machine.process(LOCAL_PARTICIPATION_COMPLETED)
        super()._feed(at, bits)
