"""The user's application on asyncio beside a board's node: application.py, with a main such as

    async def main(swarm):
        await swarm.bootstrapped()
        print(await swarm.first_sample())

The node runs from its timer, as it does without one: whatever the application does, waits or hangs, fails, returns or
is stopped, the node goes on. The loop goes on as well when main ends, for what main has started and for a sensor with
coroutines. It has the prompt's place, and answers.py answers for it; Ctrl-C stops it.
"""

import asyncio
import os
import sys

import faction
from faction.answers import STOP_FILE, Answers
from faction.core import BOOTSTRAPPED, TIMED_OUT

_END_MS = 1000  # for main to end when it is asked to


class Swarm:
    """What an application knows of its board's node.

    app: the firmware's, whose node runs. The sensor's functions may be coroutines, which run in the application's loop.
    """

    def __init__(self, app):
        self._answers = Answers()
        self._due = []  # the sensor's coroutines that are to begin, each with where it is and who takes its result
        self._begun = []  # and those that have
        self.adopt(app)

    def adopt(self, app):
        """Be about that app from now on; faction.restart() has made it."""
        self.app = app
        app.beside = self

    def tick(self):
        """Answer on the serial line; the node calls it. Returns whether there is more to answer."""
        return self._answers.tick()

    def release(self):
        """Let go of the node: its loop has ended, and with it the sensor's coroutines. May be called again."""
        app = self.app
        for beside in (self, None):  # answering as long as a coroutine may hang
            app.beside = beside
            for coroutines in (self._begun, self._due):
                while coroutines:
                    where, coroutine, done = coroutines[-1]
                    coroutines.pop()
                    coroutine.close()
                    app.note(where, RuntimeError("the application has ended before it"))
                    done(None)

    async def bootstrapped(self):
        """Wait until the node has concluded Bootstrapped. RuntimeError, which says why, when it never will."""
        while self.app.node.machine.state != BOOTSTRAPPED:
            await self.wait()

    async def first_sample(self):
        """Wait for the first sample; returns its record, a dict with node, session, late_us, value and late; in a
        series that of the last one.

        RuntimeError, which says why, when there will be none.
        """
        while not self.app.sample:
            await self.wait()
        return self.app.sample

    def samples(self):
        """The records of a series' samples from now on, for `async for record in swarm.samples()`; beats.py has it.

        As until() and time_us() it raises RuntimeError, which says what to do, where there is no period.
        """
        return faction.in_series().records(self)

    async def until(self, n):
        """Wait for beat n of a series; at once when it has been. At its instant within a tick of the loop."""
        await faction.in_series().until(self, n)

    def time_us(self):
        """Microseconds since the first beat of a series; as faction.swarm_time()."""
        return faction.swarm_time()

    async def wait(self):
        """Wait a little for a node that can still conclude and sample. RuntimeError, which says why, when it cannot."""
        node = self.app.node
        if node.conflict:
            raise RuntimeError("a second board carries this id")
        if node.machine.state == TIMED_OUT:  # as on_timeout says, for good
            raise RuntimeError("TimedOut")
        if not self.app.runner.links:
            raise RuntimeError("stopped")
        await asyncio.sleep_ms(faction.PERIOD_MS)

    def stop(self):
        """Stop the node and its links for good."""
        self.app.runner.stop()
        if self.app.samples:
            self.app.samples.write()

    async def serve(self, main):
        """Run main(self) and what it starts, and the sensor's coroutines, until a tool asks for the end."""
        asyncio.get_event_loop().set_exception_handler(self._unheard)
        task = asyncio.create_task(self._run(main))
        while not self._answers.stopping:
            while self._due:
                job = self._due.pop(0)
                self._begun.append(job)
                asyncio.create_task(self._finish(job))
            if not self.app.runner.links:
                self.tick()  # a node that is stopped does not
            await asyncio.sleep_ms(faction.PERIOD_MS)
        task.cancel()
        for _ in range(_END_MS // faction.PERIOD_MS):
            if task.done():
                return
            await asyncio.sleep_ms(faction.PERIOD_MS)

    async def _run(self, main):
        try:
            await main(self)
            faction.application = "has returned"
        except (Exception, asyncio.CancelledError) as error:
            if not self._answers.stopping:
                faction.application = "failed"
                self.note(error)

    def note(self, error):
        """Say an error of the application, with where it was raised, and keep it for the status."""
        if not isinstance(error, KeyboardInterrupt):
            sys.print_exception(error)  # type: ignore[attr-defined]
        self.app.note("application", error)

    def _unheard(self, _loop, context):
        """What a task of the application has raised, which nobody awaits."""
        self.note(context["exception"])

    def spawn(self, where, coroutine, done):
        """Have a coroutine of the sensor run in the loop, and its value handed to done; where: what it is, in words."""
        self._due.append((where, coroutine, done))

    async def _finish(self, job):
        where, coroutine, done = job
        value = None
        try:
            value = await coroutine
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # sys.exit() as well: it ends neither the loop nor the node
            self.app.note(where, error)
        if job in self._begun:
            self._begun.remove(job)
            self.app.call(where, lambda: value, done)


def run(app):
    """Run application.py's main beside that app's node, until a tool or a Ctrl-C stops it; then the prompt is free.

    RuntimeError when there is no node. After a restart that left the application out it is not run.
    """
    if not app:
        raise RuntimeError("no node runs on this board: " + faction.failure)
    try:
        os.remove(STOP_FILE)
    except OSError:  # there is none
        _run(Swarm(app))  # as long as it "starts", the sensor's coroutines wait for its loop
        return
    faction.application = "was stopped"
    app.note("application", RuntimeError("did not stop when asked to, so this boot is without it"))


def _run(swarm):
    app = swarm.app
    app.errors[:] = [text for text in app.errors if not text.startswith("application: ")]  # of a run before
    app.say("runs application.py")
    faction.application = "runs"
    failure = None
    begun = released = False
    while not released:
        try:  # again after each Ctrl-C, since the prompt must have the serial line for itself
            if not begun:
                begun = True
                asyncio.new_event_loop()
                asyncio.run(swarm.serve(_load()))
            swarm.release()
            released = True
        except BaseException as error:  # noqa: BLE001 - whatever it is, sys.exit() too, must not take the board away
            failure = failure or error
    _end(swarm, failure)


def _load():
    """The main of the user's application, afresh. Raises ValueError when it has none."""
    sys.modules.pop("application", None)
    import application  # type: ignore[import-not-found]

    if not hasattr(application, "main"):
        raise ValueError("application.py: has no main(swarm): write it")
    return application.main


def _end(swarm, failure):
    """Say why the application has ended."""
    faction.application = "was stopped"
    if isinstance(failure, KeyboardInterrupt):
        failure = KeyboardInterrupt("stopped by Ctrl-C: faction.run() or a reset starts it again")
    elif failure:
        faction.application = "failed"
    if failure:
        swarm.note(failure)
    else:
        swarm.app.say("application.py was asked to stop: faction.run() or a reset starts it again")
