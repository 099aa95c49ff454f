"""`network` of a virtual board, as far as ESP-NOW needs it: WLAN without an access point, after ports/esp32.

The radio outlives a soft reset in whatever state it was left, as on the device.
"""

import _chip

STA_IF = 0
AP_IF = 1
STAT_IDLE = 1000
_CHANNELS = 11  # of a radio whose country is not set

_UNKNOWN = "unknown config param"


class WLAN:
    IF_STA = STA_IF
    IF_AP = AP_IF
    PM_NONE = 0
    PM_PERFORMANCE = 1
    PM_POWERSAVE = 2

    _interfaces = {}

    def __new__(cls, interface=STA_IF):
        if interface not in (STA_IF, AP_IF):
            raise ValueError("invalid WLAN interface identifier")
        return cls._interfaces.get(interface) or super().__new__(cls)

    def __init__(self, interface=STA_IF):
        if interface not in WLAN._interfaces:
            WLAN._interfaces[interface] = self
            self._id = interface
            self._active = False

    def active(self, is_active=None):
        """Whether the interface is up; with an argument, bring it up or down."""
        if is_active is not None and bool(is_active) != self._active:
            self._active = bool(is_active)
            _retune()
        return self._active

    def disconnect(self):
        """Leave the access point: there is none, so this only fails when WiFi is down, as on the device."""
        if not any_active():
            raise OSError("Wifi Not Started")

    def isconnected(self):
        return False

    def status(self, *_):
        return STAT_IDLE

    def config(self, *args, **kwargs):
        """Get one parameter by name, or set some: mac, channel, pm, txpower, reconnects."""
        global _channel, _pm
        if args and kwargs:
            raise TypeError("either pos or kw args are allowed")
        if not kwargs:
            if len(args) != 1:
                raise TypeError("can query only one param")
            return self._get(args[0])
        for name, value in kwargs.items():
            if name == "channel":
                if not any_active():
                    raise OSError("Wifi Not Started")
                if not 1 <= value <= _CHANNELS:
                    raise RuntimeError("Wifi Unknown Error 0x0102")  # ESP_ERR_INVALID_ARG (network_common.c)
                _channel = value
                _retune()
            elif name == "pm":
                _pm = value
                _retain()
            elif name not in ("txpower", "reconnects"):
                raise ValueError(_UNKNOWN)

    def _get(self, name):
        if name == "mac":
            return _chip.MAC
        if name == "channel":
            if not any_active():
                raise OSError("Wifi Not Started")
            return _channel
        if name == "pm":
            return _pm
        raise ValueError(_UNKNOWN)


_channel = 1
_pm = WLAN.PM_PERFORMANCE


def any_active():
    """Whether an interface is up, which ESP-NOW needs."""
    return any(wlan._active for wlan in WLAN._interfaces.values())


def channel():
    """The radio's channel, 0 while it is off."""
    return _channel if any_active() else 0


def _retune():
    _chip.air.transmit(bytes((_chip.TUNE,)) + _chip.MAC + bytes((channel(),)))
    _retain()


def _retain():
    mask = sum(1 << wlan._id for wlan in WLAN._interfaces.values() if wlan._active)
    _chip.retain("%d %d %d" % (mask, _channel, _pm))


def _restore():
    global _channel, _pm
    fields = _chip.retained().split()
    if len(fields) == 3:
        mask, _channel, _pm = (int(field) for field in fields)
        for interface in (STA_IF, AP_IF):
            if mask >> interface & 1:
                WLAN(interface)._active = True
        _retune()


_restore()
