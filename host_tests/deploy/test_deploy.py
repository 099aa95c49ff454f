"""swarm deploy on virtual boards: what it sends, what it leaves when it is cut, what it says when it cannot."""

import io
import json
import os
import queue
import random
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
import serial
from mpremote import transport_serial
from mpremote.transport import TransportError

from box import SLOTS, Box, describe, eventually, write_sensor
from requirements import cases, require
from swarm import cli
from swarm.deploy import deployment, payload, trial
from swarm.deploy.deployment import Deployment
from swarm.deploy.remote import DeployError, Remote
from swarm.description import project
from swarm.rig.files import prepare
from swarm.serial.port import BoardError, open_port
from swarm.serial.prompt import raw_repl
from swarm.serial.status import read_status
from terminal import Terminal

SEED = 11
COMMAND = [sys.executable, "-c", "from swarm.cli import main; raise SystemExit(main())", "deploy"]
PIPES = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
TARGET = payload.Target(6, "")  # .mpy version 6, bytecode for any architecture


@pytest.fixture(scope="module")
def deployed(tmp_path_factory):
    """Eight boards that have been deployed once; `told` is what that printed, `file` the swarm's, `first` what each
    held and told then."""
    require("unix")
    home = tmp_path_factory.mktemp("box")
    with Box(home, 8, SEED) as box:
        for node in box.nodes:
            box.boot(node)
        box.file = describe(home / "swarm", box)
        box.told = run(box, "--all")
        box.first = {}
        for node in box.nodes:
            box.wait_line(node, '"value": 1')
            mode = (box.flash(node) / box.pointed(node) / "faction.key").stat().st_mode
            box.first[node] = (box.slot(node, box.pointed(node)), oct(mode)[-3:], status(box, node))
        yield box


@pytest.fixture
def box(deployed):
    """The boards as another test has left them, with the sensor that they had at first in the swarm's folder."""
    write_sensor(deployed.file.parent, 1)
    return deployed


def run(box, *arguments, status=0, file=None):
    """Run `swarm deploy`; what it printed. file: another swarm.toml beside the box's."""
    said = io.StringIO()
    with redirect_stdout(said), redirect_stderr(said):
        done = cli.main(["deploy", *arguments, "--swarm", str(box.file.with_name(file or box.file.name))])
    assert key_of(box) not in said.getvalue()
    assert done == status, said.getvalue()
    return said.getvalue()


def run_watched(box, *arguments):
    """Run `swarm deploy` as a process of its own, without the key in any process's arguments; what it printed."""
    with subprocess.Popen([*COMMAND, *arguments, "--swarm", str(box.file)], **PIPES) as process:
        while process.poll() is None:
            assert key_of(box).encode() not in arguments_of_all_processes()
            time.sleep(0.02)
        told = process.stdout.read()
    assert process.returncode == 0, told
    assert key_of(box) not in told
    return told


def key_of(box):
    return box.file.with_suffix(".key").read_text().strip()


def arguments_of_all_processes():
    seen = b""
    for file in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            seen += file.read_bytes()
        except OSError:
            continue  # it has ended
    return seen


def status(box, node):
    with raw_repl(box.ports[node]) as transport:
        return read_status(transport, box.ports[node])


def count_uploaded(told):
    return int(re.search(r"version, (\d+) files? uploaded", told)[1])


def test_fresh_boards_become_a_swarm(box):
    described = project.load(box.file)
    for node, (held, mode, told) in box.first.items():
        assert held == payload.build(described, described.member(node), TARGET), node
        assert re.search(rf"node {node}: {len(held) + 1} files uploaded .*, runs session", box.told)
        assert mode == "600"
        assert (told["state"], told["ready"], told["sample"]["late"]) == ("Bootstrapped", box.nodes, False), told
        assert told["session"] > deployment.seconds_since_2020() - 600
    assert "8 of 8 boards run the current version" in box.told
    assert not any(key_of(box) in line for said in box.lines.values() for line in said), "boards echo no key"


