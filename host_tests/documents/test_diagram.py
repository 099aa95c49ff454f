"""The README's picture of the machine is the one drawn from its table."""

import re

from swarm import cli, paths
from swarm.documents import diagram


def test_readme_shows_what_the_table_says():
    text = (paths.LIB / "README.md").read_text(encoding="utf-8")
    blocks = re.findall(r"<!-- diagram -->\n```mermaid\n(.*?)\n```\n<!-- /diagram -->", text, re.DOTALL)
    assert blocks == [diagram.draw(*diagram.machine())], "put what `swarm diagram` prints between the markers"


def test_the_command_prints_it(capsys):
    assert cli.main(["diagram"]) == 0
    assert capsys.readouterr().out == diagram.draw(*diagram.machine()) + "\n"


def test_every_accepted_command_is_drawn_and_nothing_else():
    table, states, commands = diagram.machine()
    drawn = diagram.draw(table, states, commands)
    for state, name in enumerate(states):
        arrows = "\n".join(line for line in drawn.splitlines() if line.startswith(f"    {name} --> "))
        for command, label in enumerate(commands):
            action = chr(table[(state * len(commands) + command) * 3])
            assert (label in arrows) == (action not in "-?"), f"{name}, {label}"
