"""`swarm collect`: samples from boards into one CSV without duplicates, and their picture."""

import csv
import json
import xml.etree.ElementTree as ElementTree

import pytest

from requirements import require
from rig_fixture import Table, lay_boards
from swarm import cli
from swarm.watch import collection, plot, samples
from swarm.watch.collection import Collection
from swarm.watch.instants import Bounds
from swarm.watch.samples import Sample, SamplesError

SEED = 31
KEY = bytes(range(16, 32))


def record(late_us=5, value=20.5, node=1, late=False):
    return {"node": node, "late_us": late_us, "value": value, "late": late}


def load(path):
    return collection.load(path).samples


def save(path, table):
    collection.save(path, Collection(table))


def answer(*records, session=1, **changes):
    """What a board answers that keeps those records, and sampled the last of them in this session."""
    lines = [one if isinstance(one, str) else json.dumps(one) for one in records]
    said = {"node": 1, "session": session, "sample": records[-1] if records else None, "clock_s": 1_800_000_000.0}
    return {**said, "lines": lines, "instant": Bounds(-2_010_000, -1_990_000), **changes}


def test_a_boards_lines_become_samples():
    found, spoilt = samples.parse(answer(record(7, None), record(8, "wet"), record(9, [1, True]), record(10, 2)))
    assert spoilt == 0
    assert [(one.late_us, one.value, one.session) for one in found] == [
        (7, "", None),
        (8, "wet", None),
        (9, "[1, true]", None),
        (10, "2", 1),
    ]
    assert (found[-1].utc, found[-1].within_s) == ("2027-01-15T07:59:58.000Z", 0.01), "two seconds before it was read"


def test_an_instant_that_is_not_told_stays_empty():
    ((sample,), _) = samples.parse(answer(record(), instant=None))
    assert sample.utc == "" and sample.session == 1


def test_a_sample_of_an_earlier_boot_has_no_session():
    ((sample,), _) = samples.parse(answer(record(), sample=None))
    assert (sample.session, sample.utc) == (None, "")


def test_a_line_tells_its_session():
    lines = [{**record(5), "session": 7}, {**record(5), "session": 9}]
    table = []
    assert samples.merge(table, samples.parse(answer(*lines, session=9))[0]) == 2
    assert samples.merge(table, samples.parse(answer(*lines[1:], session=10, sample=None))[0]) == 0
    assert [(one.session, bool(one.utc)) for one in table] == [(7, False), (9, True)]
    assert samples.parse(answer(json.dumps({**record(5), "session": "9"}), sample=None)) == ([], 1)


def test_lines_that_a_power_cut_has_spoilt_are_passed_over():
    lines = [
        record(1),
        '{"node": 1, "late',
        '{"node": 1, "l' + json.dumps(record(2)),
        '{"late_us": 4, "va{"late_us": 4, "value": {"t": 1}, "late": false, "node": 1}',  # MicroPython's order
        '{"node": 1}',
        '{"node": 1, "value": ' + "[" * 4000,
        "\ufffd",
        record(3),
    ]
    found, spoilt = samples.parse(answer(*lines))
    assert [one.late_us for one in found] == [1, 2, 4, 3] and spoilt == 4


def test_the_same_sample_is_kept_once_and_equal_ones_of_two_boots_twice():
    table = []
    first, _ = samples.parse(answer(record(5), session=1))
    assert samples.merge(table, first) == 1
    assert samples.merge(table, samples.parse(answer(record(5), session=1))[0]) == 0
    # The next boot's sample is the same in everything: the board keeps both lines.
    assert samples.merge(table, samples.parse(answer(record(5), record(5), session=2))[0]) == 1
    assert [one.session for one in table] == [1, 2]
    assert samples.merge(table, samples.parse(answer(record(5), record(5), session=2))[0]) == 0
    # Its first line has made room for a third.
    assert samples.merge(table, samples.parse(answer(record(5), record(6), session=3))[0]) == 1
    assert [(one.late_us, one.session) for one in table] == [(5, 1), (5, 2), (6, 3)]


def test_what_becomes_known_later_is_filled_in():
    table = [Sample(1, None, 5, "20.5", False)]
    assert samples.merge(table, samples.parse(answer(record(5), session=4))[0]) == 0
    assert (table[0].session, table[0].utc) == (4, "2027-01-15T07:59:58.000Z")


def test_readings_of_one_instant_are_one_axis():
    table = []
    samples.merge(table, samples.parse(answer(record(5)))[0])
    samples.merge(table, samples.parse(answer(record(6, node=2), clock_s=1_800_000_000.4))[0])
    samples.merge(table, samples.parse(answer(record(7, node=3), clock_s=1_800_000_009.0))[0])
    assert [one.utc[17:] for one in table] == ["58.000Z", "58.000Z", "07.000Z"]