def test_a_second_deploy_uploads_and_restarts_nothing(box):
    run(box, "--all")
    boots, sessions = dict(box.boots), {node: status(box, node)["session"] for node in box.nodes}
    told = run(box, "--all")
    assert told.count("up to date, nothing uploaded, not restarted") == 8 and count_uploaded(told) == 0
    assert boots == box.boots and sessions == {node: status(box, node)["session"] for node in box.nodes}
    with raw_repl(box.ports[1]) as transport:
        assert transport.eval("'_deploy' in globals()") is False, "the board's memory is its own again"


def test_a_changed_sensor_is_one_file_and_two_versions_are_all_that_is_kept(box):
    run(box, "--all")
    for value in (2, 3):
        since = {node: len(box.lines[node]) for node in box.nodes}
        write_sensor(box.file.parent, value)
        told = run(box, "--all")
        assert count_uploaded(told) == 8 and told.count("sensor.mpy uploaded") == 8
        for node in box.nodes:
            box.wait_line(node, f'"value": {value}', since[node])
    for node in box.nodes:
        kept = set(os.listdir(box.flash(node))) - {"samples.jsonl", "samples.jsonl.old"}
        assert kept == {"main.py", "faction.slot", "faction.session", *SLOTS}, kept


def test_a_lost_session_number_and_a_stopped_node_are_mended_without_an_upload(box):
    run(box, "1", "2", "3")
    sessions = box.flash(1) / "faction.session"
    sessions.write_text("7")
    (box.flash(2) / "faction.session").write_text("nonsense")
    with raw_repl(box.ports[3]) as transport:
        transport.exec("import faction\nfaction.app.runner.stop()\nfaction.app = None")
    told = run(box, "1", "2", "3")
    assert count_uploaded(told) == 0 and told.count("nothing uploaded, restarted, runs session") == 3
    assert all(status(box, node)["session"] > deployment.seconds_since_2020() - 600 for node in (1, 2, 3))


def test_a_board_copied_by_hand_is_taken_over(box):
    box.power(4, False)
    shutil.rmtree(box.flash(4))
    described = project.load(box.file)
    prepare(box.flash(4), described.config_for(described.member(4)), described.key())
    (box.flash(4) / "main.py").write_text("import autostart\nautostart.main()\n")
    box.boot(4)
    assert status(box, 4)["session"] == 1
    told = run(box, "4")
    assert re.search(r"node 4: .* runs session \d+; the main.py that was on it is main.py.old now\n", told)
    assert (box.flash(4) / "main.py.old").read_text() == "import autostart\nautostart.main()\n"
    with raw_repl(box.ports[4]) as transport:
        assert transport.eval("__import__('faction').__file__").startswith("faction.a/")
    box.power(4, False)
    shutil.rmtree(box.flash(4))
    box.flash(4).mkdir()
    box.boot(4)


def test_an_open_board_that_is_deployed_locked_never_starts_open_again(box):
    """What it had in its root is told, and put aside: without its version it does not start."""
    box.power(4, False)
    shutil.rmtree(box.flash(4))
    described = project.load(box.file)
    prepare(box.flash(4), {**described.config_for(described.member(4)), "locked": False})
    write_sensor(box.flash(4), "mine")
    box.boot(4)
    assert status(box, 4)["open"]
    told = run(box, "4")
    assert f"; sensor.py in its root is not used any more: what is to run lies in {box.file.parent}" in told
    assert "; the faction.json without a key that was in its root is faction.json.old now\n" in told
    assert eventually(lambda: status(box, 4)["sample"]), "half a second after it concludes"
    assert not status(box, 4)["open"] and status(box, 4)["sample"]["value"] != "mine"
    assert "; " not in run(box, "4").splitlines()[0].removeprefix(
        "node 4: up to date, nothing uploaded, not restarted; "
    )
    (box.flash(4) / box.pointed(4) / "faction.key").rename(box.home / "key")
    for lost, why in (((), "faction.key: not readable"), (("faction.slot",), "faction.json: missing or not readable")):
        box.power(4, False)
        for name in lost:
            (box.flash(4) / name).unlink()
        box.boot(4)
        with raw_repl(box.ports[4]) as transport, pytest.raises(BoardError, match=f"no node runs .*{why}"):
            read_status(transport, box.ports[4])
    box.power(4, False)
    shutil.rmtree(box.flash(4))
    box.flash(4).mkdir()
    box.boot(4)


