"""What the device code takes stays within the budgets; `swarm size` prints it, fails above a limit, and is honest."""

import json
import re
import shutil

import pytest

from swarm import cli, paths
from swarm.runtimes.measure import board_heap, size
from swarm.runtimes.measure.size import Figure


@pytest.fixture(scope="module")
def figures():
    return {figure.name: figure for figure in size.measure()}


def test_all_budgets_are_kept(figures):
    assert [f"{figure.name}: {figure.value} of {figure.limit}" for figure in figures.values() if figure.above] == []


def test_every_budget_of_the_table_is_measured(figures):
    assert {name: figure.limit for name, figure in figures.items()} == {
        "heap per command": 0,
        "heap per frame sent, received and polled for": 0,
        **{f"machine with {n} members": 256 + 2.5 * n for n in (5, 50, 250, 680)},
        "core as .mpy": 2560,
        "heap of a board in all, 20 members, uart, deployed as .mpy": 43008,
        "heap of a board in all, 20 members, uart, frozen": 14336,
        "heap that the status keeps once it was asked for, uart": 640,
        "heap of a board in all, 20 members, espnow, deployed as .mpy": 43008,
        "heap of a board in all, 20 members, espnow, frozen": 16384,
        "heap that the status keeps once it was asked for, espnow": 640,
        "heap of a board in all, 20 members, udp, deployed as .mpy": 43008,
        "heap of a board in all, 20 members, udp, frozen": 14336,
        "heap that the status keeps once it was asked for, udp": 640,
        "heap that a series takes more": 10_240,
        "heap that rounds take more": 11264,
        "heap that reports take more": 18_688,
        "of that, data of a node that relays": 4096,
        "heap of a node that gathers, for each member": 64,
        "heap that an application on asyncio takes, asyncio included": 9216,
        "a turn of its loop": 1,
        "receiving a 46-byte frame": 14,
    }


def test_the_figures_are_of_something(figures):
    values = {name: figure.value for name, figure in figures.items()}
    # Bounds from below: 2 bytes an id, and what cannot be smaller.
    assert all(values[f"machine with {n} members"] > 2 * n for n in size.MEMBERS)
    assert values["core as .mpy"] > 1000
    for link in ("uart", "espnow", "udp"):
        board = f"heap of a board in all, 20 members, {link}"
        # What real firmware on an RP2040 took with three members: 40.0 KiB deployed and 12.5 frozen.
        assert values[f"{board}, deployed as .mpy"] > 38_000
        assert values[f"{board}, frozen"] > 12_000
        assert values[f"heap that the status keeps once it was asked for, {link}"] > 100, "its names"
    assert values["heap that a series takes more"] > 5000
    assert values["heap that rounds take more"] > 4000
    assert values["heap that reports take more"] > 8000
    assert values["of that, data of a node that relays"] > 1024 + 248, "the ring and a text"
    assert values["heap of a node that gathers, for each member"] > 6, "what sessions.py keeps of one"
    assert values["heap that an application on asyncio takes, asyncio included"] > 6000
    assert values["a turn of its loop"] > 0.2
    assert values["receiving a 46-byte frame"] > 2


def test_the_librarys_document_tells_them(figures):
    text = (paths.LIB / "README.md").read_text()
    for link, row in (("uart", "with a UART"), ("espnow", "with ESP-NOW"), ("udp", "with UDP")):
        (told,) = re.findall(rf"^\| {row}.*", text, re.MULTILINE)
        numbers = [float(number) for number in re.findall(r"([\d.]+) of (\d+) KB", told) for number in number]
        board = f"heap of a board in all, 20 members, {link}"
        deployed, frozen = figures[f"{board}, deployed as .mpy"], figures[f"{board}, frozen"]
        assert numbers == [round(n / 1024, 1) for f in (deployed, frozen) for n in (f.value, f.limit)]


