"""MicroPython's `cryptolib.aes` on CPython, over the `cryptography` package.

As on a board: one object works in one direction, and a CBC object keeps its chain from call to call.
"""

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

_ECB = 1
_CBC = 2


class aes:  # noqa: N801 - the device's name
    """AES with a 16 or 32 byte key; mode 1 is ECB, 2 is CBC (iv: 16 bytes). ValueError as on a board."""

    def __init__(self, key, mode, iv=None):
        if mode not in (_ECB, _CBC):
            raise ValueError("mode")
        if len(key) not in (16, 32):
            raise ValueError("key")
        if (iv is None and mode == _CBC) or (iv is not None and len(iv) != 16):
            raise ValueError("IV")
        self._cipher = Cipher(algorithms.AES(bytes(key)), modes.ECB() if mode == _ECB else modes.CBC(bytes(iv)))
        self._encryptor = None
        self._decryptor = None

    def encrypt(self, data, out=None):
        """Encrypt whole blocks into out, which may be data itself, and return it; without out, return new bytes."""
        _check(data, out, self._decryptor)
        if self._encryptor is None:
            self._encryptor = self._cipher.encryptor()
        return _give(self._encryptor.update(data), out)

    def decrypt(self, data, out=None):
        """The inverse of encrypt."""
        _check(data, out, self._encryptor)
        if self._decryptor is None:
            self._decryptor = self._cipher.decryptor()
        return _give(self._decryptor.update(data), out)


def _check(data, out, other_direction):
    if len(data) % 16:
        raise ValueError("blksize % 16")
    if out is not None and memoryview(out).readonly:
        raise TypeError("object with buffer protocol required")
    if out is not None and len(out) < len(data):
        raise ValueError("output too small")
    if other_direction is not None:
        raise ValueError("can't encrypt & decrypt")


def _give(result, out):
    if out is None:
        return result
    out[: len(result)] = result
    return out
