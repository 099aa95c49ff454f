"""`swarm collect --follow --exec --mqtt` of a virtual board: what the file has, the command and the broker have too."""

import json
import signal
import subprocess
import sys
from pathlib import Path

from broker import free_port, reader, require_broker, running

from requirements import require
from rig_fixture import Table, lay_boards

SEED = 29
SWARM = str(Path(sys.executable).with_name("swarm"))
KEYS = ("node", "session", "series", "n", "late_us", "value", "late")


def lines(file):
    return [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []


def told(found):
    return [tuple(one[key] for key in KEYS) for one in found]


def test_the_file_the_command_and_the_broker_have_the_same(tmp_path):
    require("unix")
    require_broker()
    out, got = tmp_path / "a.jsonl", tmp_path / "got.jsonl"
    port = free_port()
    boards = lay_boards(tmp_path / "boards", [1], required=1, period_ms=500)
    with running(port), reader(port, "house/1") as found, Table(boards, SEED) as made:
        made.start(1)
        process = subprocess.Popen(
            [SWARM, "collect", "--follow", "--port", made.ports[1], "--out", str(out)]
            + ["--exec", f"tee {got}", "--mqtt", f"mqtt://127.0.0.1:{port}/house"],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
        )
        try:
            made.wait(lambda: len(lines(got)) > 5, what="samples at the command")
        finally:
            process.send_signal(signal.SIGINT)
            _, said = process.communicate(timeout=60)
        assert process.returncode == 0 and said == "", said
        made.wait(lambda: len(found) >= len(lines(out)), what="all messages")
    held = lines(out)
    assert len(held) > 5
    # The last beats come together: in the file by the boards, in the others as they came.
    assert told(lines(got)) == told(held)
    assert told(json.loads(text) for _, text, _ in found) == told(held)
