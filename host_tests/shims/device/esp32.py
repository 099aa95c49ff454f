"""`esp32` of a virtual board, as far as the firmware needs it: NVS after ports/esp32, kept in a file, and what
ESP-IDF's heaps have free (modesp32.c, esp32_idf_heap_info), which is what a test makes it.

Values that were set are seen at once and are on flash after commit(): a power cut before it loses them.
"""

import json
import os

HEAP_DATA = 4  # MALLOC_CAP_8BIT, which external memory has as well
HEAP_EXEC = 1

_heaps = [(7288, 1200, 1152, 1060), (168184, 41000, 31744, 38244), (4194304, 4100000, 4063232, 4000000)]
_FILE = "nvs.flash"
_NOT_FOUND = 0x1102
_KEY_TOO_LONG = 0x1109
_NAME_MAX = 15


def _error(code, name):
    raise OSError(-code, "ESP_ERR_NVS_" + name)


def _stored():
    try:
        with open(_FILE) as file:
            return json.load(file)
    except OSError:
        return {}


def idf_heap_info(capabilities):
    """[(bytes in all, free, in the largest free piece, free at least since power came), ...] of ESP-IDF's heaps."""
    return [heap for heap in _heaps if capabilities == HEAP_DATA]


class NVS:
    """A namespace of the non-volatile storage."""

    def __init__(self, namespace):
        if not 1 <= len(namespace) <= _NAME_MAX:
            _error(_KEY_TOO_LONG, "KEY_TOO_LONG")
        self._prefix = namespace + "/"
        self._values = _stored()

    def get_i32(self, key):
        """The number under key; OSError when there is none."""
        if self._prefix + key not in self._values:
            _error(_NOT_FOUND, "NOT_FOUND")
        return self._values[self._prefix + key]

    def set_i32(self, key, value):
        """Put a signed 32-bit number under key; on flash only after commit()."""
        if not 1 <= len(key) <= _NAME_MAX:
            _error(_KEY_TOO_LONG, "KEY_TOO_LONG")
        if not -(1 << 31) <= value < 1 << 31:
            raise OverflowError("overflow converting long int to machine word")
        self._values[self._prefix + key] = value

    def erase_key(self, key):
        """Remove a key; OSError when there is none."""
        self.get_i32(key)
        del self._values[self._prefix + key]

    def commit(self):
        """Write what was set to flash, whole or not at all."""
        with open(_FILE + ".new", "w") as file:
            json.dump(self._values, file)
        os.rename(_FILE + ".new", _FILE)
