"""swarm doctor: a box of virtual boards with a fault planted on each, and every fault named with its remedy."""

import errno
import io
import json
import os
import re
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import redirect_stdout, suppress

import pytest

import swarm
from asyncio_application import ON_ASYNCIO
from box import Box, describe, eventually, write_sensor
from requirements import require
from swarm import cli
from swarm.deploy import payload
from swarm.deploy.deployment import Deployment
from swarm.deploy.remote import BadVersion, Remote
from swarm.description import project
from swarm.doctor import examination, findings, places
from swarm.flash import cache
from swarm.serial.port import BoardError
from swarm.serial.prompt import raw_repl
from swarm.verbs import doctor as doctor_module

SEED = 31
BOARDS = 14
TWIN = 14  # the board that carries id 9 too, and is no member's
GONE, HELD, FORBIDDEN, SILENT, PORTLESS = 15, 16, 17, 18, 19  # members without a board

# What is planted on which node: the fault's name, what is told of it, and what to type.
PLANTED = {
    ("digest", 2): (r"its digest is \w{8}, the swarm's is \w{8}: quorum 3, not 18", "swarm deploy 2"),
    ("channel", 3): (r"its channel is 6, the swarm's is 1", "swarm deploy 3"),
    ("key", 4): (r"it has another key than .*swarm\.key", "swarm deploy 4"),
    ("open", 5): (r"it has no key, and the swarm is locked", "swarm deploy 5"),
    ("not started", 6): (r"not started: the file faction\.skip is there", r"mpremote connect \S+ rm :faction\.skip"),
    ("storage", 7): (r"its session is 6, .*: its stored number was lost", "swarm deploy 7"),
    ("version", 8): (r"^1 of its files differ from those here: signs\.mpy", "swarm deploy 8"),
    ("twice", 9): (r"id 9 is carried by the board at \S+ too", r"give this one another id|keep this one"),
    ("conflict", 9): (r"it has stopped: it heard another board that carries id 9", r"switch the other board off"),
    ("sensor", 10): (r"its sensor\.py is another than here", "swarm deploy 10"),
    ("sensor fails", 10): (r"its sensor fails: warm_up\(\): OSError: \[Errno 5\] EIO", "swarm deploy 10"),
    ("configuration", 11): (r"its faction\.json is not what \S+swarm\.toml says now", "swarm deploy 11"),
    ("timed out", 11): (r"\d+ deadlines have passed, and node .* is not ready", "power, sensor, distance"),
    ("radio", 12): (r"its radio is on channel 3, though its node asked for 1", "mpremote connect .* reset"),
    ("restart due", 13): (r"a deploy was cut before its restart", "swarm deploy 13"),
    ("absent", GONE): (r"no such port", r"plug the board in"),
    ("busy", HELD): (r"busy: python\S* \(process \d+\) has it open", r"close python\S* \(process \d+\)"),
    ("forbidden", FORBIDDEN): (r"no permission", r"run this as that user; until then: sudo chmod a\+rw /dev/pts/"),
    ("silent", SILENT): (r"no MicroPython answers", r"mpremote connect \S+ reset; if that does not help: "),
    ("absent", PORTLESS): (r"no port or serial is listed", r"give --port|add one"),
}
MENDED = (1, 2, 3, 4, 5, 7, 8, 10, 11)  # by a deploy
HOLDER = """
import sys, serial
port = serial.Serial(sys.argv[1], exclusive=True)
print("holds", flush=True)
sys.stdin.read()
"""


