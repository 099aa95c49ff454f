"""PROTOCOL.md is true: its example is decoded by the device's codec, its tables suffice to write a frame that a node
accepts, and its constants are the code's.

Nothing here knows the frame's layout: offsets, sizes, types, flags, the digest's parts and the echo are read from the
document.
"""

import hashlib
import math
import re
import struct
from types import SimpleNamespace

import config
import pytest
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import CBC, ECB

import swarm_fixture
from faction import description, first_sample, frame, names, node, runner, series, sessions, trickle
from faction.core import BOOTSTRAPPED, Faction
from faction.remote import envelope, question, records, reports, rounds
from faction.remote.node import RemoteNode
from swarm.deploy import payload
from swarm.paths import LIB, ROOT
from swarm_fixture import SERIES, Board, Swarm

TEXT = (ROOT / "PROTOCOL.md").read_text()
NUMBERS = {"u8": "<B", "u16": "<H", "u32": "<I", "s32": "<i"}


def part(name):
    """What stands between a pair of marks, without a code block's fences."""
    (found,) = re.findall(rf"^<!-- {name} -->\n(.*?)^<!-- /{name} -->$", TEXT, re.MULTILINE | re.DOTALL)
    return found.replace("```\n", "")


def table(name):
    """The rows of a table, each a dict by the words of its head."""
    head, _, *rows = ([cell.strip() for cell in line[1:-1].split("|")] for line in part(name).splitlines())
    return [dict(zip(head, row, strict=True)) for row in rows]


def dump(name):
    """The lines of a dump: bytes, and what they are."""
    lines = [re.fullmatch(r"((?:[0-9a-f]{2} ?)+?) *(?:  (.*))?", line).groups() for line in part(name).splitlines()]
    return [(bytes.fromhex(data), label) for data, label in lines]


def amount(formula, *values):
    """An offset or a size of a table of fields: a sum of numbers and of products of letters, b and m first of all."""
    letters = dict(zip("bmtqc", values, strict=False))
    total = 0
    for term in formula.split(" + "):
        factor, of = re.fullmatch(r"(\d*)([a-z]*)", term).groups()
        total += int(factor or 1) * math.prod(letters[letter] for letter in of)
    return total


FLAGS = {row["name"]: int(row["value"]) for row in table("flags")}
KEY, _ = dump("key")[0]
# The example's swarm, as the document's words name it.
NAME, MEMBERS, REQUIRED = "greenhouse", [*range(1, 9), 300], 3


def xor(one, other):
    return bytes(a ^ b for a, b in zip(one, other, strict=True))


def double(block):
    """Section "Tag", step 1."""
    number = int.from_bytes(block, "big") << 1
    doubled = bytearray((number & (1 << 128) - 1).to_bytes(16, "big"))
    if number >> 128:
        doubled[-1] ^= 0x87
    return bytes(doubled)


def cmac_steps(key, message):
    """Section "Tag": L, K1, K2, the last block after its XOR, and each X."""
    encrypt = Cipher(AES(key), ECB()).encryptor().update
    whole = encrypt(bytes(16))
    k1 = double(whole)
    k2 = double(k1)
    blocks = [message[at : at + 16] for at in range(0, len(message), 16)]
    last = blocks[-1]
    blocks[-1] = xor(last, k1) if len(last) == 16 else xor((last + b"\x80").ljust(16, b"\0"), k2)
    x = [bytes(16)]
    for block in blocks:
        x.append(encrypt(xor(x[-1], block)))
    return SimpleNamespace(subkeys=[whole, k1, k2], last=blocks[-1], x=x[1:])


def digest(name, members, required, period=0, round_ms=0):
    """Section "Swarm digest", part by part of its table, and what follows it."""
    members = sorted(members)
    values = {
        "name": name.encode(),
        "name length": len(name.encode()),
        "member count": len(members),
        "member ids": members,
        "required count": required,
        "period": period,
    }
    hashed = []
    for row in table("digest"):
        value = values[row["part"]] if row["part"] in values else int(row["meaning"])
        kind, _, each = row["type"].partition(" ")
        if each:
            value = b"".join(struct.pack(NUMBERS[kind], number) for number in value)
        hashed.append(value if isinstance(value, bytes) else struct.pack(NUMBERS[kind], value))
    if round_ms:
        hashed.append(struct.pack("<I", round_ms))
    return hashed, hashlib.sha256(b"".join(hashed)).digest()


