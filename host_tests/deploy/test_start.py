"""What a deploy makes of what a starting board says."""

import os
import threading
import time
import tty
from contextlib import nullcontext
from types import SimpleNamespace

import pytest
import serial

from swarm.deploy import start
from swarm.deploy.remote import BadVersion

QUIET_S = 0.2
SLOW_S = 4 * QUIET_S
STARTED = b"faction: 1042 node 1 swarm greenhouse open started session 4\r\n"


@pytest.fixture
def board(monkeypatch):
    """listen() at a port where these pieces are said, each after so many seconds; how long it listened."""
    monkeypatch.setattr(start, "_QUIET_S", QUIET_S)
    monkeypatch.setattr(start, "_LISTEN_S", QUIET_S / 10)
    ours, its = os.openpty()
    tty.setraw(its)

    def say(*pieces):
        def speak():
            for after_s, piece in pieces:
                time.sleep(after_s)
                os.write(ours, piece)

        with serial.Serial(os.ttyname(its)) as port:
            thread = threading.Thread(target=speak)
            began = time.monotonic()
            thread.start()
            try:
                start.listen(SimpleNamespace(serial=port), began + 60)
                return time.monotonic() - began
            finally:
                thread.join()

    yield say
    os.close(ours)
    os.close(its)


def test_a_start_that_has_said_so_is_waited_for_however_long_it_is_silent(board):
    assert board((0, b"faction: starting\r\n"), (SLOW_S, STARTED), (0, b">>> ")) >= SLOW_S


def test_a_board_that_says_nothing_is_asked_after_a_while(board):
    assert QUIET_S <= board() < 30
    assert QUIET_S <= board((0, b"faction: starting\r\n"), (0, STARTED)) < 30, "its prompt may have gone unheard"


@pytest.mark.parametrize(("file", "fails"), [("main.py", True), ("<stdin>", False)])
def test_an_error_is_of_the_start_unless_it_was_typed(board, file, fails):
    said = f"Traceback (most recent call last):\r\n  File \"{file}\", line 1, in <module>\r\nNameError: name 'status' "
    with pytest.raises(BadVersion, match="does not start: NameError") if fails else nullcontext():
        board((0, said.encode() + b"isn't defined\r\n>>> "))