@pytest.fixture(scope="module")
def box(tmp_path_factory):
    """Fourteen boards, fresh from the factory, and `file`, the swarm.toml of nineteen members."""
    require("unix")
    home = tmp_path_factory.mktemp("doctor")
    with Box(home, BOARDS, SEED) as box, ThreadPoolExecutor() as pool:
        list(pool.map(box.boot, box.nodes))
        box.ends = [os.openpty() for _ in (HELD, FORBIDDEN, SILENT)]
        box.ports = dict(box.ports)
        box.twin = box.ports[TWIN]
        fakes = [os.ttyname(end) for _, end in box.ends]
        listed = {TWIN: str(home / "drawer"), GONE: str(home / "gone"), PORTLESS: str(home / "nowhere")}
        box.ports |= listed | dict(zip((HELD, FORBIDDEN, SILENT), fakes, strict=True))
        box.nodes = list(range(1, PORTLESS + 1))
        box.nodes.remove(TWIN)
        # Nobody times out by itself, however long these tests take.
        members = ",".join(map(str, box.nodes))
        box.file = describe(home / "swarm", box, "--members", members, "--deadline", "3600000")
        text = box.file.read_text()
        box.file.write_text(text.replace(f'port = "{listed[PORTLESS]}"\n', ""))
        box.keys = [key_of(box.file)]
        yield box
        for descriptors in box.ends:
            for descriptor in descriptors:
                os.close(descriptor)


def key_of(file):
    return file.with_suffix(".key").read_text().strip()