def bits(members, ids, size):
    """Section "Frame": bit i, least significant first, is the i-th id in ascending order."""
    ordered = sorted(members)
    data = bytearray(size)
    for member in ids:
        data[ordered.index(member) // 8] |= 1 << ordered.index(member) % 8
    return bytes(data)


def echo(member, session):
    values = {"member": member, "session": session}
    return b"".join(struct.pack(NUMBERS[row["type"]], values[row["field"]]) for row in table("echo"))


def write(key, swarm, kind, flags, echoes, **values):
    """A frame by hand. swarm: name, members, required; flags: names; values: of the other fields, by their names."""
    name, members, required = swarm
    meaning = next(row["meaning"] for row in table("fields") if row["field"] == "kind")
    version = int(re.search(r"version, (\d+)", meaning)[1])
    values["kind"] = version << 4 | int(re.search(rf"(\d+) {kind}\b", meaning)[1])
    values["flags"] = sum(FLAGS[flag] for flag in flags) | len(echoes) << 4
    values.setdefault("digest", digest(name, members, required)[1][:4])
    values["echoes"] = b"".join(echo(*one) for one in echoes)
    b, m = -(-len(members) // 8), len(echoes)
    made = b""
    for row in table("fields"):
        size = amount(row["size"], b, m)
        assert len(made) == amount(row["offset"], b, m), row
        value = cmac_steps(key, made).x[-1][:size] if row["field"] == "tag" else values[row["field"]]
        if row["type"] == "bits":
            value = bits(members, value, size)
        made += struct.pack(NUMBERS[row["type"]], value) if row["type"] in NUMBERS else value
        assert len(made) == amount(row["offset"], b, m) + size, row
    return made


def read(data, members, name):
    """One numeric or bit field of a frame."""
    row = next(row for row in table("fields") if row["field"] == name)
    b = -(-len(members) // 8)
    at, size = amount(row["offset"], b, 0), amount(row["size"], b, 0)
    value = data[at : at + size]
    if row["type"] == "bits":
        return {member for member in members if any(map(int.__and__, value, bits(members, [member], size)))}
    return struct.unpack(NUMBERS[row["type"]], value)[0]


# The worked example


def example(name):
    """An example's rows by field, and its bytes."""
    rows = {row["field"]: row for row in table(name)}
    return rows, b"".join(bytes.fromhex(row["bytes"]) for row in rows.values())


def people(text):
    return set() if text == "nobody" else {int(word) for word in text.split(", ")}


def test_the_examples_swarm_is_the_one_in_its_words():
    said = re.search(r"Swarm `(\w+)`, members ([\d, ]+) and (\d+), (\d+) of them required", " ".join(TEXT.split()))
    assert said, "the example's first sentence has changed"
    name, ids, last, required = said.groups()
    assert (name, [*map(int, ids.split(", ")), int(last)], int(required)) == (NAME, MEMBERS, REQUIRED)


def test_the_examples_digest():
    parts, whole = digest(NAME, MEMBERS, REQUIRED)
    assert [data for data, _ in dump("hashed")] == parts
    assert [label.partition(":")[0] for _, label in dump("hashed")] == [row["part"] for row in table("digest")]
    said = re.search(r"SHA-256 of these (\d+) bytes is `(\w+)`; the digest is `([0-9a-f ]+)`", " ".join(TEXT.split()))
    assert (int(said[1]), said[2], bytes.fromhex(said[3])) == (sum(map(len, parts)), whole.hex(), whole[:4])
    assert description.digest(NAME, MEMBERS, REQUIRED) == whole[:4]


@pytest.mark.parametrize("name", ("ping", "ready"))
def test_the_example_is_what_the_devices_codec_reads(name):
    rows, data = example(name)
    machine = Faction(1, MEMBERS, REQUIRED)
    codec = frame.Frame(description.digest(NAME, MEMBERS, REQUIRED), machine, KEY)
    assert codec.decode(data, len(data)) == frame.ACCEPTED
    assert [row["field"] for row in table("fields")] == list(rows), "each field is named, in its order"
    said = {field: row["value"] for field, row in rows.items()}
    flags, _, echoes = said["flags"].partition("; ")
    assert codec.ready == (said["kind"] == "READY")
    assert codec.flags == sum(FLAGS[flag] for flag in flags.split(", ") if flag != "none")
    assert codec.echo_count == int(echoes.split()[0])
    assert machine.ids[codec.sender] == int(said["sender"])
    for field in ("session", "sequence", "generation"):
        assert getattr(codec, field) == int(said[field]), field
    assert int(said["offset"]) == (codec.offset_us if codec.flags & frame.INSTANT_FLAG else 0)
    for field in ("participation", "readiness"):
        at = int(rows[field]["offset"])
        assert set(names.members(machine.ids, data[at : at + codec.width])) == people(said[field]), field
    heard = [f"{codec.echo_id(data, i)} in {codec.echo_session(data, i)}" for i in range(codec.echo_count)]
    assert (", ".join(heard) or "nobody") == said["echoes"]
    assert bytes.fromhex(said["digest"]) == codec.digest and bytes.fromhex(said["tag"]) == data[-8:]


@pytest.mark.parametrize("name", ("ping", "ready"))
def test_the_example_is_what_the_tables_say(name):
    rows, data = example(name)
    at = 0
    for row in rows.values():
        assert int(row["offset"]) == at
        at += len(bytes.fromhex(row["bytes"]))
    said = {field: row["value"] for field, row in rows.items()}
    flags = [flag for flag in said["flags"].partition(";")[0].split(", ") if flag != "none"]
    echoes = [tuple(map(int, said["echoes"].split(" in ")))] if said["echoes"] != "nobody" else []
    numbers = {field: int(said[field]) for field in ("sender", "session", "sequence", "generation", "offset")}
    sets = {field: people(said[field]) for field in ("participation", "readiness")}
    assert write(KEY, (NAME, MEMBERS, REQUIRED), said["kind"], flags, echoes, **numbers, **sets) == data


@pytest.mark.parametrize("name, round_ms", (("series", 0), ("rounds", 30_000)))
def test_the_example_in_a_series(name, round_ms):
    rows, data = example(name)
    said = {field: row["value"] for field, row in rows.items()}
    assert [field for field in rows if field not in ("present", "mark")] == [row["field"] for row in table("fields")]
    assert [int(row["offset"]) for row in rows.values()] == [
        sum(len(bytes.fromhex(row["bytes"])) for row in [*rows.values()][:i]) for i in range(len(rows))
    ]
    period = int(re.search(r"with a period of ([\d,]+) ms has the digest", TEXT)[1].replace(",", ""))
    machine = Faction(1, MEMBERS, REQUIRED)
    kind = rounds.RoundFrame if round_ms else series.SeriesFrame
    codec = kind(description.digest(NAME, MEMBERS, REQUIRED, period, round_ms), machine, KEY)
    assert digest(NAME, MEMBERS, REQUIRED, period, round_ms)[1][:4] == codec.digest == bytes.fromhex(said["digest"])
    assert f"has the digest `{said['digest']}`" in " ".join(TEXT.split())
    assert codec.decode(data, len(data)) == frame.ACCEPTED
    assert (codec.mark, codec.series) == tuple(map(int, re.findall(r"\d+", said["mark"])))
    assert (codec.offset_us, codec.echo_count) == (int(said["offset"]), 0)
    # By the tables: the mark's entry is one more, behind the echoes, and the third bitmap is before them.
    values = dict(zip(("series", "mark"), (codec.series, codec.mark), strict=True))
    entry = b"".join(struct.pack(NUMBERS[row["type"]], values[row["field"]]) for row in table("mark"))
    third = bits(MEMBERS, people(said["present"]), codec.width) if round_ms else b""
    assert data[codec.third : codec.echoes] == third
    numbers = {field: int(said[field]) for field in ("sender", "session", "sequence", "generation", "offset")}
    sets = {field: people(said[field]) for field in ("participation", "readiness")}
    flags = said["flags"].partition(";")[0].split(", ")
    swarm = (NAME, MEMBERS, REQUIRED)
    written = write(
        KEY, swarm, said["kind"], flags, [struct.unpack("<HI", entry)], digest=codec.digest, **numbers, **sets
    )
    body = written[: codec.third] + third + written[codec.third : -8]
    assert body + cmac_steps(KEY, body).x[-1][:8] == data


def report():
    """The example of a report: its lines by what they are, the frame, its text, and the values of its fields."""
    lines = dump("report example")
    whole = b"".join(data for data, _ in lines[:1] + lines[-4:])
    said = dict(label.split(": ") for _, label in lines[3:13])
    return [data for data, _ in lines], whole, b"".join(data for data, _ in lines[3:13]), said


def test_the_example_of_a_report_is_what_the_tables_and_the_words_say():
    lines, whole, text, said = report()
    head, key, vector = lines[:3]
    label = re.search(r"the whole CMAC of the (\d+) letters `([^`]+)`", TEXT)
    assert len(label[2]) == int(label[1])
    encrypt = Cipher(AES(key), ECB()).encryptor().update
    assert (key, vector) == (cmac_steps(KEY, label[2].encode()).x[-1], encrypt(head))
    blocks = -(-len(text) // 16)
    sealed = head + Cipher(AES(key), CBC(vector)).encryptor().update(text.ljust(16 * blocks, b"\0"))
    assert whole == sealed + cmac_steps(KEY, sealed).x[-1][:8]
    at = 0
    for row in table("report"):
        assert amount(row["offset"], 2, 0, blocks) == at, row
        at += amount(row["size"], 2, 0, blocks)
    assert at == len(whole)
    # A text with one beat and no question, and its record.
    sizes = [len(data) for data in lines[3:13]]
    assert [int(row["offset"]) for row in table("record")] == [sum(sizes[3 : 3 + i]) for i in range(7)]
    for row, data in zip(table("record"), lines[6:13], strict=True):
        if row["type"] in NUMBERS:
            assert struct.unpack(NUMBERS[row["type"]], data)[0] == int(said[row["field"]]), row
    assert [amount(row["offset"], 2, 0, blocks, 0, 1) for row in table("text")] == [0, 4, 5, 5, sum(sizes[:3])]
    assert [int(row["offset"]) for row in table("question")] == [0, 4, 6, 8, 10] and question.LENGTH == 14
    assert int(table("record")[-1]["offset"]) == records.ENTRY


def test_the_example_of_a_report_is_what_a_gatherer_reads_and_what_its_sender_says():
    _, whole, _, said = report()
    sender, session, sequence = struct.unpack("<HII", whole[6:16])
    gatherer, member = (
        RemoteNode(NAME, MEMBERS, me, REQUIRED, KEY, of, period_ms=60_000, round_ms=30_000, gather=me == 1)
        for me, of in ((1, 217_672_513), (sender, session))
    )
    for one in (gatherer, member):
        one.rounds.number = 74
        one.first_sample.series = int(said["series"])
    at = 3 * MEMBERS.index(sender)
    gatherer.sessions.heard[at] = session
    gatherer.sessions.live[0] |= 1 << MEMBERS.index(sender)
    assert gatherer.reports.open(whole, len(whole)) == frame.ACCEPTED
    gatherer.reports.hear(0, 0)
    numbers = [int(said[field]) for field in ("member", "series", "beat", "session", "late")]
    assert gatherer.reports.next() == (*numbers, said["value"].encode())
    assert gatherer.reports.open(whole, len(whole)) == names.COUNTERS.index("replayed")
    # What the sender knew, and says.
    member.sequence = sequence - 1
    held = member.reports._records
    held.follow(numbers[1])
    held.gather(held.beat(numbers[2], True), MEMBERS.index(300))
    member.reports._gathered = int(said["gathered"])
    member.reports.put(numbers[2], session, numbers[4], said["value"].encode())
    buffer = bytearray(250)
    length = next(length for now in range(500) if (length := member.reports.poll(now, 1000 * now, buffer)))
    assert bytes(buffer[:length]) == whole


def test_the_examples_cmac_step_by_step():
    _, data = example("ping")
    steps = cmac_steps(KEY, data[:-8])
    assert [block for block, _ in dump("subkeys")] == steps.subkeys
    assert [block for block, _ in dump("ping steps")] == [steps.last, *steps.x]
    assert data[-8:] == steps.x[-1][:8]


# By hand


def test_a_node_accepts_and_counts_frames_written_from_the_document():
    """Somebody who has only the document, a key and the swarm's description takes part, and a node concludes."""
    key = bytes.fromhex("00112233445566778899aabbccddeeff")
    swarm = ("orchard", [7, 21, 40, 41, 500, 501, 502, 503, 9], 3)
    members = sorted(swarm[1])
    device = node.Node("orchard", members, 7, 3, key, session=1234)
    device.start(0, 0)
    device.complete_local(1, 1_000)
    air = bytearray(250)
    now = next(now for now in range(1, 100) if device.poll(now, 1000 * now, air))
    assert read(air, members, "sender") == 7 and read(air, members, "participation") == {7}
    session = read(air, members, "session")
    assert session == 1234

    def say(kind, sender, sequence, echoes, heard, ready, flags=(), offset=0):
        data = write(
            key,
            swarm,
            kind,
            flags,
            echoes,
            sender=sender,
            session=99,
            sequence=sequence,
            generation=0,
            offset=offset,
            participation=heard,
            readiness=ready,
        )
        before = list(device.counters)
        device.receive(bytearray(data), len(data), now, 1000 * now, 1000 * now - 500)
        counted = [name for name, a, b in zip(names.COUNTERS, before, device.counters, strict=True) if b > a]
        bitmaps, width = device.knowledge.bitmaps, device.frame.width
        return (
            counted,
            set(names.members(members, bitmaps[:width])),
            set(names.members(members, bitmaps[width:])),
        )

    assert say("PING", 503, 1, [], {503}, set()) == (["received", "unproved"], {7}, {7})
    assert say("PING", 503, 2, [(7, session)], {503}, set()) == (["received"], {7, 503}, {7})
    assert say("READY", 503, 3, [], {7, 503}, {7, 503}) == (["received"], {7, 503}, {7, 503})
    assert say("READY", 503, 3, [], {7, 503}, {7, 503}) == (["replayed"], {7, 503}, {7, 503})
    assert device.machine.state < BOOTSTRAPPED
    last = say("READY", 40, 1, [(7, session)], {7, 40, 503}, {7, 40, 503}, ("bootstrapped", "instant"), 250_000)
    assert last == (["received"], {7, 40, 503}, {7, 40, 503})
    assert device.machine.state == BOOTSTRAPPED
    assert device.first_sample.remaining_us(1000 * now) == 250_000 - 500


# Constants and names


def number(text):
    """A value of the constants table, without its unit."""
    return eval(re.sub(r" (bytes|ms|us)$", "", text).replace(",", "").replace("^", "**"))


@pytest.mark.parametrize("row", table("constants"), ids=lambda row: row["what"])
def test_constant(row):
    modules = {"frame": frame, "node": node, "sessions": sessions, "trickle": trickle, "first_sample": first_sample}
    modules |= {"series": series, "runner": runner, "config": config, "description": description}
    modules |= {"rounds": rounds, "reports": reports, "records": records, "question": question, "envelope": envelope}
    assert eval(row["in the code"].strip("`"), modules) == number(row["value"])


def test_numbers_in_the_text_are_the_constants():
    """What sections say in passing, against the same code."""
    lead_ms = description.default_lead_ms
    flat = " ".join(TEXT.split())
    for words in (
        f"at most {frame._MAX_LENGTH} bytes",
        f"room for {frame.MAX_MEMBERS} members",
        f"shorter than {frame._SHORTEST} bytes or longer than {frame._MAX_LENGTH}",
        f"m is above {frame.MAX_ECHOES}",
        f"An offset outside -{first_sample._LIMIT_US // 1_000_000} s ... +{first_sample._LIMIT_US // 1_000_000} s",
        f"it is held at -{first_sample._LIMIT_US // 1_000_000} s",
        f"more than {first_sample._TOLERANCE_US / 1000} ms later",
        f"by a follow-up more than {first_sample._EXACT_US / 1000} ms",
        f"multiplied by n / {trickle._SHARE} where n",
        f"and at most {node._IMAX_MS} ms",
        f"speaks within Imin / {2**node._HASTE}",
        f"k is {node._REDUNDANCY}. A reset",
        f"less than {first_sample._SOON_US // 1_000_000} s ahead, k is {node._AHEAD}",
        f"{series._AHEAD_US / 1_000_000} s before a beat a node resets Trickle, without news, and k is {node._AHEAD}",
        f"not within {series._PAUSE_US // 1_000_000} s of the last time",
        f"at most {series._MARK_MAX_US // 1_000_000} s, rounded down",
        f"a lead above {series._EARLIER_US / 1000} ms that drift explains",
        f"1 us in {series._DRIFT} and is {series._DRIFT_MAX_US // series._DRIFT // 1000} ms at most",
        f"one member says {series._PERSISTENT} times",
        f"has ever been heard, {series._PAIR} times",
        f"gives way*: {series._ALONE} frames",
        f"moved by more than {series._TOLD_US // 1000} ms says so",
        f"of the last {series._MEAN_OF} leads within {series._TOLERANCE_US // 1000} ms",
        f"more than {first_sample._MOVED_US / 1000} ms earlier, and it was known",
        f"less than {first_sample._FOLLOW_UP_US // 1_000_000} s ago",
        f"a multiple of {first_sample._ITSELF} counts from itself",
        f"more than {first_sample._EARLIER_US / 1000} ms earlier",
        f"has silenced it {node._SILENCES - 1} times since",
        f"go up to {sessions._ECHOES} echoes (it may hold {frame.MAX_ECHOES})",
        f"(k = {runner._TALKATIVE})",
        f"by default {lead_ms(20)} ms, {lead_ms(21) - lead_ms(20)} ms more",
        f"{frame.MAX_MEMBERS} members, {frame._MAX_LENGTH} bytes a frame",
        f"leaves room for {frame.MAX_MEMBERS_IN_ROUNDS} members",
        f"a twelfth of the next one has passed, {rounds._LOOK_US / 1_000_000} s at most",
        f"up to {rounds._EXACT} one by one, then in {rounds._COARSE}s; {rounds.NEVER} stands",
        f"Imin twice the node's, Imax {reports._IMAX_MS} ms, k 1. After {reports._PATIENT} frames",
        f"in {records._SIZE} bytes of which the oldest gives way",
        f"for four beats (of as many as {records._ROOM} bytes hold)",
        f"Nothing is said within {reports._QUIET_US / 1_000_000} s before a beat, or within B / {reports._QUIET_SHARE}",
        f"no answer was heard within {question._PATIENCE_MS} ms",
        f"asks its own again, under the next number, after {question._POLITE_MS} ms",
    ):
        assert words in flat, words
    assert frame.max_length(frame.MAX_MEMBERS) == frame._MAX_LENGTH < frame.max_length(frame.MAX_MEMBERS + 1)


def test_the_defaults_of_a_node_are_those_of_the_configuration():
    device = node.Node("s", [1], 1, 1, KEY, session=1)
    assert device._deadline_ms == config.NUMBERS["deadline_ms"][2]
    timer = device.trickle
    assert (timer.imin_ms, timer.imax_ms, timer.redundancy) == (description.IMIN_MS, node._IMAX_MS, node._REDUNDANCY)
    slow = node.Node("s", [1], 1, 1, KEY, session=1, imin_ms=5000).trickle
    assert slow.imin_ms == slow.imax_ms == 5000, "Imax is never below Imin"


def test_checks_are_named_in_their_order():
    checks = [row["counter"].strip("`") for row in table("checks")]
    assert checks.pop(1) == names.COUNTERS[frame._OUTDATED]
    assert checks == list(names.COUNTERS[1 : 1 + len(checks)])
    assert len(checks) == frame._FORGED
    for counter in ("replayed", "stale", "restarts", "unproved", "own"):
        assert counter in names.COUNTERS and f"`{counter}`" in TEXT


def test_documents_are_not_put_onto_boards():
    assert not [*(LIB / "faction").rglob("*.md")], "it is copied by hand, with `cp -r lib/faction :lib`"
    assert {source.suffix for _, source in payload._code()} == {".py"}


# What the threat model admits: a limit that is mended must leave the document as well


SWARM = Swarm(range(1, 11), 3)
A, SESSION = 3, 40  # the receiver, whose session each proof echoes


def test_a_withheld_frame_counts_until_its_senders_next_session_is_heard():
    board = Board(SWARM, A, SESSION)
    board.prove(2, 5)
    withheld = SWARM.frame(2, 5, 9, ready=(2,))
    board.hear(withheld)
    assert board.ready == {2}
    board.hear(withheld)
    assert board.counter("replayed") == 1, "it counts once"
    board.hear(SWARM.frame(2, 6))
    assert board.ready == set() and board.node.knowledge.generation == 1
    board.hear(SWARM.frame(2, 5, 10, ready=(2,)))
    assert board.ready == set() and board.counter("stale") == 1


def test_a_withheld_frame_does_not_count_once_a_later_one_has_been_heard():
    board = Board(SWARM, A, SESSION)
    board.prove(2, 5, 10)
    board.hear(SWARM.frame(2, 5, 9, ready=(2,)))
    assert board.ready == set() and board.counter("replayed") == 1


def test_an_instant_that_is_heard_late_is_late_and_not_marked():
    frame_of_instant = SWARM.frame(2, 5, 2, ready=(2, 4), offset_us=100_000)
    board = Board(SWARM, A, SESSION)
    board.complete()
    board.prove(2, 5)
    board.pass_ms(300)  # it was sent at the beginning of these, and held back
    board.hear(frame_of_instant)
    board.pass_ms(150)
    ((true_us, late_us, late),) = board.samples
    assert true_us == 400_000 and late_us == 0 and not late


def test_a_board_that_has_lost_its_session_stands_still_at_its_own_later_frames():
    board = Board(SWARM, A, SESSION)
    board.hear(SWARM.frame(A, SESSION - 1, 7))
    assert not board.node.conflict and board.counter("own") == 1
    board.hear(SWARM.frame(A, SESSION + 1, 7))
    assert board.node.conflict and board.pass_ms(5000) == []


def test_an_insider_can_use_up_generations_and_sessions():
    board = Board(SWARM, A, SESSION)
    board.prove(4, 5, generation=node.MAX_NUMBER)
    board.prove(2, 5, generation=node.MAX_NUMBER, ready=(2,))
    board.hear(SWARM.frame(2, 6, generation=node.MAX_NUMBER))
    assert board.ready == set(), "the node itself begins again, but in no new generation"
    for sequence in (2, 3):
        board.hear(SWARM.frame(4, 5, sequence, generation=node.MAX_NUMBER, ready=(2,)))
    assert board.ready == {2}, "so the old readiness comes back"
    board.hear(SWARM.frame(2, node.MAX_NUMBER, generation=node.MAX_NUMBER))
    board.hear(SWARM.frame(2, 7, generation=node.MAX_NUMBER))
    assert board.counter("stale") == 1


def test_an_insider_can_make_up_records_and_use_up_sequences():
    swarm = Swarm(range(1, 11), 2, period_ms=10_000, round_ms=30_000)
    board = Board(swarm, A, SESSION, gather=True)
    told = {"heard": swarm.members, "ready": (2, 4)}
    for member in (2, 4):
        board.prove(member, 5, 100, **told)
    board.complete()
    board.hear(swarm.frame(2, 5, 101, **told, offset_us=1000, series=SERIES, mark=0))
    while board.node.rounds.number < 0:
        board.true_us += 1000
        board.poll()

    def report(member, sequence, value):
        record = swarm_fixture.record(4, 0, value, 5, series=SERIES)
        return swarm_fixture.sealed(swarm, member, sequence, swarm_fixture.text(record))

    board.hear(report(2, 102, b"99"))  # of whoever has the key
    assert board.node.reports.next()[-1] == b"99"
    board.hear(report(4, 102, b"21.5"))
    assert board.node.reports.next() is None, "the true one"
    board.hear(report(4, node.MAX_NUMBER, b""))
    replayed = board.counter("replayed")
    board.hear(swarm.frame(4, 5, 103, **told))
    assert board.counter("replayed") == replayed + 1
    board.hear(swarm.frame(4, 6, 1, **told))
    assert board.counter("restarts") == 1 and board.counter("replayed") == replayed + 1


def test_recordings_make_a_node_speak_at_most_twice_in_an_imin():
    board = Board(SWARM, A, SESSION)
    sent = 0
    for sequence in range(1, 2000):
        board.hear(SWARM.frame(2 + 5 * (sequence % 2), 5, sequence, ready=(1, 2, 7)))
        sent += len(board.pass_ms(1))
    assert 50 < sent <= 2 * 2000 // description.IMIN_MS + 1
    assert board.ready == set()
