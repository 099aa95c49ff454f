"""The README's walk-through: it happens as it is shown, with eight boards too, and no key is seen anywhere in it."""

import contextlib
import json
import re
import stat
import threading
from dataclasses import replace
from pathlib import Path

import pytest

from box import eventually
from requirements import require
from swarm import cli
from swarm.documents import walkthrough


class Watch(threading.Thread):
    """Notes the arguments of every process on this machine while it is in use."""

    def __enter__(self):
        self.seen = set()
        self.ends = threading.Event()
        self.start()
        return self

    def run(self):
        while not self.ends.wait(0.02):
            for file in Path("/proc").glob("[0-9]*/cmdline"):
                try:
                    self.seen.add(file.read_bytes())
                except OSError:
                    continue  # it has ended

    def __exit__(self, *_):
        self.ends.set()
        self.join()


def holders(folder, key):
    """Files under a folder that hold the key."""
    return [file for file in folder.rglob("*") if file.is_file() and key.encode() in file.read_bytes()]


@pytest.fixture(scope="module")
def walked():
    """The walk-through as the README has it: its text, the key, what held it, processes' arguments, the nodes then."""
    require("unix")
    with walkthrough.place() as (folder, environment), Watch() as watch:
        text = walkthrough.walk(walkthrough.steps(walkthrough.BOARDS), folder, environment)
        nodes = json.loads("\n".join(walkthrough.execute("swarm status --all --json", folder, environment)))
        key = (folder / "swarm.key").read_text().strip()
        held = {str(file.relative_to(folder)): file.stat().st_mode for file in holders(folder.parent, key)}
        yield text, key, held, watch.seen, nodes.values()


def test_the_readme_shows_what_happens(walked):
    shown = walkthrough.split(walkthrough.README.read_text(encoding="utf-8"))[1]
    assert "\n".join(walkthrough.compare(shown, walked[0])) == "", "make walkthrough WRITE=1"


def test_what_a_busy_host_does_to_a_beat_makes_no_difference():
    row = "1  Bootstrapped  3/3  3/3  23.77, +1 us{}, beat {}  0\nseries: beat 1 next, {} missed, skew at most 571 us"
    quiet = row.format("", "0, next in 952.0 ms", 0)
    assert not walkthrough.compare(quiet, row.format(" late", "31, next in 1.2 s, 2 missed, moved 1 times", 2))
    assert walkthrough.compare(quiet, quiet.replace("Bootstrapped", "Collecting"))


def test_a_beat_that_is_known_to_less_than_100_us_makes_no_difference():
    row = "32549,0,2026-11-29T15:20:18.128Z,{},23.77,17.68,19.09"
    assert not walkthrough.compare(row.format(0.000289), row.format(0.000089)), "which is written as 8.9e-05"


def test_it_has_eight_steps_with_a_csv_and_an_application(walked):
    text = walked[0]
    assert re.findall(r"^\*\*(\d)\. ", text, re.MULTILINE) == list("12345678")
    assert len(re.findall(r"^1,\d+,\d+,0,20\d\d-[^,]+Z,[\d.]+(?:e-\d+)?,-?\d+,[\d.]+,[01]$", text, re.MULTILINE)) == 1
    assert len(re.findall(r"^\d+,\d+,20\d\d-[^,]+Z,[\d.]+(?:e-\d+)?(?:,[\d.]*){3}$", text, re.MULTILINE)) == 1
    assert "3 boards were looked at, nothing is wrong" in text
    assert all((node["application"], node["errors"]) == ("runs", []) for node in walked[4])


def test_no_key_is_shown_or_given_to_a_process(walked):
    text, key, _, seen, _ = walked
    assert len(key) == 32 and key not in text
    assert any(b"deploy" in arguments for arguments in seen), "it was watched"
    assert not any(key.encode() in arguments for arguments in seen)


def test_the_key_is_in_its_file_and_on_the_boards_and_nowhere_else(walked):
    held = walked[2]
    slots = [f"boards/board-{node}/faction" for node in range(1, walkthrough.BOARDS + 1)]
    boards = {f"{slot}.{name}/faction.key" for slot in slots for name in "ab"}
    assert set(held) == {"swarm.key"} | boards
    assert not any(mode & (stat.S_IRWXG | stat.S_IRWXO) for mode in held.values())


