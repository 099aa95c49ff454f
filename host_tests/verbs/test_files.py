"""Files of the host are of all kinds: pipes, devices, other encodings, full disks; each is told in a line, none is
harmed, and nothing hangs or eats the memory."""

import errno
import os
import resource
import stat
import subprocess
import sys

import pytest

from swarm import cli
from swarm.deploy import payload
from swarm.deploy.own_code import OwnFile, PayloadError
from swarm.output import descriptors, readable, writable
from swarm.serial import port
from swarm.serial.port import BoardError, open_port

SWARM = [sys.executable, "-c", "from swarm.cli import main; raise SystemExit(main())"]
ASCII = {**os.environ, "LC_ALL": "C", "LANG": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A folder with a swarm of one board, which is not plugged in, and a pipe that nobody writes to."""
    monkeypatch.chdir(tmp_path)
    assert cli.main(["init", "--board", "VIRTUAL", "--ports", "none"]) == 0
    os.mkfifo(tmp_path / "pipe")
    return tmp_path


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["collect", "1", "--out", "/dev/null"], "/dev/null: a device: name a file"),
        (["collect", "1", "--out", "/dev/full"], "/dev/full: a device: name a file"),
        (["collect", "1", "--out", "pipe"], "pipe: a pipe: name a file"),
        (["collect", "1", "--plot", "pipe.svg"], "pipe.svg: a pipe: name a file"),
        (["bench", "--output", "/dev/null"], "/dev/null: a device: name a file"),
        (["check", "--swarm", "pipe"], "pipe: cannot be read as text: [Errno 22] a pipe, where a file is wanted"),
        (["check", "--swarm", "/dev/zero"], "/dev/zero: cannot be read as text: [Errno 22] a device, where a file"),
        (["replay", "/dev/zero"], "swarm replay: /dev/zero: more than 1 MB"),
        (["deploy", "1"], "sensor.py: cannot be read: a pipe, where a file is wanted: put that right; no board"),
        (["flash", "--board", "RPI_PICO", "--firmware", "pipe"], "pipe: cannot be read (a pipe, where a file is"),
        (["check"], "the swarm's key cannot be read (a pipe, where a file is wanted)"),
    ],
)
def test_what_is_no_file_is_refused_and_stays(arguments, told, folder, monkeypatch, capsys):
    monkeypatch.setattr(readable, "_MOST", 1 << 20)
    (folder / "pipe.svg").symlink_to("pipe")
    if arguments[0] == "deploy":
        os.mkfifo("sensor.py")
    if arguments == ["check"]:
        os.replace("pipe", "swarm.key")
        os.mkfifo("pipe")
    assert cli.main(arguments) in (1, 2)
    assert told in capsys.readouterr().err
    assert all(stat.S_ISCHR(os.stat(f"/dev/{name}").st_mode) for name in ("null", "full", "zero"))
    assert stat.S_ISFIFO(os.stat("pipe").st_mode)
    with pytest.raises(OSError, match="is a pipe, and stays one: 'pipe'"):
        writable.write_atomically(folder.joinpath("pipe").relative_to(folder), "x")


def test_a_gitignore_may_be_of_any_encoding(tmp_path):
    (tmp_path / ".git").mkdir()
    (tmp_path / ".gitignore").write_bytes(b"b\xe4r\xff")
    done = subprocess.run(
        [*SWARM, "init", "--nodes", "1", "--board", "VIRTUAL", "--name", "Gew\u00e4chshaus"],
        cwd=tmp_path,
        env=ASCII,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert (tmp_path / ".gitignore").read_bytes() == b"b\xe4r\xff\n/swarm.key\n"
    assert 'name = "Gew\u00e4chshaus"' in (tmp_path / "swarm.toml").read_text("utf-8")
    assert "Gew\\xe4chshaus" in done.stdout


def test_a_full_disk_names_the_file(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)

    def full(_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    assert cli.main(["init", "--nodes", "1", "--board", "VIRTUAL", "--open"]) == 1
    assert "No space left on device: 'swarm.toml'" in capsys.readouterr().err and os.listdir() == []
    assert cli.main(["init", "--nodes", "1", "--board", "VIRTUAL"]) == 1
    assert "No space left on device: 'swarm.key'" in capsys.readouterr().err and os.listdir() == []
    monkeypatch.undo()
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "gone"))
    with pytest.raises(PayloadError, match="gone/swarm-compile-.*: No such file or directory, which compiling own.py"):
        payload.compile_own(OwnFile("own.py", tmp_path / "own.py", b"full = 1"))
    with open("/dev/full", "w") as full_disk:
        done = subprocess.run([*SWARM, "diagram"], stdout=full_disk, stderr=subprocess.PIPE, text=True)
    assert (done.returncode, done.stderr) == (1, "swarm: standard output: No space left on device\n")


def test_few_files_at_a_time_are_made_more_or_told(monkeypatch):
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (64, before[1]))
        descriptors.allow_more()
        assert resource.getrlimit(resource.RLIMIT_NOFILE)[0] == min(before[1], 4096)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)

    def refuse(*_, **__):
        raise OSError(errno.EMFILE, "Too many open files")

    monkeypatch.setattr(port.serial, "serial_for_url", refuse)
    with pytest.raises(BoardError, match="/dev/null: too many files are open here; type `ulimit -n 1024`"):
        open_port("/dev/null").__enter__()
