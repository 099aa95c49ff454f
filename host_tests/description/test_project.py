"""swarm.toml: what it may hold, how mistakes are told, what each board is given, and how the key is kept."""

import os
import random
import stat

import pytest

from swarm.cli import main
from swarm.description import project
from swarm.description.project import Member, ProjectError
from swarm.device import config as device_config
from swarm.output import writable
from uart_fixture import Line

# isort: split
from faction.description import IMIN_MS, default_lead_ms

KEY = "000102030405060708090a0b0c0d0e0f"
TEXT = """\
# Our greenhouse.
name = "greenhouse"
quorum = 2            # one may fail
deadline_ms = 30000

[[member]]
id = 3                # by the door
board = "ESP32_GENERIC"
port = "/dev/ttyUSB0"

[[member]]
id = 1
board = "ESP32_GENERIC_C3"
serial = "0001"
hardware = "24:0A:C4:12:34:56"
links = ["uart", "espnow"]

# The spare.
[[member]]
id = 700
board = "ESP32_GENERIC_S3"
"""


@pytest.fixture
def path(tmp_path):
    """A swarm.toml of three members."""
    file = tmp_path / "swarm.toml"
    file.write_text(TEXT)
    return file


def mistakes(tmp_path, text):
    """What load says about a text, a line each, without the path of the file."""
    file = tmp_path / "swarm.toml"
    file.write_text(text)
    with pytest.raises(ProjectError) as caught:
        project.load(file)
    lines = str(caught.value).splitlines()
    assert all(line.startswith(str(file)) for line in lines)
    return [line.removeprefix(str(file)) for line in lines]


def test_load(path):
    loaded = project.load(path)
    assert (loaded.name, loaded.required, loaded.deadline_ms, loaded.on_timeout) == ("greenhouse", 2, 30_000, "retry")
    assert loaded.ids == [1, 3, 700]
    assert loaded.member(1) == Member(
        1, "ESP32_GENERIC_C3", serial="0001", hardware="240ac4123456", links=["uart", "espnow"]
    )
    assert loaded.member(3).port == "/dev/ttyUSB0"
    assert not loaded.open and loaded.key_path == path.with_name("swarm.key")
    with pytest.raises(ProjectError, match=r"no member 2: choose one of 1, 3, 700"):
        loaded.member(2)


def test_defaults_are_the_boards_own(tmp_path):
    (tmp_path / "swarm.toml").write_text('name = "s"\n[[member]]\nid = 0\nboard = "RPI_PICO"\n')
    loaded = project.load(tmp_path / "swarm.toml")
    judged = device_config.check({"swarm": "s", "members": [0], "node": 0})
    for key in ("deadline_ms", "linger_ms", "period_ms", "channel", "baud", "trace", "watchdog_ms", "on_timeout"):
        assert getattr(loaded, key) == judged[key]
    assert loaded.required == judged["required"] == 1


@pytest.mark.parametrize("baud", [9600, 19_200, 115_200, 3_000_000])
@pytest.mark.parametrize("members", [1, 5, 50, 680])
def test_a_link_is_as_slow_as_the_board_says(members, baud):
    link = Line(1).board(1).open_link(members, baud)
    assert device_config.imin_ms("uart", members, baud) == link.imin_ms
    assert device_config.imin_ms("espnow", members, baud) == IMIN_MS


def test_all_wait_as_long_for_the_first_sample_as_the_slowest_link_asks_for(path):
    """Whoever concludes first names the instant for everybody, whatever its own links are."""
    loaded = project.load(path)
    slow = default_lead_ms(3, device_config.imin_ms("uart", 3, 9600))
    loaded.baud = 9600
    assert slow > 3000 and {loaded.config_for(member)["lead_ms"] for member in loaded.members} == {slow}
    loaded.member(1).links = None  # as its board.py says: espnow
    assert {loaded.config_for(member)["lead_ms"] for member in loaded.members} == {default_lead_ms(3)}
    for member in loaded.members:
        member.board = "RPI_PICO"  # has no radio
    assert loaded.agreed_lead_ms == slow
    loaded.lead_ms = 900
    assert {loaded.config_for(member)["lead_ms"] for member in loaded.members} == {900}


