"""What equivalents.toml explains is there in the code: an explanation does not outlive its line."""

import ast
import re
from pathlib import Path

import pytest
import tomlkit

from swarm.paths import LIB
from swarm.proof import mutation

FILE = Path(mutation.__file__).with_name("equivalents.toml")
ENTRIES = tomlkit.parse(FILE.read_text()).unwrap()["mutant"]


def text(module, function):
    """The text of a function, as Class.function, or of a whole module for ""; all white space single spaces."""
    source = (LIB / "faction" / f"{module}.py").read_text()
    lines, node = source.splitlines(), ast.parse(source)
    for name in filter(None, function.split(".")):
        (node,) = (inner for inner in node.body if getattr(inner, "name", None) == name)
        lines = source.splitlines()[node.lineno - 1 : node.end_lineno]
    return re.sub(r"\s+", " ", " ".join(lines))


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: f"{entry['module']} {entry['line']}")
def test_the_line_that_a_mutant_changes_is_there(entry):
    assert entry["line"] in text(entry["module"], entry["function"])
    assert entry["becomes"] and entry["line"] not in entry["becomes"]
    assert entry["why"].count(" ") > 2, "says why"


def test_a_mutant_is_explained_once():
    keys = [(e["module"], e["function"], e["line"], becomes) for e in ENTRIES for becomes in e["becomes"]]
    assert len(keys) == len(set(keys))
