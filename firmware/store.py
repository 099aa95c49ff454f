"""The session number: raised and written before the first frame of each boot, so that no number comes twice."""

import os

MAX_SESSION = 0x3FFFFFFF


class FileStore:
    """The number in a small file; for LittleFS and for hosts.

    A power cut leaves the old number or the new one: the new file is whole before it takes the old one's place.
    """

    def __init__(self, path="faction.session"):
        self._path = path

    def read(self):
        """The stored number, 0 when there is none. Raises ValueError for a file that holds something else."""
        try:
            with open(self._path) as file:
                text = file.read()
        except OSError:
            return 0
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
        with open(new, "w") as file:
            file.write(str(number))
        os.rename(new, self._path)


class NvsStore:
    """The number in the ESP32's non-volatile storage, which writes in full or not at all."""

    def __init__(self):
        import esp32

        self._nvs = esp32.NVS("faction")

    def read(self):
        """The stored number, 0 when there is none."""
        try:
            return self._nvs.get_i32("session")
        except OSError:
            return 0

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
    number = store.read() + 1
    if number > MAX_SESSION:
        raise ValueError("sessions are used up: give the swarm a new key, and erase the stored number")
    store.write(number)
    if store.read() != number:
        raise OSError("session number %d was not kept: the storage is full or worn out" % number)
    return number
