"""AES-128 in plain MicroPython for the webassembly port, which has no cryptolib of its own.

Same class, modes and errors as the boards' module; encrypt(in, out) takes no memory, so that measurements of the code
above it stay true. Functions keep to few locals, since a larger frame comes from the heap on a board.
"""

_ECB = 1
_CBC = 2


def _double(value):
    """value times x in AES's field GF(2^8)."""
    return (value << 1 ^ 0x1B if value & 128 else value << 1) & 255


def _substitution():
    """AES's S-box: the inverse in GF(2^8), found by walking the powers of 3, then the affine map."""
    powers = bytearray(256)
    value = 1
    for i in range(255):
        powers[i] = value
        value ^= _double(value)
    logs = bytearray(256)
    for i in range(255):
        logs[powers[i]] = i
    box = bytearray(256)
    for i in range(256):
        value = powers[(255 - logs[i]) % 255] if i else 0
        value |= value << 8
        box[i] = (value ^ value >> 4 ^ value >> 5 ^ value >> 6 ^ value >> 7 ^ 0x63) & 255
    return box


_S = _substitution()
_S2 = bytes(_double(value) for value in _S)  # twice and three times the S-box: with it, MixColumns is look-ups and XORs
_S3 = bytes(_double(value) ^ value for value in _S)
_INVERSE = bytearray(256)
for _i in range(256):
    _INVERSE[_S[_i]] = _i


def _round_keys(key):
    keys = [bytearray(16) for _ in range(11)]
    keys[0][:] = key
    constant = 1
    for r in range(1, 11):
        last = keys[r - 1]
        this = keys[r]
        for i in range(16):
            if i >= 4:
                this[i] = last[i] ^ this[i - 4]
            else:
                this[i] = last[i] ^ _S[last[12 + (i + 1 & 3)]]
        this[0] ^= constant
        for i in range(4, 16):
            this[i] = last[i] ^ this[i - 4]
        constant = _double(constant)
    return keys


def _full_round(s, t, k):
    """t = one round of s (substitute, shift rows, mix columns) with round key k, four columns at once."""
    c = 0
    while c < 16:
        x = s[c]
        y = s[c + 5 & 15]
        t[c] = _S2[x] ^ _S3[y] ^ k[c]
        t[c + 1] = _S[x] ^ _S2[y] ^ k[c + 1]
        t[c + 2] = _S[x] ^ _S[y] ^ k[c + 2]
        t[c + 3] = _S3[x] ^ _S[y] ^ k[c + 3]
        x = s[c + 10 & 15]
        y = s[c + 15 & 15]
        t[c] = t[c] ^ _S[x] ^ _S[y]
        t[c + 1] = t[c + 1] ^ _S3[x] ^ _S[y]
        t[c + 2] = t[c + 2] ^ _S2[x] ^ _S3[y]
        t[c + 3] = t[c + 3] ^ _S[x] ^ _S2[y]
        c += 4


def _last_round(s, t, k):
    """The last round has no mixing of columns."""
    c = 0
    while c < 16:
        t[c] = _S[s[c + 4 * (c & 3) & 15]] ^ k[c]
        c += 1


def _unmix(s):
    """The inverse of mix columns, in place: as three doublings and the forward mix."""
    for c in range(0, 16, 4):
        x = _double(_double(s[c] ^ s[c + 2]))
        y = _double(_double(s[c + 1] ^ s[c + 3]))
        s[c] ^= x
        s[c + 2] ^= x
        s[c + 1] ^= y
        s[c + 3] ^= y
        _mix(s, c)


def _mix(s, c):
    first = s[c]
    every = first ^ s[c + 1] ^ s[c + 2] ^ s[c + 3]
    for i in range(c, c + 3):
        s[i] ^= every ^ _double(s[i] ^ s[i + 1])
    s[c + 3] ^= every ^ _double(s[c + 3] ^ first)


class aes:  # noqa: N801 - the device's name
    """AES with a 16-byte key; mode 1 is ECB, 2 is CBC (iv: 16 bytes), whose chain goes on from call to call."""

    def __init__(self, key, mode, iv=None):
        if mode not in (_ECB, _CBC):
            raise ValueError("mode")
        if len(key) != 16:
            raise ValueError("key")
        if (iv is None and mode == _CBC) or (iv is not None and len(iv) != 16):
            raise ValueError("IV")
        self._keys = _round_keys(key)
        self._chain = bytearray(iv) if mode == _CBC else None
        self._state = bytearray(16)
        self._other = bytearray(16)
        self._next = bytearray(16)  # of the chain, while a block is decrypted
        self._encrypts = None

    def encrypt(self, data, out=None):
        """Encrypt whole blocks into out, which may be data itself, and return it; without out, return new bytes."""
        self._check(data, out, True)
        if out is None:
            return bytes(self.encrypt(data, bytearray(len(data))))
        at = 0
        while at < len(data):
            self._load(data, at, self._keys[0])
            if self._chain:
                self._xor(self._state, self._chain)
            self._encrypt_block()
            if self._chain:
                self._store(self._chain, 0)
            self._store(out, at)
            at += 16
        return out

    def decrypt(self, data, out=None):
        """The inverse of encrypt."""
        self._check(data, out, False)
        if out is None:
            return bytes(self.decrypt(data, bytearray(len(data))))
        at = 0
        while at < len(data):
            self._load(data, at, self._keys[10])
            if self._chain:
                self._keep(data, at)
            self._decrypt_block()
            if self._chain:
                self._xor(self._state, self._chain)
                self._chain, self._next = self._next, self._chain
            self._store(out, at)
            at += 16
        return out

    def _check(self, data, out, encrypts):
        if len(data) % 16:
            raise ValueError("blksize % 16")
        if out is not None and len(out) < len(data):
            raise ValueError("output too small")
        if self._encrypts is None:
            self._encrypts = encrypts
        elif self._encrypts != encrypts:
            raise ValueError("can't encrypt & decrypt")

    def _keep(self, data, at):
        i = 0
        while i < 16:
            self._next[i] = data[at + i]
            i += 1

    def _load(self, data, at, key):
        state = self._state
        i = 0
        while i < 16:
            state[i] = data[at + i] ^ key[i]
            i += 1

    def _store(self, out, at):
        state = self._state
        i = 0
        while i < 16:
            out[at + i] = state[i]
            i += 1

    def _xor(self, target, other):
        i = 0
        while i < 16:
            target[i] ^= other[i]
            i += 1

    def _encrypt_block(self):
        keys = self._keys
        r = 1
        while r < 9:
            _full_round(self._state, self._other, keys[r])
            _full_round(self._other, self._state, keys[r + 1])
            r += 2
        _full_round(self._state, self._other, keys[9])
        _last_round(self._other, self._state, keys[10])

    def _decrypt_block(self):
        state, other = self._state, self._other
        for r in range(9, -1, -1):
            for i in range(16):
                other[i + 4 * (i & 3) & 15] = _INVERSE[state[i]]
            for i in range(16):
                state[i] = other[i] ^ self._keys[r][i]
            if r:
                _unmix(state)
