"""What a node answers on the serial line while an application has the prompt's place.

A tool asks by a line, since a Ctrl-C would stop the application: `status` and `samples` are answered with lines of
JSON, and so is what a deploy wants of a new version, `rehearse` and `keep`; `fetch MEMBER KIND PLACE` with what another
member tells (gateway.py); `stop` ends the application, so that the prompt is free. A request ends the answer to the one
before. Lines are read in the node's own callbacks: it answers whatever the application does, waits or hangs.
"""

import json
import select
import sys
from time import ticks_diff, ticks_ms

from micropython import const

import faction

STOP_FILE = "faction.stop"  # while this file is there, the application is not run; the next boot removes it

# By request: what the report tells, or does first.
_ANSWERS = {b"status": "json_line", b"samples": "samples", b"rehearse": "rehearse", b"keep": "keep"}
_FETCH = b"fetch"
_RAW = b"\x01"  # a tool wants the raw REPL, and its Ctrl-C before that has landed in a callback, where it ends nothing
_LINE_MAX = const(80)
_PATIENCE_MS = const(5_000)  # for an application that is to stop; then the board is restarted without it


class Answers:
    """Takes requests on the serial line. `stopping`: the application is asked to end."""

    def __init__(self):
        self.stopping = False
        self._asked = ticks_ms()  # when it was
        self._line = b""
        self._lines = None  # of an answer that is still to be given, so that a long one does not hold up the node
        self._serial = select.poll()
        self._serial.register(sys.stdin, select.POLLIN)

    def tick(self):
        """Take what has come, and give a line of the answer; returns whether there is more to give."""
        self._listen()
        if self._lines:
            line = next(self._lines, None)
            if line is None:
                self._lines = None
            elif line:
                print(line)
        return self._lines

    def _listen(self):
        if self.stopping and ticks_diff(ticks_ms(), self._asked) > _PATIENCE_MS:
            self._restart()
        for _ in range(_LINE_MAX):
            if not self._waits():
                return
            byte = sys.stdin.buffer.read(1)  # bytes, since noise on the line is no text
            if not byte:
                return
            if byte == _RAW and not self._line:
                self._take(b"stop")
            elif byte not in b"\r\n":
                self._line = (self._line + byte)[-_LINE_MAX:]
            elif self._line:
                request = self._line.strip()
                self._line = b""
                self._take(request)
                return

    def _waits(self):
        for _ in self._serial.ipoll(0):
            return True
        return False

    def _take(self, request):
        if request in _ANSWERS or request.startswith(_FETCH):
            self._lines = _tell(request)
        elif request == b"stop" and not self.stopping:
            self._asked = ticks_ms()
            self.stopping = True

    def _restart(self):
        """Restart the board, without the application that does not end."""
        import machine

        with open(STOP_FILE, "w"):
            pass
        machine.reset()


def _tell(request):
    try:
        if request in _ANSWERS:
            yield from faction.tell(_ANSWERS[request])
        else:
            gateway = faction.app and faction.app.gateway
            if not gateway:
                raise ValueError("no gateway")
            yield from gateway.lines(*map(int, request.split()[1:]))
    except Exception as error:
        yield json.dumps({"failure": str(error)})