def test_a_file_comes_back_as_it_was_written(tmp_path):
    table = [
        Sample(1, 217_671_580, -12, "20.5", False, "2027-01-15T07:59:58.000Z", within_s=0.25, series=7, n=12),
        Sample(65535, None, 5_000_000, 'say "wet",\nor dry', True),
        Sample(2, 3, 0, "", False),
    ]
    save(tmp_path / "a.csv", table)
    assert load(tmp_path / "a.csv") == table
    assert load(tmp_path / "none.csv") == []


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("time,value\n1,2\n", "its first line is not node,session,"),
        ("node,session,late_us,value,late,agreed\n1,,x,2,0,\n", "line 2: not a sample"),
        ("node,session,late_us,value,late,agreed\n1,,3,2,0,\n1,2\n", "line 3: not a sample"),
        ("node,session,late_us,value,late,agreed\n1,,3,2,0,noon\n", "line 2: not a sample"),
    ],
)
def test_another_file_is_not_overwritten(text, says, tmp_path, capsys):
    path = tmp_path / "a.csv"
    path.write_text(text)
    with pytest.raises(SamplesError, match=says):
        load(path)
    assert cli.main(["collect", "--port", "/dev/none", "--out", str(path)]) == 2
    assert "name another file with --out" in capsys.readouterr().err and path.read_text() == text


def elements(picture, tag):
    return ElementTree.fromstring(picture).findall(f"{{http://www.w3.org/2000/svg}}{tag}")


def test_a_picture_has_every_number_on_the_common_axis():
    table = [Sample(1, 1, 0, "20", False), Sample(2, 1, 1000, "21", False), Sample(3, 1, 500, "20.5", False)]
    x = [float(dot.get("cx")) for dot in elements(plot.picture(table, "a"), "circle")]
    assert x[0] < x[2] < x[1] and x[2] - x[0] == pytest.approx(x[1] - x[2], abs=0.2)
    table += [Sample(4, 1, 9_000_000, "19", True), Sample(5, 1, 3, "wet", False)]
    picture = plot.picture(table, "b & c")
    assert len(elements(picture, "circle")) == 4
    texts = [text.text for text in elements(picture, "text")]
    assert {"b & c: 4 samples", "1 sample without a number not drawn", "in time", "1", "2", "3", "4"} <= set(texts)
    assert any(text.endswith(" s") for text in texts) and any(text.endswith((" us", " ms")) for text in texts)
    assert len(elements(plot.picture([], "none"), "circle")) == 0


def dict_answer(node, session, value, agreed_s):
    one = {**record(node * 100, value, node), "session": session}
    return answer(one, node=node, session=session, clock_s=agreed_s)


def test_a_dict_has_a_column_for_each_of_its_keys(tmp_path):
    """Of all samples together, in the order in which they came; the file is added to as any other."""
    path = tmp_path / "a.csv"
    table = []
    first = {"temperature_C": 21.5, "air": {"hPa": 1013, "state": "ok"}, "list": [1, 2], "none": None, "empty": {}}
    assert samples.merge(table, samples.parse(dict_answer(1, 7, first, 1_800_000_000))[0]) == 1
    assert samples.merge(table, samples.parse(dict_answer(2, 7, 40, 1_800_000_000))[0]) == 1
    save(path, table)
    more = {"humidity_%": 40, "temperature_C": "n/a"}
    table = load(path)
    assert samples.merge(table, samples.parse(dict_answer(1, 7, first, 1_800_000_000))[0]) == 0, "it is known"
    assert samples.merge(table, samples.parse(dict_answer(3, 7, more, 1_800_000_000))[0]) == 1
    save(path, table)
    assert path.read_text().splitlines() == [
        ",".join(samples.FIELDS) + ",value.temperature_C,value.air.hPa,value.air.state,value.list,value.empty,"
        "value.humidity_%",
        '1,7,,,2027-01-15T07:59:58.000Z,0.01,100,,0,21.5,1013,ok,"[1, 2]",{},',
        "2,7,,,2027-01-15T07:59:58.000Z,0.01,200,40,0,,,,,,",
        "3,7,,,2027-01-15T07:59:58.000Z,0.01,300,,0,n/a,,,,,40",
    ]
    assert load(path) == table
    # A file of before has a dict in one cell.
    path.write_text(
        'node,session,late_us,value,late,agreed\n1,7,100,"{""t"": 1}",0,\n1,8,100,20,0,2027-01-15T07:59:58.000Z\n'
    )
    one, two = load(path)
    assert one.parts == {"value.t": "1"} and (two.utc, two.within_s) == ("2027-01-15T07:59:58.000Z", None)
    for header in (",other", ",value.a,value.a"):
        path.write_text(",".join(samples.FIELDS) + header + "\n")
        with pytest.raises(SamplesError, match="its first line is not"):
            load(path)


