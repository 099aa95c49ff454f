"""AES-128-CMAC (RFC 4493) on the board's cryptolib, without taking memory for a message."""

from struct import pack_into

from cryptolib import aes
from micropython import const

_ECB = const(1)
_CBC = const(2)
_BLOCK = const(16)


def _double(block):
    """Multiply a 16-byte block by x in GF(2^128), in place (RFC 4493, section 2.3)."""
    carry = 0
    for i in range(15, -1, -1):
        value = block[i] << 1 | carry
        carry = value >> 8
        block[i] = value & 255
    if carry:
        block[15] ^= 0x87


class Cmac:
    """Tags of messages under one key.

    key: 16 bytes; capacity: length of the longest message, in bytes. Raises ValueError for a key of another length.
    After compute(), the 16 bytes of the tag are block[at] ... block[at + 15].
    """

    def __init__(self, key, capacity):
        if len(key) != _BLOCK:
            raise ValueError("key of %d bytes: AES-128 takes 16" % len(key))
        self._key = key
        self._k1 = bytearray(_BLOCK)
        aes(key, _ECB).encrypt(self._k1, self._k1)
        _double(self._k1)
        self._k2 = bytearray(self._k1)
        _double(self._k2)
        blocks = capacity // _BLOCK + 1
        self.block = bytearray(blocks * _BLOCK)
        # Views made once: cutting a memoryview takes memory.
        self._views = [memoryview(self.block)[: (i + 1) * _BLOCK] for i in range(blocks)]
        self._copy = "%ds" % len(self.block)
        self._chain = bytearray(_BLOCK)
        self._aes = None
        self.at = 0

    def compute(self, buffer, length):
        """Compute the tag of the first length bytes of buffer (bytes or bytearray) and return where in block it is."""
        if self._aes is None:
            # The first message, or the one after an interrupted call, whose chaining value is unknown.
            pack_into("16x", self._chain, 0)
            self._aes = aes(self._key, _CBC, self._chain)
        cipher = self._aes
        self._aes = None
        pack_into(self._copy, self.block, 0, buffer)
        last = (length - 1) // _BLOCK if length else 0
        self.at = last * _BLOCK
        self._mask(length - self.at)
        # CBC goes on from the last block of the message before: cancel that, so that one call does a whole message.
        block = self.block
        chain = self._chain
        for i in range(_BLOCK):
            block[i] ^= chain[i]
        view = self._views[last]
        cipher.encrypt(view, view)
        for i in range(_BLOCK):
            chain[i] = block[self.at + i]
        self._aes = cipher
        return self.at

    def _mask(self, rest):
        """Pad the last block, of which rest bytes are message, and add the subkey to it."""
        block = self.block
        at = self.at
        subkey = self._k1 if rest == _BLOCK else self._k2
        for i in range(rest):
            block[at + i] ^= subkey[i]
        for i in range(rest, _BLOCK):
            block[at + i] = subkey[i]
        if rest < _BLOCK:
            block[at + rest] ^= 0x80