def test_the_documents_tell_what_an_application_takes(figures):
    kilobytes = round(figures["heap that an application on asyncio takes, asyncio included"].value / 1024, 1)
    readme = (paths.ROOT / "README.md").read_text()
    assert f"an application takes {kilobytes} KB of heap before its first line, asyncio included" in readme
    assert f"An application on asyncio takes {kilobytes} KB more" in (paths.LIB / "README.md").read_text()


@pytest.mark.parametrize("what", ("a series takes", "rounds take", "reports take"))
def test_the_librarys_document_tells_what_is_taken_more(figures, what):
    kilobytes = round(figures[f"heap that {what} more"].value / 1024, 1)
    assert f"{what[0].upper()}{what[1:]} {kilobytes} KB more" in (paths.LIB / "README.md").read_text()


def test_the_librarys_document_tells_what_of_reports_is_data(figures):
    relays = round(figures["of that, data of a node that relays"].value / 1024, 1)
    each = round(figures["heap of a node that gathers, for each member"].value)
    told = " ".join((paths.LIB / "README.md").read_text().split())
    assert f"of which {relays} KB are data, 1 KB of it for others' samples" in told
    assert f"{each} bytes for each member on a gateway" in told


def test_a_larger_link_or_a_module_more_shows(tmp_path, monkeypatch):
    """What is measured is the whole of a board: its link's ring, and each module that a start loads."""
    before = board_heap.deployed(tmp_path / "before", "uart")
    firmware = shutil.copytree(paths.FIRMWARE, tmp_path / "firmware")
    with open(firmware / "app.py", "a") as file:
        file.write("\nmore = bytearray(2000)\n")
    monkeypatch.setattr(paths, "FIRMWARE", firmware)
    # A name more may fill room that the names before it have left, or need more.
    assert 1600 < board_heap.deployed(tmp_path / "after", "uart") - before < 2200


def test_a_board_takes_as_much_wherever_the_checkout_lies(tmp_path, monkeypatch):
    before = board_heap.deployed(tmp_path / "before", "espnow")
    elsewhere = tmp_path / ("far" * 20)
    shims = [shutil.copytree(folder, elsewhere / folder.name) for folder in board_heap._SHIMS]
    monkeypatch.setattr(board_heap, "_SHIMS", shims)
    assert board_heap.deployed(tmp_path / "after", "espnow") == before


@pytest.fixture
def measured(monkeypatch):
    """Stands in for a measurement, which takes seconds."""

    def give(*given):
        monkeypatch.setattr(size, "measure", lambda: iter(given))

    return give


WITHIN = Figure("core as .mpy", 2560, 2560, "bytes", "small")
ABOVE = Figure("machine with 5 members", 268.6, 268.5, "bytes", "many fit")


def test_prints_value_beside_limit(measured, capsys):
    measured(WITHIN)
    assert cli.main(["size"]) == 0
    name, rest = capsys.readouterr().out.rstrip().split("  ", 1)
    assert name == "core as .mpy" and rest.split() == ["2560", "of", "2560", "bytes"]


def test_fails_above_a_limit(measured, capsys):
    measured(WITHIN, ABOVE)
    assert cli.main(["size"]) == 1
    lines = capsys.readouterr().out.splitlines()
    assert "above" not in lines[0] and lines[1].endswith("   0.1 above the limit")
    assert lines[2:] == ["1 of 2 figures are above their limits:", "  machine with 5 members: many fit"]


def test_json(measured, capsys):
    measured(WITHIN, ABOVE)
    assert cli.main(["size", "--json"]) == 1
    assert json.loads(capsys.readouterr().out) == [
        {"name": "core as .mpy", "value": 2560, "limit": 2560, "unit": "bytes", "why": "small"},
        {"name": "machine with 5 members", "value": 268.6, "limit": 268.5, "unit": "bytes", "why": "many fit"},
    ]


def test_a_missing_runtime_is_named(monkeypatch, capsys, tmp_path):
    monkeypatch.setattr("swarm.runtimes._WASM_MODULE", tmp_path / "absent.mjs")
    assert cli.main(["size"]) == 2
    assert "make setup" in capsys.readouterr().err
