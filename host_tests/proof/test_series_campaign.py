"""The campaign of a series in short: it passes, and tells of what is lost and of what is there twice."""

import json

import pytest

from requirements import require
from swarm.proof.series import __main__ as command
from swarm.proof.series.campaign import Campaign

SEED = 3
SPREAD_MAX_US = 250_000  # half a period, against nonsense: how near samples are is shown in simulated time


# With it all that use it are long.
@pytest.fixture(scope="module", params=[pytest.param(10, marks=pytest.mark.long)])
def campaign(request, tmp_path_factory):
    """Three boards for some seconds, with restarts and power cuts."""
    require("unix")
    made = Campaign(tmp_path_factory.mktemp("series"), 3, request.param, 500, 2, SEED)
    made.go()
    return made


def test_every_record_is_on_flash_and_in_the_csv_once(campaign):
    assert campaign.problems() == [], SEED
    assert campaign.restarts and campaign.cuts, "the seed has both"
    assert len(campaign.said) > 30 and max(campaign.spreads_us) < SPREAD_MAX_US


def check_again(campaign):
    campaign._wrong.clear()
    campaign._check()
    return campaign.problems()


def test_what_is_wrong_is_told(campaign):
    """A record that somebody takes away, and one that somebody adds."""
    files = [(home / name).read_text() for home in campaign._boards.values() for name in ("samples.jsonl",)]
    uncut = [
        (home / "samples.jsonl", line)
        for (node, home), text in zip(campaign._boards.items(), files, strict=True)
        for line in text.splitlines()
        if '"value"' in line and json.loads(line)["session"] not in campaign._cut.get(node, ())
    ]
    flash, kept = uncut[0]
    record = json.loads(kept)
    words = f"node {record['node']}, session {record['session']}, beat {record['n']}"
    before, csv = flash.read_text(), campaign.csv.read_text()
    try:
        flash.write_text(before.replace(kept + "\n", ""))
        assert check_again(campaign) == [f"{words} is not on flash"]
        flash.write_text(before + kept + "\n")
        assert check_again(campaign) == [f"{words} is 2 times in the flash"]
        flash.write_text(before)
        campaign.csv.write_text(csv + csv.splitlines()[1] + "\n")
        (told,) = check_again(campaign)
        assert told.endswith("is 2 times in the CSV")
    finally:
        flash.write_text(before)
        campaign.csv.write_text(csv)
    assert check_again(campaign) == []


def test_the_command_says_the_spread(monkeypatch, capsys):
    class Short(Campaign):
        def go(self):
            self.said, self.spreads_us = {(1, 1, 1, 0): 5}, [3000, 1000, 2000]
            self._wrong = ["a fault"] if self.seed else []

    monkeypatch.setattr(command, "Campaign", Short)
    assert command.main(["--nodes", "2", "--seed", "0"]) == 0
    assert "p50 2.00 ms, p99 3.00 ms, worst 3.00 ms" in capsys.readouterr().out
    assert command.main(["--nodes", "2", "--seed", "1"]) == 1
    assert "a fault" in capsys.readouterr().out