def test_rounds_are_the_boards_and_part_of_the_digest(path):
    text = path.read_text()
    path.write_text("period_ms = 60000\n" + text)
    before = project.load(path).digest()
    path.write_text("period_ms = 60000\nround_ms = 30000\n" + text)
    loaded = project.load(path)
    assert loaded.digest() != before
    assert {loaded.config_for(member)["round_ms"] for member in loaded.members} == {30_000}


@pytest.mark.parametrize(
    ("gateway", "listed"), (("1", [1]), ("[1, 3]", [1, 3]), ("[]", []), ('"any"', [])), ids=("id", "ids", "none", "any")
)
def test_a_gateway_is_listed_for_every_board_and_brings_rounds(path, gateway, listed):
    path.write_text(f"period_ms = 60000\ngateway = {gateway}\n" + path.read_text())
    loaded = project.load(path)
    configs = [loaded.config_for(member) for member in loaded.members]
    assert [config["gateway"] for config in configs] == [listed] * len(configs)
    assert {config["round_ms"] for config in configs} == {30_000}
    digest = loaded.digest()
    loaded.save()
    assert "round_ms" not in path.read_text()
    loaded.round_ms = 30_000
    assert loaded.digest() == digest


def test_without_a_gateway_a_board_is_not_told_of_one(path):
    loaded = project.load(path)
    assert not any("gateway" in loaded.config_for(member) for member in loaded.members)


@pytest.mark.parametrize(
    ("lines", "mistake"),
    (
        ("gateway = 1\n", r":1: gateway: 1: give a period_ms as well"),
        ("period_ms = 1000\ngateway = 77\n", r":2: gateway: 77: list members, each once"),
        ("period_ms = 1000\ngateway = true\n", r":2: gateway: true: list the ids"),
        ('period_ms = 1000\ngateway = "all"\n', r':2: gateway: "all": list the ids'),
        ("period_ms = 1000\ngateway = []\nlinger_ms = 5\n", r":3: linger_ms: 5: write 0: with a round_ms"),
        ("gateway = 1\nperiod_ms = 1000\nround_ms = 9\n", r":3: round_ms: 9: write 0 for none"),
        ("round_ms = 30000\n", r":1: round_ms: 30000: write 0 for none, or with a period_ms at least 10000"),
        ("period_ms = 1000\nround_ms = 9999\n", r":2: round_ms: 9999: write 0 for none"),
        ("linger_ms = 5\nperiod_ms = 1000\nround_ms = 30000\n", r":1: linger_ms: 5: write 0: with a round_ms"),
    ),
)
def test_a_mistake_of_rounds_is_told_with_its_line(path, lines, mistake):
    path.write_text(lines + path.read_text())
    with pytest.raises(ProjectError, match=mistake):
        project.load(path)


def test_a_period_is_the_boards_and_part_of_the_digest(path):
    loaded = project.load(path)
    alone = loaded.digest()
    assert {loaded.config_for(member)["period_ms"] for member in loaded.members} == {0}
    path.write_text("period_ms = 60000\nsamples_kb = 64\n" + path.read_text())
    loaded = project.load(path)
    given = [loaded.config_for(member) for member in loaded.members]
    assert {(one["period_ms"], one["samples_kb"]) for one in given} == {(60_000, 64)}
    assert loaded.digest() == device_config.digest("greenhouse", [1, 3, 700], 2, 60_000).hex() != alone
    path.write_text(path.read_text().replace("60000", "50").replace("64", "7"))
    with pytest.raises(ProjectError, match=r":1: period_ms: 50: write 0 .*\n.*:2: samples_kb: 7: write a whole number"):
        project.load(path)


