"""The skew that `swarm monitor` tells, against the true one, which a rig knows and no board does."""

import io
import time
from types import SimpleNamespace

import pytest

from requirements import require
from rig_fixture import Table, lay_boards
from swarm.serial.port import open_port
from swarm.serial.prompt import prompt, raw_repl
from swarm.serial.status import read_status
from swarm.watch import instants
from swarm.watch.instants import Bounds

SEED = 8
WRAP = 1 << 30  # of ticks_us


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    require("unix")
    with Table(lay_boards(tmp_path_factory.mktemp("boards"), [1, 2, 3]), SEED) as made:
        made.start(1, 2, 3)
        made.wait(lambda: all(made.run.nodes[node].succeeded() for node in (1, 2, 3)), what="first samples")
        yield made


def true_us(table, node, ticks_us):
    """True time of a board's ticks_us, of all such times the one nearest to now."""
    clock = table.run.nodes[node].clock
    now = clock.local_us(time.monotonic_ns() // 1000)
    local = now + (ticks_us - now + WRAP // 2) % WRAP - WRAP // 2 - clock.offset_us
    return clock.base_us + local - local * clock.ppb / 1e9


def test_a_sample_was_within_its_bounds_and_so_is_the_skew(table):
    """By a board's own clock, which is up to 50 ppm wrong, and by the agreed instant as it has it."""
    found, true = {}, {}
    for node, port in table.ports.items():
        with open_port(port) as transport, prompt(transport, port):
            status = read_status(transport, port)
            found[node] = instants.read(transport, port, status)["instant"].later(status["sample"]["late_us"])
            # The prompt is as free as it was, and nothing is left there.
            assert transport.eval("'_swarm_ask' in globals()") is False
            ticks = transport.eval("__import__('faction').app.node.first_sample._instant_us")
        true[node] = true_us(table, node, ticks) + status["sample"]["late_us"]
        assert found[node].low_us - 1 <= true[node] <= found[node].high_us + 1, (SEED, node, true[node], found[node])
    least, most = instants.skew(list(found.values()))
    assert least - 2 <= max(true.values()) - min(true.values()) <= most + 2


def test_what_cannot_be_told_is_not(table, monkeypatch):
    port = table.ports[1]
    with raw_repl(port) as transport:
        status = read_status(transport, port)
        for changes in ({"sample": None}, {"instant_in_us": None}, {"instant_in_us": -499_500_000}):
            assert instants.read(transport, port, {**status, **changes}) == {"instant": None}
        with monkeypatch.context() as patch:
            patch.setattr(instants, "_ASK", "print('<<<{1} nothing >>>')")
            assert instants.read(transport, port, status) == {"instant": None}
    with raw_repl(port) as transport:
        assert instants.read(transport, port, status)["instant"], "the prompt is found again"


def test_an_instant_is_so_long_ago_as_its_node_says(monkeypatch):
    answer = io.BytesIO(b"a line of the node's\r\n<<< -2000000 >>>\r\n")
    port = SimpleNamespace(write=lambda _: None, read=answer.read)
    times = iter([10.0, 10.0, 10.5, 10.5, 10.5])
    monkeypatch.setattr(instants, "time", SimpleNamespace(monotonic=lambda: next(times, 10.5)))
    found = instants._ask(port, b"?", b"<<< ", b">>>", False)
    assert found == Bounds(8e6 - 120, 8.5e6 + 120), "asked at 10 s and answered at 10.5; and 60 ppm of two seconds"


def test_bounds_and_what_follows_from_them():
    assert Bounds(1, 5).and_also(Bounds(3, 9)) == Bounds(3, 5) and Bounds(1, 5).and_also(None) == Bounds(1, 5)
    assert Bounds(1, 2).and_also(Bounds(3, 9)) == Bounds(1, 2), "a board that was reset meanwhile"
    assert instants.skew([Bounds(0, 10), Bounds(30, 50), Bounds(5, 20)]) == (20, 50)
    assert instants.skew([Bounds(0, 10), Bounds(5, 20)]) == (0.0, 20)
