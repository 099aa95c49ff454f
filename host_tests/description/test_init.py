"""swarm init: what it writes is right, secret where it must be, and never in the place of something else."""

import os
import stat
import subprocess
from pathlib import Path

import pytest

from swarm import cli
from swarm.description import project
from swarm.output import writable


@pytest.fixture(autouse=True)
def _here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def swarm(capsys, *argv):
    """Run a command; returns its exit status and what it wrote to both streams."""
    try:
        status = cli.main(list(argv))
    except SystemExit as left:
        status = left.code
    out, err = capsys.readouterr()
    return status, out, err


def test_one_kind_of_board(capsys):
    status, out, err = swarm(capsys, "init", "garden", "--nodes", "3", "--board", "ESP32_GENERIC")
    assert (status, err) == (0, "")
    loaded = project.load("garden/swarm.toml")
    assert (loaded.name, loaded.ids, loaded.required, loaded.open) == ("garden", [1, 2, 3], 3, False)
    assert {member.board for member in loaded.members} == {"ESP32_GENERIC"}
    assert out.startswith(f"garden/swarm.toml: swarm garden, 3 members, digest {loaded.digest()}\ngarden/swarm.key: ")


def test_every_option(capsys):
    options = "--name s --members 9,2 --board RPI_PICO --board ESP32_GENERIC --ports a b --link uart --quorum 1"
    options += " --period 1000 --round 10000 --deadline 5000 --lead 700 --on-timeout halt --channel 6"
    assert swarm(capsys, "init", *options.split())[0] == 0
    loaded = project.load("swarm.toml")
    assert (loaded.name, loaded.ids, loaded.required, loaded.deadline_ms) == ("s", [2, 9], 1, 5000)
    assert (loaded.lead_ms, loaded.on_timeout, loaded.channel, loaded.period_ms) == (700, "halt", 6, 1000)
    assert loaded.round_ms == 10_000
    assert loaded.members == [
        project.Member(9, "RPI_PICO", "a", links=["uart"]),
        project.Member(2, "ESP32_GENERIC", "b", links=["uart"]),
    ]


@pytest.mark.parametrize(("given", "gateway"), (("1", [1]), ("1,3", [1, 3]), ("any", "any")))
def test_a_gateway(capsys, given, gateway):
    options = ("--nodes", "3", "--board", "VIRTUAL", "--period", "1000", "--gateway", given)
    assert swarm(capsys, "init", *options)[0] == 0
    assert project.load("swarm.toml").gateway == gateway
    assert "\n# round_ms = 30000 " in Path("swarm.toml").read_text(), "what a gateway brings is no zero"


@pytest.mark.parametrize(
    ("options", "why"),
    (
        (("--gateway", "1"), "gateway: [1]: give a period_ms as well"),
        (("--period", "1000", "--gateway", "9"), "gateway: [9]: list members"),
        (("--period", "1000", "--gateway", "all"), "--gateway: 'all': write any, or whole numbers and commas"),
    ),
    ids=("no-period", "no-member", "no-id"),
)
def test_a_gateway_that_fits_no_swarm(capsys, options, why):
    status, out, err = swarm(capsys, "init", "--nodes", "3", "--board", "VIRTUAL", *options)
    assert (status, out) == (2, "")
    assert why in err


def test_as_many_nodes_as_ports(capsys):
    assert (
        "swarm a, 1 member, digest" in swarm(capsys, "init", "a", "--board", "RPI_PICO", "--ports", "/dev/ttyACM0")[1]
    )
    assert swarm(capsys, "init", "--board", "RPI_PICO", "--ports", "/dev/ttyACM0", "/dev/ttyACM1")[0] == 0
    assert [member.port for member in project.load("swarm.toml").members] == ["/dev/ttyACM0", "/dev/ttyACM1"]


def test_what_the_members_decide_goes_on_following_them(capsys):
    swarm(capsys, "init", "--nodes", "30", "--board", "VIRTUAL")
    text = (project.Path("swarm.toml")).read_text()
    assert "# quorum = 30 " in text and "# lead_ms = 700 " in text
    loaded = project.load("swarm.toml")
    del loaded.members[20:]
    loaded.save()
    again = project.load("swarm.toml")
    assert (again.required, again.agreed_lead_ms) == (20, 500)


@pytest.mark.parametrize("name", ['a "b" \\ c', "Gewächshaus", "a'''b", "#1", "= x"])
def test_any_name(capsys, name):
    assert swarm(capsys, "init", "--name", name, "--nodes", "1", "--board", "VIRTUAL")[0] == 0
    assert project.load("swarm.toml").name == name


def test_the_key_is_new_secret_and_nowhere_else(capsys):
    keys = set()
    for folder in "ab":
        _, out, err = swarm(capsys, "init", folder, "--nodes", "2", "--board", "VIRTUAL")
        file = project.Path(folder, "swarm.key")
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
        key = file.read_text().strip()
        assert project.load(f"{folder}/swarm.toml").key().hex() == key
        assert key not in out + err + project.Path(folder, "swarm.toml").read_text()
        keys.add(key)
    assert len(keys) == 2


