"""Runs a script on the device shims, as a board would import them, with the test as the air around it."""

import json
import os
import socket
import subprocess
import sys
import threading
from pathlib import Path

from swarm import paths, runtimes

DEVICE = paths.SHIMS / "device"
_PRELUDE = f"""
import sys
sys.path[:0] = [{str(DEVICE)!r}]
"""
# On CPython the launcher of virtual boards gives the interpreter what the shims stand on.
_CPYTHON_PRELUDE = f"""
import sys
sys.path[:0] = [{str(paths.ROOT / "tools")!r}, {str(paths.ROOT / "host_tests")!r}]
from pathlib import Path
from swarm.rig import launcher_cpython
launcher_cpython._install(Path({str(DEVICE / "start.py")!r}))
"""
_HELPERS = """
import json
import _chip

def error_of(function, *arguments, **named):
    try:
        function(*arguments, **named)
    except Exception as error:
        return [type(error).__name__] + list(error.args)
    return None
"""


class Air:
    """The other end of a board's radio: what it sends is in `sent`; `answer` says what comes back for each datagram."""

    def __init__(self, answer=None):
        self.board_end, self._end = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.board_end.setblocking(False)
        self._end.settimeout(0.05)
        self._answer = answer
        self._stopped = False
        self.sent = []

    def put(self, datagram):
        """Send a datagram to the board."""
        self._end.send(len(datagram).to_bytes(2, "little") + datagram)

    def _serve(self):
        while not self._stopped:
            try:
                datagram = self._end.recv(4096)
            except TimeoutError:
                continue
            self.sent.append(datagram)
            for reply in self._answer(datagram) if self._answer else ():
                self.put(reply)

    def __enter__(self):
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._stopped = True
        self._thread.join()
        self._end.close()
        self.board_end.close()


def message(source, body, rssi=-40):
    """The datagram by which the medium delivers a message."""
    return b"R" + source + bytes((rssi & 0xFF,)) + body


def departed(answered=True):
    """The datagram by which the medium says that a message has left."""
    return b"D" + bytes((answered,))


def run(runtime, code, air=None, environment=None, directory="."):
    """Run `code` on the shims with "unix" or "cpython"; the value it gives to show(), from JSON."""
    prelude = _PRELUDE if runtime == "unix" else _CPYTHON_PRELUDE
    script = prelude + _HELPERS + "def show(value):\n    print('SHOWN', json.dumps(value))\n" + code
    interpreter = str(runtimes.find_micropython()) if runtime == "unix" else sys.executable
    pass_fds = ()
    variables = {**os.environ, "SWARM_NODE": "1", **(environment or {})}
    if air is not None:
        pass_fds = (air.board_end.fileno(),)
        variables["SWARM_RADIO_FD"] = str(pass_fds[0])
    done = subprocess.run(
        [interpreter, "-c", script],
        capture_output=True,
        text=True,
        env=variables,
        pass_fds=pass_fds,
        cwd=Path(directory),
        timeout=60,
    )
    shown = [line[6:] for line in done.stdout.splitlines() if line.startswith("SHOWN ")]
    assert done.returncode == 0 and shown, f"{runtime}: {done.stdout}{done.stderr}"
    return json.loads(shown[-1])
