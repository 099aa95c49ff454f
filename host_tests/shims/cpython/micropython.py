"""The part of MicroPython's `micropython` module that has a meaning without its compiler and heap."""


def const(value):
    """Return value: only MicroPython's compiler folds constants."""
    return value


def native(function):
    """Return function: there is no native emitter here."""
    return function


viper = native
