"""An hour at a radio with 10,000 strangers' addresses and packets of every length, half-written ones among them.

python -m swarm.proof.radio [--minutes 60] [--strangers 10000] [--runtime wasm]
"""

from __future__ import annotations

import argparse
import sys

from swarm import runtimes
from swarm.proof import radio


def main(argv: list[str] | None = None) -> int:
    """Print what was lost and what memory was taken, on each version's radio; 1 when that is too much."""
    parser = argparse.ArgumentParser(prog="python -m swarm.proof.radio", description=__doc__.split("\n\n")[0])
    parser.add_argument("--minutes", type=int, default=radio.MINUTES, help=f"default {radio.MINUTES}; at least 3")
    parser.add_argument("--strangers", type=int, default=radio.STRANGERS, help=f"default {radio.STRANGERS}")
    parser.add_argument("--runtime", choices=runtimes.NAMES[1:], default="wasm", help="default wasm, which has 32 bits")
    options = parser.parse_args(argv)
    status = 0
    for version in radio.VERSIONS:
        try:
            said = radio.hour(max(3, options.minutes), options.strangers, options.runtime, version)
        except (runtimes.RuntimeMissing, runtimes.ScriptFailed) as error:
            print(f"radio: {error}", file=sys.stderr)
            return 2
        heap = said["heap"][1:]
        print(
            f"MicroPython {version}: {said['strangers']} strangers, {said['heard']} of {said['sent']} frames heard, "
            f"none for at most {said['longest_ms']} ms; {said['most_addresses']} addresses kept; "
            f"heap {min(heap)} to {max(heap)} bytes",
            flush=True,
        )
        for words in radio.broken(said):
            status = 1
            print(f"  {words}", flush=True)
    return status


if __name__ == "__main__":
    sys.exit(main())
