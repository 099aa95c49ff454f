"""A command that gets each sample that is safe in the file as a line of JSON, whatever the command does."""

import json
import os
import sys
import time
from pathlib import Path

import pytest

from swarm.sinks import sink
from swarm.sinks.command import Command, parse
from swarm.sinks.every import Sinks
from swarm.watch.samples import Sample

WAIT_S = 30.0


def sample(n, value="21.5", **changes):
    return Sample(2, 7, 5, value, False, series=9, n=n, utc="2026-11-29T06:00:00.000Z", within_s=0.001, **changes)


def script(tmp_path, text):
    """The words of a command that is a script in Python."""
    file = tmp_path / "command.py"
    file.write_text("import os, signal, sys, time\n" + text)
    return [sys.executable, "-u", str(file)]


def wait(done):
    end = time.monotonic() + WAIT_S
    while not done():
        assert time.monotonic() < end
        time.sleep(0.01)


def got(out):
    return [json.loads(line) for line in Path(out).read_text().splitlines()] if Path(out).exists() else []


def copies(tmp_path):
    out = tmp_path / "got.jsonl"
    return out, script(
        tmp_path, f"with open({str(out)!r}, 'w') as file:\n  for line in sys.stdin: file.write(line); file.flush()"
    )


def test_each_new_sample_is_a_line_once_it_is_safe(tmp_path):
    out, words = copies(tmp_path)
    table = [sample(0)]
    command = Command(words, table)
    table += [sample(1), sample(2, "", parts={"value.temperature_C": "21.5", "value.of": "Gew\u00e4chshaus"})]
    time.sleep(2 * 0.5)
    assert got(out) == [], "not before it is in the file"
    command.safe()
    wait(lambda: len(got(out)) == 2)
    table.append(sample(3))
    command.safe()
    assert command.end()
    assert [one["n"] for one in got(out)] == [1, 2, 3]
    first = {"node": 2, "session": 7, "series": 9, "n": 1, "utc": "2026-11-29T06:00:00.000Z", "within_s": 0.001}
    assert got(out)[0] == first | {"late_us": 5, "value": 21.5, "late": 0}
    assert got(out)[1]["value.temperature_C"] == 21.5 and got(out)[1]["value.of"] == "Gew\u00e4chshaus"


@pytest.mark.parametrize(
    "end, words",
    (
        ("sys.exit(3)", "ended with exit status 3 after "),
        ("sys.exit(0)", "ended with exit status 0 after "),
        ("os.kill(os.getpid(), signal.SIGKILL)", "ended by signal 9 after "),
        ("os.close(0); time.sleep(60)", "reads no more after"),
    ),
)
def test_a_command_that_ends_is_told_and_nobody_waits_for_it(tmp_path, capfd, end, words):
    table = []
    command = Command(script(tmp_path, f"os.read(0, 9000)\n{end}"), table)
    table.append(sample(0))
    command.safe()
    said = ""

    def told():
        nonlocal said
        said += capfd.readouterr().err
        table.append(sample(len(table)))
        command.safe()
        return said.endswith("they go on to the file\n")  # its end may come a moment later

    wait(told)
    assert words in said
    assert said.startswith(f"swarm collect: --exec {sys.executable}: "), said
    assert not command.end(), "the exit status tells of it"
    assert capfd.readouterr().err == "", "once"


def test_who_does_not_read_holds_nobody_up_and_is_told_of_at_the_end(tmp_path, capfd, monkeypatch):
    monkeypatch.setattr(sink, "END_S", 0.5)
    table = []
    command = Command(script(tmp_path, "time.sleep(600)"), table)
    begun = time.monotonic()
    for n in range(5000):  # more than a pipe holds
        table.append(sample(n))
        command.safe()
    assert not command.end()
    assert time.monotonic() - begun < WAIT_S
    said = capfd.readouterr().err
    assert "of 5000 samples not taken in time: in the file alone" in said
    assert command._process.poll() is not None, "it is gone"


def test_a_slow_one_still_gets_all(tmp_path):
    out, words = copies(tmp_path)
    words = script(tmp_path, Path(words[-1]).read_text().replace("file.flush()", "file.flush(); time.sleep(0.002)"))
    table = []
    command = Command(words, table)
    for n in range(1000):
        table.append(sample(n))
        command.safe()
    assert command.end()
    assert [one["n"] for one in got(out)] == list(range(1000))


def test_a_failure_after_the_last_sample_is_told(tmp_path, capfd):
    table = []
    command = Command(script(tmp_path, "sys.stdin.read(); sys.exit(4)"), table)
    table.append(sample(0))
    command.safe()
    assert not command.end()
    assert "ended with exit status 4 after all that there were: 1 sample" in capfd.readouterr().err


def test_one_that_goes_on_after_its_input_is_ended_with_what_it_has_started(tmp_path, capfd, monkeypatch):
    monkeypatch.setattr(sink, "END_S", 0.5)
    monkeypatch.setattr("swarm.sinks.command.END_S", 0.5)
    command = Command(["sh", "-c", "cat >/dev/null; sleep 600 & echo $! >" + str(tmp_path / "pid") + "; wait"], [])
    assert not command.end()
    assert "and was ended" in capfd.readouterr().err
    child = int((tmp_path / "pid").read_text())
    state = Path(f"/proc/{child}/stat")
    if sys.platform == "linux":
        wait(lambda: not state.exists() or state.read_text().split()[2] == "Z")


def test_words_are_those_of_a_shell_and_none_reads_them():
    assert parse("a 'b c' $HOME \"d\"; e") == ["a", "b c", "$HOME", "d;", "e"]
    for wrong, told in (("", "no command"), ("  ", "no command"), ("a 'b", "No closing quotation")):
        with pytest.raises(ValueError, match=told):
            parse(wrong)


def test_a_program_that_is_not_there_is_told_before_anything_is_read(monkeypatch):
    monkeypatch.setenv("PATH", os.defpath)  # with a folder that this user may not look into it would be another error
    sinks = Sinks("no-such-program-here --at all", None)
    with pytest.raises(ValueError, match="--exec no-such-program-here: cannot be started .No such file"):
        sinks.begin([])
