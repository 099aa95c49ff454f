"""`machine` of a virtual board: timers, UARTs, pins, the ADC of a temperature sensor that warms up, the reset causes.

The ADC and the sensor are as on an RP2040 (0.706 V at 27 C, -1.721 mV per degree, 12 bits in a 16-bit reading), the
timers and the reset causes as on an ESP32.
"""

import math

import _chip
from _uart import UART  # noqa: F401 - part of the module

PWRON_RESET = 1
HARD_RESET = 2
WDT_RESET = 3
DEEPSLEEP_RESET = 4
SOFT_RESET = 5

_EXIT_SOFT_RESET = 65

_HARDWARE_TIMERS = 4


def unique_id():
    """The 6 bytes that no other board has: here the radio's address."""
    return _chip.MAC


def reset_cause():
    """Why this boot happened: PWRON_RESET, HARD_RESET, WDT_RESET or SOFT_RESET."""
    return {"power": PWRON_RESET, "reset": HARD_RESET, "watchdog": WDT_RESET}.get(_chip.BOOT, SOFT_RESET)


def reset():
    """Start the board again as the reset button does: no program comes past this, whatever it catches."""
    _chip.ask_supervisor(_chip.RESET)
    while True:
        _chip.true_sleep_us(1000)


def soft_reset():
    """Start the interpreter again; the radio keeps its state."""
    raise SystemExit(_EXIT_SOFT_RESET)


def freq():
    return 160000000


def idle():
    _chip.run()


