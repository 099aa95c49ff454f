"""Hours in the life of two nodes, across the wrap of the millisecond ticks: not a byte is taken, and all stays well."""

import json

import pytest

from faction import names
from swarm import paths, runtimes

SEED = 7

# The soak is about time and memory, and CMAC has tests of its own: with this in AES's place an hour fits into a second.
# A message's last block becomes a check sum of the whole, so damage is noticed; nothing here takes memory in place. A
# message ends with the call that does not encrypt in place.
QUICK_CRYPTOLIB = """
class aes:
    def __init__(self, key, mode, iv=None):
        self.total = 1

    def encrypt(self, data, out=None):
        if out is None:
            return bytes(data)
        total = self.total
        for byte in data:
            total = (total * 31 + byte) & 0x3FFFFF
        self.total = total if out is data else 1
        at = len(out) - 16
        for i in range(3):
            out[at + i] = total & 255
            total >>= 8
        return out

    decrypt = encrypt
"""


@pytest.fixture(scope="module", params=[2, pytest.param(24, marks=pytest.mark.long)])
def lived(request, tmp_path_factory):
    """What the nodes say of so many hours."""
    folder = tmp_path_factory.mktemp("soak")
    (folder / "cryptolib.py").write_text(QUICK_CRYPTOLIB)
    script = paths.ROOT / "host_tests" / "fixtures" / "scripts" / "soak.py"
    said = json.loads(runtimes.run("wasm", script, [SEED, request.param], paths=[folder, paths.LIB], timeout=600))
    print(f"seed {SEED}: {said}")
    said["hours"] = request.param
    said["counters"] = [dict(zip(names.COUNTERS, counters, strict=True)) for counters in said["counters"]]
    return said


def test_not_a_byte(lived):
    assert lived["bytes"] == 0


def test_there_was_traffic_all_the_time_and_the_clocks_wrapped(lived):
    seconds = lived["hours"] * 3600
    assert lived["wraps"] == 1 and lived["us_wraps"] >= seconds // 1074
    assert lived["polls"] > 2 * seconds  # more than one a second
    # Of two nodes with an interval of 2048 ms each, one at least speaks in it: the other's word keeps it silent.
    assert lived["frames"] > 0.9 * seconds / 2.048
    assert 0.05 < lived["lost"] / lived["frames"] < 0.2
    assert lived["flooded"] > 375 * lived["hours"]


def test_all_stayed_well(lived):
    assert lived["conflicts"] == [False, False]
    assert lived["bootstrapped"] == [True, True] and lived["alike"] and lived["samples"] == 2
    for counters in lived["counters"]:
        assert counters["restarts"] == counters["timeouts"] == 0
        assert counters["received"] > 0.8 * lived["frames"] / 2
        assert counters["sent"] > 0.4 * lived["frames"]
        assert counters["replayed"] + counters["own"] > 40 * lived["hours"]
