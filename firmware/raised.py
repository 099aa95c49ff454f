"""An error in words, in its place in a status too. Only who tells one needs it: afterwards it is let go, and its memory
with it."""

import io
import json
import sys
from time import ticks_diff, ticks_ms

from micropython import const

_HEALTH_MAX = const(200)  # bytes of JSON: a status goes over the air in pieces of about as many

_HANGS_MS = const(500)  # a call that an interrupt ends after so long did hang
_NOT_CALLED = "it hung, or the watchdog has reset the board: not called before a restart"


def describe(error):
    """An error in words, and where it was raised, when that is known: the node itself is compiled without its lines."""
    text = "%s: %s" % (type(error).__name__, error)
    said = io.StringIO()
    sys.print_exception(error, said)  # type: ignore[attr-defined]
    frames = said.getvalue().split('  File "')
    if len(frames) > 1:
        file, place = frames[-1].split("\n")[0].split('"')
        if not place.startswith(", line 1, in ") or place.endswith("<module>"):
            text += " (%s%s)" % (file, place.split(", in ")[0])
    return text


def health(sensor):
    """What the sensor's own health() tells, or in words why that cannot be told."""
    import signs
    from samples import check_json

    if sensor.health is None:
        return "health() fails: " + _NOT_CALLED
    began = ticks_ms()
    signs.watch(1)
    try:
        value = sensor.health()
        if hasattr(value, "send"):
            raise TypeError("it is async: make it plain")
        check_json(value)
        size = len(json.dumps(value).encode())
        if size > _HEALTH_MAX:
            raise ValueError("%d bytes of JSON, more than %d: return less" % (size, _HEALTH_MAX))
        return value
    except BaseException as error:
        if isinstance(error, KeyboardInterrupt):
            if ticks_diff(ticks_ms(), began) < _HANGS_MS:
                raise
            sensor.health = None  # it did hang
        try:
            return "health() fails: " + describe(error)[:_HEALTH_MAX]
        except Exception:  # no memory is left, or its text is the user's code as well
            return "health() fails"
    finally:
        signs.watch(0)
