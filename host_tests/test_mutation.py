"""What mutation_equivalents.toml explains is there in the code: an explanation does not outlive its line."""

import ast
import re
from pathlib import Path

import pytest
import tomlkit

from swarm.runtimes import LIB

FILE = Path(__file__).with_name("mutation_equivalents.toml")
MUTANTS = tomlkit.parse(FILE.read_text()).unwrap()["mutant"]


def text(module, function):
    """The text of a function, as Class.function, or of a whole module for ""; all white space single spaces."""
    source = (LIB / "faction" / f"{module}.py").read_text()
    lines, node = source.splitlines(), ast.parse(source)
    for name in filter(None, function.split(".")):
        (node,) = (inner for inner in node.body if getattr(inner, "name", None) == name)
        lines = source.splitlines()[node.lineno - 1 : node.end_lineno]
    return re.sub(r"\s+", " ", " ".join(lines))


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: f"{mutant['module']} {mutant['becomes']}")
def test_the_line_that_a_mutant_changes_is_there(mutant):
    assert mutant["line"] in text(mutant["module"], mutant["function"])
    assert mutant["becomes"] != mutant["line"]
    assert len(mutant["why"]) > 20, "says why"


def test_a_mutant_is_explained_once():
    keys = [(m["module"], m["function"], m["line"], m["becomes"]) for m in MUTANTS]
    assert len(keys) == len(set(keys))