def test_no_main_py_that_was_on_a_board_is_lost(box):
    """Of two different ones the first is not overwritten; one that comes again is not kept twice."""
    run(box, "4")
    first = "import autostart\nautostart.main()\n"
    (box.flash(4) / "main.py.old").write_text(first)
    second = "import autostart\n\nprint('mine')\nautostart.main()\n"
    for _ in range(2):
        (box.flash(4) / "main.py").write_text(second)
        assert "main.py uploaded" in (told := run(box, "4")) and "is main.py.old.2 now" in told
    kept = {file.name: file.read_text() for file in box.flash(4).glob("main.py.*")}
    assert kept == {"main.py.old": first, "main.py.old.2": second}
    assert "main.py.old" not in run(box, "4")
    for name in kept:
        (box.flash(4) / name).unlink()


def test_a_narrow_terminal_shows_all_that_is_said_of_a_board(box):
    (box.flash(4) / "main.py").write_text("import autostart\nautostart.main()\n")
    with Terminal([*COMMAND, "4", "--swarm", str(box.file)], columns=60) as terminal:
        terminal.wait(lambda text: "1 of 1 boards run the current version" in text)
        shown = " ".join(line[20:].strip() for line in terminal.show())
    assert re.search(r"runs session \d+; the main.py that was on it is main.py.old now", shown), shown
    (box.flash(4) / "main.py.old").unlink()


def test_sources_for_a_board_that_loads_no_compiled_files(box, monkeypatch, capsys):
    monkeypatch.setattr(payload, "compiled_version", lambda: 7)
    assert cli.main(["deploy", "5", "--swarm", str(box.file)]) == 1
    told = capsys.readouterr()
    assert "loads .mpy files of version 6, and mpy-cross here makes version 7: flash MicroPython" in told.err
    assert "or deploy with --source" in told.err and "0 of 1 boards" in told.out
    assert cli.main(["deploy", "5", "--source", "--swarm", str(box.file)]) == 0
    held = box.slot(5, box.pointed(5))
    assert held["faction/node.py"] == (payload.LIB / "faction" / "node.py").read_bytes()
    assert not any(path.endswith(".mpy") for path in held)


@pytest.mark.parametrize(
    ("mpy", "says"),
    [(5, "loads .mpy files of version 5"), (0, "loads no .mpy files"), (0xB09, "install a newer mpy-cross")],
)
def test_other_mpy_versions_are_refused(mpy, says):
    with pytest.raises(payload.PayloadError, match=f"MicroPython 1.2.3 {says}|{says}.*--source"):
        payload.Target(mpy, "1.2.3").check()
    payload.Target(6, "1.19.1").check()


def test_a_micropython_whose_ticks_go_wrong_is_refused(box, monkeypatch):
    ask = deployment.Remote.ask

    def of_old(remote, what, *arguments):
        facts = ask(remote, what, *arguments)
        return {**facts, "version": [1, 23, 0]} if what == "survey" else facts

    monkeypatch.setattr(deployment.Remote, "ask", of_old)
    told = run(box, "5", status=1)
    assert "its MicroPython 1.23.0 tells the time wrongly from the 13th day on: `swarm flash` it with 1.24" in told


def test_bytecode_is_the_same_for_every_architecture(box):
    described = project.load(box.file)
    made = [payload.build(described, described.members[0], payload.Target(6 | n << 10, "")) for n in (0, 4, 10, 15)]
    assert all(one == made[0] for one in made)


