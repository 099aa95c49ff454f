"""AES-128-CBC of what nobody else is to read, on the board's cryptolib, without taking memory for a message."""

from struct import pack_into

from cryptolib import aes
from micropython import const

_ECB = const(1)
_CBC = const(2)
_BLOCK = const(16)


class Cipher:
    """Encrypts and decrypts messages under one key.

    key: 16 bytes; blocks: of the longest message. message: a bytearray of 16 bytes that are not secret, and then the
    text in whole blocks. The initialisation vector is the encrypted first 16 bytes, which must never be the same in two
    messages (NIST SP 800-38A, appendix C).

    CBC goes on from the last block of the call before; as in cmac.py each message is led by a block that encrypts to
    zero, and followed by one call that brings CBC back to where it was.
    """

    def __init__(self, key, blocks):
        self._key = key
        zero = bytes(_BLOCK)
        self._base = aes(key, _ECB).encrypt(zero)
        lead = bytearray(aes(key, _ECB).decrypt(zero))
        for i in range(_BLOCK):
            lead[i] ^= self._base[i]
        self._lead = bytes(lead)
        self.message = bytearray((1 + blocks) * _BLOCK)
        view = memoryview(self.message)
        self._texts = [view[_BLOCK : (1 + i) * _BLOCK] for i in range(blocks + 1)]
        self._head = bytearray(2 * _BLOCK)
        self._vector = memoryview(self._head)[_BLOCK:]
        self._lasts = [self._vector] + [view[i * _BLOCK : (i + 1) * _BLOCK] for i in range(1, blocks + 1)]
        self._rest = bytearray(_BLOCK)
        self._encrypts = self._decrypts = None

    def seal(self, blocks):
        """Encrypt the text of the message, so many blocks, in place."""
        cipher = self._encrypts
        self._encrypts = None  # after an interrupted call nobody knows where CBC is
        if cipher is None:
            cipher = aes(self._key, _CBC, self._base)
        pack_into("16s16s", self._head, 0, self._lead, self.message)
        cipher.encrypt(self._head, self._head)
        if blocks:
            cipher.encrypt(self._texts[blocks], self._texts[blocks])
        cipher.encrypt(self._lasts[blocks], self._rest)
        self._encrypts = cipher

    def open(self, blocks):
        """Decrypt the text of the message, so many blocks, in place."""
        self.seal(0)
        if self._decrypts is None:
            self._decrypts = aes(self._key, _CBC, self._base)
        self._decrypts.decrypt(self._vector, self._rest)
        self._decrypts.decrypt(self._texts[blocks], self._texts[blocks])
