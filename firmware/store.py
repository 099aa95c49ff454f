"""The session number: raised and written before the first frame of each boot, so that no number comes twice."""

import os
from errno import ENOENT

MAX_SESSION = 0x3FFFFFFF


class FileStore:
    """The number in a small file; for LittleFS and for hosts.

    A power cut leaves the old number or the new one: the new file is whole before it takes the old one's place.
    """

    def __init__(self, path="faction.session"):
        self._path = path

    def read(self):
        """The stored number, 0 when there is none.

        Raises ValueError for a file that holds something else, and OSError for one that cannot be read: to take
        either for 0 would let a number come twice.
        """
        try:
            with open(self._path, "rb") as file:
                text = file.read()
        except OSError as error:
            if error.errno == ENOENT:
                return 0
            raise
        try:
            number = int(text)
        except ValueError:
            number = -1
        if not 0 <= number <= MAX_SESSION:
            raise ValueError("%s: %r is no session number: deploy this board again" % (self._path, text[:20]))
        return number

    def write(self, number):
        """Store the number. Raises OSError when the file system does not take it."""
        new = self._path + ".new"
        with open(new, "wb") as file:
            file.write(b"%d" % number)
        os.rename(new, self._path)


class NvsStore:
    """The number in the ESP32's non-volatile storage, which writes in full or not at all."""

    def __init__(self):
        import esp32

        self._nvs = esp32.NVS("faction")

    def read(self):
        """The stored number, 0 when there is none. Raises OSError when it cannot be read."""
        try:
            return self._nvs.get_i32("session")
        except OSError as error:
            if "ESP_ERR_NVS_NOT_FOUND" in error.args:
                return 0
            raise

    def write(self, number):
        """Store the number. Raises OSError when the storage does not take it."""
        self._nvs.set_i32("session", number)
        self._nvs.commit()


def open_store(platform):
    """The store of a board; platform: its sys.platform."""
    return NvsStore() if platform == "esp32" else FileStore()


def next_session(store):
    """Raise the stored number, make sure that it is stored, and return it.

    Raises OSError or ValueError: then the board must not take part.
    """
    number = 0
    try:
        number = store.read() + 1
        if number > MAX_SESSION:
            raise ValueError("session %d: used up: give the swarm a new key, and erase the stored number" % number)
        store.write(number)
        kept = store.read()
    except OSError as error:
        raise OSError("session %d: not stored (%s): make room in the storage, or replace it" % (number, error))
    if kept != number:
        raise OSError("session %d: reads back as %d: the storage is worn out: replace it" % (number, kept))
    return number
