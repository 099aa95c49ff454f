"""The stand-ins for cryptolib and for time's ticks behave as a board's modules do."""

import importlib.util
import random
import time

import pytest
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

import frames_on_stack
from swarm import paths, runtimes
from swarm.runtimes.measure import allocation

KEY = bytes(range(16))
WASM = paths.SHIMS / "wasm" / "cryptolib.py"
ERRORS = """
from cryptolib import aes
k = bytes(range(16))

def said(make):
    try:
        make()
    except Exception as error:
        return type(error).__name__ + " " + str(error)
    return "nothing"

def both_ways():
    cipher = aes(k, 1)
    cipher.encrypt(k)
    cipher.decrypt(k)

for make in (
    lambda: aes(k[:15], 1),
    lambda: aes(k, 3),
    lambda: aes(k, 2),
    lambda: aes(k, 2, k[:15]),
    lambda: aes(k, 1).encrypt(k[:15]),
    lambda: aes(k, 1).encrypt(k, bytearray(15)),
    both_ways,
):
    print(said(make))
print(aes(k, 1).encrypt(b""))
print(aes(k, 1).encrypt(k, bytearray(17)))
chained = aes(k, 2, k)
print(chained.encrypt(k), chained.encrypt(k), aes(k, 2, k).encrypt(k + k))
back = aes(k, 2, k)
print(back.decrypt(k), back.decrypt(k))
"""


def load(path):
    spec = importlib.util.spec_from_file_location("cryptolib_under_test", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_every_runtime_answers_as_the_unix_port(tmp_path):
    script = tmp_path / "errors.py"
    script.write_text(ERRORS)
    said = {name: runtimes.run(name, script) for name in runtimes.NAMES}
    assert said["unix"].count("\n") == 11
    assert said["cpython"] == said["unix"] == said["wasm"]


@pytest.mark.parametrize("direction", ["encrypt", "decrypt"])
@pytest.mark.parametrize("mode", [1, 2])
@pytest.mark.parametrize("path", [WASM, paths.SHIMS / "cpython" / "cryptolib.py"], ids=["wasm", "cpython"])
def test_it_is_aes(path, mode, direction):
    rng = random.Random(f"{mode} {direction}")
    shim = load(path)
    for _ in range(50):
        key, iv = rng.randbytes(16), rng.randbytes(16)
        reference = Cipher(algorithms.AES(key), modes.ECB() if mode == 1 else modes.CBC(iv))
        expected = reference.encryptor() if direction == "encrypt" else reference.decryptor()
        cipher = shim.aes(key, mode, iv if mode == 2 else None)
        for _ in range(3):  # the chain goes on
            data = rng.randbytes(16 * rng.randrange(5))
            buffer = bytearray(data)
            given = getattr(cipher, direction)(buffer, buffer)
            assert given is buffer
            assert bytes(buffer) == expected.update(data)


@pytest.mark.parametrize("mode", ["1", "2, bytes(16)"])
def test_encrypting_takes_no_memory_on_wasm(mode):
    setup = f"from cryptolib import aes\ncipher = aes(bytes(range(16)), {mode})\nbuffer = bytearray(48)"
    assert allocation.per_call("wasm", setup, "cipher.encrypt(buffer, buffer)", calls=10) == 0


def test_encrypting_keeps_to_small_frames():
    words = frames_on_stack.words(WASM)
    path = ("aes.encrypt", "aes._check", "aes._load", "aes._xor", "aes._store", "aes._encrypt_block")
    for name in (*path, "_full_round", "_last_round"):
        assert words[name] <= frames_on_stack.LIMIT, f"{name}: {words[name]} words"


def test_a_read_only_output_is_refused():
    with pytest.raises(TypeError):
        load(paths.SHIMS / "cpython" / "cryptolib.py").aes(KEY, 1).encrypt(KEY, bytes(16))


def test_ticks_wrap_and_refuse_like_a_32_bit_port():
    half, period = 1 << 29, 1 << 30
    assert time.ticks_add(period - 1, 2) == 1
    assert time.ticks_add(0, -1) == period - 1
    assert time.ticks_add(5, half - 1) == half + 4
    assert time.ticks_diff(1, period - 1) == 2
    assert time.ticks_diff(0, half) == time.ticks_diff(half, 0) == -half
    for delta in (half, -half, period):
        with pytest.raises(OverflowError, match="ticks interval overflow"):
            time.ticks_add(0, delta)
    start = time.ticks_us(), time.ticks_ms()
    time.sleep_ms(5)
    assert 4500 <= time.ticks_diff(time.ticks_us(), start[0]) < 1_000_000
    assert 4 <= time.ticks_diff(time.ticks_ms(), start[1]) < 1000
