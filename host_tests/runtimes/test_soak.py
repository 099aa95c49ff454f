"""A day in the life of two nodes, across the wrap of the millisecond ticks: not a byte is taken, and all stays well."""

import json

import pytest

from faction import names
from swarm import paths, runtimes

SEED = 7

# The soak is about time and memory, and CMAC has tests of its own: with this in AES's place a day fits into seconds. A
# message's last block becomes a check sum of the whole, so damage is noticed; nothing here takes memory in place.
QUICK_CRYPTOLIB = """
class aes:
    def __init__(self, key, mode, iv=None):
        pass

    def encrypt(self, data, out=None):
        if out is None:
            return bytes(data)
        total = 1
        for byte in data:
            total = (total * 31 + byte) & 0x3FFFFF
        at = len(out) - 16
        for i in range(3):
            out[at + i] = total & 255
            total >>= 8
        return out

    decrypt = encrypt
"""


@pytest.fixture(scope="module")
def day(tmp_path_factory):
    folder = tmp_path_factory.mktemp("soak")
    (folder / "cryptolib.py").write_text(QUICK_CRYPTOLIB)
    script = paths.ROOT / "host_tests" / "fixtures" / "scripts" / "soak.py"
    said = json.loads(runtimes.run("wasm", script, [SEED], paths=[folder, paths.LIB], timeout=120))
    print(f"seed {SEED}: {said}")
    said["counters"] = [dict(zip(names.COUNTERS, counters, strict=True)) for counters in said["counters"]]
    return said


def test_not_a_byte(day):
    assert day["bytes"] == 0


def test_there_was_traffic_all_day_and_the_clocks_wrapped(day):
    assert day["wraps"] == 1 and day["us_wraps"] >= 24 * 3600 / 1074
    assert day["polls"] > 2 * 24 * 3600  # more than one a second
    # An interval of 2048 ms each, and nothing to keep two nodes silent.
    assert day["frames"] > 2 * 0.9 * 24 * 3600 / 2.048
    assert 0.05 < day["lost"] / day["frames"] < 0.2
    assert day["flooded"] > 9000


def test_all_stayed_well(day):
    assert day["conflicts"] == [False, False]
    assert day["bootstrapped"] == [True, True] and day["alike"] and day["samples"] == 2
    for counters in day["counters"]:
        assert counters["restarts"] == counters["timeouts"] == 0
        assert counters["received"] > 0.8 * day["frames"] / 2
        assert counters["sent"] > 0.4 * day["frames"]
        assert counters["replayed"] + counters["own"] > 1000
