"""`swarm demo --link uart`, `udp` and `mixed`: real MicroPython nodes on a serial bus, also joined to some with radios,
and on this computer's own network.

SWARM_DEMO_SEEDS in the environment is how many seeds are tried (1).
"""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from requirements import require, require_broadcast
from rig_fixture import Table, lay_boards
from swarm.device import config as device_config
from swarm.rig.demo.plan import Settings, config_of, links_of

SWARM = str(Path(sys.executable).with_name("swarm"))
SEEDS = range(int(os.environ.get("SWARM_DEMO_SEEDS", "1")))
SKEW_MAX_US = 1_000_000  # against nonsense: how near the samples are is shown in simulated time


@pytest.fixture(autouse=True)
def own_folder(tmp_path, monkeypatch):
    """Demos of this test keep their files to themselves."""
    monkeypatch.setenv("TMPDIR", str(tmp_path))


def demo(*arguments, **environment):
    """Run a demo with --json; the finished process."""
    return subprocess.run(
        [SWARM, "demo", "--json", *arguments],
        capture_output=True,
        text=True,
        timeout=120,
        env={**os.environ, **environment},
    )


def check(done, seed, nodes, capsys):
    assert done.returncode == 0, f"seed {seed}: {done.stdout}{done.stderr}"
    result = json.loads(done.stdout)
    with capsys.disabled():
        print(f"\nseed {seed}: converged in {result['converged_ms']} ms, skew {result['skew_us']} us")
    assert result["bootstrapped"] == nodes, seed
    assert [sample["node"] for sample in result["samples"]] == list(range(1, nodes + 1)), seed
    assert not any(sample["late"] for sample in result["samples"]), seed
    assert result["converged_ms"] >= 0 and result["skew_us"] <= SKEW_MAX_US, (seed, result)


@pytest.mark.parametrize("seed", SEEDS)
def test_five_nodes_on_a_bus_agree_and_sample_together(seed, capsys):
    require("unix")
    chip = ("esp32", "rp2")[seed % 2]
    check(demo("--link", "uart", "--seed", str(seed), SWARM_UART_CHIP=chip), seed, 5, capsys)


@pytest.mark.parametrize("seed", SEEDS)
def test_a_node_with_both_links_joins_four_with_radios_to_four_on_a_bus(seed, capsys):
    require("unix")
    check(demo("--link", "mixed", "--seed", str(seed)), seed, 8, capsys)


def test_five_nodes_in_one_network_agree_over_real_sockets(capsys):
    require("unix")
    require_broadcast()
    done = demo("--link", "udp", "--seed", "5", "--reboot", "2@900")
    check(done, 5, 5, capsys)
    assert json.loads(done.stdout)["frames_sent"] >= 2 * 5, "what was heard of them"


@pytest.mark.parametrize(
    ("options", "why"),
    [
        (("--loss", "0.2"), "--loss 0.2: this computer's own sockets lose nothing: leave it out"),
        (("--runtime", "cpython"), "--link udp needs MicroPython's own sockets: leave --runtime cpython away"),
    ],
)
def test_what_a_demo_in_a_network_cannot_have(options, why):
    require("unix")
    require_broadcast()
    done = demo("--link", "udp", *options)
    assert done.returncode == 2 and why in done.stderr


def test_without_the_joint_the_sides_do_not_agree():
    require("unix")
    done = demo(
        "--link", "mixed", "--nodes", "4", "--seed", "1", "--kill", "2@200", "--quorum", "3", "--deadline", "2500"
    )
    assert done.returncode == 1, done.stdout
    result = json.loads(done.stdout)
    assert (result["bootstrapped"], result["timed_out"]) == (0, 3)


def test_which_node_has_which_link():
    assert [links_of("mixed", node, 8) for node in range(1, 9)] == (
        [["espnow"]] * 3 + [["espnow", "uart"]] + [["uart"]] * 4
    )
    assert [links_of("mixed", node, 2) for node in (1, 2)] == [["espnow", "uart"], ["uart"]]
    assert links_of("uart", 1, 5) == ["uart"] and links_of("espnow", 5, 5) == ["espnow"]


def test_the_time_to_the_first_sample_is_the_nodes_own_choice():
    """A node knows how slow its links are, and takes more time on a slow one."""
    settings = Settings(32, "uart", 30, 0.1, 9000, "halt", seed=1)
    config = device_config.check(config_of(settings, 7))
    assert config["lead_ms"] is None
    assert (config["node"], config["required"], config["deadline_ms"], config["links"]) == (7, 30, 9000, ["uart"])


def test_a_mixed_demo_needs_two_sides():
    done = demo("--link", "mixed", "--nodes", "1")
    assert done.returncode == 2 and "--nodes 1: --link mixed needs a node on either side: 2 or more" in done.stderr


def test_the_status_tells_of_both_links(tmp_path):
    """A joining node counts what went over each of its links, and a pin that the chip refuses is named."""
    require("unix")
    boards = lay_boards(tmp_path, (1, 2), links=["espnow", "uart"])
    data = (boards[2] / "board.py").read_text()
    (boards[2] / "board.py").write_text(data.replace('"tx": 4', '"tx": 34'))
    with Table(boards, 1) as table:
        for node in boards:
            table.power(node, True)
        table.wait_line(1, "ready")
        table.wait_line(2, "faction: error: ")
        (error,) = (line for line in table.run.nodes[2].output if "error" in line)
        assert "board.py: UART: {" in error and "'tx': 34" in error and "give id, tx and rx" in error
        ask = "import json, faction; print(json.dumps(faction.status_dict()['links']))"
        links = json.loads(table.mpremote(1, "resume", "exec", ask))
        assert set(links) == {"espnow", "uart"} and links["uart"]["sent"] > 0 and links["espnow"]["sent"] > 0