def test_every_board_accepts_what_it_is_given(path):
    loaded = project.load(path)
    for member in loaded.members:
        given = loaded.config_for(member)
        judged = device_config.check(dict(given), member.hardware)
        assert judged["node"] == member.id and judged["members"] == [3, 1, 700] and judged["required"] == 2
        assert judged["links"] == member.links and judged["lead_ms"] == 600
        # Who knows its hardware id needs no `node`, so that one file suits all such boards.
        assert ("node" in given) == (member.hardware is None)


def test_one_file_suits_all_boards_whose_hardware_is_known(path):
    loaded = project.load(path)
    for number, member in enumerate(loaded.members):
        member.hardware, member.links = f"24{number:010x}", None
    first, second, third = (loaded.config_for(member) for member in loaded.members)
    assert first == second == third


def test_what_a_board_would_refuse_is_not_given_to_it(path):
    loaded = project.load(path)
    loaded.channel = 99
    with pytest.raises(ProjectError, match="member 3: faction.json: channel: 99: write a whole number from 1 to 14"):
        loaded.config_for(loaded.member(3))


def test_digest_is_that_of_the_frames(path):
    loaded = project.load(path)
    assert loaded.digest() == device_config.digest("greenhouse", [1, 3, 700], 2).hex()
    loaded.quorum = None
    assert loaded.digest() == device_config.digest("greenhouse", [1, 3, 700], 3).hex()


MEMBER = '[[member]]\nid = 1\nboard = "RPI_PICO"\n'
MISTAKES = [
    ("", ": name: missing: write its name, 1 to 32 bytes of text"),
    ("name = 3\n" + MEMBER, ":1: name: 3: write its name, 1 to 32 bytes of text"),
    ('name = "' + "ä" * 17 + '"\n' + MEMBER, "1 to 32 bytes of text"),
    ("name = 2026-01-01\n" + MEMBER, ':1: name: "2026-01-01": this is a date or a time: write it in quotes'),
    ('name = "s"\nquorum = 2\n' + MEMBER, ":2: quorum: 2: write a whole number from 1 to 1"),
    ('name = "s"\nquorum = true\n' + MEMBER, ":2: quorum: true: write a whole number from 1 to "),
    ('name = "s"\n\ndeadline_ms = "1"\n' + MEMBER, ':3: deadline_ms: "1": write a whole number from 100 to 500000000'),
    ('name = "s"\nchannel = 15\n' + MEMBER, ":2: channel: 15: write a whole number from 1 to 14"),
    ('name = "s"\nlead_ms = nan\n' + MEMBER, ":2: lead_ms: NaN: write a whole number from 50"),
    ('name = "s"\non_timeout = "stop"\n' + MEMBER, ':2: on_timeout: "stop": write one of: retry, halt'),
    ('name = "s"\nopen = 1\n' + MEMBER, ":2: open: 1: write true for a swarm without a key"),
    ('name = "s"\nqorum = 1\n' + MEMBER, ":2: qorum: 1: no such key: one of name, quorum"),
    ('name = "s"\n', ": member: missing: write a [[member]] table for each node"),
    ('name = "s"\nmember = []\n', ":2: member: []: write a [[member]] table for each node"),
    ('name = "s"\n[member]\nid = 1\n', ': member: {"id": 1}: write a [[member]] table for each node'),
    ('name = "s"\n' + MEMBER + MEMBER, ":6: member 1: id: 1: listed twice: give each member its own id"),
    ('name = "s"\n[[member]]\nboard = "RPI_PICO"\n', ":2: member number 1 of the list: id: missing: write a whole"),
    (
        'name = "s"\n' + MEMBER.replace("1", "65536"),
        ":3: member 65536: id: 65536: write a whole number from 0 to 65535",
    ),
    ('name = "s"\n[[member]]\nid = 1\n', ":2: member 1: board: missing: choose one of ESP32_GENERIC"),
    ('name = "s"\n' + MEMBER.replace("PICO", "PICK"), ':4: member 1: board: "RPI_PICK": choose one of ESP32_GENERIC'),
    ('name = "s"\n' + MEMBER + 'prot = "a"\n', ':5: member 1: prot: "a": no such key: one of id, board, port'),
    ('name = "s"\n' + MEMBER + "port = 4\n", ":5: member 1: port: 4: write it in quotes"),
    (
        'name = "s"\n' + MEMBER + 'links = ["espnow"]\n',
        ':5: member 1: links: "espnow": RPI_PICO has none: write one of uart',
    ),
    (
        'name = "s"\n' + MEMBER + 'links = ["radio"]\n',
        ':5: member 1: links: ["radio"]: list each once, of: espnow, uart',
    ),
    ('name = "s"\n' + MEMBER + "links = [2026-01-01]\n", ":5: member number 1 of the list: links: "),
    (
        'name = "s"\n' + MEMBER + 'hardware = "240"\n',
        ':5: member 1: hardware: "240": write the hardware id in hexadecimal',
    ),
    ('name = "s"\n' + MEMBER + "hardware = 5\n", ":5: member 1: hardware: 5: write the hardware id in hexadecimal"),
    (
        'name = "s"\n' + MEMBER + 'hardware = "ab"\n' + MEMBER.replace("1", "2") + 'hardware = "A:B"\n',
        ':9: member 2: hardware: "A:B": two members have this hardware id',
    ),
    (
        'name = "s"\n' + MEMBER + 'port = "a"\n' + MEMBER.replace("1", "2") + 'port = "a"\n',
        ':9: member 2: port: "a": member 1 has it too',
    ),
    (
        'name = "s"\n[[member]]\nid = 2\nboard = "ESP32_GENERIC"\n' + MEMBER,
        ':5: member 1: links: ["uart"]: none of the other members\' (espnow): change it, or give one member both',
    ),
    ("name = \n" + MEMBER, ":1: not TOML: "),
    ('name = "s"\nname = "t"\n' + MEMBER, ': not TOML: Key "name" already exists'),
]


