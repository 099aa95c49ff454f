"""`espnow` of a virtual board, as ports/esp32/modules/espnow.py makes it of `_espnow`."""

from _espnow import *  # noqa: F403 - as there
from _espnow import MAX_DATA_LEN, ESPNowBase

_NOTHING = (None, None)


class ESPNow(ESPNowBase):
    """`_espnow`'s, with buffers of its own for those who bring none."""

    _data = [None, bytearray(MAX_DATA_LEN)]

    def irecv(self, timeout_ms=None):
        """[address, bytearray] in a list that is used again by the next call, or (None, None) on time-out."""
        return self._data if self.recvinto(self._data, timeout_ms) else _NOTHING

    def recv(self, timeout_ms=None):
        """As irecv, in fresh bytes."""
        return [bytes(part) for part in self._data] if self.recvinto(self._data, timeout_ms) else _NOTHING

    def irq(self, callback):
        """Have callback(self) scheduled at each message that is received; None for none."""
        super().irq(callback, self)

    def __iter__(self):
        return self

    def __next__(self):
        return self.irecv()
