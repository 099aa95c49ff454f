"""Every public thing of the host tools, the library and the firmware says in a docstring what it is."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
FILES = sorted(file for folder in ("tools/swarm", "lib/faction", "firmware") for file in (ROOT / folder).rglob("*.py"))
_DEFINITIONS = (ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)


def undocumented(source):
    """Names, with those they are in, of what is public in a module and has no docstring; "" is the module itself.

    A name that begins with an underscore is private with all that is in it, dunder methods too: their class describes
    them. What is defined inside a function is that function's own.
    """
    module = ast.parse(source)
    lacking = [] if ast.get_docstring(module) else [""]
    places = [("", module)]
    while places:
        prefix, place = places.pop()
        for node in ast.iter_child_nodes(place):
            if not isinstance(node, _DEFINITIONS):
                places.append((prefix, node))
            elif not node.name.startswith("_"):
                if not (ast.get_docstring(node) or "").strip():
                    lacking.append(prefix + node.name)
                if isinstance(node, ast.ClassDef):
                    places.append((f"{prefix}{node.name}.", node))
    return lacking


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(ROOT)))
def test_every_public_thing_has_a_docstring(file):
    assert undocumented(file.read_text(encoding="utf-8")) == []


def test_what_counts_as_undocumented():
    source = '''
import os
def function(): pass
def documented(): "What it does."
def _private():
    def within(): pass
class Bare:
    """ """
    def __init__(self): pass
    async def method(self): pass
    @property
    def value(self): "A value."
class _Hidden:
    def method(self): pass
try:
    import grp
except ImportError:
    def fallback(): pass
'''
    assert sorted(undocumented(source)) == ["", "Bare", "Bare.method", "fallback", "function"]
    assert undocumented('"""A module."""\n') == []
