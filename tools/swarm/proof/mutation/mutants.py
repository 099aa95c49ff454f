"""The mutants of a module: each small change of it that is worth a try. Cosmic Ray makes them."""

import ast
import difflib
import re
from collections import Counter
from functools import cache

import parso
from cosmic_ray import plugins
from cosmic_ray.ast import ast_nodes, get_ast
from cosmic_ray.mutating import mutate_code
from cosmic_ray.operators.operator import Example, Operator

# Of what an operator may become, what is most like it: the rest are noticed anyhow, and would only raise the score.
_BINARY = {
    "Add": ("Sub", "BitOr"),
    "Sub": ("Add", "BitXor"),
    "Mul": ("Add", "FloorDiv"),
    "FloorDiv": ("Mul", "Mod"),
    "Mod": ("BitAnd", "FloorDiv"),
    "RShift": ("LShift", "FloorDiv"),
    "LShift": ("RShift", "Mul"),
    "BitOr": ("BitAnd", "BitXor", "Add"),
    "BitAnd": ("BitOr", "BitXor", "Mod"),
    "BitXor": ("BitOr", "BitAnd"),
}
# Identity of small ints is CPython's own matter.
_IDENTITY = re.compile(r"core/ReplaceComparisonOperator_(Eq|NotEq|Lt|LtE|Gt|GtE)_(Is|IsNot)")


class RemoveStatement(Operator):
    """Leaves out an assignment, a call, a return or a raise of a function, which no operator of Cosmic Ray's does."""

    def mutation_positions(self, node):
        """Of a node: where its statement is, if it is one of these."""
        if node.type == "simple_stmt" and parso.python.tree.search_ancestor(node, "funcdef"):
            statement = node.children[0]
            if statement.type in ("expr_stmt", "return_stmt", "raise_stmt") or _is_call(statement):
                yield statement.start_pos, statement.end_pos

    def mutate(self, node, _):
        """The node with a pass in its statement\'s place."""
        before = node.children[0].get_first_leaf()
        node.children[0] = parso.python.tree.Keyword("pass", before.start_pos, before.prefix)
        return node

    @classmethod
    def examples(cls):
        """What Cosmic Ray shows of it."""
        return (Example("def f():\n    a = 1\n", "def f():\n    pass\n"),)


def _is_call(node):
    return node.type == "atom_expr" and node.children[-1].get_code().startswith("(")


@cache
def operators():
    """The mutation operators, by name."""
    found = {}
    for name in plugins.operator_names():
        operator = plugins.get_operator(name)
        if not operator.arguments() and not _IDENTITY.fullmatch(name) and _is_likely(*name.split("_")):
            found[name] = operator()
    found["RemoveStatement"] = RemoveStatement()
    return found


def _is_likely(kind, before="", becomes=""):
    return kind != "core/ReplaceBinaryOperator" or becomes in _BINARY.get(before, ())


class Mutant:
    """One change of a module: the nth place at which an operator can be applied.

    name tells it from all others, and stays when lines are added elsewhere.
    """

    def __init__(self, module, function, operator, nth, name):
        self.module, self.function, self.operator, self.nth, self.name = module, function, operator, nth, name

    def applied(self, source):
        """The module's source with the change."""
        return mutate_code(source, operators()[self.operator], self.nth)


def mutants(module, source):
    """All mutants of a module, in the order of its lines."""
    lines, found, names = source.splitlines(), [], Counter()
    nodes = list(ast_nodes(get_ast(source)))
    for operator, instance in operators().items():
        places = (place for node in nodes for place in instance.mutation_positions(node))
        for nth, ((row, column), _) in enumerate(places):
            text = lines[row - 1]
            column -= len(text) - len(text.lstrip())
            function = function_at(source, row)
            name = f"{module}|{function}|{text.strip()}|{column}|{operator}"
            names[name] += 1
            found.append((row, Mutant(module, function, operator, nth, f"{name}|{names[name]}")))
    return [mutant for _, mutant in sorted(found, key=lambda entry: entry[0])]


def function_at(source, row):
    """Name of the innermost class or function, with those around it, at a line; "" outside of all."""
    names, body = [], _statements(source)
    while body:
        inner = [n for n in body if isinstance(n, (ast.ClassDef, ast.FunctionDef)) and n.lineno <= row <= n.end_lineno]
        names += [n.name for n in inner]
        body = inner[0].body if inner else ()
    return ".".join(names)


@cache
def _statements(source):
    return ast.parse(source).body


def change(source, mutated):
    """What differs, as (row, the lines as they are, the lines as they would be), each in one line."""
    before, after, rows = [], [], []
    old, new = source.splitlines(), mutated.splitlines()
    for tag, a, b, c, d in difflib.SequenceMatcher(None, old, new, autojunk=False).get_opcodes():
        if tag != "equal":
            rows.append(a + 1)
            before += old[a:b]
            after += new[c:d]
    return rows[0], _one_line(before), _one_line(after)


def _one_line(lines):
    return re.sub(r"\s+", " ", " ".join(lines)).strip()