def test_a_picture_has_a_row_a_key_and_a_colour_a_run():
    table = []
    for session, agreed_s in ((7, 1_800_000_000), (8, 1_800_009_000)):
        for node in (1, 2):
            value = {"temperature_C": 20 + node, "humidity_%": 40, "state": "ok", "far": "nan"}
            samples.merge(table, samples.parse(dict_answer(node, session, value, agreed_s))[0])
    picture = plot.picture(table, "a.csv")
    assert len(elements(picture, "circle")) == 2 * 4 + 2, "two rows, and the legend"
    texts = [text.text for text in elements(picture, "text")]
    assert {"temperature_C", "humidity_%"} <= set(texts) and not {"state", "far"} & set(texts)
    assert [text for text in texts if text.startswith("agreed for")] == [
        "agreed for 2027-01-15T10:29:58.000Z: 2 samples",
        "agreed for 2027-01-15T07:59:58.000Z: 2 samples",
    ]
    assert len({dot.get("fill") for dot in elements(picture, "circle")}) == 2
    by_run = {dot.get("fill") for dot in elements(plot.picture(table[:2], "one run"), "circle")}
    assert len(by_run) == 1


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    """Two boards of a swarm with a key, of three members of which two are required; they have sampled."""
    require("unix")
    boards = lay_boards(tmp_path_factory.mktemp("boards"), [1, 2, 3], required=2)
    for home in boards.values():
        (home / "faction.key").write_text(KEY.hex() + "\n")
        (home / "faction.key").chmod(0o600)
    with Table(boards, SEED) as made:
        made.start(1, 2)
        made.wait(lambda: all(made.run.nodes[node].succeeded() for node in (1, 2)), what="first samples")
        yield made


def rows(path):
    with open(path, newline="") as file:
        return list(csv.DictReader(file))


def test_from_boards_into_one_file_and_again_after_a_reboot(table, tmp_path, capfd, monkeypatch):
    monkeypatch.chdir(tmp_path)
    ports = ["--port", table.ports[1], "--port", table.ports[2]]
    assert cli.main(["collect", *ports, "--plot", "a.svg"]) == 0
    told = capfd.readouterr().out
    assert "node 1: 1 sample, 1 new" in told and "samples.csv: 2 samples, 2 new" in told
    one, two = rows("samples.csv")
    assert (one["node"], one["session"], one["late"], two["node"]) == ("1", "1", "0", "2")
    for row in (one, two):
        sample = table.run.nodes[int(row["node"])].sample
        assert (int(row["late_us"]), float(row["value"])) == (sample["late_us"], sample["value"])
    assert one["utc"] == two["utc"] and one["utc"].endswith("Z"), "one instant for both"
    assert len(elements((tmp_path / "a.svg").read_text(), "circle")) == 2
    before = (tmp_path / "samples.csv").read_bytes()
    assert cli.main(["collect", *ports]) == 0
    assert (
        tmp_path / "samples.csv"
    ).read_bytes() == before and "samples.csv: 2 samples, 0 new" in capfd.readouterr().out
    table.power(2, False)
    table.power(2, True, after_ms=100)
    table.wait(lambda: table.run.nodes[2].boots == 2 and table.run.nodes[2].succeeded(), what="the sample again")
    assert cli.main(["collect", *ports, "--port", table.ports[3]]) == 1
    told = capfd.readouterr()
    assert "node 2: 2 samples, 1 new" in told.out and "samples.csv: 3 samples, 1 new" in told.out
    assert "no MicroPython prompt answers" in told.err and table.ports[3] in told.err, "it has no power"
    assert [row["session"] for row in rows("samples.csv") if row["node"] == "2"] == ["1", "2"]
    for verb in (["status", "--json"], ["status"], ["monitor", "--once"], ["collect"]):
        assert cli.main([*verb, *ports]) == 0
    told = capfd.readouterr()
    assert KEY.hex() not in told.out + told.err + (tmp_path / "samples.csv").read_text()


def test_no_file_when_nobody_answers(tmp_path, capsys):
    out = tmp_path / "samples.csv"
    port = str(tmp_path / "none")
    assert cli.main(["collect", "--port", port, "--out", str(out)]) == 1
    assert capsys.readouterr().err.startswith(f"swarm collect: {port}: no such port; plug") and not out.exists()
    assert cli.main(["init", str(tmp_path), "--board", "VIRTUAL", "--ports", port]) == 0
    assert cli.main(["collect", "--all", "--swarm", str(tmp_path / "swarm.toml"), "--out", str(out)]) == 1
    assert capsys.readouterr().err.startswith(f"swarm collect: {port}: no such port; plug"), "the port once"


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--port", "x", "--plot", "a.png"], "pictures are SVG, name it something.svg"),
        (["--all", "--swarm", "/nowhere.toml"], "/nowhere.toml: no such file"),
        (["--all", "3"], "give one of NODE, --all and --port"),
    ],
)
def test_wrong_use(arguments, says, capsys, tmp_path):
    assert cli.main(["collect", *arguments, "--out", str(tmp_path / "a.csv")]) == 2
    assert says in capsys.readouterr().err


def test_help_has_examples_columns_and_exit_statuses(capsys):
    with pytest.raises(SystemExit):
        cli.main(["collect", "--help"])
    text = capsys.readouterr().out
    assert "swarm collect --all --plot samples.svg" in text and "late_us" in text and "exit status: 0 " in text
