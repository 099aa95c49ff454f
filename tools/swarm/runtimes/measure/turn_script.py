"""Prints what a turn of an application's loop costs on this runtime: how many ticks of the node that it stands beside.

Each comes once in the runner's period. Of each the best of several rounds counts, since whatever else the machine does
only makes it slower.
"""

import asyncio
from time import ticks_diff, ticks_us

from faction import aio
from faction.node import Node
from faction.runner import Runner

ROUNDS = 60
TIMES = 50
KEY = bytes(range(16))


class Link:
    """A link on which nobody speaks."""

    sent_us = 0

    def on_receive(self, callback):
        """Nothing will come."""

    def receive_buffer(self):
        """Room for a frame."""
        return bytearray(250)

    def receive(self, buffer):
        """No frame has come."""
        return 0

    def pending(self):
        """No frame has come."""
        return False

    def free(self):
        """The node may speak."""
        return True

    def send(self, buffer, length):
        """It is said to nobody."""


class App:
    """The firmware's part, whose sensor warms up."""

    def __init__(self):
        self.beside = None
        self.runner = Runner(Node("cost", [1, 2, 3], 1, 3, KEY, 1), [Link()], self)
        self.runner.start()

    def warm_up(self):
        """Not yet."""
        return False

    def changed(self):
        """Nothing is to be shown."""

    def tick(self, now):
        """Nothing else is to be done."""
        return 64


class Turns:
    """Stands for what answers on the serial line: asks for the loop's end after so many turns."""

    def __init__(self):
        self._left = TIMES

    @property
    def stopping(self):
        """Whether the loop is to end."""
        self._left -= 1
        return self._left <= 0


async def main(swarm):
    """An application that does nothing."""


def time_ticks(app):
    """Microseconds of so many ticks that do not find that there is nothing to do."""
    start = ticks_us()
    for _ in range(TIMES):
        app.runner._tick()
    return ticks_diff(ticks_us(), start)


def time_turns(app):
    """Microseconds of so many turns, which do not wait for each other."""
    swarm = aio.Swarm(app)
    swarm._answers = Turns()
    start = ticks_us()
    asyncio.run(swarm.serve(main))
    return ticks_diff(ticks_us(), start)


sleep_ms = asyncio.sleep_ms
asyncio.sleep_ms = lambda _: sleep_ms(0)
app = App()
ticks, turns = 1 << 29, 1 << 29
for _ in range(ROUNDS):
    ticks = min(ticks, time_ticks(app))
    turns = min(turns, time_turns(app))
print(turns / ticks)
