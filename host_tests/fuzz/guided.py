"""Fuzzes one target, guided by the coverage of the code under test, with atheris (libFuzzer for Python).

Arguments: the program by which libFuzzer starts this again, the target's name, a folder for its first inputs, and
libFuzzer's own. A target is a module target_NAME with run(data), which raises for whatever must not be, SEEDS to begin
with, MOST (bytes of input) and, for text, WORDS that inputs are made of. Ends with libFuzzer's status, not 0 for a
failure, whose input is printed.
"""

import sys
from importlib import import_module
from pathlib import Path

import atheris

CODE = ["faction", "config", "espnow", "swarm", "mpremote", "tomlkit"]  # what is watched

program, name, folder, *options = sys.argv[1:]
with atheris.instrument_imports(include=CODE):
    target = import_module("target_" + name)


def prepare():
    """Write the first inputs and the words; returns the options that follow from the target."""
    for number, seed in enumerate(target.SEEDS):
        Path(folder, f"seed{number}").write_bytes(seed)
    told = [f"-max_len={target.MOST}"]
    if hasattr(target, "WORDS"):
        words = Path(folder).with_suffix(".words")
        lines = ("".join(f"\\x{byte:02x}" for byte in word.encode()) for word in target.WORDS)
        words.write_text("".join(f'"{line}"\n' for line in lines))
        told.append(f"-dict={words}")
    return told


def one(data):
    """One input."""
    try:
        target.run(data)
    except BaseException:
        print(f"input {data!r}", flush=True)
        raise


if __name__ == "__main__":
    atheris.Setup([program, *prepare(), *options], one)
    atheris.Fuzz()
