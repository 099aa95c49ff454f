"""`network` as far as it takes heap: nothing."""

STA_IF = 0
AP_IF = 1
STAT_WRONG_PASSWORD = -3
STAT_NO_AP_FOUND = -2


class WLAN:
    PM_NONE = 0

    def __init__(self, interface):
        pass

    def active(self, on=True):
        return True

    def connect(self, ssid, key):
        pass

    def disconnect(self):
        pass

    def isconnected(self):
        return True

    def ifconfig(self):
        return ("192.168.4.2", "255.255.255.0", "192.168.4.1", "192.168.4.1")

    def config(self, **_):
        pass
