"""The README's picture of the monitor is taken of boards that run, and asks nothing of anybody else's server."""

import re
import xml.etree.ElementTree as ElementTree

import pytest

from requirements import require
from swarm.documents import screenshot


def text_of(picture):
    """All words of a picture, with plain blanks."""
    return " ".join("".join(ElementTree.fromstring(picture).itertext()).replace("\xa0", " ").split())


@pytest.mark.long  # six boards live for a quarter of a minute
def test_a_picture_is_taken_of_boards_that_run(tmp_path):
    require("unix")
    file = tmp_path / "monitor.svg"
    assert screenshot.main(["--output", str(file), "--seed", "7"]) == 0
    words = text_of(file.read_text(encoding="utf-8"))
    assert "swarm greenhouse: 6 of 6 nodes answer" in words and words.count("Bootstrapped") >= 6
    assert re.search(r"node \d samples", words) and "q quit" in words


def test_the_picture_that_is_shown_needs_nothing_from_elsewhere():
    picture = screenshot.FILE.read_text(encoding="utf-8")
    assert "swarm greenhouse" in text_of(picture)
    assert "url(http" not in picture and "@font-face" not in picture and "@import" not in picture