def test_a_sensor_that_does_not_compile_changes_nothing(box):
    (box.file.parent / "sensor.py").write_text("def warm_up():\n    return True\n\ndef sample(:\n    pass\n")
    pointed = [box.pointed(node) for node in box.nodes]
    told = run(box, "--all", status=1)
    assert "sensor.py:4: does not compile: SyntaxError: invalid syntax: mend it; no board was touched" in told
    assert pointed == [box.pointed(node) for node in box.nodes]


def test_a_node_that_is_not_to_start_says_why(box):
    (box.flash(6) / "faction.skip").touch()
    write_sensor(box.file.parent, 5)
    told = run(box, "6", status=1)
    assert "the new version is on it, and its node is not started: the file faction.skip is there" in told
    assert not (box.flash(6) / "faction.back").exists(), "the version is not at fault, and stays"
    (box.flash(6) / "faction.skip").unlink()
    assert "runs session" in run(box, "6")


ROOM = """
from uos import *
import uos, builtins
room = %d
def statvfs(path):
    facts = list(uos.statvfs(path))
    facts[3] = %d
    return tuple(facts)
class File:
    def __init__(self, file):
        self.file = file
        self.close = file.close
    def __enter__(self):
        return self
    def __exit__(self, *_):
        self.close()
    def write(self, data):
        global room
        room -= len(data)
        if room < 0:
            raise OSError(28)
        return self.file.write(data)
def limited(path, mode="r", *more):
    file = whole(path, mode, *more)
    return File(file) if "w" in mode and path.startswith("faction.") else file
whole = builtins.open
builtins.open = limited
"""


@contextmanager
def small_flash(box, node, room, blocks):
    """A board whose flash says that so many blocks are free, and takes so many bytes."""
    added = {"os.py": ROOM % (room, blocks), "boot.py": "import sys\ndel sys.modules['os']\nimport os\n"}
    for name, text in added.items():
        (box.flash(node) / name).write_text(text)
    restart(box, node)
    try:
        yield
    finally:
        for name in added:
            (box.flash(node) / name).unlink()
        restart(box, node)


def restart(box, node):
    box.power(node, False)
    box.boot(node)


@pytest.mark.parametrize(
    ("room", "blocks", "says"),
    [(10**9, 2, "KB of flash are needed and 8 KB are free"), (9000, 10**6, "its flash is full")],
)
def test_a_board_without_room_keeps_its_version(box, room, blocks, says):
    write_sensor(box.file.parent, 6)
    run(box, "7")
    before, runs = box.pointed(7), box.slot(7, box.pointed(7))
    idle = next(box.flash(7) / slot for slot in SLOTS if slot != before)
    shutil.rmtree(idle, ignore_errors=True)
    with small_flash(box, 7, room, blocks):
        told = run(box, "7", "--source", status=1)
        assert says in told and "remove files of yours" in told
        assert box.pointed(7) == before and box.slot(7, before) == runs
        assert not idle.exists(), "it is not left full"
        assert status(box, 7)["node"] == 7


def test_of_two_deploys_to_one_board_the_second_is_refused(box):
    with open_port(box.ports[8]):
        assert " has it open" in run(box, "8", status=1)


def test_no_board_answers(box, tmp_path, monkeypatch):
    monkeypatch.setattr(deployment, "HANG_S", 1.0)
    box.file.with_name("elsewhere.toml").write_text(box.file.read_text().replace(box.ports[1], str(tmp_path / "gone")))
    silent, end = os.openpty()
    try:
        told = run(box, "1", "--port", os.ttyname(end), status=1, file="elsewhere.toml")
        assert "no MicroPython prompt answers" in told
    finally:
        os.close(silent)
        os.close(end)
    assert "no such port" in run(box, "1", "--port", str(tmp_path / "none"), status=1)


def test_a_second_board_of_an_id_is_refused_while_the_first_answers(box, tmp_path):
    """Under whatever name its port is given, the listed one may be deployed."""
    told = run(box, "1", "--port", box.ports[2], status=1)
    assert f"node 1 answers at {box.ports[1]}, where it is listed, and the board at {box.ports[2]} would be" in told
    assert f"`swarm replace 1 --port {box.ports[2]}`" in told and told.endswith("; no board was touched\n")
    assert status(box, 2)["node"] == 2
    (tmp_path / "one").symlink_to(box.ports[1])
    assert "1 of 1 boards run the current version" in run(box, "1", "--port", str(tmp_path / "one"))


