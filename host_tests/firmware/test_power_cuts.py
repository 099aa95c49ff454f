"""Power cuts at every change of a file: of the session, the samples, the configuration and the rest of a deploy.

Whatever was cut, the board comes back by itself: it runs the old version or the new one, in a session above all that
it had, reaches its first sample among its peers, and the next `swarm deploy`, `collect` and `status` need no hand.
"""

import io
import json
import re
import shutil
from concurrent.futures import ThreadPoolExecutor
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path

import pytest

from bare_board import SCRIPT, BareBoard, bare_deploys, deploy
from box import Box, describe, write_sensor
from requirements import require, values
from swarm import cli, paths, runtimes
from swarm.deploy import deployment, payload
from swarm.deploy.remote import DeployError
from swarm.description import project
from swarm.paths import FIRMWARE
from swarm.rig.files import BOARD, prepare
from swarm.serial.prompt import raw_repl
from swarm.watch import collection

SEED = 23
TARGET = payload.Target(6, "")  # .mpy version 6, bytecode for any architecture
PEER = 8  # keeps its power
VICTIMS = range(1, PEER)
SAMPLE = re.compile(r'(?:>>> )?({[^{}]*"late_us"[^{}]*})$')  # a sample's line, perhaps behind a prompt
LEADS = (500, 501, 502)  # by which a version's faction.json is known; its sensor says the version's number
# Every file of a version is sent, copied and removed by the same code; these are enough to cut each step of it.
FEW = {"faction/core", "store", "sensor", "faction.json", "faction.key"}
BEFORE, AFTER = 200_000_000, 200_001_000  # sessions above which the versions start that were there, and the new one


# Deploys to bare boards


@pytest.fixture(scope="module")
def swarm(tmp_path_factory):
    """A described swarm; `versions(node)`: a member's files in three versions."""
    require("unix")
    folder = tmp_path_factory.mktemp("swarm")
    assert cli.main(["init", str(folder), "--board", "VIRTUAL", "--nodes", "2"]) == 0
    return folder / "swarm.toml"


def versions(file, node):
    """A member's files in each version."""
    described = project.load(file)
    made = []
    for number, described.lead_ms in enumerate(LEADS):
        write_sensor(file.parent, number)
        made.append(payload.build(described, described.member(node), TARGET))
    return described, described.member(node), made


def few(files):
    return {path: data for path, data in files.items() if path.removesuffix(".mpy") in FEW}


def lay_by_hand(flash, described, member, session):
    """What a user copies onto a board."""
    prepare(flash, described.config_for(member), described.key())
    (flash / "main.py").write_text("import autostart\nautostart.main()\n")
    (flash / "faction.session").write_text(str(session))


def lay(kind, flash, described, member, made, session):
    """Bring an empty flash to where a deploy of that kind starts; the versions before it and of it, None for none.

    session: the last one of the node.
    """
    if kind == "by hand":
        lay_by_hand(flash, described, member, session)
        return None, made[1]
    for files in made[: {"first": 0, "second": 1, "third": 2}[kind]]:
        with BareBoard(flash) as board:
            deploy(board, described, member, files, session)
    if kind == "first":
        return None, made[0]
    return (made[0], made[1]) if kind == "second" else (made[1], made[2])


def operations(flash, described, member, files, above=AFTER):
    """What a deploy does to the files of a board, which has it afterwards."""
    with BareBoard(flash) as board:
        deploy(board, described, member, files, above)
        return board.operations()


def points(done):
    """Every point at which the power can go: (number of the operation, share of its bytes)."""
    return [(at, share) for at, what in enumerate(done) for share in ((0.5, 1) if what.startswith("write") else (1,))]


def cut_deploy(flash, described, member, files, at, share, above=AFTER):
    """A deploy with which the power goes; how it ended."""
    with BareBoard(flash, at, share) as board:
        try:
            deploy(board, described, member, files, above)
        except DeployError as error:
            return str(error)
    return "done"


def slot_of(flash):
    """What main.py would run: content of the slot that the pointer names, None without one."""
    pointer = flash / "faction.slot"
    if not pointer.exists():
        return None
    folder = flash / pointer.read_text()
    return {str(file.relative_to(folder)): file.read_bytes() for file in folder.rglob("*") if file.is_file()}


def session_of(flash):
    file = flash / "faction.session"
    return int(file.read_text()) if file.exists() else 0


