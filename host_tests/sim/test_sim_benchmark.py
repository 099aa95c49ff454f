"""The comparison with other protocols, and the timing of the device code."""

import json

import pytest

from swarm.cli import main
from swarm.runtimes.measure import bench
from swarm.sim import benchmark
from swarm.sim.boards.profiles import MEASURED


@pytest.fixture(scope="module")
def compared():
    return benchmark.compare((5, 12), (0.3,), 2, 1, 2, "ideal")


def test_every_protocol_stands_beside_ours_on_the_same_seeds(compared):
    protocols = benchmark.protocols("ideal")
    assert len(compared) == 2 * len(protocols)
    for at in range(0, len(compared), len(protocols)):
        row = compared[at : at + len(protocols)]
        assert tuple(case["protocol"] for case in row) == protocols
        assert len({(case["nodes"], case["loss"], case["runs"]) for case in row}) == 1


def test_ours_is_never_stranded_where_the_published_one_is(compared):
    stranded = {(case["nodes"], case["loss"], case["protocol"]): case["stranded"] for case in compared}
    assert not any(count for (_, _, protocol), count in stranded.items() if protocol == "faction")
    assert stranded[12, 0.3, "published"] == 2


def test_a_settled_swarm_is_quieter_than_a_heartbeat(compared):
    settled = {case["protocol"]: case["frames_per_node_settled_minute"] for case in compared if case["nodes"] == 12}
    assert settled["faction"] < settled["heartbeat"] / 5 and settled["published"] < settled["faction"]


def test_the_table_has_a_row_for_each_case_and_ratios(compared):
    shown = benchmark.table(compared)
    assert sum(" of 2" in line for line in shown.splitlines()) == len(compared)
    assert "1.0" in shown and "heartbeat" in shown


def test_the_command_prints_the_table_and_writes_json(tmp_path, capsys):
    file = tmp_path / "bench.json"
    assert main(["bench", "--sizes", "3", "--loss", "0.1", "--seeds", "2", "--jobs", "1", "--output", str(file)]) == 0
    assert "published" in capsys.readouterr().out
    found = json.loads(file.read_text())
    assert [case["protocol"] for case in found] == list(benchmark.PROTOCOLS)
    assert {case["board"] for case in found} == {"esp32"}


def test_wrong_use_names_the_value(capsys):
    with pytest.raises(SystemExit):
        main(["bench", "--sizes", "some"])
    assert "'some'" in capsys.readouterr().err
    assert main(["bench", "--sizes", "900"]) == 2 and "900" in capsys.readouterr().err
    assert main(["bench", "--device-code", "--runtimes", "esp32"]) == 2 and "esp32" in capsys.readouterr().err


@pytest.mark.parametrize("runtime", ("unix", pytest.param("wasm", marks=pytest.mark.long)))
def test_device_code_takes_no_memory_and_its_ratios_are_shown(runtime, monkeypatch):
    monkeypatch.setattr(bench, "_ROUNDS", 1)
    monkeypatch.setattr(bench, "_SHORTER", 1)
    found = bench.measure([runtime])
    taken = found[runtime]["bytes"]
    assert taken["command"] < 1 < taken["command_textbook"]
    assert taken["receive"] < 1 and taken["build"] < 1
    shown = bench.table(found, MEASURED)
    assert "times the textbook" in shown and "times the XOR loop" in shown
    rows = {line[:32].strip(): line[32:].split() for line in shown.splitlines()}
    assert rows["forged"][-2:] == ["900", "5.1"] and len(rows["heartbeat by hand built"]) == 3
    loops = found[runtime]["xor_loops"]
    assert loops["xor_loop"] == 1 and set(MEASURED) < set(loops)
