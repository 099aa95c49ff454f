"""Drives a node on a board, in callbacks: main.py returns, and the REPL is free while the node lives on."""

from time import sleep_us, ticks_add, ticks_diff, ticks_ms, ticks_us

from micropython import const

_BOOTSTRAPPED = const(3)  # of core.py: a state
_TIMEOUTS = const(14)  # of node.py: a counter
_FRAMES = const(32)  # handled in one call, so that a flood does not hold up the rest
_AWAIT_US = const(10_000)  # this close to the first sample's instant, wait for it
_AWAIT_MS = const(10)
_QUIET_US = const(30_000)  # this close to it say nothing: a radio may take that long to take a frame
_PATIENCE = const(500)  # ticks, one or two seconds, for which the links that are free wait for those that are not
_TALKATIVE = const(255)  # Trickle's redundancy where nobody else says the same
_SPIN_US = const(300)  # the last of it awake
_SLEEP_US = const(1000)  # an RP2040 sleeps up to 1 ms too long when it is told more than that (mp_hal_delay_us)


class Runner:
    """Carries frames between a node and its links, and tells the application what happens.

    links: a list of links; app: has warm_up(), which returns True once this node's own participation is complete,
    take_sample(late_us, late), called at the first sample's instant, changed(), called when the node's state,
    readiness, time-outs or conflict have changed, tick(now), which returns for how many milliseconds it need not be
    called again, and note(where, error), called for what any of these or a link has raised. All of it runs in callbacks
    of the scheduler, one after the other; an interrupt may end any call without harm to the node, and what it has cut
    short is done again.
    """

    def __init__(self, node, links, app):
        self.node = node
        self.links = links
        self._app = app
        if len(links) > 1:
            # What one side says must not silence this node, from which the other side has yet to hear it.
            node.trickle.redundancy = _TALKATIVE
        self._rx = [link.receive_buffer() for link in links]
        self._tx = bytearray(node.frame.max_length)
        self.lead_us = 0  # so long before its instant a sample begins
        self._told = -1
        self._warming = True
        self._held = 0  # ticks for which not all links were free
        self._due = ticks_ms()  # until then there is nothing to do unless a link has something

    def start(self):
        """Start the node; from now on its links call tick(), and somebody must, every faction.PERIOD_MS."""
        # What has come while the board was starting, for up to a second, has waited for nobody knows how long.
        for link, buffer in zip(self.links, self._rx):
            for _ in range(_FRAMES):
                link.receive(buffer)
        self.node.start(ticks_ms(), ticks_us())
        for link in self.links:
            link.on_receive(self.tick)

    def stop(self):
        """Stop the node for good, and its links. Calls of tick() that are still under way do nothing."""
        links = self.links
        self.links = ()
        for link in links:
            link.close()

    def tick(self, _=None):
        """Do what there is to do now; the argument, of a link, is not used."""
        try:
            if self._warming and self.links and self._app.warm_up():
                self._warming = False
            # Most ticks of a settled node end here: the rest takes ten times as long.
            elif ticks_diff(ticks_ms(), self._due) < 0:
                for link in self.links:
                    if link.pending():
                        break
                else:
                    return
            if self.links:
                self._due = ticks_ms()
                self._tick()
        except Exception as error:
            self._app.note("tick", error)

    def _tick(self):
        node = self.node
        for i in range(len(self.links)):
            self._receive(self.links[i], self._rx[i])
        if self._is_near(_AWAIT_US):
            self._sample()
        node.tick(ticks_ms(), ticks_us())
        if node.sample_due:  # its instant was past when this node learnt it
            self._sample()
        if not self._warming and not node.ready():
            node.complete_local(ticks_ms(), ticks_us())
        if not self._is_near(_QUIET_US):
            self._speak()
        told = (node.counters[_TIMEOUTS] & 0xFFFF) << 5 | node.conflict << 4 | node.ready() << 3 | node.machine.state
        if told != self._told:
            try:
                self._app.changed()
            except Exception as error:
                self._app.note("changed", error)
            self._told = told
        wait_ms = self._app.tick(ticks_ms())
        if not self._held:
            now = ticks_ms()
            wait_ms = min(wait_ms, node.wait_ms(now, ticks_us()) - _AWAIT_MS)
            if wait_ms > 0:
                self._due = ticks_add(now, wait_ms)

    def _receive(self, link, buffer):
        try:
            for _ in range(_FRAMES):
                if self._is_near(_AWAIT_US):
                    return
                length = link.receive(buffer)
                if not length:
                    return
                self.node.receive(buffer, length, ticks_ms(), ticks_us(), link.sent_us)
        except Exception as error:
            self._app.note("receive", error)  # what one link raises must not keep the others from being served

    def _speak(self):
        """Send what there is to send, on all links as soon as all are free; after a while without those that are not,
        so that a link that is never free does not silence the others."""
        free = 0
        for link in self.links:
            if link.free():
                free += 1
        self._held = 0 if free == len(self.links) else self._held + 1
        if self._held and (not free or self._held < _PATIENCE):
            return
        length = self.node.poll(ticks_ms(), ticks_us(), self._tx)
        if length:
            for link in self.links:
                self._send(link, length)
            self._held = 1  # until the next tick finds the links free again

    def _send(self, link, length):
        try:
            if not self._held or link.free():
                self.node.left(link.send(self._tx, length))
        except Exception as error:
            self._app.note("send", error)

    def _is_near(self, us):
        """Whether the first sample's instant has come, or is less than that many microseconds ahead."""
        first = self.node.first_sample
        if first.done:
            return False
        if first.passed:
            return self.node.sample_due
        if not first.known or self.node.machine.state != _BOOTSTRAPPED:
            return False
        return first.remaining_us(ticks_us()) - self.lead_us < us

    def _sample(self):
        """Have the first sample taken: on its microsecond, neither at the next tick nor after a burst of frames."""
        first = self.node.first_sample
        remaining_us = first.remaining_us(ticks_us()) - self.lead_us
        while remaining_us > 0:
            if remaining_us > _SPIN_US:
                sleep_us(min(remaining_us - _SPIN_US, _SLEEP_US))
            remaining_us = first.remaining_us(ticks_us()) - self.lead_us
        first.advance(ticks_us())  # from here on it is due, whatever an interrupt cuts short
        try:
            self._app.take_sample(-remaining_us, self.node.sample_due and self.node.sampled_late)
        except Exception as error:
            self._app.note("sample", error)
        self.node.take_sample(ticks_us())  # acknowledged last: a sample that is interrupted is taken again
