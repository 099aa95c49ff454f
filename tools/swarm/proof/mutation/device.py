"""A module of the device that the tests have imported, and that becomes one of its mutants."""

import sys
from pathlib import Path
from types import FunctionType

from swarm.proof.mutation.modules import LIB, TESTS, imported


class Device:
    """A module that the tests have imported, to be changed in place: they keep its classes."""

    def __init__(self, module, source):
        self.original = sys.modules[f"faction.{module}"]
        self._path, self._source = str(LIB / f"{module}.py"), source

    def become(self, source):
        """Give all functions the code that they have in another source of the module, and all constants its values,
        wherever they have been imported; whether that source can be imported at all. SyntaxError if it is none."""
        code = compile(source, self._path, "exec")
        before, after = ({"__name__": self.original.__name__} for _ in range(2))
        exec(compile(self._source, self._path, "exec"), before)
        try:
            exec(code, after)
        except Exception:
            return False
        for name, value in after.items():
            now = getattr(self.original, name, None)
            if isinstance(value, FunctionType) and value.__module__ == self.original.__name__:
                _take(now, value)
            elif isinstance(value, type) and value.__module__ == self.original.__name__:
                for method, function in vars(value).items():
                    if isinstance(function, FunctionType):
                        _take(vars(now)[method], function)
            elif isinstance(value, (int, bytes)) and value != before[name]:
                setattr(self.original, name, value)
                for other in _importers(self.original.__name__, name):
                    setattr(other, name, value)
        return True


def _importers(module, name):
    """The modules of the device and of the tests that import a name from a module."""
    files = ((m, Path(getattr(m, "__file__", None) or "")) for m in list(sys.modules.values()))
    return [
        m for m, file in files if (file.parent == LIB or TESTS in file.parents) and (module, name) in imported(file)
    ]


def _take(function, other):
    function.__code__, function.__defaults__ = other.__code__, other.__defaults__