def test_another_board_than_the_listed_one_is_refused(box, tmp_path):
    described = project.load(box.file)
    described.members[0].board = "RPI_PICO"
    with pytest.raises(DeployError, match="listed as RPI_PICO: correct `board`"):
        Deployment(described, described.members[0], box.ports[1]).run()
    described = project.load(box.file)
    described.members[0].hardware = "0123"
    with pytest.raises(DeployError, match="its hardware id is 02fac7100001, and member 1 is listed with 0123"):
        Deployment(described, described.members[0], box.ports[1]).run()


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ([], "name one or more members, or give --all"),
        (["1", "--all"], "NODE or --all, not both"),
        (["1", "2", "--port", "/dev/null"], "--port /dev/null: it is for one board"),
        (["--all", "--port", "/dev/null"], "--port /dev/null: it is for one board"),
        (["77"], "no member 77: choose one of 1, 2"),
        (["1", "--swarm", "/nowhere/swarm.toml"], "/nowhere/swarm.toml: no such file"),
    ],
)
def test_wrong_use(box, arguments, says, capsys):
    if "--swarm" not in arguments:
        arguments = [*arguments, "--swarm", str(box.file)]
    assert cli.main(["deploy", *arguments]) == 2
    assert says in capsys.readouterr().err


def test_a_port_that_goes_away_with_its_board_is_opened_again(box, monkeypatch):
    """As that of a board with USB of its own does at each restart."""
    listen, times = trial.listen, []

    def vanishing(transport, deadline):
        times.append(time.monotonic())
        if len(times) == 1:
            raise serial.SerialException("device disconnected")
        return listen(transport, deadline)

    monkeypatch.setattr(trial, "listen", vanishing)
    box.power(1, False)
    (box.flash(1) / "faction.session").unlink()
    box.boot(1)
    assert "runs session" in run(box, "1")
    assert len(times) == 2


def test_a_wrong_clock_is_refused(monkeypatch):
    monkeypatch.setattr(time, "time", lambda: 1000.0)
    with pytest.raises(DeployError, match="this computer's clock says 1970-01-01"):
        deployment.seconds_since_2020()


def test_help_has_examples_and_exit_statuses(capsys):
    with pytest.raises(SystemExit):
        cli.main(["deploy", "--help"])
    told = capsys.readouterr().out
    assert "swarm deploy --all" in told and "exit status: 0 " in told


def test_what_a_confused_board_echoes_is_not_shown(capsys):
    """A board that falls out of its raw REPL echoes what it is sent, and mpremote quotes that in its errors."""
    key = "00112233445566778899aabbccddeeff"

    class Confused:
        def exec(self, code):
            return b""

        def fs_writefile(self, path, data, chunk, progress):
            transport_serial.print(data)
            raise TransportError(f"could not complete raw paste: {data!r}")

    with pytest.raises(DeployError) as told:
        Remote(Confused()).write("faction.a/faction.key", key.encode(), print)
    assert key not in str(told.value) and told.value.__cause__ is None
    shown = capsys.readouterr()
    assert key not in shown.out + shown.err


# Cuts


class Killed(BaseException):
    """The host's process is gone."""


@dataclass
class Cut:
    """Where a deploy ends: in its write number `write` to the port, of which a share still goes out.

    Then the board loses power after off_ms (None: it does not), and the host dies, or has to notice.
    """

    write: int
    share: float
    off_ms: float | None
    host: bool
    happened: bool = False


class Versioned(Deployment):
    """Deploys given files, and counts what is sent."""

    def __init__(self, files, *arguments):
        super().__init__(*arguments)
        self._files = files

    def _build(self, facts):
        return self._files


