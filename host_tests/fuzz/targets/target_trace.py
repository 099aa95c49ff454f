"""`swarm replay` on a file with anything in it: every trace as traced, the first difference, or an error in words."""

import tempfile
from pathlib import Path

from verb import Verb

from swarm.verbs import replay

MOST = 1024
_HEAD = (
    b'{"config": {"peer_id": 1, "peers": [1, 2], "required_count": 2}, "view": {"peer_state": "Pinging", "conclusion": '
    b'null, "is_pinging_completed": false, "pinging_peers": [1], "collecting_peers": [], "required_count": 2}, '
    b'"steps": 1}\n'
)
_STEP = (
    b'{"step": 1, "before": "Pinging", "command": "ParticipationObserved", "peer_id": 2, "first_outcome": '
    b'"ParticipationAccepted", "outcomes": 1, "after": "Pinging"}\n'
)
SEEDS = (b"", b"faction: 1 node 1\n", _HEAD + b">>> " + _STEP, _HEAD.replace(b"1}\n", b"2}\r\n") + _STEP)
WORDS = (
    "config",
    "view",
    "steps",
    "step",
    "before",
    "command",
    "peer_id",
    "outcomes",
    "after",
    "Initial",
    "Collecting",
)
WORDS += ("Bootstrapped", "TimedOut", "ReadyObserved", "LocalParticipationCompleted", "DeadlineExpired", "\\ud800")
_kept = tempfile.TemporaryDirectory()
_file = Path(_kept.name, "any.trace")
_verb = Verb(replay, "replay", _file)


def run(data):
    """One input."""
    _file.write_bytes(data)
    status, text = _verb.run()
    assert status in (0, 1, 2) and text and "Traceback" not in text, text
    assert text.startswith((str(_file), "swarm replay: ")), text