@pytest.mark.parametrize("umask", [0o000, 0o077, 0o277])
def test_the_key_is_its_owners_whatever_the_umask(capsys, umask):
    before = os.umask(umask)
    try:
        status, _, _ = swarm(capsys, "init", "--nodes", "1", "--board", "VIRTUAL")
    finally:
        os.umask(before)
    assert status == 0 and stat.S_IMODE(os.stat("swarm.key").st_mode) == 0o600


def test_an_open_swarm_has_no_key(capsys):
    status, out, _ = swarm(capsys, "init", "--nodes", "2", "--board", "VIRTUAL", "--open")
    assert status == 0 and "open" in out and not os.path.exists("swarm.key")
    assert project.load("swarm.toml").key() == bytes(16)


@pytest.mark.parametrize("name", ["swarm.toml", "swarm.key"])
def test_nothing_is_overwritten(capsys, name):
    with open(name, "w") as file:
        file.write("mine")
    status, out, err = swarm(capsys, "init", "--nodes", "2", "--board", "VIRTUAL")
    assert (status, out) == (1, "") and err.startswith(f"swarm init: {name}: is there already")
    assert os.listdir() == [name]
    with open(name) as file:
        assert file.read() == "mine"


def test_a_failure_leaves_no_key_without_a_swarm(capsys, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(writable, "write_atomically", full)
    status, _, err = swarm(capsys, "init", "--nodes", "2", "--board", "VIRTUAL")
    assert status == 1 and "No space left" in err and os.listdir() == []


WRONG = [
    ("--board VIRTUAL", "say how many members"),
    ("--nodes 0 --board VIRTUAL", "--nodes: 0: write a whole number from 1 to 680"),
    ("--nodes 681 --board VIRTUAL", "--nodes: 681: write a whole number from 1 to 680"),
    ("--members 1,x --board VIRTUAL", "--members: '1,x': write whole numbers and commas"),
    ("--members 1,1 --board VIRTUAL", "member 1: id: 1: listed twice"),
    ("--nodes 2 --board PICO", "--board: 'PICO': choose one of ESP32_GENERIC"),
    ("--nodes 3 --board VIRTUAL --board VIRTUAL", "--board: 2 boards for 3 members"),
    ("--nodes 3 --board VIRTUAL --ports a b", "--ports: 2 ports for 3 members"),
    ("--board VIRTUAL --ports boards/ports/*", "--ports: boards/ports/*: no port is named so: plug the boards in"),
    ("--nodes 2 --board VIRTUAL --ports a a", 'member 2: port: "a": member 1 has it too'),
    ("--nodes 3 --board VIRTUAL --quorum 4", "swarm init: quorum: 4: write a whole number from 1 to 3"),
    ("--nodes 3 --board VIRTUAL --channel 0", "swarm init: channel: 0: write a whole number from 1 to 14"),
    ("--nodes 3 --board VIRTUAL --on-timeout stop", 'on_timeout: "stop": write one of: retry, halt'),
    ("--nodes 2 --board VIRTUAL --board RPI_PICO", 'member 2: links: ["uart"]: none of the other members'),
    ("--nodes 2 --board RPI_PICO --link espnow", "RPI_PICO has none: write one of uart"),
    ("--nodes 2", "--board"),
]


@pytest.mark.parametrize(("options", "said"), WRONG, ids=[options for options, _ in WRONG])
def test_wrong_use(capsys, options, said):
    status, out, err = swarm(capsys, "init", *options.split())
    assert (status, out) == (2, "") and said in err
    assert os.listdir() == []


def test_git_leaves_the_key_alone(capsys):
    subprocess.run(["git", "init", "-q"], check=True)
    os.mkdir("a")
    with open("a/.gitignore", "w") as file:
        file.write("*.csv")  # without a newline at its end
    for folder in ("a", "b"):
        assert swarm(capsys, "init", folder, "--nodes", "1", "--board", "VIRTUAL")[0] == 0
        subprocess.run(["git", "check-ignore", "-q", f"{folder}/swarm.key"], check=True)
        assert subprocess.run(["git", "check-ignore", "-q", f"{folder}/swarm.toml"]).returncode == 1
    with open("a/.gitignore") as file:
        assert file.read() == "*.csv\n/swarm.key\n"


def test_without_git_no_gitignore(capsys):
    swarm(capsys, "init", "--nodes", "1", "--board", "VIRTUAL")
    assert sorted(os.listdir()) == ["swarm.key", "swarm.toml"]


def test_help_has_examples_and_exit_statuses(capsys):
    status, out, _ = swarm(capsys, "init", "--help")
    assert status == 0 and "examples:" in out and "Exit status: 0" in out.replace("\n", " ")