@pytest.mark.parametrize(("text", "said"), MISTAKES, ids=[said[:50] for _, said in MISTAKES])
def test_a_mistake_is_told_with_line_key_value_and_remedy(tmp_path, text, said):
    lines = mistakes(tmp_path, text)
    assert any(said in line for line in lines), lines


def test_all_mistakes_are_told_at_once_by_line(tmp_path):
    lines = mistakes(tmp_path, 'name = ""\nchannel = 0\nbaud = 7\n' + MEMBER + "port = 1\ncolour = 2\n")
    assert [line.split(":")[1] for line in lines] == ["1", "2", "3", "7", "8"]


def test_whatever_a_file_holds_it_is_loaded_or_refused_plainly(tmp_path):
    seed = random.randrange(1 << 32)
    chance = random.Random(seed)
    values = [
        "1",
        "-1",
        '"uart"',
        "[]",
        '["uart"]',
        "true",
        "1.5",
        "inf",
        "{a = 1}",
        "1979-05-27T07:32:00Z",
        "[[1]]",
        '""',
    ]
    keys = [*project.rules.KEYS, *project.rules.MEMBER_KEYS, "other"]
    refused = 0
    for number in range(400):
        lines = []
        for _ in range(chance.randrange(8)):
            lines.append(chance.choice(["[[member]]", f"{chance.choice(keys)} = {chance.choice(values)}"]))
        try:
            project.parse("\n".join(lines), tmp_path / "swarm.toml")
        except ProjectError:
            refused += 1
        except Exception as error:  # noqa: BLE001 - anything else is the failure looked for
            pytest.fail(f"seed {seed}, file {number}: {error!r} for\n" + "\n".join(lines))
    assert refused > 300


def test_a_bridge_joins_members_with_different_links(tmp_path):
    text = 'name = "s"\n' + MEMBER + '[[member]]\nid = 2\nboard = "ESP32_GENERIC"\n'
    bridge = '[[member]]\nid = 3\nboard = "ESP32_GENERIC_C3"\nlinks = ["espnow", "uart"]\n'
    assert project.parse(text + bridge, tmp_path / "swarm.toml").ids == [1, 2, 3]