class Timer:
    """A timer whose callback comes through the scheduler, as on esp32; ids 0 ... 3 are hardware, -1 is virtual."""

    ONE_SHOT = 0
    PERIODIC = 1

    _hardware = {}
    _begun = 0  # since power came; none of them is ever given back (v1.28.0, machine_timer_enable, micropython#19162)
    # Holds running timers, so that one without a reference goes on, as on the device; made anew at each change, so that
    # a wake-up goes through it as it is.
    _running = ()

    def __new__(cls, id=-1, **kwargs):
        if id >= _HARDWARE_TIMERS:
            raise ValueError("Timer(%d) doesn't exist, there are only %d hardware timers" % (id, _HARDWARE_TIMERS))
        return cls._hardware.get(id) or super().__new__(cls)

    def __init__(self, id=-1, **kwargs):
        if id in Timer._hardware:
            if kwargs:
                self.init(**kwargs)
            return
        self._id = id
        self._callback = None
        self._period_us = 0
        self._due_us = 0
        self._mode = Timer.ONE_SHOT
        if id >= 0:
            Timer._hardware[id] = self
        if kwargs:
            self.init(**kwargs)

    def init(self, *, mode=PERIODIC, callback=None, period=-1, tick_hz=1000, freq=None, hard=False):
        """Start: `callback(timer)` every `period` ms (mode PERIODIC), or once (ONE_SHOT)."""
        self.deinit()
        if hard:
            raise ValueError("hard Timers are not implemented")
        if freq is not None:
            period_us = int(1000000 / freq)
        else:
            period_us = (0xFFFFFFFF if period == -1 else period) * 1000000 // tick_hz
        if period_us <= 0:
            raise ValueError("Timer period is too short for this timer")
        Timer._begun += 1
        if Timer._begun > 255:  # a byte: at 0 the timers are reset, and the clock is one of them
            _chip.stop_clock()
        self._mode = mode
        self._callback = callback
        self._period_us = period_us
        self._due_us = _chip.local_us() + period_us
        Timer._running += (self,)

    def deinit(self):
        """Stop; allowed on a stopped timer."""
        Timer._running = tuple(timer for timer in Timer._running if timer is not self)

    def _poll(self, now_us):
        late_us = now_us - self._due_us
        if self._mode == Timer.ONE_SHOT:
            self.deinit()
        else:
            # A host that was busy for several periods owes one callback, not a burst that no device would see.
            self._due_us += (late_us // self._period_us + 1) * self._period_us
        if self._callback is not None:
            _chip.schedule(self._callback, self)


def _poll_timers():
    now_us = _chip.local_us()
    for timer in Timer._running:
        if timer._due_us <= now_us:
            timer._poll(now_us)


_chip.at_each_wakeup(_poll_timers)


class WDT:
    """The watchdog: resets the board `timeout` ms after the last feed(), whatever program runs or hangs, also after a
    soft reset. There is one: it cannot be stopped, only fed, and made anew with another time."""

    _only = None
    _timeout_us = 0
    _fed_us = 0  # by true time: when the supervisor was told last

    def __new__(cls, id=0, timeout=5000):
        if WDT._only is None:
            WDT._only = super().__new__(cls)
        return WDT._only

    def __init__(self, id=0, timeout=5000):
        if id != 0:
            raise ValueError("invalid id")
        if timeout <= 0:
            raise ValueError("WDT timeout too short")
        WDT._timeout_us = timeout * 1000
        WDT._fed_us = _chip.true_us()
        _chip.watch(WDT._fed_us + WDT._timeout_us)

    def feed(self):
        """Put the reset off. The supervisor is told often enough, and that the reset is up to a sixteenth later, so
        that it comes too early in no case."""
        now_us = _chip.true_us()
        slack_us = WDT._timeout_us >> 4
        if now_us - WDT._fed_us >= slack_us:
            WDT._fed_us = now_us
            _chip.watch(now_us + WDT._timeout_us + slack_us)


class Pin:
    """A pin with nothing connected: an output reads back what was written, an input its pull."""

    IN = 1
    OUT = 3
    OPEN_DRAIN = 7
    PULL_DOWN = 1
    PULL_UP = 2
    IRQ_RISING = 1
    IRQ_FALLING = 2

    _pins = {}

    def __new__(cls, id, *args, **kwargs):
        return cls._pins.get(id) or super().__new__(cls)

    def __init__(self, id, mode=-1, pull=-1, *, value=None):
        if id not in Pin._pins:
            if isinstance(id, int) and not 0 <= id <= 39:
                raise ValueError("invalid pin")
            self._id = id
            self._value = 0
            Pin._pins[id] = self
        self.init(mode, pull, value=value)

    def init(self, mode=-1, pull=-1, *, value=None):
        if mode in (Pin.IN, -1) and pull in (Pin.PULL_DOWN, Pin.PULL_UP):
            self._value = 1 if pull == Pin.PULL_UP else 0
        if value is not None:
            self._value = 1 if value else 0

    def value(self, value=None):
        """The level; with an argument, set it."""
        if value is None:
            return self._value
        self._value = 1 if value else 0

    __call__ = value

    def on(self):
        self._value = 1

    def off(self):
        self._value = 0

    def toggle(self):
        self._value ^= 1


# The sensor: from `RISE` degrees off at power-on it settles on `AMBIENT` with time constant `TAU`.
_AMBIENT_MC = _chip._parameter("SWARM_AMBIENT_MC", 24500)  # milli-degrees
_RISE_MC = _chip._parameter("SWARM_RISE_MC", 0)
_TAU_MS = _chip._parameter("SWARM_TAU_MS", 100)
_NOISE_C = 0.1


class ADC:
    """The analogue converter; only the core temperature sensor is connected."""

    CORE_TEMP = 4

    _noise = _chip.NODE * 2654435761 & 0xFFFF

    def __init__(self, id):
        if id != ADC.CORE_TEMP:
            raise ValueError("ADC(%r): only ADC.CORE_TEMP is connected on this board" % (id,))

    def read_u16(self):
        """One conversion, 0 ... 65535 for 0 ... 3.3 V. Each is reported to the medium, which knows true time.

        That report stands for the logic analyser one would clip to the pin: it is how the skew of the samples is
        measured without asking the nodes.
        """
        now_us = _chip.true_us()
        elapsed_ms = (now_us - _chip.POWER_ON_US) / 1000
        ADC._noise = (ADC._noise * 25173 + 13849) & 0xFFFF
        noise = (ADC._noise / 32768 - 1) * _NOISE_C
        celsius = (_AMBIENT_MC - _RISE_MC * math.exp(-elapsed_ms / _TAU_MS)) / 1000 + noise
        volts = 0.706 - (celsius - 27) * 0.001721
        raw = max(0, min(4095, int(volts / 3.3 * 4095 + 0.5)))
        raw = raw << 4 | raw >> 8
        _chip.air.transmit(
            bytes((_chip.READING,)) + _chip.MAC + bytes((raw & 0xFF, raw >> 8)) + now_us.to_bytes(8, "little")
        )
        return raw
