"""Samples over the air on virtual boards: a gateway prints each once, and any board fetches what another has kept."""

import json
from pathlib import Path

import pytest

from rig_fixture import Table, execute, lay_boards, records, status
from swarm import doctor
from swarm.deploy.remote import Remote
from swarm.serial.prompt import raw_repl

SEED = 15
MEMBERS = [1, 2, 3, 4]
PERIOD_MS = 1000
LATER = [2, 3, 4]  # whose records come over the air
BEATS = 5


@pytest.fixture(scope="module")
def swarm(tmp_path_factory):
    home = tmp_path_factory.mktemp("gateway")
    boards = lay_boards(home, MEMBERS, period_ms=PERIOD_MS, round_ms=10_000, gateway=[1])
    with Table(boards, SEED) as table:
        table.boards = boards
        table.start(*MEMBERS)
        said = table.run.nodes[1].output

        def has_all():
            mine = records(said)
            return all(sum(r["node"] == node for r in mine) >= BEATS for node in LATER)

        table.wait(has_all, what=f"{BEATS} records of each at the gateway")
        yield table


def test_the_gateway_prints_each_record_of_the_others_once_and_as_they_have_kept_it(swarm):
    gathered = [record for record in records(swarm.run.nodes[1].output) if record["node"] != 1]
    keys = [(record["node"], record["series"], record["n"]) for record in gathered]
    assert len(keys) == len(set(keys))
    for record in gathered:
        said = swarm.run.nodes[record["node"]].output
        swarm.wait(lambda record=record, said=said: record in records(said), what=record)


def fetched(printed):
    """Text and ending of what fetch() has printed."""
    text, end = "", None
    for line in printed.splitlines():
        try:
            kind, *rest = json.loads(line)
        except (ValueError, TypeError):
            continue
        if kind == "piece":
            text += rest[2]
        elif kind in ("end", "silent"):
            end = kind
    return text, end


def test_what_a_member_has_kept_is_fetched_through_another(swarm):
    text, end = fetched(execute(swarm, 2, "faction.app.gateway.fetch(3)"))
    assert end == "end"
    kept = records(text.splitlines())
    swarm.wait(lambda: kept[-1] in records(swarm.run.nodes[3].output))
    said = records(swarm.run.nodes[3].output)
    assert len(kept) >= BEATS
    assert all(record in said for record in kept)
    assert [record["n"] for record in kept] == sorted({record["n"] for record in kept})


def test_what_a_member_tells_of_itself_is_fetched_through_another(swarm):
    text, end = fetched(execute(swarm, 1, "faction.app.gateway.fetch(3, 0)"))
    assert end == "end"
    told = json.loads(text)
    assert told["node"] == 3 and told["session"] == status(swarm, 3)["session"]


def test_the_doctor_sees_of_how_long_rounds_are(swarm):
    with raw_repl(swarm.ports[2]) as transport:
        remote = Remote(transport)
        remote.load(Path(doctor.__file__).with_name("onboard_look.py"))
        assert remote.ask_again("look", bytes(16))["round_ms"] == 10_000
        remote.forget()


def test_a_gateway_tells_and_keeps_as_any_other(swarm):
    text, end = fetched(execute(swarm, 2, "faction.app.gateway.fetch(1)"))
    assert end == "end" and len(records(text.splitlines())) >= BEATS
    assert fetched(execute(swarm, 1, "faction.app.gateway.fetch(2)"))[1] == "end", "who has just gathered as well"


@pytest.mark.long
def test_a_member_that_is_not_there_is_silent_and_the_others_say_that_it_is_lost(swarm):
    swarm.power(4, False)
    assert fetched(execute(swarm, 1, "faction.app.gateway.fetch(4)")) == ("", "silent")
    for node in (1, 2, 3):
        swarm.wait_line(node, "lost 4 (not heard for ", seconds=25)
    presence = status(swarm, 1)["presence"]
    assert [node for node, _ in presence["lost"]] == [4]
    assert "\nlost       4 (not heard for " in execute(swarm, 1, "faction.status()")
