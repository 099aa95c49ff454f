"""firmware/config.py, which judges a configuration on every board, and what belongs to it, imported under CPython."""

import importlib.util
import sys

from swarm.paths import FIRMWARE, LIB, SHIMS

for _folder in (SHIMS.parent, LIB):
    if str(_folder) not in sys.path:
        sys.path.insert(0, str(_folder))

import shims.cpython  # noqa: E402

shims.cpython.install()

from faction.description import IMIN_MS, default_lead_ms, digest  # noqa: E402
from faction.frame import DEMONSTRATION_KEY, MAX_MEMBERS, max_length  # noqa: E402


def _import_config():
    """The module under a name of its own, so that it hides no other program's `config`."""
    spec = importlib.util.spec_from_file_location("faction_firmware_config", FIRMWARE / "config.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


_config = _import_config()
check = _config.check
NUMBERS = _config.NUMBERS
GATEWAY_ROUND_MS = _config.GATEWAY_ROUND_MS
SAMPLES_KB = _config.SAMPLES_KB

_UDP_IMIN_MS = 128  # longer than from one beacon of an access point to the next

__all__ = [
    "DEMONSTRATION_KEY",
    "GATEWAY_ROUND_MS",
    "MAX_MEMBERS",
    "NUMBERS",
    "SAMPLES_KB",
    "check",
    "default_lead_ms",
    "digest",
    "imin_ms",
]


def imin_ms(link: str, members: int, baud: int, rounds: int = 0) -> int:
    """What a link of that name asks for as Trickle's shortest interval; on a board its class in faction.links tells."""
    if link == "udp":
        return _UDP_IMIN_MS
    if link != "uart":
        return IMIN_MS
    frame = max_length(members, rounds) + 2  # with what COBS adds
    return max(IMIN_MS, frame * 40_000 // baud + 1)  # four frames of bytes of ten bits
