"""`swarm collect --follow --exec --mqtt` of a virtual board: what the file has, the command and the broker have too."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
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


@pytest.fixture
def table(tmp_path):
    require("unix")
    with Table(lay_boards(tmp_path / "boards", [1], required=1, period_ms=500), SEED) as made:
        made.start(1)
        yield made


def followed(table, out, done, *options):
    """Follow the board until done(), and then Ctrl-C; the exit status, and what was said."""
    process = subprocess.Popen(
        [SWARM, "collect", "--follow", "--port", table.ports[1], "--out", str(out), *options],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
        start_new_session=True,
    )
    try:
        table.wait(done, what="what is followed for")
    finally:
        os.killpg(process.pid, signal.SIGINT)  # as a terminal does: to all that it has started
        _, said = process.communicate(timeout=60)
    return process.returncode, said


def test_the_file_the_command_and_the_broker_have_the_same(table, tmp_path):
    require_broker()
    out, got = tmp_path / "a.jsonl", tmp_path / "got.jsonl"
    port = free_port()
    with running(port), reader(port, "house/1") as found:
        options = ("--exec", f"tee {got}", "--mqtt", f"mqtt://127.0.0.1:{port}/house")
        assert followed(table, out, lambda: len(lines(got)) > 5, *options) == (0, "")
        table.wait(lambda: len(found) >= len(lines(out)), what="all messages")
    held = lines(out)
    assert len(held) > 5
    assert told(lines(got)) == told(held)
    assert told(json.loads(text) for _, text, _ in found) == told(held)


def test_the_file_goes_on_without_a_command_that_ends_and_the_exit_status_tells_of_it(table, tmp_path):
    out = tmp_path / "a.jsonl"
    status, said = followed(table, out, lambda: len(lines(out)) > 5, "--exec", "sh -c 'read line; exit 3'")
    assert status == 1 and said.startswith("swarm collect: --exec sh: ended with exit status 3 after "), said
