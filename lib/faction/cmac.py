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

    CBC goes on from the last block of the call before. So that one call does a whole message, without a loop in
    bytecode over its first block, each message is led by a block that encrypts to zero, and followed by one call that
    encrypts the tag, which brings CBC back to where it was: the encrypted zero block.
    """

    def __init__(self, key, capacity):
        if len(key) != _BLOCK:
            raise ValueError("key of %d bytes: AES-128 takes 16" % len(key))
        self._key = key
        zero = bytes(_BLOCK)
        self._base = aes(key, _ECB).encrypt(zero)
        lead = bytearray(aes(key, _ECB).decrypt(zero))
        for i in range(_BLOCK):
            lead[i] ^= self._base[i]
        self._lead = bytes(lead)
        self._k1 = bytearray(self._base)
        _double(self._k1)
        self._k2 = bytearray(self._k1)
        _double(self._k2)
        blocks = capacity // _BLOCK + 2
        self._work = bytearray(blocks * _BLOCK)
        self._copy = "16s%ds" % (len(self._work) - _BLOCK)
        # Views made once: cutting a memoryview takes memory.
        view = memoryview(self._work)
        self._first = view[:_BLOCK]
        self._upto = [view[: (i + 2) * _BLOCK] for i in range(blocks - 1)]
        self._last = [view[(i + 1) * _BLOCK : (i + 2) * _BLOCK] for i in range(blocks - 1)]
        self._aes = None
        self._at = 0

    def compute(self, buffer, length):
        """Compute the tag of the first length bytes of buffer, a bytes or bytearray."""
        cipher = self._aes
        # None for the first message and after an interrupted call, when nobody knows where CBC is.
        self._aes = None
        if cipher is None:
            cipher = aes(self._key, _CBC, self._base)
        pack_into(self._copy, self._work, 0, self._lead, buffer)
        last = (length - 1) // _BLOCK if length else 0
        self._at = (last + 1) * _BLOCK
        self._finish(length + _BLOCK - self._at)
        cipher.encrypt(self._upto[last], self._upto[last])
        cipher.encrypt(self._last[last], self._first)
        self._aes = cipher

    def tag(self, i):
        """Byte i of the last computed tag, 0 ... 15."""
        return self._work[self._at + i]

    def differs(self, buffer, at):
        """Whether the eight bytes at that offset of buffer are not the first eight of the tag; in constant time."""
        tag = self._at - at
        difference = 0
        i = at + 8
        while i > at:
            i -= 1
            difference |= self._work[tag + i] ^ buffer[i]
        return difference != 0

    def _finish(self, rest):
        """Pad the last block, of which rest bytes are message, and add the subkey to it."""
        if rest == _BLOCK:
            self._add(self._k1, rest)
        else:
            self._add(self._k2, rest)
            for i in range(rest, _BLOCK):
                self._work[self._at + i] = self._k2[i]
            self._work[self._at + rest] ^= 0x80

    def _add(self, subkey, length):
        work = self._work
        at = self._at
        while length:
            length -= 1
            work[at + length] ^= subkey[length]
