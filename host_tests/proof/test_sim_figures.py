"""What `make figures` prints: rows with bars, commands that can be typed, pictures, and the section of FIGURES.md."""

import shlex
import xml.etree.ElementTree as ElementTree
from dataclasses import replace

import pytest

from swarm import cli
from swarm.proof.figures import campaigns, page
from swarm.proof.figures.__main__ import main
from swarm.runtimes.measure import size
from swarm.sim import benchmark, campaign
from swarm.sim.plan import Options


def test_commands_are_those_of_the_command_line(capsys):
    for figure in campaigns.FIGURES + campaigns.HONEST + campaigns.SERIES + campaigns.REMOTE + campaigns.GROWTH:
        words = shlex.split(campaigns.command(figure.options, 1))
        assert words[:2] == ["swarm", "sim"]
    small = replace(campaigns.FIGURES[1].options, nodes=(3, 3), lead_ms=700, ppm=20, topology="grid")
    words = shlex.split(campaigns.command(small, 2))[1:]
    assert cli.main([*words, "--jobs", "1", "--json"]) == 0
    there = campaign.summary(small, campaign.run(small, (1, 2), 1))
    assert there["event_hash"] in capsys.readouterr().out


def test_every_row_has_a_name_and_a_command_of_its_own():
    rows = campaigns.FIGURES + campaigns.HONEST + campaigns.SERIES + campaigns.REMOTE + campaigns.GROWTH
    assert (
        len({row.name for row in rows}) == len({campaigns.command(row.options, row.seeds) for row in rows}) == len(rows)
    )


@pytest.mark.parametrize("limit, judged", ((10_000.0, "wait p50 10000: met"), (0.0, "**wait p50 0: missed**")))
def test_a_row_says_whether_its_bars_are_met(limit, judged):
    options = Options(nodes=(3, 3))
    bars = (("wait p50", limit), ("frames", 1000), ("frames until sampled", 1000), ("skew p99", 1000), ("early max", 9))
    figure = campaigns.Figure("three", options, 2, bars)
    text, met = campaigns.row(figure, 2, campaign.summary(options, campaign.run(options, (1, 2), 1)))
    assert judged in text and met == ("missed" not in judged)
    assert text.count(": met") == 4 + met and "`swarm sim --nodes 3 --seeds 2`" in text


def test_nothing_measured_is_a_bar_missed():
    options = Options(nodes=(3, 3), faults=("absent",))
    figure = campaigns.Figure("never", options, 1, (("wait p50", 10),))
    text, met = campaigns.row(figure, 1, campaign.summary(options, campaign.run(options, (1,), 1)))
    assert "missed" in text and not met


@pytest.fixture
def small(monkeypatch):
    """Everything that is made, with swarms and numbers that take a moment."""
    three = Options(nodes=(3, 3))
    monkeypatch.setattr(campaigns, "FIGURES", (campaigns.Figure("three", three, 5, (("wait max", 9_999),)),))
    monkeypatch.setattr(campaigns, "HONEST", (campaigns.Figure("three honest", replace(three, board="rp2040"), 5),))
    series = campaigns.Figure("three in series", replace(three, period_ms=1000, hours=0.01), 5, (("missed", 0),))
    monkeypatch.setattr(campaigns, "SERIES", (series,))
    far = replace(series.options, period_ms=10_000, round_ms=10_000, gateway=True)
    monkeypatch.setattr(campaigns, "REMOTE", (campaigns.Figure("three and a gateway", far, 20, (("lost", 0),)),))
    grown = tuple(
        campaigns.Figure(f"{n} grown", replace(three, nodes=(n, n), topology="random"), 5) for n in (3, 4, 5, 6, 7)
    )
    monkeypatch.setattr(campaigns, "GROWTH", grown)
    monkeypatch.setattr(campaigns, "TUNED", (campaigns.Figure("tuned", three, 5),))
    monkeypatch.setattr(benchmark, "SIZES", (2, 3, 4))
    monkeypatch.setattr(benchmark, "SEEDS", {2: 4, 3: 3, 4: 2})
    monkeypatch.setattr(benchmark, "LOSSES", (0.1,))
    monkeypatch.setattr(benchmark, "AFTER_MS", 100)
    monkeypatch.setattr(size, "measure", lambda: iter([size.Figure("core", 1.0, 2.0, "bytes", "it is small")]))


def test_all_is_printed_drawn_and_put_into_the_page(small, tmp_path, monkeypatch, capsys):
    file, plots, folder = tmp_path / "FIGURES.md", tmp_path / "plots", tmp_path / "made"
    monkeypatch.setattr(page, "PAGE", file)
    monkeypatch.setattr(page, "PLOTS", plots)
    file.write_text("before\n" + "".join(page.MARKS) + "after\n")
    assert main(["--folder", str(folder), "--jobs", "1", "--write"]) == 0
    printed = capsys.readouterr().out
    for words in ("| core | 1 |", "| three |", "| 7 grown |", "--redundancy 3", "heartbeat", "All bars met"):
        assert words in printed
    written = file.read_text()
    assert written.startswith("before\n" + page.MARKS[0]) and written.endswith(page.MARKS[1] + "after\n")
    section = page.split(written)[1]
    shown = [line for line in section.splitlines() if "swarm sim" in line and line.startswith("|")]
    assert "Each option with `swarm sim --nodes 3 --seeds 5`." in section and "| `--redundancy 3` |" in section
    assert len(shown) == 9 and all(line in printed for line in shown)
    for name in ("distributions", "growth", "tuning", "run"):
        assert f"(tools/figures/{name}.svg)" in section
        assert len(list(ElementTree.parse(plots / f"{name}.svg").getroot())) > 10


def test_a_missed_bar_is_an_error(small, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(size, "measure", lambda: iter([size.Figure("core", 3.0, 2.0, "bytes", "it is small")]))
    assert main(["--folder", str(tmp_path), "--jobs", "1", "--quick"]) == 1
    assert "| core | 3 | 2 bytes | missed |" in capsys.readouterr().out


def test_a_page_without_marks_is_told_before_anything_is_simulated(small, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(page, "PAGE", tmp_path / "FIGURES.md")
    page.PAGE.write_text("nothing here\n")
    assert main(["--folder", str(tmp_path), "--write"]) == 1
    said = capsys.readouterr()
    assert "<!-- figures -->" in said.err and not said.out


def test_quick_figures_do_not_go_into_the_page(capsys):
    with pytest.raises(SystemExit) as stopped:
        main(["--quick", "--write"])
    assert stopped.value.code == 2 and "--quick" in capsys.readouterr().err


def test_the_page_shows_the_figures_that_are_made():
    """Names and commands, not values: those are written by `make figures WRITE=1`."""
    section = page.split(page.PAGE.read_text(encoding="utf-8"))[1]
    shown = [line.split("|") for line in section.splitlines() if line.startswith("|") and "`swarm sim" in line]
    there = [(cells[1].strip(), cells[-2].strip(" `")) for cells in shown]
    made = campaigns.FIGURES + campaigns.HONEST + campaigns.SERIES + campaigns.REMOTE + campaigns.GROWTH
    assert there == [(one.name, campaigns.command(one.options, one.seeds)) for one in made], "make figures WRITE=1"
    for one, cells in zip(made, shown, strict=True):
        assert all(f"{what} {limit:g}: " in cells[-3] for what, limit in one.bars), one.name
    assert campaigns.LANES_COMMAND in section
    for name in ("distributions", "growth", "tuning", "run"):
        assert f"(tools/figures/{name}.svg)" in section and (page.PLOTS / f"{name}.svg").is_file()
