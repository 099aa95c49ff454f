"""Ctrl-C for the process of a virtual board: an interrupt to a program that runs, and none to a prompt that waits."""

from __future__ import annotations

import os
import signal
import subprocess
from pathlib import Path


def runs_program(pid: int) -> bool:
    """Whether a process has a handler of SIGINT, as MicroPython has while a program runs; False without a /proc."""
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return False
    for line in status.splitlines():
        if line.startswith("SigCgt:"):
            return bool(int(line.split()[1], 16) >> (signal.SIGINT - 1) & 1)
    return False


def interrupt(process: subprocess.Popen, by: int) -> bool:
    """Send the signal `by` to a process in which a program runs; False when none does.

    The process stands still meanwhile: a program that ended between the look and the signal would leave the prompt with
    an interrupt that nobody takes, and that ends the process. A device's prompt clears what is pending.
    """
    if not runs_program(process.pid):
        return False
    process.send_signal(signal.SIGSTOP)
    try:
        os.waitid(os.P_PID, process.pid, os.WSTOPPED | os.WEXITED | os.WNOWAIT)
        runs = runs_program(process.pid)
        if runs:
            process.send_signal(by)
        return runs
    finally:
        process.send_signal(signal.SIGCONT)
