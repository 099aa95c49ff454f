"""Runs a board's node inside an application on asyncio, for a main.py of your own:

    async def main():
        swarm = Swarm(assembly.make())
        await swarm.bootstrapped()
        print(await swarm.first_sample())
        while True:  # as long as this runs the node does, and the others can hear it
            await asyncio.sleep(60)

There Ctrl-C stops the application, and with it the node. So that its status can be read all the same, a line that
holds `status` on the serial port is answered with one line of JSON.
"""

import asyncio
import json
import select
import sys

import faction
from faction.core import BOOTSTRAPPED, TIMED_OUT
from faction.runner import PERIOD_MS

_LINE_MAX = 80


class Swarm:
    """This board's node as a task of the running event loop.

    app: of the firmware's assembly.make(). The sensor's functions may be coroutines.
    """

    def __init__(self, app):
        self._app = app
        self._line = b""
        self._serial = select.poll()
        self._serial.register(sys.stdin, select.POLLIN)
        app.spawn = self._spawn
        app.introduce()
        app.runner.start()
        self._task = asyncio.create_task(self._run())

    async def bootstrapped(self):
        """Wait until the node has concluded Bootstrapped. RuntimeError, which says why, when it never will."""
        while self._app.node.machine.state != BOOTSTRAPPED:
            await self._wait()

    async def first_sample(self):
        """Wait for the first sample; returns its record, a dict with node, session, late_us, value and late.

        RuntimeError, which says why, when there will be none.
        """
        while not self._app.sample:
            await self._wait()
        return self._app.sample

    async def _wait(self):
        """Wait a little for a node that can still conclude and sample."""
        node = self._app.node
        if node.conflict:
            raise RuntimeError("a second board carries this id")
        if node.machine.state == TIMED_OUT:  # as on_timeout says, for good
            raise RuntimeError("TimedOut")
        if not self._app.runner.links:
            raise RuntimeError("stopped")
        await asyncio.sleep_ms(PERIOD_MS)

    def stop(self):
        """Stop the node and its links for good."""
        self._task.cancel()
        self._app.runner.stop()

    async def _run(self):
        while True:
            self._app.runner.tick()
            self._answer()
            await asyncio.sleep_ms(PERIOD_MS)

    def _spawn(self, where, coroutine, done):
        asyncio.create_task(self._finish(where, coroutine, done))

    async def _finish(self, where, coroutine, done):
        value = None
        try:
            value = await coroutine
        except Exception as error:
            self._app.note(where, error)
        done(value)

    def _answer(self):
        """Answer a request for the status on the serial line."""
        for _ in range(_LINE_MAX):
            if not self._serial.poll(0):
                return
            byte = sys.stdin.buffer.read(1)  # bytes, since noise on the line is no text
            if not byte:
                return
            if byte not in b"\r\n":
                self._line = (self._line + byte)[-_LINE_MAX:]
                continue
            if self._line.strip() == b"status":
                self._tell()
            self._line = b""

    def _tell(self):
        try:
            print(json.dumps(faction.status_dict()))
        except Exception as error:
            self._app.note("status", error)
