"""The part of MicroPython's `micropython` module that has a meaning without its compiler and heap."""

_locks = 0


def const(value):
    """Return value: only MicroPython's compiler folds constants."""
    return value


def native(function):
    """Return function: there is no native emitter here."""
    return function


viper = native


def stack_use():
    """As deep as the first call: nothing here runs within a file operation."""
    return 0


def heap_lock():
    """Count a lock: nothing here takes memory from a heap that could be locked, but shims heed it."""
    global _locks
    _locks += 1


def heap_unlock():
    """Take one lock back."""
    global _locks
    _locks -= 1


def heap_locked():
    """How many locks there are."""
    return _locks
