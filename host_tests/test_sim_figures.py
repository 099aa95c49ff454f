"""What `make figures` prints: rows with bars, commands that can be typed, and pictures."""

import shlex
from dataclasses import replace

import pytest

from swarm.cli import main
from swarm.sim import campaign, figures
from swarm.sim.plan import Options


def test_commands_are_those_of_the_command_line(capsys):
    for figure in figures.FIGURES:
        words = shlex.split(figures.command(figure.options, 1))
        assert words[:2] == ["swarm", "sim"]
    small = replace(figures.FIGURES[1].options, nodes=(3, 3))
    words = shlex.split(figures.command(small, 2))[1:]
    assert main([*words, "--jobs", "1", "--json"]) == 0
    there = campaign.summary(small, campaign.run(small, (1, 2), 1))
    assert there["event_hash"] in capsys.readouterr().out


@pytest.mark.parametrize("limit, judged", ((10_000.0, "kept"), (0.0, "missed: wait p50")))
def test_a_row_says_whether_its_bars_are_kept(limit, judged):
    options = Options(nodes=(3, 3))
    figure = figures.Figure("three", options, 2, (("wait p50", limit), ("frames", 1000), ("skew p99", 1000)))
    row, fine = figures._line(figure, 2, campaign.summary(options, campaign.run(options, (1, 2), 1)), 1.0)
    assert judged in row and fine == (judged == "kept")


def test_growth_draws_its_pictures(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(figures, "GROWTH", (4, 8))
    assert figures._growth(tmp_path, 0.05, 1)
    assert {file.name for file in tmp_path.iterdir()} == {"growth-time.svg", "growth-frames.svg"}
    assert "| 8 |" in capsys.readouterr().out


def test_one_run_is_drawn(tmp_path):
    figures._one_run(tmp_path)
    assert "loses power" in (tmp_path / "run.svg").read_text()
