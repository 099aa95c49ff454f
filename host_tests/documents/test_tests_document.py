"""host_tests/README.md tells of every folder of tests, and the summary of a run is made of it."""

import re
from types import SimpleNamespace

import summary
from swarm import runtimes
from swarm.paths import ROOT

TESTS = ROOT / "host_tests"
README = summary.README.read_text(encoding="utf-8")


def report(nodeid, duration, why=None):
    """A report as pytest keeps it."""
    return SimpleNamespace(nodeid=nodeid, duration=duration, longrepr=("file", 1, f"Skipped: {why}"))


def test_every_folder_of_tests_has_its_row():
    there = {file.parent.relative_to(TESTS).as_posix() for file in TESTS.rglob("test_*.py")}
    assert set(summary.purposes(README)) == there


def test_what_it_names_is_there():
    folders = re.findall(r"pytest (host_tests/[\w/.]+)", README) + re.findall(r"`(?:host_tests/)?(\w+)` \(", README)
    assert len(folders) >= 4 and all((ROOT / name).exists() or (TESTS / name).exists() for name in folders), folders
    assert set(runtimes.NAMES) <= set(re.findall(r"^\| `(\w+)` \| ", README, re.MULTILINE))
    targets = re.findall(r"`make (\w+)", README)
    makefile = (ROOT / "Makefile").read_text()
    assert {"test", "proof"} <= set(targets)
    assert [name for name in targets if not re.search(rf"^{name}:", makefile, re.MULTILINE)] == []


def test_a_run_is_told_by_folders_with_what_was_skipped():
    stats = {
        "": [report("host_tests/rig/test_a.py::test_b", 0.5)],
        "passed": [
            report("host_tests/rig/test_a.py::test_b[x/y::z]", 1.0),
            report("host_tests/test_c.py::test_d", 2.0),
        ],
        "skipped": [report("host_tests/library/node/test_e.py::test_f", 0.0, "no QEMU")] * 2,
        "failed": [report("host_tests/rig/test_a.py::test_g", 0.25)],
        "warnings": [SimpleNamespace(nodeid="host_tests/rig/test_a.py::test_b")],
    }
    told = summary.lines(summary.collect(stats), {"rig": "boards", "sim": "swarms", "library/node": "the node"})
    assert [" ".join(line.split()) for line in told] == [
        "rig 1.8 s 1 passed, 1 failed boards",
        "library/node 0.0 s 2 skipped the node",
        "2 skipped: no QEMU",
        "2.0 s 1 passed",
    ]
