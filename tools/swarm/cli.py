"""The `swarm` command: one subcommand a module, which is imported when it is asked for."""

import argparse
import difflib
import importlib
import io
import sys

import swarm
from swarm.output import arguments, descriptors, streams

# Verbs in the order of the help, with the module that has each.
FOR_USERS = {
    "demo": "swarm.verbs.demo",
    "board": "swarm.verbs.board",
    "init": "swarm.verbs.init",
    "check": "swarm.verbs.check",
    "flash": "swarm.verbs.flash",
    "deploy": "swarm.verbs.deploy",
    "status": "swarm.verbs.status",
    "doctor": "swarm.verbs.doctor",
    "monitor": "swarm.verbs.monitor",
    "collect": "swarm.verbs.collect",
    "replace": "swarm.verbs.replace",
    "replay": "swarm.verbs.replay",
}
FOR_DEVELOPERS = {
    "sim": "swarm.verbs.developer.sim",
    "bench": "swarm.verbs.developer.bench",
    "vectors": "swarm.verbs.developer.vectors",
    "diagram": "swarm.verbs.developer.diagram",
    "size": "swarm.verbs.developer.size",
    "walkthrough": "swarm.verbs.developer.walkthrough",
}
VERBS = FOR_USERS | FOR_DEVELOPERS
GROUPS = (
    ("for whoever has a swarm", FOR_USERS),
    ("for whoever works on the library", FOR_DEVELOPERS),
)


def main(argv: list[str] | None = None) -> int:
    """Run the command line and return the exit status: 0 done, 1 failed, 2 used wrongly, 130 interrupted.

    argv: None for that of this process, whose output is then told to bear a reader that leaves early.
    """
    if argv is None:
        streams.outlive_readers()
        descriptors.allow_more()
        argv = sys.argv[1:]
    try:
        return _run(argv)
    except KeyboardInterrupt:
        print("swarm: interrupted", file=sys.stderr)
        return 130
    except OSError as error:  # of a file or a program that the verb itself did not expect to fail
        known = error.filename and error.strerror
        print(f"swarm: {f'{error.filename}: {error.strerror}' if known else error}", file=sys.stderr)
        return 1


def _run(argv: list[str]) -> int:
    if argv[:1] == ["help"]:
        argv = [*argv[1:2], "--help"]
    options = parser(argv).parse_args(argv)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            # What a board or a file says may hold characters that this terminal cannot show.
            stream.reconfigure(errors="backslashreplace")
    return options.run(options)


def parser(argv: list[str]) -> argparse.ArgumentParser:
    """The parser for a command line: of the verb that it begins with, or else of all of them.

    Ends the process with status 2, as argparse does, when it begins with what is no verb.
    """
    made = argparse.ArgumentParser(
        prog="swarm",
        usage="swarm [-h] [--version] COMMAND ...",
        description="Start-up coordination for swarms of MicroPython nodes: tools on the host.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    made.add_argument("--version", action="version", version=f"swarm {swarm.__version__}")
    verbs = _Verbs(made.add_subparsers(prog="swarm", metavar="COMMAND", required=True, help=argparse.SUPPRESS))
    if argv and argv[0] in VERBS:  # all of them take half a second to import
        verbs.register(argv[0])
        verbs.refuse_unknown(*argv)
        return made
    if argv and not argv[0].startswith("-"):
        made.error(_unknown(argv[0]))
    for verb in VERBS:
        verbs.register(verb)
    made.epilog = verbs.listed()
    return made


class _Verbs:
    """The subparsers of a parser, which keep what each verb is for, since argparse lists them in one list only."""

    def __init__(self, subparsers) -> None:
        self._subparsers = subparsers
        self._helps: dict[str, str] = {}
        self._made: dict[str, argparse.ArgumentParser] = {}

    def register(self, verb: str) -> None:
        """Import a verb's module, which adds its parser."""
        importlib.import_module(VERBS[verb]).register(self)

    def add_parser(self, verb: str, *, help: str, **options) -> argparse.ArgumentParser:
        """As that of argparse's subparsers."""
        self._helps[verb] = help
        made = self._made[verb] = self._subparsers.add_parser(verb, **options)
        made.register("type", int, arguments.whole)
        made.register("type", float, arguments.number)
        return made

    def refuse_unknown(self, verb: str, *words: str) -> None:
        """End the process as argparse does for a long option that the verb has not, before its value is misread."""
        known = [name for action in self._made[verb]._actions for name in action.option_strings]
        for word in words:
            if word == "--":
                return
            name = word.partition("=")[0]
            if name.startswith("--") and not any(option.startswith(name) for option in known):
                near = difflib.get_close_matches(name, known, 1)
                hint = f"did you mean {near[0]}? " if near else ""
                self._made[verb].error(f"{name}: no such option: {hint}`swarm help {verb}` lists them")

    def listed(self) -> str:
        """The verbs with what each is for, by groups."""
        lines = []
        for title, group in GROUPS:
            lines += [f"{title}:", *(f"  {verb:13}{self._helps[verb]}" for verb in group), ""]
        return "\n".join([*lines, "`swarm help COMMAND` tells of one."])


def _unknown(word: str) -> str:
    near = difflib.get_close_matches(word, VERBS, 1)
    return f"{word!r} is no command: {f'did you mean {near[0]}? ' if near else ''}`swarm help` lists them"