def test_680_members_and_no_more(tmp_path):
    text = 'name = "s"\n' + "".join(MEMBER.replace("1", str(node)) for node in range(680))
    assert len(project.parse(text, tmp_path / "swarm.toml").members) == 680
    with pytest.raises(ProjectError, match="member: 681: list 1 to 680 members"):
        project.parse(text + MEMBER.replace("1", "680"), tmp_path / "swarm.toml")


def test_saving_what_was_loaded_changes_nothing(path):
    project.load(path).save()
    assert path.read_text() == TEXT.replace("24:0A:C4:12:34:56", "240ac4123456")


def test_saving_keeps_comments(path):
    loaded = project.load(path)
    loaded.member(3).port, loaded.member(3).hardware = None, "240ac4aaaaaa"
    loaded.quorum, loaded.channel = 3, 11
    loaded.save()
    text = path.read_text()
    for comment in ("# Our greenhouse.", "# one may fail", "# by the door", "# The spare."):
        assert comment in text
    assert project.load(path) == loaded
    assert "ttyUSB0" not in text and "deadline_ms = 30000" in text and "linger_ms" not in text


def test_members_come_and_go(path):
    loaded = project.load(path)
    del loaded.members[0]
    loaded.members.append(Member(2, "ESP32_GENERIC"))
    loaded.save()
    again = project.load(path)
    assert again == loaded and [member.id for member in again.members] == [1, 700, 2]


def test_nothing_invalid_is_saved(path):
    loaded = project.load(path)
    loaded.quorum = 9
    with pytest.raises(ProjectError, match="quorum: 9: write a whole number from 1 to 3"):
        loaded.save()
    assert path.read_text() == TEXT


def test_a_file_that_cannot_be_written_stays(path, monkeypatch):
    loaded = project.load(path)
    loaded.quorum = 1

    def cut(*_):
        raise OSError("power cut")

    monkeypatch.setattr(os, "replace", cut)
    with pytest.raises(OSError, match="power cut"):
        loaded.save()
    assert path.read_text() == TEXT and [file.name for file in path.parent.iterdir()] == ["swarm.toml"]


def test_a_link_to_the_file_stays_a_link(path, tmp_path):
    link = tmp_path / "link.toml"
    link.symlink_to(path)
    loaded = project.load(link)
    loaded.quorum = 1
    loaded.save()
    assert link.is_symlink() and project.load(path).quorum == 1


def test_files_of_other_editors(path):
    path.write_bytes(b"\xef\xbb\xbf" + TEXT.replace("\n", "\r\n").encode())
    loaded = project.load(path)
    assert loaded.ids == [1, 3, 700]
    loaded.save()
    assert project.load(path) == loaded
    path.write_bytes(b"\xff\xfe" + TEXT.encode("utf-16-le"))
    with pytest.raises(ProjectError, match="cannot be read as text"):
        project.load(path)


def test_a_missing_file_says_what_writes_one(tmp_path):
    with pytest.raises(ProjectError, match="no such file: `swarm init` writes one"):
        project.load(tmp_path / "swarm.toml")


def write_key(path, text=KEY + "\n", mode=0o600):
    key = path.with_name("swarm.key")
    key.write_text(text)
    key.chmod(mode)
    return key


def test_the_key(path):
    write_key(path)
    assert project.load(path).key() == bytes(range(16))


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o602, 0o666])
def test_a_key_that_others_can_use_is_refused(path, mode):
    key = write_key(path, mode=mode)
    with pytest.raises(ProjectError, match=f"mode {mode:04o} lets others use it: type `chmod 600 {key}`"):
        project.load(path).key()


@pytest.mark.parametrize(
    "text", ["", KEY[:-1], KEY + "00", KEY[:-1] + "g", "00 " * 16, KEY[:16] + " " + KEY[16:], "é" * 32]
)
def test_a_key_that_is_none_is_refused_without_being_shown(path, text):
    write_key(path, text)
    with pytest.raises(ProjectError, match="not 32 hexadecimal digits") as caught:
        project.load(path).key()
    assert KEY[:8] not in str(caught.value)


