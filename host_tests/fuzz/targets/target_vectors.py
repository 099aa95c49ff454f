"""`swarm vectors` on a file with anything in it: every step compared, or an error in words.

A file that begins as gzip's do is read as such. The script that replays on a runtime runs here, without a process.
"""

import io
import sys
import tempfile
from contextlib import contextmanager, redirect_stdout
from pathlib import Path
from unittest import mock

from verb import Verb

from swarm import runtimes
from swarm.runtimes.vectors import replay
from swarm.verbs.developer import vectors

MOST = 1024
_VIEW = b'{"peer_state": "Pinging", "conclusion": null, "is_pinging_completed": false, "pinging_peers": [1], '
_VIEW += b'"collecting_peers": [], "required_count": 2}'
SEEDS = (
    b"",
    b'{"name": "one", "config": {"peer_id": 1, "peers": [1, 2], "required_count": 2}, "steps": [{"command": '
    b'"ReadyObserved", "peer_id": 2, "result": "Accepted", "outcomes": [], "admissible": [], "view": '
    + _VIEW
    + b"}]}\n",
    b'{"name": "two", "swarm": {"name": "demo", "members": [1, 2], "required_count": 2}, "key": "' + b"00" * 16
    + b'", "frame": "' + b"11" * 40 + b'", "verdict": "Malformed", "fields": null}\n',
    b'{"name": "three", "key": "' + b"00" * 16 + b'", "message": "", "tag": "' + b"00" * 16 + b'"}\n',
    b'{"swarm": {"name": "demo", "members": [1], "required_count": 1}, "key": "' + b"00" * 16 + b'", "frame": "", '
    b'"verdict": "Accepted", "fields": {"kind": "PING", "bootstrapped": false, "timed_out": true, "offset_us": null, '
    b'"sender": 1, "session": 1, "sequence": 1, "generation": 0, "echoes": [[1, 2]], "participation": [1], '
    b'"readiness": []}}\n',
    b"\x1f\x8b\x08",
)  # fmt: skip
WORDS = ("name", "config", "steps", "command", "result", "outcomes", "view", "admissible", "swarm", "members", "frame")
WORDS += ("verdict", "Accepted", "Rejected", "fields", "tag", "message", "key", "Probe", "DeadlineExpired", "\\ud800")
_SCRIPT = Path(replay.__file__).with_name("script.py")
_code = compile(_SCRIPT.read_text(), _SCRIPT, "exec")
_kept = tempfile.TemporaryDirectory()
_files = {packed: Path(_kept.name, name) for packed, name in ((True, "any.jsonl.gz"), (False, "any.jsonl"))}
_verbs = {packed: Verb(vectors, "vectors", file) for packed, file in _files.items()}


@contextmanager
def _here(_runtime, _script, arguments, **_):
    """runtimes.streaming(), without a process."""
    output = io.StringIO()
    with mock.patch.object(sys, "argv", [str(_SCRIPT), *arguments]), redirect_stdout(output):
        exec(_code, {"__name__": "__main__"})
    yield iter(output.getvalue().splitlines())


def run(data):
    """One input."""
    packed = data[:2] == b"\x1f\x8b"
    _files[packed].write_bytes(data)
    with mock.patch.object(runtimes, "streaming", _here):
        status, text = _verbs[packed].run()
    assert status in (0, 1, 2) and text and "Traceback" not in text, text
    assert "raised" not in text or status == 1, text
