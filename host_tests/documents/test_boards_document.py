"""boards/README.md names what the boards' files hold: every key, in its order."""

import re

import pytest

from chips import CHIPS, LINKS
from swarm import boards

TEXT = (boards.FOLDER / "README.md").read_text()
NAMES = boards.names()


def rows(name):
    """First cells of a table, each a list of what stands in backquotes, and the rest of the row."""
    (found,) = re.findall(rf"^<!-- {name} -->\n(.*?)^<!-- /{name} -->$", TEXT, re.MULTILINE | re.DOTALL)
    cells = [line.strip("|").split("|", 1) for line in found.splitlines()[2:]]
    return [(re.findall(r"`(\S+)`", first), rest) for first, rest in cells]


def named(name):
    """All that the first cells of a table name."""
    return [word for words, _ in rows(name) for word in words]


@pytest.mark.parametrize("board", NAMES)
def test_every_key_is_described_and_every_described_key_is_there(board):
    facts, pins = boards.facts(board), boards.pins(board)
    assert named("board.json") == list(facts)
    assert named("board.py") == list(pins)
    assert named("uart") == list(pins["UART"])
    further = {tool: re.findall(r"`([a-z]+)`:", rest) for (tool,), rest in rows("flash")}
    assert list(facts["flash"]) == ["tool", *further[facts["flash"]["tool"]]]


def test_every_value_that_a_board_has_is_described():
    described = {words[0]: set(re.findall(r"`(\w+)`", rest)) for words, rest in rows("board.json")}
    for key in ("mcu", "port", "architecture"):
        assert described[key] == {boards.facts(board)[key] for board in NAMES}
    assert described["mcu"] == set(CHIPS)
    assert described["links"] == LINKS


def test_every_file_of_a_folder_is_described():
    described = set(re.findall(r"`([\w.]+)`", TEXT.partition("## To add one")[0].partition("| file |")[2]))
    for board in NAMES:
        there = {file.name for file in boards.folder(board).iterdir() if file.is_file()}
        assert there == {name for name in described if "." in name and ("mpconfig" not in name or board != "VIRTUAL")}
