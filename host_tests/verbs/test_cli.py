"""The `swarm` command as a process: readers that leave, interrupts, and what every verb's help tells."""

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from swarm import cli
from swarm.documents import diagram
from swarm.output import writable

SWARM = str(Path(sys.executable).with_name("swarm"))


@pytest.fixture
def nobody():
    """A descriptor that nobody reads any more."""
    reader, writer = os.pipe()
    os.close(reader)
    yield writer
    os.close(writer)


@pytest.mark.parametrize("unbuffered", ["", "1"])
@pytest.mark.parametrize("arguments", [["diagram"], ["--help"], ["sim", "--nodes", "3", "--seed", "1"]])
def test_a_reader_that_leaves_is_no_error(nobody, arguments, unbuffered):
    environment = {**os.environ, "PYTHONUNBUFFERED": unbuffered}
    done = subprocess.run([SWARM, *arguments], stdout=nobody, stderr=subprocess.PIPE, env=environment, timeout=120)
    assert (done.returncode, done.stderr) == (0, b"")


def test_the_work_goes_on_when_nobody_reads(nobody, tmp_path):
    program = (
        "import sys; from swarm.output import streams; streams.outlive_readers()\n"
        "for stream in (sys.stdout, sys.stderr) * 2:\n    print('told', file=stream, flush=True)\n"
        "open('done', 'w').close()\n"
    )
    done = subprocess.run([sys.executable, "-c", program], stdout=nobody, stderr=nobody, cwd=tmp_path, timeout=120)
    assert done.returncode == 0 and (tmp_path / "done").exists()


def test_what_is_read_comes_whole_and_in_its_encoding():
    program = (
        "from swarm.output import streams; streams.outlive_readers()\nprint('\\u00e4\\u20ac'); print('end', end='')"
    )
    environment = {**os.environ, "PYTHONIOENCODING": "utf-8"}
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, env=environment, timeout=120)
    assert done.stdout.decode() == "\u00e4\u20ac\nend" and done.stderr == b""


def test_output_that_is_closed_from_the_start_is_no_error():
    done = subprocess.run(["sh", "-c", f"exec '{SWARM}' diagram >&-"], stderr=subprocess.PIPE, timeout=120)
    assert (done.returncode, done.stderr) == (0, b"")


@pytest.mark.parametrize("verb", ["status", "collect", "monitor"])
def test_an_interrupt_is_told_in_a_line(verb, tmp_path):
    """While a silent board is waited for."""
    silent, end = os.openpty()
    once = ["--once"] if verb == "monitor" else []
    command = [SWARM, verb, "--port", os.ttyname(end), *once]
    with subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert os.read(silent, 1) == b"\r", "the board is asked"
        process.send_signal(signal.SIGINT)
        told, error = process.communicate(timeout=120)
    os.close(silent)
    os.close(end)
    assert (process.returncode, told, error) == (130, "", "swarm: interrupted\n")


def test_an_interrupt_of_a_campaign_is_told_in_a_line():
    """Its processes say nothing."""
    command = [SWARM, "sim", "--nodes", "20", "--seeds", "2000", "--jobs", "2"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True) as process:
        children = Path(f"/proc/{process.pid}/task/{process.pid}/children")
        while len(children.read_text().split()) < 2:
            assert process.poll() is None
            time.sleep(0.05)
        time.sleep(0.5)  # for them to begin
        os.killpg(process.pid, signal.SIGINT)  # as a terminal does
        told, error = process.communicate(timeout=120)
    assert (process.returncode, told, error) == (130, b"", b"swarm: interrupted\n")


@pytest.mark.parametrize("verb", cli.VERBS)
def test_every_help_tells_the_exit_statuses(verb, capsys):
    with pytest.raises(SystemExit) as ended:
        cli.main([verb, "--help"])
    told = capsys.readouterr().out.lower()
    assert ended.value.code == 0 and "exit status: 0 " in told, told


def test_every_option_of_every_verb_is_explained():
    (subparsers,) = (action for action in cli.parser([])._actions if isinstance(action.choices, dict))
    bare = [
        f"{verb} {option.option_strings or option.dest}"
        for verb, parser in subparsers.choices.items()
        for option in parser._actions
        if not option.help or (option.nargs != 0 and option.choices is None and option.metavar is None)
    ]
    assert list(subparsers.choices) == list(cli.VERBS) and bare == []


