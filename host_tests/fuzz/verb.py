"""Verbs of the tools, without a process of their own for each call."""

import argparse
import io
from contextlib import redirect_stderr, redirect_stdout


class Verb:
    """A verb of the tools with its arguments; module: of swarm."""

    def __init__(self, module, *arguments):
        parser = argparse.ArgumentParser(prog="swarm")
        module.register(parser.add_subparsers())
        self._options = parser.parse_args([str(argument) for argument in arguments])

    def run(self):
        """(exit status, all that it prints); the output takes UTF-8, and what else there is escaped, as swarm.cli's."""
        output = io.TextIOWrapper(io.BytesIO(), "utf-8", "backslashreplace", write_through=True)
        with redirect_stdout(output), redirect_stderr(output):
            status = self._options.run(self._options)
        return status, output.buffer.getvalue().decode()
