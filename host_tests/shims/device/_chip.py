"""What is hardware on a real board: its crystal, its radio, its interrupts. The other shims of this folder stand on it.

Runs on MicroPython's unix port and on CPython. A board's parameters come from environment variables that the virtual
board's supervisor sets (tools/swarm/rig/virtual_board.py); a board knows nothing of true time but what its clock says.

There is no interrupt on a host. The launcher arms a 2 ms alarm and a signal per datagram; each wakes the waiting
prompt, and the wake-up calls `run()`, which does the work of the interrupts: it empties the radio and starts the
callbacks. What the radio schedules wakes nobody, as on an ESP32 (MICROPY_SCHED_HOOK_SCHEDULED is not defined there): at
an idle prompt, and while asyncio's loop waits, it runs with the next callback of a timer. Callbacks wait in a queue as
deep as `micropython.schedule`'s is on the esp32 and rp2 ports. The unix port's own queue is not used for them, because
it runs one entry a wake-up, which would add 2 ms to each: a delay no device has.
"""

import os
import select
import sys

import utime

SCHEDULER_DEPTH = 8  # MICROPY_SCHEDULER_DEPTH of the esp32 and rp2 ports
_AIR_BUFFER = 16384  # for all the datagrams that wait at one time

# Datagrams between a board and the medium are one letter and what follows here. Those to a board begin with their
# length in two bytes (little-endian), because MicroPython's readinto goes on until its buffer is full and so joins
# datagrams.
TUNE = 84  # 'T' board -> medium: mac 6, channel 1 (0 = radio off)
TRANSMIT = 88  # 'X' board -> medium: source mac 6, destination mac 6, channel 1, message
RECEIVED = 82  # 'R' medium -> board: source mac 6, rssi 1 (two's complement), message
DEPARTED = 68  # 'D' medium -> board: 1 when the addressed peer answered, else 0
READING = 65  # 'A' board -> medium: an ADC was read: mac 6, raw reading 2, true time in us 8 (little-endian)


def _parameter(name, default):
    """The integer of environment variable `name`; ValueError naming it when it is not one."""
    text = os.getenv(name)
    if text is None:
        return default
    try:
        return int(text)
    except ValueError:
        raise ValueError("%s=%r is not an integer" % (name, text))


NODE = _parameter("SWARM_NODE", 0)
MAC = bytes((0x02, 0xFA, 0xC7, 0x10, NODE >> 8 & 0xFF, NODE & 0xFF))  # locally administered

# The crystal: local microseconds = offset + elapsed true time, running fast by `ppb` parts in 10**9.
CLOCK_BASE_US = _parameter("SWARM_CLOCK_BASE_US", 0)
CLOCK_OFFSET_US = _parameter("SWARM_CLOCK_OFFSET_US", 0)
CLOCK_PPB = _parameter("SWARM_CLOCK_PPB", 0)
POWER_ON_US = _parameter("SWARM_POWER_ON_US", utime.ticks_us())  # true time at which this board got power
BOOT = os.getenv("SWARM_BOOT") or "power"  # power, reset, watchdog or soft
RETAINED = os.getenv("SWARM_RETAINED")  # file for what outlives a soft reset (the radio's state)

true_us = utime.ticks_us
true_sleep_us = utime.sleep_us


_stopped_us = []  # what a clock that was stopped shows


def local_us():
    """Microseconds by this board's own clock, unwrapped."""
    if _stopped_us:
        return _stopped_us[0]
    elapsed = true_us() - CLOCK_BASE_US
    return CLOCK_OFFSET_US + elapsed + elapsed * CLOCK_PPB // 1000000000


def stop_clock():
    """Have the clock stand still from now on."""
    if not _stopped_us:
        _stopped_us.append(local_us())


