"""Which modules the user's code needs that are not sent with it: a board is asked for them before anything is sent."""

from __future__ import annotations

import ast
from collections.abc import Collection

from swarm.deploy.own_code import APPLICATION, SENSOR, OwnFile, parse


def unsent(files: list[OwnFile], ours: Collection[str]) -> dict[str, str]:
    """Modules that sensor.py, application.py or a driver of theirs is sure to import, and that are not sent.

    ours: names of the node's own modules. Returns {module: path of the file that imports it}. What is imported in a
    function, under a condition or in `try` may be lacking; a file that changes sys.path may find modules anywhere.
    """
    sent = {_module(file.path): file for file in files if file.path.endswith((".py", ".mpy"))}
    there = {ancestor for name in sent for ancestor in _ancestors(name)}
    found: dict[str, str] = {}
    waiting = [file for file in files if file.path in (SENSOR, APPLICATION)]
    seen = set(waiting)
    while waiting:
        file = waiting.pop()
        tree = parse(file)
        if tree is None or _changes_path(tree):
            continue
        for name, names in _imported(tree, file):
            root = name.partition(".")[0]
            if root in ours:
                continue
            if name not in there:
                found.setdefault(name if root in there else root, file.path)
            for module in [*_ancestors(name), *(f"{name}.{one}" for one in names)]:
                if module in sent and sent[module] not in seen:
                    seen.add(sent[module])
                    waiting.append(sent[module])
    return found


def _module(path: str) -> str:
    """The module that a file is: a.b of a/b.py and of a/b/__init__.py."""
    return path.rpartition(".")[0].removesuffix("/__init__").replace("/", ".")


def _ancestors(name: str) -> list[str]:
    """A module and the packages that it is in: a, a.b and a.b.c of a.b.c."""
    parts = name.split(".")
    return [".".join(parts[:count]) for count in range(1, len(parts) + 1)]


def _imported(tree: ast.Module, file: OwnFile) -> list[tuple[str, list[str]]]:
    """What a file's import is sure to import: modules, each with the names that are taken from it."""
    found = []
    for statement in tree.body:
        if isinstance(statement, ast.Import):
            found += [(alias.name, []) for alias in statement.names]
        elif isinstance(statement, ast.ImportFrom):
            package = file.path.split("/")[: -statement.level] if statement.level else []
            name = ".".join([*package, *filter(None, [statement.module])])
            if name:
                found.append((name, [alias.name for alias in statement.names]))
    return found


def _changes_path(tree: ast.Module) -> bool:
    return any(
        isinstance(node, ast.Attribute)
        and node.attr == "path"
        and isinstance(node.value, ast.Name)
        and node.value.id == "sys"
        for node in ast.walk(tree)
    )