def versions(box, node, tmp_path):
    """Two versions of a member's files: every file that says which it is says it alone."""
    described = project.load(box.file)
    made = []
    for name in ("old", "new"):
        described.lead_ms = 500 + len(made)
        files = payload.build(described, described.member(node), TARGET)
        for path, source in (
            ("faction/__init__.mpy", payload.LIB / "faction" / "__init__.py"),
            ("faction/trickle.mpy", payload.LIB / "faction" / "trickle.py"),
            ("report.mpy", payload.FIRMWARE / "report.py"),
            ("app.mpy", payload.FIRMWARE / "app.py"),
            ("store.mpy", payload.FIRMWARE / "store.py"),
            ("sensor.mpy", box.file.parent / "sensor.py"),
        ):
            data = source.read_bytes() + f'\nVERSION = "{name}"\n'.encode()
            files[path] = payload._compile(source, data, path, 3, "none")
        made.append((name, files))
    return described, dict(made)


RUNNING = """
import json, app, faction, report, sensor, store
from faction import trickle
print("\\nrunning: " + json.dumps(faction.app and [m.VERSION for m in (app, faction, sensor, store, report, trickle)]
    + [faction.app.node.first_sample.lead_ms]))
"""


RUNS = {"old": {"old", 500}, "new": {"new", 501}}


def what_runs(port):
    """The versions of all that a board has loaded, and its lead time; None when this has interrupted its start."""
    with raw_repl(port) as transport:
        said = transport.exec(RUNNING).decode()
    found = json.loads(said.partition("running: ")[2].splitlines()[0])
    return found and set(found)


@contextmanager
def cut_port(box, node, cut):
    """open_port of a board where the cut happens; without a cut it counts the writes in box.writes."""
    with open_port(box.ports[node]) as transport:
        port = transport.serial
        write, read_until = port.write, transport.read_until
        count = 0

        def counted(data):
            nonlocal count
            count += 1
            if cut and count == cut.write:
                cut.happened = True
                part = int(len(data) * cut.share)
                write(data[:part])
                if cut.off_ms is not None:
                    box.power(node, False, cut.off_ms)
                    transport.read_until = lambda *a, **k: read_until(*a, **{**k, "timeout": 1})
                if cut.host:
                    port.close()
                    raise Killed
                data = data[part:]
            return write(data)

        port.write = counted
        yield transport
    if cut is None:
        box.writes = count


