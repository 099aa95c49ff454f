"""Firmware with the node frozen in: what its main.py hands over to, since no main.py on the flash is run there.

A folder stands for the frozen modules: behind the flash's root on the path, each with the `__file__` that a frozen one
has. The board's main.py does what MicroPython does with a frozen one.
"""

import json
import shutil

import pytest

from requirements import require
from rig_fixture import Table, swarm_config
from swarm.paths import BOARDS, FIRMWARE, LIB
from swarm.serial import targets
from swarm.serial.targets import Target

SEED = 41
FROZEN_MAIN = "import sys\nsys.path.insert(sys.path.index('.frozen'), {folder!r})\nexecfile({folder!r} + '/main.py')\n"
APPLICATION = "async def main(swarm):\n    print('application: of the', {where!r})\n    await swarm.first_sample()\n"


@pytest.fixture
def flash(tmp_path):
    """The flash of a board of frozen firmware, with nothing but faction.json on it."""
    require("unix")
    frozen, home = tmp_path / "frozen", tmp_path / "board-1"
    for source in [*FIRMWARE.glob("*.py"), BOARDS / "VIRTUAL" / "board.py"]:
        lay(source, frozen, f"__file__ = {source.name!r}\n")
    shutil.copytree(LIB / "faction", frozen / "faction")
    home.mkdir()
    (home / "main.py").write_text(FROZEN_MAIN.format(folder=str(frozen)))
    write_config(home)
    return home


def lay(source, folder, before=""):
    folder.mkdir(exist_ok=True)
    (folder / source.name).write_text(before + source.read_text())


def write_config(folder):
    (folder / "faction.json").write_text(json.dumps(swarm_config(1, [1], required=1)))


def write_application(folder, where):
    (folder / "application.py").write_text(APPLICATION.format(where=where))


def lay_slot(home):
    """A version that was deployed, in its slot."""
    slot = home / "faction.a"
    for source in [*FIRMWARE.glob("*.py"), BOARDS / "VIRTUAL" / "board.py"]:
        if source.name not in ("main.py", "boot.py"):
            lay(source, slot)
    shutil.copytree(LIB / "faction", slot / "faction")
    write_config(slot)
    (home / "faction.slot").write_text("faction.a")
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
