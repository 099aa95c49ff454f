"""The third kind of frame, whose text nobody else can read: opened and sealed (PROTOCOL.md)."""

from array import array
from struct import pack_into

from micropython import const

from faction.remote.cipher import Cipher

REPORT = const(0x23)  # kind of a frame
MAX_LENGTH = const(248)
HEADER = const(16)  # bytes before the text
TAG = const(8)
_BLOCK = const(16)
_BLOCKS = const(14)  # of the longest text
_LABEL = b"faction: reports"  # what the key of the texts is derived from: its tag under the swarm's key

# Verdicts, as in frame.py and sessions.py.
_MALFORMED = const(1)
_FOREIGN = const(2)
_NON_MEMBER = const(4)
_IMPOSSIBLE = const(5)
_FORGED = const(6)
_REPLAYED = const(7)
_UNPROVED = const(9)
_OWN = const(10)

_KEPT = const(3)  # numbers that sessions.py keeps of a member


class Envelope:
    """Opens and seals a node's frames of this kind.

    node: the Node it is of. text: a bytearray in which a text begins behind HEADER bytes; sender: id of the last one
    that was heard.
    """

    def __init__(self, node):
        self._node = node
        self._frame = node.frame
        self._machine = node.machine
        self._heard = node.sessions.heard
        self._frame._cmac.compute(_LABEL, len(_LABEL))
        self._cipher = Cipher(bytes(self._frame._cmac.tag), _BLOCKS)
        self.text = self._cipher.message
        self._copy = "%ds" % len(self.text)
        self._blank = "%ds" % (len(self.text) - HEADER)
        self._numbers = array("I", bytes(HEADER))
        self._member = 0  # position of the sender
        self.sender = 0

    def open(self, buffer, length):
        """Read the frame in the first length bytes of buffer; returns the check that it failed, or 0: its text ends
        where its tag begins."""
        verdict = self._check(buffer, length) or self._judge()
        if verdict:
            return verdict
        self._frame._cmac.compute(buffer, length - TAG)
        if self._frame._cmac.differs(buffer, length - TAG):
            return _FORGED
        self._heard[_KEPT * self._member + 1] = self._numbers[3]
        pack_into(self._copy, self.text, 0, buffer)
        self._cipher.open((length - HEADER - TAG) // _BLOCK)
        return 0

    def stamp(self, sent_us):
        """Keep when its transmission began: its sender may count from there."""
        self._heard[_KEPT * self._member + 2] = sent_us

    def _check(self, buffer, length):
        """The check that a frame fails by what it is."""
        if length % _BLOCK != TAG or not HEADER + _BLOCK < length <= MAX_LENGTH or length > len(buffer):
            return _MALFORMED
        if buffer.find(self._frame.digest, 2, 6) < 0:
            return _FOREIGN
        self.sender = buffer[6] | buffer[7] << 8
        self._member = self._machine.index(self.sender)
        if self._member < 0:
            return _NON_MEMBER
        if (buffer[11] | buffer[15]) > 0x3F:
            return _IMPOSSIBLE
        pack_into("16s", self._numbers, 0, buffer)
        return _OWN if self._member == self._node.knowledge.me else 0

    def _judge(self):
        """The check that it fails by what has been heard of its sender."""
        if self._heard[_KEPT * self._member] != self._numbers[2] or not self._node.sessions.is_live(self._member):
            return _UNPROVED
        return _REPLAYED if self._heard[_KEPT * self._member + 1] >= self._numbers[3] else 0

    def clear(self):
        """Begin a text anew."""
        pack_into(self._blank, self.text, HEADER, b"")  # filled up with zeros

    def seal(self, buffer, end):
        """Make this node's next frame in buffer, of the text up to that offset; returns its length."""
        self._node.sequence += 1
        pack_into("<BB4sH", self.text, 0, REPORT, 0, self._frame.digest, self._machine.peer_id)
        pack_into("<II", self.text, 8, self._node.session, self._node.sequence)
        end = (end - HEADER + _BLOCK - 1) // _BLOCK
        self._cipher.seal(end)
        pack_into(self._copy, buffer, 0, self.text)
        end = HEADER + end * _BLOCK
        self._frame._cmac.compute(buffer, end)
        pack_into("8s", buffer, end, self._frame._cmac.tag)
        return end + TAG