@pytest.mark.parametrize("cut_points", [16, pytest.param(100, marks=pytest.mark.long)])
def test_a_cut_at_any_point_leaves_the_old_version_or_the_new_one(box, tmp_path, monkeypatch, cut_points):
    chance = random.Random(SEED)
    cuts = {}
    monkeypatch.setattr(trial, "WORD_S", 5.0)
    for module in (deployment, trial):
        monkeypatch.setattr(module, "open_port", lambda port: cut_port(box, node_of[port], cuts.get(port)))
    node_of = {port: node for node, port in box.ports.items()}
    write_sensor(box.file.parent, 1)
    made = {node: versions(box, node, tmp_path) for node in box.nodes}

    def bring(node, name):
        described, files = made[node]
        Versioned(files[name], described, described.member(node), box.ports[node]).run()

    with ThreadPoolExecutor(len(box.nodes)) as pool:
        list(pool.map(bring, box.nodes, ["old"] * len(box.nodes)))
    bring(1, "new")
    bring(1, "old")  # the last is measured
    points = queue.Queue()
    for number in range(cut_points):
        write = 1 + int((number + chance.random()) * box.writes / cut_points)
        share = chance.choice((0, chance.random(), 1))
        off_ms = chance.choice((None, 0.01, chance.uniform(0, 20)))
        points.put((number, Cut(write, share, off_ms, off_ms is None or chance.random() < 0.7)))
    problems = []
    tally = []

    def work(node):
        described, files = made[node]
        member = described.member(node)
        old, new = "old", "new"
        while not points.empty():
            number, cut = points.get()
            try:
                tally.extend(cut_and_repair(number, node, described, member, files, old, new, cut))
            except BaseException as error:  # noqa: BLE001 - whatever a thread raises
                problems.append(f"cut {number} of seed {SEED} on board {node}: {cut}: {error!r}")
            old, new = new, old

    def left_on(node, files):
        pointed = box.slot(node, box.pointed(node))
        return next((name for name in files if pointed == files[name]), "mixture")

    def cut_and_repair(number, node, described, member, files, old, new, cut):
        """Cut a deploy of the new version; returns what the flash then points to, and how the deploy ended."""
        port = box.ports[node]
        cuts[port] = cut
        try:
            Versioned(files[new], described, member, port).run()
            ended = "done"
        except (Killed, DeployError, BoardError) as error:
            ended = str(error) or "killed"
        cuts[port] = None
        if not cut.happened:  # how many writes a deploy takes varies a little
            points.put((number, replace(cut, write=cut.write - 5)))
            return []
        if cut.off_ms is not None:
            box.wait(lambda: node not in box.pids, "power off")
            box.boot(node)
        left = left_on(node, files)
        runs = what_runs(port)
        if runs is None:
            box.power(node, False)
            box.boot(node)
            left, runs = left_on(node, files), what_runs(port)
        assert left in (old, new), f"{ended}: flash"
        # Until it is restarted a board runs what it ran.
        assert runs == RUNS[left] or (cut.off_ms is None and runs == RUNS[old]), (
            f"{ended}: {left} on flash, {runs} runs"
        )
        result = Versioned(files[new], described, member, port).run()
        assert box.slot(node, box.pointed(node)) == files[new], f"{ended}: then {result}"
        assert what_runs(port) == RUNS[new], f"{ended}: then {result}"
        left_over = [file.name for file in box.flash(node).iterdir() if file.suffix in (".new", ".trial", ".back")]
        assert not left_over, f"{ended}: then {left_over}"
        return [(number, "old" if left == old else "new", ended)]

    threads = [threading.Thread(target=work, args=(node,)) for node in box.nodes]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not problems, "\n".join(problems)
    left = [version for _, version, _ in sorted(tally)]
    # How many after it varies: a deploy then asks, as often as there is time for, whether the new version is any good.
    assert len(left) == cut_points and {*left} == {"old", "new"}, "cuts fell on both sides of the rename"


ENDINGS = {"killed": (signal.SIGKILL, {-9}), "interrupted": (signal.SIGINT, {130})}


@pytest.mark.parametrize(("how", "ends"), cases(ENDINGS, long={"killed"}))
def test_a_deploy_of_a_whole_box_that_is_ended_is_repaired_by_the_next(box, how, ends):
    """In the middle of the real command, for all boards at once."""
    write_sensor(box.file.parent, 9)
    run(box, "--all")
    compiled, sources = files_of_all(box), files_of_all(box, from_source=True)
    for node, slot in ((node, slot) for node in box.nodes for slot in SLOTS):
        (box.flash(node) / slot / "faction/core.py").unlink(missing_ok=True)  # what an earlier test has left
    with subprocess.Popen([*COMMAND, "--all", "--source", "--swarm", str(box.file)], **PIPES) as process:
        sent = [box.flash(node) / slot / "faction/core.py" for node in box.nodes for slot in SLOTS]
        assert eventually(lambda: any(file.exists() for file in sent))
        process.send_signal(how)
        told = process.communicate(timeout=120)[0]
    assert process.returncode in ends, told
    assert how == signal.SIGKILL or "interrupted; each board runs its old version or the new one" in told
    for node in box.nodes:
        assert box.slot(node, box.pointed(node)) in (compiled[node], sources[node]), node
    write_sensor(box.file.parent, 10)
    assert "8 of 8 boards run the current version" in run(box, "--all")
    assert all(box.slot(node, box.pointed(node)) == files for node, files in files_of_all(box).items())


def files_of_all(box, from_source=False):
    described = project.load(box.file)
    return {node: payload.build(described, described.member(node), TARGET, from_source) for node in box.nodes}