@pytest.mark.parametrize("kind", values(("first", "second", "third", "by hand"), long=("second", "third")))
def test_a_deploy_that_is_cut_anywhere_is_old_or_new_and_the_next_one_completes_it(kind, swarm, tmp_path):
    described, member, made = versions(swarm, 1)
    made = [few(files) for files in made]
    start = tmp_path / "start"
    start.mkdir()
    with bare_deploys():
        old, new = lay(kind, start, described, member, made, 7)
        main = (start / "main.py").read_bytes() if kind != "first" else None
        before = session_of(start)
        whole = tmp_path / "whole"
        shutil.copytree(start, whole)
        done = operations(whole, described, member, new)

        def cut(point):
            at, share = point
            flash = tmp_path / f"{at}-{share}"
            shutil.copytree(start, flash)
            ended = cut_deploy(flash, described, member, new, at, share)
            assert "stopped answering" in ended, f"{done[at]}: {ended}"
            what = f"cut {share} of {done[at]}, operation {at}"
            found = slot_of(flash)
            assert found in (old, new), f"{what}: a mixture"
            now = (flash / "main.py").read_bytes() if (flash / "main.py").exists() else None
            assert now in (main, payload.MAIN.read_bytes()), f"{what}: main.py"
            if kind == "by hand":
                assert json.loads((flash / "faction.json").read_text())["lead_ms"] == LEADS[-1], f"{what}: its own"
            assert session_of(flash) >= before, what
            if found == new and now == payload.MAIN.read_bytes():
                assert session_of(flash) >= AFTER, f"{what}: peers would take it for old"
            operations(flash, described, member, new)
            assert slot_of(flash) == new and (flash / "main.py").read_bytes() == payload.MAIN.read_bytes(), what
            assert session_of(flash) >= AFTER, what
            assert not list(flash.glob("*.new")), what
            shutil.rmtree(flash)
            return found == new

        with ThreadPoolExecutor(2) as pool:
            ended = list(pool.map(cut, points(done)))
    assert any(ended) and not all(ended), "cuts fell on both sides of the rename"
    steps = {what.split()[0] for what in done}
    assert steps >= {"open", "write", "close", "rename"}, done


# Boards


@pytest.fixture(scope="module")
def box(tmp_path_factory):
    """A swarm of eight boards, two of which are enough, that run its first version."""
    require("unix")
    home = tmp_path_factory.mktemp("box")
    with Box(home, PEER, SEED) as box:
        box.file = describe(home / "swarm", box, "--quorum", "2")
        box.csv = home / "samples.csv"
        box.made = {node: versions(box.file, node) for node in box.nodes}
        with bare_deploys():
            for node, (described, member, made) in box.made.items():
                operations(box.flash(node), described, member, made[0], BEFORE)
        describe_version(box, 0)
        start(box, box.nodes)
        use_commands(box)
        yield box


def describe_version(box, number):
    """Have swarm.toml and the sensor describe a version."""
    described = project.load(box.file)
    described.lead_ms = LEADS[number]
    described.save()
    write_sensor(box.file.parent, number)


def run(*arguments):
    """Run the command, which must succeed; what it printed."""
    said = io.StringIO()
    with redirect_stdout(said), redirect_stderr(said):
        done = cli.main(list(arguments))
    assert done == 0, said.getvalue()
    return said.getvalue()


def start(box, nodes, sampling=None):
    """Give boards power, and wait until those that are to run a node have taken their sample."""
    since = {node: len(box.lines[node]) for node in nodes}
    for node in nodes:
        box.rig.power(node, True)
    for node in nodes:
        sampled = sampling is None or node in sampling
        box.wait_line(node, '"late_us"' if sampled else 'Type "help()"', since[node])


def stop(box, nodes):
    for node in nodes:
        box.rig.power(node, False)
    box.wait(lambda: not any(node in box.pids for node in nodes), "power off")


def look(box, nodes):
    """See that these boards started in sessions above all before, and that their peer takes none of them for old."""
    with raw_repl(box.ports[PEER]) as transport:
        known = transport.eval("list(__import__('faction').app.node.sessions.heard)")[::3]
    for node in nodes:
        said = [int(text) for line in box.lines[node] for text in re.findall(r"started session (\d+)", line)]
        assert said == sorted(set(said)), f"node {node}: sessions rise: {said}"
        # 0 of one that the peer knows from others' word only.
        assert known[box.nodes.index(node)] <= said[-1], f"node {node}: {said}, and its peer knows {known}"


