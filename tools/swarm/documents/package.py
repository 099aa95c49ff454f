"""Writes package.json, from which `mpremote mip install` puts the library on a board.

    python -m swarm.documents.package

It names every file of lib/faction; a test holds it to that.
"""

import json

import swarm
from swarm.paths import LIB, ROOT

FILE = ROOT / "package.json"


def text() -> str:
    """What package.json must hold: for each file its place on the board and in this repository."""
    files = sorted((LIB / "faction").rglob("*.py"))
    urls = [[str(file.relative_to(LIB)), str(file.relative_to(ROOT))] for file in files]
    lines = ",\n".join(f"    {json.dumps(url)}" for url in urls)
    return f'{{\n  "version": {json.dumps(swarm.__version__)},\n  "deps": [],\n  "urls": [\n{lines}\n  ]\n}}\n'


if __name__ == "__main__":
    FILE.write_text(text())
