"""Strangers at the radio: nothing of a member is lost for a second, memory stays flat; and it would be seen."""

import shutil

import pytest

from swarm import paths
from swarm.proof import radio
from swarm.proof.radio.__main__ import main

SHORT = 4, 700  # minutes, strangers


@pytest.mark.parametrize("version", radio.VERSIONS)
@pytest.mark.parametrize("form", (SHORT, pytest.param((radio.MINUTES, radio.STRANGERS), marks=pytest.mark.long)))
def test_nothing_of_a_member_is_lost_for_a_second_and_memory_is_flat(form, version):
    minutes, strangers = form
    said = radio.hour(*form, version=version)
    assert radio.broken(said) == [], said
    assert said["strangers"] > 0.9 * strangers and said["sent"] >= 590 * minutes and len(said["heap"]) == minutes
    assert said["heard"] > 0.95 * said["sent"] and said["counters"]["receive_errors"] > strangers // 20
    assert said["most_addresses"] <= 20 + 8, "the members and a few more"
    assert said["counters"]["send_errors"] == said["counters"]["deaf"] == 0


@pytest.mark.parametrize(
    "good, bad, words",
    (
        ("            self._begin_anew(now)\n", "            pass\n", "nothing of a member was heard"),
        ("if len(senders) < self._most_senders:", "if True:", "the heap grew"),
        (
            "        except ValueError:\n",
            "        except ValueError as error:\n            self.error = error\n",
            "error",
        ),
    ),
)
def test_a_link_that_does_otherwise_is_seen(good, bad, words, tmp_path):
    lib = shutil.copytree(paths.LIB, tmp_path / "lib")
    link = lib / "faction" / "links" / "espnow.py"
    assert good in link.read_text()
    link.write_text(link.read_text().replace(good, bad))
    assert any(words in found for found in radio.broken(radio.hour(*SHORT, runtime="unix", lib=(lib,))))


def test_it_is_printed(capsys):
    assert main(["--minutes", "3", "--strangers", "60", "--runtime", "unix"]) == 0
    printed = capsys.readouterr().out
    assert "MicroPython 1.28: " in printed and "MicroPython 1.29: " in printed and "addresses kept" in printed
