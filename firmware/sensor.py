"""The sensor of this board: the one file to replace with your own.

warm_up() is called every few milliseconds until it returns True: then this node is ready. sample() is called at the
instant that the swarm has agreed on, in a series at each beat, and returns what JSON can hold. Neither may wait: they
run in a callback. Beside an application on asyncio (application.py) either may be async, and then it may. With
lead_ms = 750 a sample begins 750 ms before its instant, where a reading takes so long. A health(), if there is one, is
called when somebody asks for the status, which shows what it returns: {"battery_V": 3.71}.

This one reads the temperature of the chip itself, and is warm once the readings are steady.
"""

import sys
from time import ticks_add, ticks_diff, ticks_ms

from micropython import const

_INTERVAL_MS = const(20)
_STEADY_READINGS = const(5)
_STEADY_CELSIUS = const(1)

if sys.platform == "esp32":
    import esp32

    def read_celsius():
        """Temperature of the chip in degrees Celsius."""
        if hasattr(esp32, "mcu_temperature"):
            return float(esp32.mcu_temperature())
        return (esp32.raw_temperature() - 32) / 1.8

else:
    import machine

    _adc = machine.ADC(machine.ADC.CORE_TEMP)

    def read_celsius():
        """Temperature of the chip in degrees Celsius (RP2040 data sheet, 4.9.5)."""
        return 27 - (_adc.read_u16() * 3.3 / 65535 - 0.706) / 0.001721


_readings = []
_next = ticks_ms()


def warm_up():
    """Whether the sensor is ready."""
    global _next
    if ticks_diff(ticks_ms(), _next) < 0:
        return False
    _next = ticks_add(ticks_ms(), _INTERVAL_MS)
    _readings.append(read_celsius())
    if len(_readings) > _STEADY_READINGS:
        del _readings[0]
    return len(_readings) == _STEADY_READINGS and max(_readings) - min(_readings) <= _STEADY_CELSIUS


def sample():
    """The chip's temperature in degrees Celsius."""
    return round(read_celsius(), 2)