def test_a_verb_is_imported_alone():
    """The others would take its user half a second at each call."""
    program = "import sys; from swarm.cli import main; status = main(['diagram'])\n"
    program += "others = ('swarm.verbs.demo', 'esptool', 'swarm.sim.run')\n"
    program += "print([name for name in sys.modules if name in others], status)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=120)
    assert done.stdout.splitlines()[-1] == "[] 0", done.stderr


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ([], "required: COMMAND"),
        (["chek"], "'chek' is no command: did you mean check? `swarm help` lists them"),
        (["help", "chek"], "'chek' is no command: did you mean check? `swarm help` lists them"),
        (["xyzzy", "--all"], "'xyzzy' is no command: `swarm help` lists them"),
    ],
)
def test_no_verb_and_a_wrong_one_are_told_with_the_remedy(arguments, told, capsys):
    with pytest.raises(SystemExit) as ended:
        cli.main(arguments)
    assert ended.value.code == 2 and told in capsys.readouterr().err


def helped(arguments, capsys):
    with pytest.raises(SystemExit) as ended:
        cli.main(arguments)
    assert ended.value.code == 0
    return capsys.readouterr().out


def test_the_help_lists_the_verbs_for_users_and_those_for_developers(capsys):
    told = helped(["--help"], capsys)
    assert told == helped(["help"], capsys)
    users, developers = told.split("for whoever has a swarm:")[1].split("for whoever works on the library:")
    assert re.findall(r"^  (\w+)  ", users, re.MULTILINE) == list(cli.FOR_USERS)
    assert re.findall(r"^  (\w+)  ", developers, re.MULTILINE) == list(cli.FOR_DEVELOPERS)


def test_help_of_a_verb_is_that_verbs_help(capsys):
    told = helped(["help", "size"], capsys)
    assert told == helped(["size", "--help"], capsys) and told.startswith("usage: swarm size ")


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["sim", "--nodes", "3", "--plot", "/nowhere/x.svg"], "/nowhere/x.svg: there is no folder /nowhere: make it"),
        (["bench", "--output", "/nowhere/x.json"], "/nowhere/x.json: there is no folder /nowhere: make it"),
        (["bench", "--output", "/"], "/: a folder: name a file"),
        (["collect", "--port", "/none", "--out", "/nowhere/x.csv"], "/nowhere/x.csv: there is no folder /nowhere"),
        (["bench", "--seeds", "0"], "argument --seeds: '0': write a whole number, 1 or more"),
        (["bench", "--jobs", "0"], "argument --jobs: '0': write a whole number, 1 or more"),
        (["sim", "--seeds", "x"], "argument --seeds: 'x': write a whole number, 1 or more"),
        (["sim", "--quorum", "0"], "argument --quorum: '0': a number, all or random"),
        (["sim", "--lead-ms", "0"], "lead_ms 0: 1 or more"),
        (["status", "--prot", "/dev/x"], "--prot: no such option: did you mean --port? `swarm help status` lists them"),
        (["check", "--zzz=1"], "--zzz: no such option: `swarm help check` lists them"),
        (["status", "one"], "argument NODE: 'one': write a whole number"),
        (["monitor", "--every", "soon"], "argument --every: 'soon': write a number"),
        (["deploy", "--all", "--trial-s", "x"], "argument --trial-s: 'x': write a number"),
    ],
)
def test_wrong_use_is_told_before_any_work(arguments, told, capsys):
    try:
        status = cli.main(arguments)
    except SystemExit as ended:
        status = ended.code
    shown = capsys.readouterr()
    assert status == 2 and told in shown.err and shown.out == ""


@pytest.mark.parametrize("verb", ["check", "deploy --all", "status --all", "collect --all", "doctor", "flash --all"])
def test_each_mistake_in_a_file_is_a_line_of_the_verb(verb, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "swarm.toml").write_text('name = ""\nchannel = 99\n[[member]]\nid = 1\nboard = "PICO"\n')
    assert cli.main(verb.split()) in (1, 2)
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 3 and all(line.startswith(f"swarm {verb.split()[0]}: swarm.toml:") for line in lines), lines


def test_a_file_that_must_not_be_written_is_told_before_any_work(tmp_path, monkeypatch):
    """Whoever runs this, root included."""
    file = tmp_path / "x.csv"
    monkeypatch.setattr(os, "access", lambda path, mode: Path(path) != tmp_path)
    with pytest.raises(ValueError, match="x.csv: may not be written: name a file elsewhere"):
        writable.check(file)
    file.touch()
    monkeypatch.setattr(os, "access", lambda path, mode: Path(path) != file)
    with pytest.raises(ValueError, match="x.csv: may not be written: name a file elsewhere"):
        writable.check(file)
    monkeypatch.undo()
    writable.check(file)


def test_what_the_system_refuses_in_the_middle_is_told_in_a_line(monkeypatch, capsys):
    def machine():
        raise OSError(28, "No space left on device", "somewhere")

    monkeypatch.setattr(diagram, "machine", machine)
    assert cli.main(["diagram"]) == 1
    assert capsys.readouterr().err == "swarm: somewhere: No space left on device\n"
