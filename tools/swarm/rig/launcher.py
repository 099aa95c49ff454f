"""Becomes one virtual board: a MicroPython unix-port process whose prompt lets interrupts through.

    python launcher.py RADIO_PORT START_PY      with the serial line's PTY as standard input and output

MicroPython runs what `micropython.schedule` queued when a signal ends its wait for a key. So this process arms a 2 ms
alarm and a signal for each datagram from the medium, both with handlers that do nothing, and then becomes MicroPython
for good (the PyPI wheel's `run_main`). SWARM_ALARM_MS sets another alarm: boards in a large box that mostly stand there
take less of the processor with a longer one. It imports little, since its start is a board's power-on: of `signal` and
`socket` what they are made of.
"""

import _signal as signal
import _socket as socket
import ctypes
import fcntl
import os
import sys

ALARM_S = int(os.environ.get("SWARM_ALARM_MS", 2)) / 1000
INTERRUPT = signal.SIGUSR1
_PR_SET_PDEATHSIG = 1


def die_with_parent():
    """Have the kernel kill this process when its supervisor goes; where it cannot, the end of the PTY does."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def open_radio(port):
    """Descriptor of the board's socket to the medium on loopback `port`, with a signal at each datagram."""
    radio = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    radio.bind(("127.0.0.1", 0))
    radio.connect(("127.0.0.1", port))
    radio.setblocking(False)
    descriptor = os.dup(radio.fileno())
    os.set_inheritable(descriptor, True)
    fcntl.fcntl(descriptor, fcntl.F_SETOWN, os.getpid())
    fcntl.fcntl(descriptor, fcntl.F_SETFL, fcntl.fcntl(descriptor, fcntl.F_GETFL) | os.O_ASYNC)
    return descriptor


def arm(handler):
    """Call `handler` (or only wake the prompt) at the alarm and at each datagram."""
    signal.signal(signal.SIGALRM, handler)
    signal.signal(signal.SIGIO, handler)
    signal.setitimer(signal.ITIMER_REAL, ALARM_S, ALARM_S)


def take_interrupts(library):
    """Have INTERRUPT do what a device's UART does at Ctrl-C: make a KeyboardInterrupt pending.

    The unix port's own handler of SIGINT raises on the spot, wherever that is, in the middle of the scheduler too.
    A device's program, and a virtual board's, gets it at its next branch.
    """
    libc = ctypes.CDLL(None)
    libc.signal.restype = ctypes.c_void_p
    libc.signal.argtypes = [ctypes.c_int, ctypes.c_void_p]
    interrupt = ctypes.CDLL(library).mp_sched_keyboard_interrupt
    libc.signal(INTERRUPT, ctypes.cast(interrupt, ctypes.c_void_p))


def disarm():
    """Stop the alarm, so that it does not end a process whose handlers are gone."""
    signal.setitimer(signal.ITIMER_REAL, 0)
    signal.signal(signal.SIGALRM, signal.SIG_IGN)
    signal.signal(signal.SIGIO, signal.SIG_IGN)


def main():
    """Become the board: run MicroPython in this process. Arguments: the medium's port, the script to start with."""
    radio_port, start = int(sys.argv[1]), sys.argv[2]
    die_with_parent()
    import micropython_run

    take_interrupts(micropython_run.__file__)
    arm(lambda *_: None)
    os.environ["SWARM_RADIO_FD"] = str(open_radio(radio_port))
    status = micropython_run.run_main(["micropython", "-i", start])
    disarm()
    os._exit(status & 0xFF)


if __name__ == "__main__":
    main()
