"""Samples that come through one board of a swarm, handed on to a command and a broker: each once, as in the file."""

import csv
import json
import shlex
import sys
import time

import pytest
from broker import free_port, reader, require_broker, running

from asyncio_application import ON_ASYNCIO
from requirements import require
from rig_fixture import KEYS, Following, Table, carried, lay_boards

SEED = 41
MEMBERS = [1, 2, 3]
WAIT_S = 90.0


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    """Three boards that sample each second, and any may gather; an application has the first one's prompt."""
    require("unix")
    home = tmp_path_factory.mktemp("boards")
    boards = lay_boards(home, MEMBERS, period_ms=1000, round_ms=10_000, gateway=[], required=3)
    (boards[1] / "application.py").write_text(ON_ASYNCIO)
    with Table(boards, SEED) as made:
        made.start(*MEMBERS)
        made.wait_line(3, '"n": 2')
        yield made


class Follows(Following):
    """`swarm collect --follow` through a board, whose command keeps what it gets in a file; ended with Ctrl-C."""

    def __init__(self, table, through, out, got, *options):
        program = out.with_name("copy.py")
        program.write_text("import sys\nfor line in sys.stdin:\n    open(sys.argv[1], 'a').write(line)\n")
        command = shlex.join([sys.executable, str(program), str(got)])
        self.got_file = got
        super().__init__("--via", table.ports[through], "--out", out, "--exec", command, *options)

    def got(self):
        """What the command has, by what tells samples apart; each was given once."""
        lines = self.got_file.read_text().splitlines() if self.got_file.exists() else []
        found = [json.loads(line) for line in lines]
        by_key = {key(one): one for one in found}
        assert len(by_key) == len(found), "given twice"
        return by_key

    def wait(self, done, what):
        end = time.monotonic() + WAIT_S
        while not done():
            assert time.monotonic() < end, (f"seed {SEED}: {what}", self.said)
            assert self.process.poll() is None, self.said
            time.sleep(0.1)

    def end(self):
        """Ctrl-C; its exit status."""
        self.interrupt()
        return self.status()

    def ends_well(self):
        """Ctrl-C; whether its exit status is 1 just where a node is silent then, as it has said: a busy host has some
        be, for a moment."""
        status, silent = self.end(), set()
        for line in self.said:
            node, _, what = line.removeprefix("swarm collect: ").partition(": ")
            if node.isdigit() and line.startswith("swarm"):
                silent.add(node)
            elif what == "answers again\n":
                silent.discard(node)
        return status == bool(silent)


def key(one):
    return tuple(str(one[name]) for name in KEYS)


def rows(out):
    with open(out, newline="") as file:
        return {key(row): row for row in csv.DictReader(file)}


def same(told, row):
    """Whether what was handed on is what the file has; of when a beat was the file may know more later."""
    return all(str(told[name]) == row[name] for name in (*KEYS, "late_us", "value", "late"))


def has(found, counts):
    return all(sum(one[0] == str(node) for one in found) >= count for node, count in counts.items())


@pytest.mark.parametrize(
    "through", (pytest.param(3, id="its prompt", marks=pytest.mark.long), pytest.param(1, id="its application"))
)
def test_a_command_is_given_each_sample_of_every_member_once_over_restarts_and_runs(table, tmp_path, through):
    out = tmp_path / "air.csv"
    with carried(table):
        with Follows(table, through, out, tmp_path / "first.jsonl") as follows:
            follows.wait(lambda: has(follows.got(), dict.fromkeys(MEMBERS, 3)), "three of each")
            before = max(int(one[1]) for one in follows.got() if one[0] == "2")
            table.power(2, False)
            newest = len(follows.got())
            follows.wait(lambda: len(follows.got()) > newest + 4, "the others' meanwhile")
            table.power(2, True)
            follows.wait(lambda: any(one[:2] == ("2", str(before + 1)) for one in follows.got()), "2 again")
            assert follows.ends_well(), "".join(follows.said)
            first, held = follows.got(), rows(out)
        assert first.keys() == held.keys() and all(same(first[one], held[one]) for one in first)
        with Follows(table, through, out, tmp_path / "second.jsonl") as follows:
            follows.wait(lambda: has(follows.got(), dict.fromkeys(MEMBERS, 3)), "three more of each")
            assert follows.ends_well(), "".join(follows.said)
            second, held = follows.got(), rows(out)
    assert not first.keys() & second.keys(), "what was handed on once is in the file"
    assert first.keys() | second.keys() == held.keys() and all(same(second[one], held[one]) for one in second)


def test_a_command_that_ends_is_told_and_the_file_goes_on(table, tmp_path):
    out = tmp_path / "air.csv"
    with carried(table), Follows(table, 3, out, tmp_path / "nowhere" / "got.jsonl") as follows:
        follows.wait(lambda: any("ended with exit status 1 after" in line for line in follows.said), "its end")
        count = len(rows(out))
        follows.wait(lambda: len(rows(out)) > count + 3, "more in the file")
        assert follows.end() == 1


def test_a_broker_gets_all_that_the_file_has_beside_a_command(table, tmp_path):
    require_broker()
    port, out = free_port(), tmp_path / "air.csv"
    with carried(table), running(port), reader(port, "house/+") as found:
        options = ("--mqtt", f"mqtt://127.0.0.1:{port}/house")
        with Follows(table, 3, out, tmp_path / "got.jsonl", *options) as follows:
            follows.wait(lambda: has(follows.got(), dict.fromkeys(MEMBERS, 4)), "four of each")
            assert follows.ends_well(), "".join(follows.said)
            held, got = rows(out), follows.got()
        end = time.monotonic() + WAIT_S
        while {key(json.loads(text)) for _, text, _ in found} != held.keys():
            assert time.monotonic() < end, (len(found), len(held))
            time.sleep(0.1)
    assert got.keys() == held.keys()
    for topic, text, _ in found:
        one = json.loads(text)
        assert topic == f"house/{one['node']}" and same(one, held[key(one)])
