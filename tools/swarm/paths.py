"""Where the files of this project lie: in a checkout, or, once installed from a wheel, inside this package."""

from pathlib import Path

import platformdirs

_PACKAGE = Path(__file__).resolve().parent
# The checkout that this package is a part of, None when it was installed from a wheel.
CHECKOUT = _PACKAGE.parents[1] if (_PACKAGE.parents[1] / "firmware").is_dir() else None
ROOT = CHECKOUT or _PACKAGE / "project"
LIB = ROOT / "lib"
FIRMWARE = ROOT / "firmware"
BOARDS = ROOT / "boards"
SHIMS = ROOT / "host_tests" / "shims"
# Who fetches what this package does not bring: other runtimes, stubs.
SETUP = "`make setup`" if CHECKOUT else "`make setup` in a checkout of the project, whose .venv/bin/swarm to use,"
# What was fetched and can be fetched again: official firmware, runtimes, stubs.
BUILD = CHECKOUT / "build" if CHECKOUT else platformdirs.user_cache_path("swarm-faction")
