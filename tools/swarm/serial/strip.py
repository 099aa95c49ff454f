"""Strips MicroPython source of what its compiler drops or folds, for devices that compile in a few kilobytes."""

import ast
import threading

_parsing = threading.Lock()  # CPython 3.11 parses in one thread at a time only


def parse(source: str | bytes) -> ast.Module:
    """The syntax tree of a source, in any thread. Raises SyntaxError or ValueError for what is not Python."""
    with _parsing:
        return ast.parse(source)


def strip(source: str) -> str:
    """The source without comments, docstrings, annotations and blank lines, indented by single spaces.

    A private constant, `_NAME = const(number)`, is written as its number where it is used: MicroPython's compiler does
    the same and keeps no trace of the name. Raises SyntaxError for what is not Python.
    """
    tree = parse(source)
    constants = _take_constants(tree)
    text = ast.unparse(ast.fix_missing_locations(_Strip(constants).visit(tree)))
    lines = [line for line in text.splitlines() if line.strip()]
    return "".join(f"{' ' * _depth(line)}{line.lstrip()}\n" for line in lines)


def _depth(line: str) -> int:
    return (len(line) - len(line.lstrip())) // 4  # ast.unparse indents by four


def _take_constants(tree: ast.Module) -> dict[str, ast.expr]:
    """Take the private constants out of a module; their values by name."""
    found = {}
    rest: list[ast.stmt] = []
    for node in tree.body:
        match node:
            case ast.Assign([ast.Name(name)], ast.Call(ast.Name("const"), [ast.Constant(int()) as value])) if (
                name[0] == "_"
            ):
                found[name] = value
            case _:
                rest.append(node)
    tree.body = rest
    return found


class _Strip(ast.NodeTransformer):
    def __init__(self, constants: dict[str, ast.expr]) -> None:
        self._constants = constants

    def visit_Name(self, node: ast.Name) -> ast.expr:
        return self._constants.get(node.id, node)

    def visit_AnnAssign(self, node: ast.AnnAssign) -> ast.stmt | None:
        self.generic_visit(node)
        return ast.Assign([node.target], node.value) if node.value else None

    def visit_arg(self, node: ast.arg) -> ast.arg:
        node.annotation = None
        return node

    def generic_visit(self, node: ast.AST) -> ast.AST:
        super().generic_visit(node)
        if isinstance(node, ast.FunctionDef):
            node.returns = None
        if isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef)) and ast.get_docstring(node) is not None:
            node.body = node.body[1:] or [ast.Pass()]
        return node