class _Air:
    """The board's socket to the medium; without a medium nobody is in the air, and sending goes nowhere."""

    def __init__(self):
        descriptor = _parameter("SWARM_RADIO_FD", -1)
        self._file = open(descriptor, "r+b", 0) if descriptor >= 0 else None
        self._buffer = bytearray(_AIR_BUFFER)
        self._waiting = select.poll()
        if self._file is not None:
            self._waiting.register(self._file, select.POLLIN)
        self.listeners = []  # called with (buffer, start, end) for each datagram; they take what is theirs

    def connected(self):
        """Whether there is a medium."""
        return self._file is not None

    def transmit(self, datagram):
        if self._file is not None:
            try:
                self._file.write(datagram)
            except OSError:
                pass  # the medium is gone: as when nobody listens

    def wait(self):
        """Let a millisecond pass, or less if a datagram comes: a device that waits for its radio leaves the medium and
        the other boards their processors."""
        try:
            self._waiting.poll(1)
        except OSError:
            pass  # an alarm of the launcher has come

    def poll(self):
        """Hand every datagram that waits to the listeners."""
        if self._file is None:
            return
        buffer = self._buffer
        while True:
            try:
                length = self._file.readinto(buffer)
            except OSError:
                return
            if not length:
                return
            start = 0
            while start + 2 < length:
                end = start + 2 + (buffer[start] | buffer[start + 1] << 8)
                if end <= length:  # else the buffer's end has cut it: lost in the air
                    for listener in self.listeners:
                        listener(buffer, start + 2, end)
                start = end


air = _Air()

_queue = []
_woken = False  # by what has queued a callback, or would have
lost_callbacks = 0
_polls = []  # functions that look for work at each wake-up, such as the timers
_supervisor = None  # file of requests to the supervisor, one letter each
_watched = None  # file that the supervisor looks into: when the watchdog resets the board

SEND_INTERRUPT = b"\x03"  # send the interrupt (Ctrl-C) once more
RESET = b"R"  # a program has asked for it


def schedule(function, argument, wakes=True):
    """Queue a soft interrupt callback, for when somebody wakes if it does not itself; False, and the callback is lost,
    when SCHEDULER_DEPTH wait already. What wakes does so then, too (ports/esp32/machine_timer.c,
    machine_timer_isr_handler, does not look at what mp_sched_schedule() returns)."""
    global lost_callbacks, _woken
    _woken = _woken or wakes
    if len(_queue) >= SCHEDULER_DEPTH:
        lost_callbacks += 1
        return False
    _queue.append((function, argument))
    return True


def at_each_wakeup(function):
    """Have `run()` call function() each time."""
    _polls.append(function)


def _print_exception(error):
    sys.print_exception(error)


def run(runs=True):
    """Do what interrupts have asked for: take datagrams, look at the timers, run the queued callbacks one by one, where
    a program runs or one of them has woken the chip.

    Callbacks do not nest, as on a device. An exception in one is printed and costs that callback only. A Ctrl-C that
    lands in what is hardware on a device, where it would have reached the program, is sent again.
    """
    # By return, since leaving a try block by its end is a jump, at which a Ctrl-C would be lost.
    try:
        return _run(runs)
    except KeyboardInterrupt:
        return ask_supervisor(SEND_INTERRUPT)


def _run(runs):
    global _woken
    for poll in _polls:
        poll()
    for _ in range(SCHEDULER_DEPTH):
        air.poll()
        if not _queue or not (runs or _woken):
            break
        function, argument = _queue.pop(0)
        try:
            function(argument)
        except BaseException as error:  # noqa: BLE001 - the device prints whatever a callback raises
            _print_exception(error)
    _woken = _woken and bool(_queue)


def ask_supervisor(request):
    """Ask what only the world around the chip can do: SEND_INTERRUPT or RESET."""
    global _supervisor
    if _supervisor is None:
        _supervisor = open(_parameter("SWARM_SUPERVISOR_FD", 2), "wb", 0)
    _supervisor.write(request)


def watch(end_us):
    """Have the supervisor reset the board at that true time, unless another time is told before: a watchdog needs no
    program that runs, so it is none of this one's work."""
    global _watched
    if _watched is None:
        _watched = open(_parameter("SWARM_WATCHDOG_FD", 2), "r+b", 0)
    _watched.seek(0)
    _watched.write(end_us.to_bytes(8, "little"))


def retain(text):
    """Store text where a soft reset leaves it."""
    if RETAINED:
        with open(RETAINED, "w") as file:
            file.write(text)


def retained():
    """The text a soft reset left, or ''."""
    if not RETAINED or BOOT != "soft":
        return ""
    try:
        with open(RETAINED) as file:
            return file.read()
    except OSError:
        return ""
