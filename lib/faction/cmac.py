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
    tag: the 16 bytes of the last computed tag.

    CBC goes on from the last block of the call before. So that one call does all blocks but the last, without a loop in
    bytecode over the first, each message is led by a block that encrypts to zero, and followed by one call that
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
        blocks = capacity // _BLOCK + 1
        self._work = bytearray(blocks * _BLOCK)
        self._copy = "16s%ds" % (len(self._work) - _BLOCK)
        # Views made once: cutting a memoryview takes memory.
        view = memoryview(self._work)
        self._upto = [view[: (i + 1) * _BLOCK] for i in range(blocks)]
        self.tag = bytearray(_BLOCK)
        self._aes = None

    def compute(self, buffer, length):
        """Compute the tag of the first length bytes of buffer, a bytes or bytearray."""
        cipher = self._aes
        # None for the first message and after an interrupted call, when nobody knows where CBC is.
        self._aes = None
        if cipher is None:
            cipher = aes(self._key, _CBC, self._base)
        pack_into(self._copy, self._work, 0, self._lead, buffer)
        whole = (length - 1) // _BLOCK if length else 0  # blocks before the last
        length -= whole * _BLOCK
        self._pad(buffer, whole * _BLOCK, length)
        cipher.encrypt(self._upto[whole], self._upto[whole])
        cipher.encrypt(self.tag, self.tag)
        cipher.encrypt(self.tag, self._upto[0])
        self._aes = cipher

    def _pad(self, buffer, at, length):
        """Make the last block, of which that many bytes are message: padded if it is not full, and its subkey added."""
        tag = self.tag
        if length == _BLOCK:
            pack_into("16s", tag, 0, self._k1)
        else:
            pack_into("16s", tag, 0, self._k2)
            tag[length] ^= 0x80
        while length:
            length -= 1
            tag[length] ^= buffer[at + length]

    def differs(self, buffer, at):
        """Whether the eight bytes at that offset of buffer are not the first eight of the tag; in constant time."""
        tag = self.tag
        difference = 0
        for i in range(8):
            difference |= tag[i] ^ buffer[at]
            at += 1
        return difference != 0
