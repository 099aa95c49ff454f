"""`network` of a virtual board, as far as the links need it: WLAN, after ports/esp32.

The radio outlives a soft reset in whatever state it was left, as on the device.

The access point is the file access_point in the folder above the board's: its name in the first line, its password in
the second. While it is there, boards on this host can join it, and their datagrams go over loopback, whose network's
broadcast address reaches every socket. A station that has lost it does not join again by itself, as on an RP2040
(extmod/network_cyw43.c), and keeps to itself what it failed of until it has joined, as on an ESP32.
"""

import time

import _chip

STA_IF = 0
AP_IF = 1
STAT_IDLE = 1000
STAT_CONNECTING = 1001
STAT_GOT_IP = 1010
STAT_NO_AP_FOUND = 201
STAT_WRONG_PASSWORD = 202
_ACCESS_POINT = "../access_point"
_JOIN_MS = 300  # a real one takes seconds
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
            self._wanted = None  # name and password of the access point that is to be joined
            self._status = STAT_IDLE
            self._joins_ms = 0  # when it will have tried

    def active(self, is_active=None):
        """Whether the interface is up; with an argument, bring it up or down."""
        if is_active is not None and bool(is_active) != self._active:
            self._active = bool(is_active)
            self._wanted = None
            self._status = STAT_IDLE
            _retune()
        return self._active

    def connect(self, ssid, key=None):
        """Begin to join an access point."""
        if not self._active:
            raise OSError("Wifi Not Started")
        self._wanted = [ssid, key.decode() if isinstance(key, bytes) else key or ""]
        if self._status == STAT_IDLE:
            self._status = STAT_CONNECTING
        self._joins_ms = time.ticks_add(time.ticks_ms(), _JOIN_MS)

    def disconnect(self):
        """Leave the access point; this only fails when WiFi is down, as on the device."""
        if not any_active():
            raise OSError("Wifi Not Started")
        self._wanted = None
        self._status = STAT_IDLE

    def isconnected(self):
        """Whether the station has joined, and has an address."""
        return self.status() == STAT_GOT_IP

    def status(self, *_):
        """How joining went."""
        if self._wanted and time.ticks_diff(time.ticks_ms(), self._joins_ms) >= 0:
            there = _access_point()
            if there == self._wanted:
                self._status = STAT_GOT_IP
            else:
                same = there and there[0] == self._wanted[0]
                self._status = STAT_WRONG_PASSWORD if same else STAT_NO_AP_FOUND
                self._wanted = None
        return self._status

    def ifconfig(self):
        """Address, mask, gateway and name server of the network: the host's own."""
        if self.isconnected():
            return ("127.0.0.1", "255.0.0.0", "127.0.0.1", "0.0.0.0")
        return ("0.0.0.0", "0.0.0.0", "0.0.0.0", "0.0.0.0")

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


def _access_point():
    """Name and password of the access point, or None while there is none."""
    try:
        with open(_ACCESS_POINT) as file:
            return file.read().split("\n")[:2]
    except OSError:
        return None


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
