"""Nodes that keep what they know beyond its generation, or conclude from what is not so."""

from __future__ import annotations

from swarm.device.library import BOOTSTRAPPED, LOCAL_PARTICIPATION_COMPLETED, Knowledge

_BITMAPS = 24  # where a frame's begin


class NoNewGeneration(Knowledge):
    """Forgets nothing when a member that was ready has rebooted."""

    def doubt(self, i):
        """As of a member that was not ready."""
        bitmaps = bytes(self.bitmaps)
        self.bitmaps[self._width :] = bytes(self._width)
        super().doubt(i)
        self.bitmaps[:] = bitmaps


class NoOwnContradiction(Knowledge):
    """Lets others say that it is ready when it is not."""

    def contradicts(self, buffer):
        """As if they did not say that."""
        said = bytearray(buffer)
        said[_BITMAPS + self._width + (self.me >> 3)] &= ~(1 << (self.me & 7))
        return super().contradicts(said)


class NoDoubts(Knowledge):
    """Believes of a rebooted member what another still says of it."""

    def _stale(self, buffer, i):
        return 0


class AnyGeneration(Knowledge):
    """Takes the bits of an older generation for bits of its own."""

    def compare(self, buffer):
        """As of a frame of this generation."""
        self._frame.generation = max(self._frame.generation, self.generation)
        return super().compare(buffer)


class NoStartingOver(Knowledge):
    """Keeps all bits when it adopts a newer generation."""

    def start_over(self, generation):
        """Only count it."""
        self.generation = generation


class ForgetsItself(Knowledge):
    """Begins a generation knowing nothing, not even itself."""

    def start_over(self, generation):
        """Without the own bits."""
        super().start_over(generation)
        for at in (self.me, self.me + 8 * self._width):
            self.bitmaps[at >> 3] &= ~(1 << (at & 7))


class TakesConclusionsBack(Knowledge):
    """Gives a conclusion up with the generation that it was drawn in."""

    def start_over(self, generation):
        """Also with a machine that has concluded."""
        super().start_over(generation)
        if self.machine.state == BOOTSTRAPPED:
            self.feed_again()


class ConcludesUnready(Knowledge):
    """Concludes on the others' readiness alone."""

    def _feed(self, at, bits):
        if at >= self._width and not self.ready:
            self.machine.process(LOCAL_PARTICIPATION_COMPLETED)
        super()._feed(at, bits)