@pytest.mark.long
def test_eight_boards_and_a_second_deploy_that_sends_nothing():
    require("unix")
    with walkthrough.place() as (folder, environment):
        *steps, last = walkthrough.steps(8)
        last = replace(last, commands=tuple(command for command in last.commands if command != "swarm doctor"))
        text = walkthrough.walk((*steps, last), folder, environment)

        def is_well():
            """As the doctor has it, who on a busy host may find that a board has just measured late."""
            with contextlib.suppress(walkthrough.WalkthroughError):
                told = walkthrough.execute("swarm doctor", folder, environment)
                return "8 boards were looked at, nothing is wrong" in told

        assert eventually(is_well)
        again = walkthrough.execute("swarm deploy --all", folder, environment)
    assert int(re.search(r"samples\.csv: (\d+) samples, \1 new", text)[1]) >= 8, text
    assert sum("up to date, nothing uploaded, not restarted" in line for line in again) == 8, again


def test_what_varies_is_left_out_and_what_does_not_is_told():
    shown = "1  boards/ports/1 -> /dev/pts/13\nnode 1: 27 files uploaded (34.6 KB), 0 kept, runs session 217672434\n"
    again = "1  boards/ports/1 -> /dev/pts/4\nnode 1: 27 files uploaded (34.6 KB), 0 kept, runs session 217999999\n"
    assert walkthrough.compare(shown, again) == []
    row = "1  Bootstrapped  3/3  20.49, +348 us, beat 3, next in 1.1 s  0\n"
    rows = (row, "1  Bootstrapped  3/3  9.2, -1.2 ms late, beat 10   0\n")
    assert walkthrough.compare(*rows) == []
    line = "1,217672434,9,0,2026-11-24T08:33:54.760Z,0.0006,32,21.43,0\n"
    assert walkthrough.compare(line, "2,2,77,8,2027-01-01T00:00:00.001Z,0.01,-7,-1,1\n") == []
    assert walkthrough.compare("9,0,2026-11-24T08:33:54.760Z,0.1,2,3\n", "7,8,2027-01-01T00:00:00.001Z,2.5,,-1\n") == []
    for other in (
        shown.replace("0 kept", "1 kept"),
        shown.replace("34.6", "36.5"),
        shown.replace("27 f", "28 f"),
        shown.replace("ports/1 ", "ports/2 "),
        shown + "more\n",
    ):
        assert any(line.startswith("+") for line in walkthrough.compare(shown, other)[2:])


def test_a_readme_that_shows_something_else_is_refused_and_rewritten(tmp_path, monkeypatch, capsys):
    require("unix")
    step = walkthrough.Step("Look", "Words.", ("echo seed 5, 3 boards",))
    monkeypatch.setattr(walkthrough, "steps", lambda boards: (step,))
    readme = tmp_path / "README.md"
    monkeypatch.setattr(walkthrough, "README", readme)
    readme.write_text("# Title\n")
    assert cli.main(["walkthrough"]) == 1
    assert "README.md has no <!-- walkthrough -->" in capsys.readouterr().err
    readme.write_text("# Title\n<!-- walkthrough -->\n<!-- /walkthrough -->\nRest\n")
    assert cli.main(["walkthrough"]) == 1
    told = capsys.readouterr()
    assert "+seed N, 3 boards" in told.out and "make walkthrough WRITE=1" in told.err
    assert cli.main(["walkthrough", "--write"]) == 0
    text = readme.read_text()
    assert text.startswith("# Title\n<!-- walkthrough -->\n**1. Look.** Words.\n```console\n$ echo seed 5, 3 boards\n")
    assert text.endswith("seed 5, 3 boards\n```\n<!-- /walkthrough -->\nRest\n")
    assert cli.main(["walkthrough"]) == 0 and "README.md shows what" in capsys.readouterr().out
    monkeypatch.setattr(walkthrough, "steps", lambda boards: (walkthrough.Step("Fail", "", ("echo oh; exit 3",)),))
    assert cli.main(["walkthrough"]) == 1
    assert "`echo oh; exit 3` ended with 3:\nswarm walkthrough: oh" in capsys.readouterr().err


def test_wrong_use_and_help(capsys):
    assert cli.main(["walkthrough", "--boards", "10"]) == 2
    assert "--boards 10 is outside 1 ... 9" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        cli.main(["walkthrough", "--help"])
    told = capsys.readouterr().out
    assert "swarm walkthrough --write" in told and "exit status: 0 " in told