def doctor(box, *arguments, status=1, file=None):
    """Run `swarm doctor`; what it printed, in which no key is."""
    command = [sys.executable, "-c", "from swarm.cli import main; raise SystemExit(main())", "doctor"]
    command += [*arguments, "--swarm", str(file or box.file)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode == status, done.stdout + done.stderr
    assert not any(key in done.stdout + done.stderr for key in box.keys)
    return done.stdout


def doctor_here(capsys, *arguments, status=1):
    """Run `swarm doctor` in this process, where something is faked; its findings by fault and node."""
    capsys.readouterr()
    done = cli.main(["doctor", "--json", *map(str, arguments)])
    told = json.loads(capsys.readouterr().out)
    assert done == status, told
    return told["findings"]


def variant(box, name, change=lambda described: None, sensor=1, new_key=False):
    """The swarm as somebody else would have described it, in a folder of its own."""
    folder = box.home / name
    folder.mkdir()
    shutil.copy(box.file, folder)
    key = folder / "swarm.key"
    key.touch(mode=0o600)
    key.write_text(os.urandom(16).hex() if new_key else box.keys[0])
    box.keys.append(key_of(folder / "swarm.toml"))
    write_sensor(folder, sensor)
    described = project.load(folder / "swarm.toml")
    change(described)
    return described


def planted(box):
    """(the description a board is deployed from, member, port) for each board."""
    right = project.load(box.file)
    broken = variant(box, "sensor")
    (broken.path.parent / "sensor.py").write_text("def warm_up():\n    raise OSError(5)\n\n\ndef sample():\n    pass\n")
    others = {
        2: variant(box, "digest", lambda one: setattr(one, "quorum", 3)),
        3: variant(box, "channel", lambda one: setattr(one, "channel", 6)),
        4: variant(box, "key", new_key=True),
        5: variant(box, "open", lambda one: setattr(one, "open", True)),
        10: broken,
        11: variant(box, "deadline", lambda one: setattr(one, "deadline_ms", 300)),
    }
    for node in range(1, TWIN):
        described = others.get(node, right)
        yield described, described.member(node), box.ports[node]
    yield right, right.member(9), box.twin


def spoil(box):
    """Plant what a deploy cannot: on flash, in the radio, in the storage."""
    (box.flash(6) / "faction.skip").touch()
    (box.flash(7) / "faction.session").write_text("5")
    source = payload.FIRMWARE / "signs.py"
    other = payload._compile(source, source.read_bytes() + b"\nOTHER = 1\n", "signs.py", 3, "none")
    (box.flash(8) / box.pointed(8) / "signs.mpy").write_bytes(other)
    with raw_repl(box.ports[12]) as transport:
        transport.exec("import network\nnetwork.WLAN(network.STA_IF).config(channel=3)")
    shutil.copytree(box.flash(13) / box.pointed(13), box.flash(13) / "faction.b")
    (box.flash(13) / "faction.slot").write_text("faction.b")
    for node in (6, 7):
        box.power(node, False)
        box.boot(node)
    heard = "__import__('faction').app.node"
    with raw_repl(box.ports[1]) as transport:
        assert eventually(lambda: transport.eval(f"{heard}.counters[6] and {heard}.counters[2]")), "forged, foreign"
    for port in (box.ports[9], box.twin):
        with raw_repl(port) as transport:
            if eventually(lambda transport=transport: transport.eval(f"{heard}.conflict"), 1):
                return
    raise AssertionError("neither of two boards with one id has heard the other")


def plant(one):
    """Deploy a board; one whose sensor fails is left with that, since it has no version to go back to."""
    with suppress(BadVersion):
        Deployment(*one).run()


@pytest.fixture(scope="module")
def told(box):
    """What the doctor says of all the planted faults: its findings by fault and node, and its text."""
    with ThreadPoolExecutor() as pool:
        list(pool.map(plant, planted(box)))
    spoil(box)
    with subprocess.Popen(
        [sys.executable, "-c", HOLDER, box.ports[HELD]], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as holder:
        assert holder.stdout.readline() == b"holds\n"
        opened = os.open

        def refusing(path, *arguments, **named):
            if path == box.ports[FORBIDDEN]:  # a superuser's open() is never refused
                raise PermissionError(errno.EACCES, "Permission denied", path)
            return opened(path, *arguments, **named)

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(os, "open", refusing)
            described = project.load(box.file)
            ports, unread = places.ports_of(described)
            ports[box.twin] = None
            looked = places.look_at(described, ports)
            found = findings.find(described, looked, unread, lambda boards: pytest.fail("all is explained"))
        holder.stdin.close()
    by_fault = {}
    for one in found:
        by_fault.setdefault((one.fault, one.node), []).append(one)
    box.alone = doctor(box, "--port", box.ports[1])
    return by_fault, "\n".join(line for one in found for line in doctor_module._lines(one))


def test_every_planted_fault_is_found_and_no_other(told):
    assert set(told[0]) == set(PLANTED)


@pytest.mark.parametrize(("fault", "node"), PLANTED)
def test_a_planted_fault_is_named_with_its_remedy(told, fault, node):
    says, remedy = PLANTED[fault, node]
    for one in told[0][fault, node]:
        assert re.search(says, one.what), one
        assert re.search(remedy, one.remedy), one
        assert one.why and one.where.startswith(f"node {node}"), one


def test_a_wrong_key_is_told_with_who_hears_it(told):
    (one,) = told[0]["key", 4]
    assert re.search(r"nodes with different keys ignore each other: .*node 1 counts \d+ forged frames", one.why)


def test_no_key_is_told(box, told):
    assert not any(key in told[1] for key in box.keys) and len(set(box.keys)) == 2


def test_one_board_alone_tells_of_the_others_by_what_it_hears(box, told):
    """Only node 1 is plugged in: it is right itself, and hears that others are not."""
    text = box.alone
    assert re.search(r"node 1 at \S+: \d+ frames of another key were heard just now, and node 2, ", text)
    assert re.search(r"node 1 at \S+: digest \w{8} is heard, and node 2, ", text)
    assert "2 things are wrong" in text or "3 things are wrong" in text, text  # node 7's old session is heard, or not


@pytest.fixture(scope="module")
def mended(box, told):
    """The boards after what the doctor says to type for most of them; what it says then of node 1, which went on."""
    said = io.StringIO()
    with pytest.MonkeyPatch.context() as patch, redirect_stdout(said):
        assert cli.main(["deploy", *map(str, MENDED), "--swarm", str(box.file)]) == 0
        said.truncate(0)
        patch.setattr(places, "LISTEN_S", 0.1)
        cli.main(["doctor", "--swarm", str(box.file), "--port", box.ports[1]])
    return said.getvalue().strip("\0")


def test_what_it_says_to_type_helps(box, mended):
    assert mended == "1 board was looked at, nothing is wrong\n", "what node 1 had heard before is no fault now"
    box.power(1, False)
    box.boot(1)
    found = json.loads(doctor(box, "--json", "--port", *(box.ports[node] for node in MENDED), status=0))
    assert found == {"looked_at": [box.ports[node] for node in MENDED], "findings": []}
    assert doctor(box, "--port", box.ports[1], status=0) == "1 board was looked at, nothing is wrong\n"


def test_what_it_says_to_type_can_be_typed(box, told):
    (one,) = told[0]["not started", 6]
    since = len(box.lines[6])
    for command in one.remedy.split(", then "):
        line = [sys.executable, "-m", *command.split()]
        subprocess.run(line, check=True, capture_output=True, timeout=120)
    box.wait_line(6, "started session", since)


def test_an_application_on_asyncio_is_asked_and_not_stopped(box, mended, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(places, "LISTEN_S", 0.1)
    box.power(12, False)
    (box.flash(12) / box.pointed(12) / "application.py").write_text(ON_ASYNCIO)
    since = len(box.lines[12])
    box.power(12, True)
    box.wait_line(12, "started session", since)
    assert doctor_here(capsys, "--swarm", box.file, "--port", box.ports[12], status=0) == []
    file = rewritten(box, tmp_path, ('name = "box"', 'name = "shelf"\nopen = true'))
    found = doctor_here(capsys, "--swarm", file, "--port", box.ports[12])
    assert {(f["fault"], f["node"]) for f in found} == {("digest", 12), ("locked", 12)}
    assert "its swarm is box with a quorum of 18, not shelf with 18" in found[0]["what"]
    assert not any("Interrupt" in line for line in box.lines[12][since:])


# Faults of what swarm.toml says about boards that are right


def rewritten(box, tmp_path, *changes):
    """A copy of swarm.toml with some text replaced."""
    text = box.file.read_text()
    for old, new in changes:
        assert old in text
        text = text.replace(old, new, 1)
    file = tmp_path / "swarm.toml"
    file.write_text(text)
    key = file.with_suffix(".key")
    key.touch(mode=0o600)
    key.write_text(box.keys[0])
    write_sensor(tmp_path, 1)
    return file


def test_swapped_cables(box, mended, tmp_path, capsys):
    one, two = box.ports[1], box.ports[2]
    file = rewritten(box, tmp_path, (one, "one"), (two, one), ('"one"', f'"{two}"'))
    found = doctor_here(capsys, "--swarm", file, "--port", one)
    assert [(f["fault"], f["node"]) for f in found] == [("swapped", 1)]
    assert "this port is listed for node 2, and the board is node 1's" in found[0]["what"]


def test_another_board_than_the_listed_one(box, mended, tmp_path, capsys):
    file = rewritten(box, tmp_path, ("id = 1\n", 'id = 1\nhardware = "0123"\n'))
    found = {f["fault"]: f for f in doctor_here(capsys, "--swarm", file, "--port", box.ports[1])}
    assert "its hardware id is 02fac7100001, which is not listed; member 1 has 0123" in found["hardware"]["what"]
    assert f"swarm replace 1 --port {box.ports[1]} --no-flash --swarm {file}" in found["hardware"]["remedy"]


def test_a_board_of_nobody(box, mended, capsys):
    with raw_repl(box.twin) as transport:
        transport.exec("import os, faction\nfaction.app.runner.stop()\nfaction.app = None")
    found = {f["fault"]: f for f in doctor_here(capsys, "--swarm", box.file, "--port", box.twin)}
    assert set(found) == {"hardware", "not started"}
    assert 'add a [[member]] with hardware = "02fac710000e"' in found["hardware"]["remedy"]


def test_a_board_listed_as_another_kind(box, mended, tmp_path, capsys):
    file = rewritten(box, tmp_path, ('id = 1\nboard = "VIRTUAL"', 'id = 1\nboard = "ESP32_GENERIC"'))
    found = {f["fault"]: f for f in doctor_here(capsys, "--swarm", file, "--port", box.ports[1])}
    assert "it runs MicroPython for linux, and is listed as ESP32_GENERIC" in found["board"]["what"]


def test_what_lies_in_a_boards_root(box, mended, capsys, monkeypatch):
    root = box.home / "board-1"
    laid = {"sensor.py": "def sample():\n    pass\n", "faction.json": "{}"}
    for name, text in laid.items():
        (root / name).write_text(text)
    found = {f["fault"]: f for f in doctor_here(capsys, "--swarm", box.file, "--port", box.ports[1])}
    assert set(found) == {"unused", "open without its version"}
    assert "sensor.py lies in its root, and is not used" in found["unused"]["what"]
    assert found["unused"]["remedy"].endswith(f"mpremote connect {box.ports[1]} resume rm :sensor.py")
    assert "swarm deploy 1" in found["open without its version"]["remedy"]
    for name in laid:
        (root / name).unlink()
    asked = Remote.survey
    frozen = {"root": ["autostart.py"], "runs_from": "faction/__init__.py", "machine": "Raspberry Pi Pico2 with RP2350"}
    monkeypatch.setattr(Remote, "survey", lambda remote: {**asked(remote), **frozen})
    found = {f["fault"]: f for f in doctor_here(capsys, "--swarm", box.file, "--port", box.ports[1])}
    assert set(found) == {"mixed", "board"}
    assert "runs on the library that is frozen" in found["mixed"]["what"]
    assert "it runs MicroPython for RP2350, and is listed as VIRTUAL" in found["board"]["what"]


def test_a_key_file_that_others_may_read(box, mended, tmp_path, capsys):
    file = rewritten(box, tmp_path)
    file.with_suffix(".key").chmod(0o644)
    found = doctor_here(capsys, "--swarm", file, "--port", box.ports[1])
    assert [f["fault"] for f in found][0] == "key file" and "chmod 600" in found[0]["remedy"]


def test_a_locked_node_of_an_open_swarm(box, mended, tmp_path, capsys):
    file = rewritten(box, tmp_path, ("channel = 1 ", "open = true\nchannel = 1 "))
    found = {f["fault"] for f in doctor_here(capsys, "--swarm", file, "--port", box.ports[1])}
    assert found == {"locked"}


def test_another_library_than_here(box, mended, capsys):
    with raw_repl(box.ports[3]) as transport:
        transport.exec("import faction\nfaction.__version__ = '0.0.9'")
    (one,) = doctor_here(capsys, "3", "--swarm", box.file)
    assert (one["fault"], one["what"]) == ("version", f"its faction is 0.0.9, here is {swarm.__version__}")
    with raw_repl(box.ports[3]) as transport:
        transport.exec("import faction\ndel faction.__version__")
    (one,) = doctor_here(capsys, "3", "--swarm", box.file)
    assert one["fault"] == "version" and "another version than here: it reports: AttributeError" in one["what"]
    assert one["remedy"] == f"swarm deploy 3 --swarm {box.file}"
    box.power(3, False)
    box.boot(3)


# Faults of firmware, faked where the board tells of it


def test_a_board_without_micropython_is_to_be_flashed(box, mended, tmp_path, capsys):
    file = rewritten(box, tmp_path, ('id = 18\nboard = "VIRTUAL"', 'id = 18\nboard = "ESP32_GENERIC"'))
    (one,) = doctor_here(capsys, "--swarm", file, "--port", box.ports[SILENT])
    assert f"swarm flash 18 --swarm {file}, then swarm deploy 18 --swarm {file}" in one["remedy"]


def test_old_firmware(box, mended, capsys, monkeypatch):
    monkeypatch.setattr(cache, "VERSION", "99.1.0")
    (one,) = doctor_here(capsys, "--swarm", box.file, "--port", box.ports[1])
    assert one["fault"] == "firmware" and one["what"].startswith("its MicroPython is 1.")
    assert "tried with 99.1.0 and newer" in one["why"]


def test_firmware_that_loads_no_files_of_ours(box, mended, capsys, monkeypatch):
    monkeypatch.setattr(payload, "compiled_version", lambda: 7)
    (one,) = doctor_here(capsys, "--swarm", box.file, "--port", box.ports[1])
    assert one["fault"] == "firmware" and "loads .mpy files of version 6" in one["what"]


def test_a_board_that_falls_silent_meanwhile(box, mended, capsys, monkeypatch):
    def fail(*_):
        raise BoardError("p: the board stopped answering (gone)")

    monkeypatch.setattr(examination, "read_runtime", fail)
    (one,) = doctor_here(capsys, "--swarm", box.file, "--port", box.ports[1])
    assert one["fault"] == "failed" and "stopped answering" in one["what"]


def test_wrong_use(box, tmp_path, capsys):
    assert cli.main(["doctor", "77", "--swarm", str(box.file)]) == 2
    assert "no member 77" in capsys.readouterr().err
    assert cli.main(["doctor", "1", "--port", "p", "--swarm", str(box.file)]) == 2
    assert "give NODE or --port, not both" in capsys.readouterr().err
    assert cli.main(["doctor", "--swarm", str(tmp_path / "swarm.toml")]) == 2
    assert "no such file: `swarm init` writes one" in capsys.readouterr().err


def test_help_has_examples_and_exit_statuses(capsys):
    with pytest.raises(SystemExit):
        cli.main(["doctor", "--help"])
    told = capsys.readouterr().out
    assert "swarm doctor --port" in told and "exit status: 0 " in told


def test_a_board_that_does_not_answer_does_not_count_as_looked_at(tmp_path, capsys):
    ports = [str(tmp_path / "none"), str(tmp_path / "nothing")]
    for count, said in ((1, "0 of 1 board could be looked at, 1 thing is wrong"), (2, "0 of 2 boards could be looked")):
        assert cli.main(["init", str(tmp_path / said[5]), "--board", "VIRTUAL", "--ports", *ports[:count]]) == 0
        assert cli.main(["doctor", "--swarm", str(tmp_path / said[5] / "swarm.toml")]) == 1
        assert said in capsys.readouterr().out


def test_a_mistake_in_a_local_file_is_told_once_and_of_no_board(box, mended, capsys):
    own = box.file.parent / "sensor.py"
    before = own.read_text()
    try:
        own.write_text("def warm_up(:\n    pass\n")
        (one,) = doctor_here(capsys, "--swarm", box.file, "--port", box.ports[1])
        assert (one["fault"], one["node"]) == ("own code", None), one
        assert "sensor.py:1: does not compile: SyntaxError" in one["what"] and one["remedy"] == "mend it"
    finally:
        own.write_text(before)


def test_two_boards_of_one_id_and_one_hardware_id_are_two(tmp_path):
    """Some makers give all their boards one id; one board at two ports is still one."""
    assert cli.main(["init", str(tmp_path), "--board", "VIRTUAL", "--ports", "a", "b", "--open"]) == 0
    described = project.load(tmp_path / "swarm.toml")

    def board(port, session):
        status = {"node": 1, "session": session}
        look = {"status": status, "digest": described.digest(), "sessions": []}
        return examination.Board(port, None, None, facts={"hardware": "00"}, look=look)

    later = findings.EARLIEST_SESSION
    for sessions, faults in (((later, later + 9), ["twice", "twice"]), ((later, later), [])):
        looked = [board(port, session) for port, session in zip("ab", sessions, strict=True)]
        assert [one.fault for one in findings._OfSwarm(described, looked, None).of_pairs()] == faults


@pytest.mark.parametrize(
    "counts, lingers, faults",
    (
        ({"idf_least": 20_000, "deaf": 0}, 0, []),
        ({"idf_least": 19_999, "deaf": 2}, 0, ["radio memory"]),
        ({"idf_least": 39_000, "deaf": 2}, 0, ["deaf"]),
        ({"idf_least": 39_000, "deaf": 2}, 60_000, []),  # the others are silent as they should be
        ({}, 0, []),  # of a version before, or without a radio
    ),
)
def test_a_radio_without_memory_or_that_hears_nothing_is_told(tmp_path, counts, lingers, faults):
    assert cli.main(["init", str(tmp_path), "--board", "VIRTUAL", "--ports", "a", "b", "--open"]) == 0
    described = project.load(tmp_path / "swarm.toml")
    described.linger_ms = lingers
    board = examination.Board("a", None, None, facts={"hardware": "00"}, look={})
    found = list(findings.OfBoard(described, [board], None).of_radio(board, counts))
    assert [one.fault for one in found] == faults
    assert all("reset" in one.remedy for one in found)


@pytest.mark.parametrize(
    "before, later, faults",
    (
        ((9, 49), (99, 99), []),  # too little to be asked again
        ((500, 900), (500, 900), []),  # it has passed
        ((10, 0), (19, 0), []),
        ((10, 0), (20, 0), ["noise"]),
        ((0, 50), (0, 99), []),
        ((0, 50), (0, 100), ["packets of others"]),
        ((10, 50), (900, 900), ["noise", "packets of others"]),
    ),
)
def test_what_links_bring_that_is_no_frame_is_told_as_long_as_it_goes_on(tmp_path, before, later, faults):
    assert cli.main(["init", str(tmp_path), "--board", "VIRTUAL", "--ports", "a", "b", "--open"]) == 0
    described = project.load(tmp_path / "swarm.toml")

    def status(noise, malformed):
        counters = {"malformed": malformed, "forged": 0, "foreign": 0, "stale": 0}
        return {"node": 1, "counters": counters, "links": {"uart": {"noise": noise}}}

    board = examination.Board("a", None, None, facts={"hardware": "00"}, look={"status": status(*before)})
    of_swarm = findings._OfSwarm(described, [board], None)
    found = list(of_swarm.of_rubbish(of_swarm.with_rubbish(), {"a": status(*later)}))
    assert [one.fault for one in found] == faults
    assert all(str(described.path) in one.remedy for one in found)


def test_boards_of_older_firmware_are_told_by_those_that_hear_them(tmp_path):
    assert cli.main(["init", str(tmp_path), "--board", "VIRTUAL", "--ports", "a", "b", "--open"]) == 0
    described = project.load(tmp_path / "swarm.toml")

    def status(outdated):
        return {"node": 1, "missing": [2], "counters": {"forged": 0, "foreign": 0, "stale": 0, "outdated": outdated}}

    look = {"status": status(3), "digest": described.digest()}
    board = examination.Board("a", None, None, facts={"hardware": "00"}, look=look)
    of_swarm = findings._OfSwarm(described, [board], None)
    heard = of_swarm.unexplained(set())
    (one,) = of_swarm.of_strangers(heard, {"a": status(5)})
    assert one.fault == "older firmware" and one.what.startswith("2 frames of an older version"), one
    assert "with the one with the older firmware" in one.remedy, one
    assert not of_swarm.unexplained({"digest"}), "a board that was looked at is the reason"


def test_what_is_said_of_a_sensor_that_fails(box, told, capsys):
    """What to type is not a reset, which would repeat it."""
    own, lib = box.file.parent / "sensor.py", box.file.parent / "lib"
    before = own.read_text()
    try:
        own.write_text("def warm_up():\n    import bme280\n\n\ndef sample():\n    pass\n")
        assert cli.main(["deploy", "1", "--swarm", str(box.file)]) == 1
        (box.flash(1) / "faction.slot").write_text(
            next(slot for slot in ("faction.a", "faction.b") if slot != box.pointed(1))
        )
        box.power(1, False)
        box.boot(1)
        found = {one["fault"]: one for one in doctor_here(capsys, "--swarm", box.file, "--port", box.ports[1])}
        one = found["sensor fails"]
        assert "warm_up(): ImportError: no module named 'bme280'" in one["what"], one
        assert one["remedy"].startswith(f"put bme280 into {lib}, or give it to the board: mpremote connect "), one
        assert one["remedy"].endswith(f"swarm deploy 1 --swarm {box.file}"), one
    finally:
        own.write_text(before)
        assert cli.main(["deploy", "1", "--swarm", str(box.file)]) == 0
