"""`espnow` as far as it takes heap: a buffer for those who bring none (ports/esp32/modules/espnow.py)."""

from _espnow import *  # noqa: F403 - as there
from _espnow import MAX_DATA_LEN, ESPNowBase


class ESPNow(ESPNowBase):
    _data = [None, bytearray(MAX_DATA_LEN)]