def use_commands(box):
    """`swarm status`, `collect` and `deploy` work on every board; then every sample that was printed is in the file."""
    for status in json.loads(run("status", "--all", "--json", "--swarm", str(box.file))).values():
        assert (status["state"], status["conflict"]) == ("Bootstrapped", False), status
        assert status["errors"] == [], status
    told = run("collect", "--all", "--swarm", str(box.file), "--out", str(box.csv))
    table = collection.load(box.csv).samples
    for node in box.nodes:
        printed = [json.loads(found[1]) for line in box.lines[node] if (found := SAMPLE.match(line))]
        kept = [(one.session, one.late_us, one.value) for one in table if one.node == node]
        assert printed, f"node {node} said nothing: {box.lines[node]}"
        for sample in printed:
            key = (sample["session"], sample["late_us"], str(sample["value"]))
            assert key in kept, f"node {node}: {sample} is lost: {told}"
    return told


def versions_that_run(box, node):
    """The versions of a board's configuration and of its sensor."""
    with raw_repl(box.ports[node]) as transport:
        transport.exec("import faction")
        lead, value = transport.eval("(faction.app.node.first_sample.lead_ms, faction.app.sample['value'])")
    return LEADS.index(lead), "its own" if isinstance(value, float) else value


LATE = [json.dumps({"node": 1, "late_us": 10**6 + n, "value": 0, "late": True}) + "\n" for n in range(100)]
HELD = {"room": LATE[:2], "full": LATE[: 4096 // len(LATE[0])]}  # of samples.jsonl at the start


def lines_of(flash):
    """All that a board keeps of samples: the whole lines, and those that are not."""
    whole, spoilt = [], []
    for name in ("samples.jsonl.old", "samples.jsonl"):
        if (flash / name).exists():
            for line in (flash / name).read_text().splitlines():
                (whole if line.startswith("{") and line.endswith("}") else spoilt).append(line)
    return whole, spoilt


def plan_of(box, held):
    """Every point of a start at which power can go, measured on a board that goes on."""
    node = VICTIMS[0]
    stop(box, [node])
    set_samples(box.flash(node), held)
    shutil.copy(SCRIPT, box.flash(node) / "boot.py")
    (box.flash(node) / "power.cut").write_text("-1 1")
    start(box, [node])
    with raw_repl(box.ports[node]) as transport:
        done = transport.eval("power.done")
    use_commands(box)
    assert [what for what in done if "session" in what] and [what for what in done if "samples" in what], done
    # A sample's line may also end just before its end.
    last = [(at, 0.999) for at, what in enumerate(done) if what == "write samples.jsonl"]
    return [(held, at, share, done[at]) for at, share in points(done) + last]


def set_samples(flash, held):
    (flash / "samples.jsonl.old").unlink(missing_ok=True)
    (flash / "samples.jsonl").write_text("".join(HELD[held]))


@pytest.mark.parametrize("every", [3, pytest.param(1, marks=pytest.mark.long)])
def test_a_start_that_is_cut_anywhere_is_followed_by_one_that_needs_no_hand(box, every):
    plan = [point for held in HELD for point in plan_of(box, held)[::-every]]  # from the sample's line on, which tears
    spoilt_lines = 0
    while plan:
        cuts = dict(zip(VICTIMS, plan, strict=False))
        del plan[: len(cuts)]
        stop(box, cuts)
        since, session = {}, {node: session_of(box.flash(node)) for node in cuts}
        for node, (held, at, share, _) in cuts.items():
            set_samples(box.flash(node), held)
            shutil.copy(SCRIPT, box.flash(node) / "boot.py")
            (box.flash(node) / "power.cut").write_text(f"{at} {share}")
            since[node] = len(box.lines[node])
            box.rig.power(node, True)
        for node, (*_, what) in cuts.items():
            box.wait_line(node, f"power cut: {what}", since[node])
        stop(box, cuts)
        kept = {}
        for node, cut in cuts.items():
            assert session_of(box.flash(node)) in (session[node], session[node] + 1), cut
            kept[node], spoilt = lines_of(box.flash(node))
            held = [line.strip() for line in HELD[cut[0]]]
            assert kept[node][: len(held)] == held and len(spoilt) <= 1, cut
            spoilt_lines += len(spoilt)
            (box.flash(node) / "power.cut").unlink()
        start(box, cuts)
        look(box, cuts)
        for node, cut in cuts.items():
            whole, spoilt = lines_of(box.flash(node))
            assert whole[:-1] == kept[node] and len(spoilt) <= 1, f"{cut}: one more sample, in a line of its own"
            for name in ("samples.jsonl", "samples.jsonl.old"):
                assert not (box.flash(node) / name).exists() or (box.flash(node) / name).stat().st_size <= 4096, cut
        use_commands(box)
        assert "0 files uploaded" in run("deploy", "--all", "--swarm", str(box.file))
    assert spoilt_lines >= len(HELD), "lines were torn"


def states_of(kind, swarm, folder):
    """Points at which a cut deploy leaves something else to start than any other does: {state: (operation, share)}.

    A start reads main.py, the pointer with its slot, or what was copied by hand, and the session.
    """
    described, member, made = versions(swarm, 1)
    flash = folder / kind
    flash.mkdir()
    _, new = lay(kind, flash, described, member, made, 7)
    start = folder / f"{kind}-start"
    shutil.copytree(flash, start)
    found = {}
    done = operations(flash, described, member, new)
    # What comes before is in a slot that nothing points to: all of that is cut in the test of bare boards.
    first = next(at for at, what in enumerate(done) if what == "open faction.session.new")
    for at, share in points(done):
        if at < first:
            continue
        shutil.rmtree(flash)
        shutil.copytree(start, flash)
        cut_deploy(flash, described, member, new, at, share)
        main = (flash / "main.py").read_bytes() if (flash / "main.py").exists() else None
        found.setdefault((main, str(slot_of(flash)), session_of(flash)), (at, share))
    return list(found.values())


@pytest.mark.long
def test_what_a_cut_deploy_leaves_starts_by_itself_and_is_completed_by_the_next(box, swarm, tmp_path):
    with bare_deploys():
        plan = [(kind, *point) for kind in ("first", "third", "by hand") for point in states_of(kind, swarm, tmp_path)]
    assert len(plan) > 6
    while plan:
        cuts = dict(zip(VICTIMS, plan, strict=False))
        del plan[: len(cuts)]
        stop(box, cuts)
        runs = {}
        with bare_deploys():
            for node, (kind, at, share) in cuts.items():
                flash, session = box.flash(node), session_of(box.flash(node))
                shutil.rmtree(flash)
                flash.mkdir()
                described, member, made = box.made[node]
                old, new = lay(kind, flash, described, member, made, session)
                # A board that was replaced has lost its session; its peers have not.
                cut_deploy(flash, described, member, new, at, share, session + 1000)
                runs[node] = kind != "first" or (flash / "main.py").exists()
        start(box, cuts, [node for node in cuts if runs[node]])
        look(box, [node for node in cuts if runs[node]])
        for node, (kind, at, share) in cuts.items():
            if runs[node]:
                _, _, made = box.made[node]
                slot = slot_of(box.flash(node))
                old, new = {"first": (0, 0), "third": (1, 2), "by hand": (2, 1)}[kind]
                fresh = slot == made[new] and (box.flash(node) / "main.py").read_bytes() == payload.MAIN.read_bytes()
                # A sensor that was copied by hand is the firmware's own.
                value = "its own" if kind == "by hand" and not fresh else new if fresh else old
                assert versions_that_run(box, node) == (new if fresh else old, value), (kind, at, share)
        describe_version(box, 0)
        run("deploy", "--all", "--swarm", str(box.file))
        use_commands(box)
        look(box, cuts)


# A flash chip


def test_on_littlefs_a_cut_at_any_write_or_erase_leaves_old_or_new():
    require("unix")
    folders = [paths.SHIMS / "device", BOARD, FIRMWARE, paths.LIB, Path(deployment.__file__).parent]
    told = json.loads(runtimes.run("unix", SCRIPT.with_name("littlefs_cut.py"), paths=folders))
    assert set(told) == {"first session", "session", "deploy", "first sample", "sample", "batch", "full"}
    for step, states in told.items():
        read = samples_in if isinstance(states["after"], list) else str
        old, new = read(states["before"]), read(states["after"])
        cuts = [read(state) for state in states["cuts"]]
        assert old != new and len(cuts) >= 2 and set(map(str, cuts)) <= {str(old), str(new)}, f"{step}: {states}"
    assert sum(len(states["cuts"]) for states in told.values()) > 20


@pytest.mark.parametrize("depth, kept", ((1280, True), (1 << 29, False)))
def test_on_littlefs_a_sample_is_not_written_within_somebodys_file_operation(depth, kept):
    """An RP2040 has callbacks run there, and what they write is lost: without a look at the stack's depth it is."""
    require("unix")
    script = SCRIPT.with_name("littlefs_nested.py")
    folders = [paths.SHIMS / "device", BOARD, FIRMWARE, paths.LIB]
    found = json.loads(runtimes.run("unix", script, [depth], paths=folders).splitlines()[-1])
    assert set(found) == {"copy", "rename", "replace", "remove", "look"}
    assert sum(points for points, _ in found.values()) > 200, found
    assert (sum(lost for _, lost in found.values()) == 0) == kept, found


def samples_in(files):
    """The samples in two files' texts, each in a line of its own."""
    return [json.loads(line) for text in files if text for line in text.splitlines()]