def test_a_missing_key_is_not_taken_for_an_open_swarm(path):
    with pytest.raises(ProjectError, match=r"key cannot be read .*a swarm without a key says `open = true`"):
        project.load(path).key()


def test_the_demonstration_key_is_no_key(path):
    write_key(path, "0" * 32)
    with pytest.raises(ProjectError, match="demonstration key, which is published"):
        project.load(path).key()


def test_an_open_swarm_has_the_demonstration_key(path):
    path.write_text("open = true\n" + TEXT)
    assert project.load(path).key() == bytes(16)


def test_the_key_is_no_part_of_a_project(path):
    write_key(path)
    loaded = project.load(path)
    loaded.key()
    assert KEY not in repr(loaded) and repr(bytes.fromhex(KEY)) not in repr(vars(loaded))


def test_written_files_have_their_permissions_whatever_the_umask(tmp_path):
    before = os.umask(0o077)
    try:
        writable.write_atomically(tmp_path / "swarm.toml", "a")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "swarm.toml").stat().st_mode) == 0o644


class _Port:
    def __init__(self, device, serial_number, location=None):
        self.device, self.serial_number, self.location = device, serial_number, location


def test_ports(monkeypatch):
    monkeypatch.setattr(project.list_ports, "comports", lambda: [_Port("/dev/a", None), _Port("/dev/b", "0001")])
    assert project.port_of(Member(1, "RPI_PICO", serial="0001", port="/dev/a")) == "/dev/b"
    assert project.port_of(Member(1, "RPI_PICO", port="/dev/a")) == "/dev/a"
    with pytest.raises(ProjectError, match="member 1: serial: '2': no such board is plugged in"):
        project.port_of(Member(1, "RPI_PICO", serial="2"))
    with pytest.raises(ProjectError, match="member 1: no port or serial is listed"):
        project.port_of(Member(1, "RPI_PICO"))


def test_boards_that_look_alike_are_not_taken_for_each_other(monkeypatch):
    """Some makers give all their boards one serial number; and one board may have two ports."""
    alike = [_Port("/dev/b", "0001", "1-1.2:1.2"), _Port("/dev/a", "0001", "1-1.2:1.0")]
    monkeypatch.setattr(project.list_ports, "comports", lambda: alike)
    assert project.port_of(Member(1, "RPI_PICO", serial="0001")) == "/dev/a"
    alike.append(_Port("/dev/c", "0001", "1-1.3:1.0"))
    says = "member 1: serial: '0001': the boards at /dev/a and /dev/b and /dev/c have it alike: list each by its port"
    with pytest.raises(ProjectError, match=says):
        project.port_of(Member(1, "RPI_PICO", serial="0001"))


def test_a_port_with_two_names_is_one(tmp_path, capsys, monkeypatch):
    """A device, and a link to it as those in /dev/serial; a serial number, which only a command looks for."""
    (tmp_path / "device").touch()
    (tmp_path / "link").symlink_to("device")
    one, other = (f'port = "{tmp_path / name}"\n' for name in ("device", "link"))
    second = MEMBER.replace("1", "2")
    (line,) = mistakes(tmp_path, 'name = "s"\n' + MEMBER + one + second + other)
    assert f'/link": member 1 has it too, as {tmp_path / "device"}: each board is one member' in line
    (tmp_path / "swarm.toml").write_text('name = "s"\n' + MEMBER + one + second + 'serial = "0001"\n')
    monkeypatch.setattr(project.list_ports, "comports", lambda: [_Port(str(tmp_path / "link"), "0001")])
    assert main(["deploy", "1", "--swarm", str(tmp_path / "swarm.toml")]) == 1
    told = capsys.readouterr().err
    assert f"member 2: serial '0001': member 1 is at {tmp_path / 'device'} too: each board is one member" in told
    assert told.endswith("; no board was touched\n")
