"""The modules that are mutated, and the tests that are meant for each."""

import ast
from functools import cache

from swarm.paths import ROOT

TESTS = ROOT / "host_tests"
LIB = ROOT / "lib" / "faction"
# A module, and the tests that are meant for it and have to notice its mutants.
MODULES = {
    "core": ("test_core*.py",),
    "node": ("test_node_*.py",),
    "knowledge": ("test_node_*.py",),
    "sessions": ("test_node_*.py",),
    "frame": ("test_frame*.py", "test_protocol_document.py"),
    "cmac": ("test_cmac*.py",),
    "trickle": ("test_trickle*.py",),
    "first_sample": ("test_first_sample*.py", "test_node_follow_up.py", "test_node_edges.py"),
}


def files(patterns):
    """The tests' files whose names are like one of the patterns."""
    return [file for pattern in patterns for file in sorted(TESTS.rglob(pattern))]


@cache
def imported(file):
    """What a file imports from modules: a set of (module, name)."""
    froms = [node for node in ast.walk(ast.parse(file.read_text())) if isinstance(node, ast.ImportFrom)]
    return {(node.module, alias.name) for node in froms for alias in node.names if alias.asname is None}
