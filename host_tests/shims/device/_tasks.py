"""The queue of tasks under MicroPython's asyncio, `_asyncio`, by this board's own clock.

asyncio's loop takes its ticks from `time`, which here is the board's; the queue that the unix port has in C takes the
host's, so that a task would be due at any time or never. This one has the same interface, and takes those of `time`.
"""

from time import ticks_diff, ticks_ms


class TaskQueue:
    """Tasks in the order of when they are due; those of one tick in the order in which they came."""

    def __init__(self):
        self._tasks = []

    def peek(self):
        """The first task, None when there is none."""
        return self._tasks[0] if self._tasks else None

    def push(self, task, key=None):
        """Put a task in; key: tick at which it is due, None for now."""
        task.data = None
        task.ph_key = ticks_ms() if key is None else key
        at = len(self._tasks)
        while at and ticks_diff(self._tasks[at - 1].ph_key, task.ph_key) > 0:
            at -= 1
        self._tasks.insert(at, task)

    def pop(self):
        """Take the first task out and return it; IndexError when there is none."""
        if not self._tasks:
            raise IndexError("empty heap")
        return self._tasks.pop(0)

    def remove(self, task):
        """Take a task out."""
        self._tasks.remove(task)


class Task:
    """A coroutine that the loop runs. context: the names of asyncio.core, with its queue and current task.

    coro, data, state and ph_key are the loop's. state: True while it runs, a TaskQueue of those that await its end
    while there are any; afterwards None until it has been awaited, then False.
    """

    def __init__(self, coro, context):
        self.coro = coro
        self.data = None
        self.state = True
        self.ph_key = 0
        self._context = context

    def __iter__(self):
        if not self.state:
            self.state = False
        elif self.state is True:
            self.state = TaskQueue()
        elif not isinstance(self.state, TaskQueue):
            raise RuntimeError("can't wait")
        return self

    def __next__(self):
        if not self.state:
            if self.data is None:
                raise StopIteration
            raise self.data
        waiting = self._context["cur_task"]
        self.state.push(waiting)
        waiting.data = self

    def done(self):
        """Whether it has ended."""
        return not self.state

    def cancel(self):
        """Have CancelledError raised in it, or in the task that it awaits; False when it has ended."""
        if not self.state:
            return False
        if self is self._context["cur_task"]:
            raise RuntimeError("can't cancel self")
        task = self
        while isinstance(task.data, Task):
            task = task.data
        ready = self._context["_task_queue"]
        if hasattr(task.data, "remove"):
            task.data.remove(task)
            ready.push(task)
        elif ticks_diff(task.ph_key, ticks_ms()) > 0:
            ready.remove(task)
            ready.push(task)
        task.data = self._context["CancelledError"]
        return True
