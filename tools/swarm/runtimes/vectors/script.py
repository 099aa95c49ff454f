"""Replays vectors on the runtime that executes this file: the one source for CPython and every MicroPython.

Arguments: a file of JSON lines that replay.py has written, and the folder of exchange.py. {"machine": [peer_id, peers,
required_count]} begins a machine, and each step that follows, as in a vector, is given to it; {"node": ...} begins a
node, to which the steps of an exchange, {"at": ...}, are given. {"frame": ...} and {"cmac": ...} stand alone.
Prints, as JSON lines, {"line": number from 0, "got": {part: value}} for each step that came out otherwise, as long as
there are not too many, and at the end {"checks": how many, "mismatches": how many}.
It goes through the file in small parts, so that a small heap is enough.
"""

import gc
import json
import sys

from faction import description, names
from faction.core import ACCEPTED, Faction

if sys.argv[2] not in sys.path:
    sys.path.append(sys.argv[2])
from exchange import Reporter, from_hex, to_hex  # noqa: E402 - found in that folder

_PART = 32  # lines between two collections
_BLOCK = 8192  # characters read at a time
_PRINTED = 100  # mismatches printed; all are counted
_VERDICTS = ["Accepted", "Malformed", "Foreign", "Misfit", "NonMember", "Impossible", "Forged"] + 8 * [""]
_VERDICTS.append("Outdated")

_file = open(sys.argv[1])  # noqa: SIM115 - stays open between the calls of more()
_read = ""
_number = -1
_machine = None
_node = None  # a Reporter
_refusal = None
_checks = 0
_mismatches = 0


def more():
    """Replay some lines; returns whether there are any left, and prints the totals when there are not."""
    global _number
    for _ in range(_PART):
        line = _line()
        if not line:
            print(json.dumps({"checks": _checks, "mismatches": _mismatches}))
            return False
        _number += 1
        _replay(json.loads(line))
    gc.collect()
    return True


def _line():
    """The next line, "" behind the last: MicroPython's readline() asks the system for every single byte."""
    global _read
    while "\n" not in _read:
        more_of_it = _file.read(_BLOCK)
        if not more_of_it:
            break
        _read += more_of_it
    end = _read.find("\n") + 1 or len(_read)
    line, _read = _read[:end], _read[end:]
    return line


def _replay(entry):
    if "machine" in entry:
        _begin(*entry["machine"])
    elif "node" in entry:
        _begin_node(entry)
    elif "at" in entry:
        _check(entry, lambda: _node.step(entry) if _node else {"node": _refusal})
    elif "frame" in entry:
        _replay_frame(entry)
    elif "cmac" in entry:
        _check(entry, lambda: {"tag": _tag(entry)})
    else:
        _check(entry, lambda: _step(entry))


def _begin(peer_id, peers, required_count):
    global _machine, _refusal
    _machine = _refusal = None
    try:
        _machine = Faction(peer_id, peers, required_count)
    except Exception as error:
        _refusal = f"the machine refuses this config: {error}"
        _report({"config": _refusal})


def _begin_node(entry):
    global _node, _refusal
    _node = _refusal = None
    try:
        _node = Reporter(entry["swarm"], from_hex(entry["key"]), entry["node"])
    except Exception as error:
        _refusal = f"no node for this swarm and key: {error}"
        _report({"node": _refusal})


def _step(entry):
    if _machine is None:
        return {"config": _refusal}
    peer_id = entry.get("peer_id")
    result = _machine.process(names.COMMANDS.index(entry["command"]), 0 if peer_id is None else peer_id)
    return {
        "result": names.RESULTS[result],
        "outcomes": names.outcomes(_machine, peer_id) if result == ACCEPTED else [],
        "view": names.view(_machine),
        "admissible": names.admissible(_machine),
    }


def _check(entry, compute):
    """Compare what compute() returns with the parts of the same names in entry."""
    global _checks
    _checks += 1
    try:
        got = compute()
    except Exception as error:
        got = {"raised": repr(error)}
    wrong = {part: got[part] for part in got if not _same(got[part], entry.get(part))}
    if wrong:
        _report(wrong)


def _report(got):
    global _mismatches
    _mismatches += 1
    if _mismatches <= _PRINTED:
        print(json.dumps({"line": _number, "got": got}))


def _same(one, other):
    """Equality that tells true from 1."""
    if type(one) is not type(other):
        return False
    if isinstance(one, dict):
        return len(one) == len(other) and all(key in other and _same(one[key], other[key]) for key in one)
    if isinstance(one, list):
        if len(one) != len(other):
            return False
        # A loop, for calls take wasm long; small numbers are one object each, and most lists are long ones of those.
        for i in range(len(one)):  # noqa: SIM110
            if one[i] is not other[i] and not _same(one[i], other[i]):
                return False
        return True
    return one == other


def _tag(entry):
    from faction.cmac import Cmac

    message = from_hex(entry["message"])
    cmac = Cmac(from_hex(entry["key"]), len(message))
    cmac.compute(message, len(message))
    return to_hex(cmac.tag)


def _replay_frame(entry):
    from faction import frame

    try:
        machine, codec = _codec(frame, entry["swarm"], entry["key"])
    except Exception as error:
        refusal = f"no codec for this swarm and key: {error}"
        _check(entry, lambda: {"swarm": refusal})
        return
    _check(entry, lambda: _decoded(frame, codec, machine, from_hex(entry["frame"])))
    if entry["verdict"] == _VERDICTS[0] and entry.get("encodes", True):
        _check(entry, lambda: {"frame": _encoded(frame, codec, machine, entry["fields"])})


def _codec(frame, swarm, key):
    machine = Faction(swarm["members"][0], swarm["members"], swarm["required_count"])
    period_ms = swarm.get("period_ms", 0)
    round_ms = swarm.get("round_ms", 0)
    swarm_digest = description.digest(swarm["name"], machine.ids, swarm["required_count"], period_ms, round_ms)
    if round_ms:
        from faction.remote.rounds import RoundFrame

        return machine, RoundFrame(swarm_digest, machine, from_hex(key))
    if period_ms:
        from faction.series import SeriesFrame

        return machine, SeriesFrame(swarm_digest, machine, from_hex(key))
    return machine, frame.Frame(swarm_digest, machine, from_hex(key))


def _decoded(frame, codec, machine, data):
    verdict = codec.decode(data, len(data))
    if verdict != frame.ACCEPTED:
        return {"verdict": _VERDICTS[verdict], "fields": None}
    middle = 24 + codec.width
    fields = {
        "kind": "READY" if codec.ready else "PING",
        "bootstrapped": bool(codec.flags & frame.BOOTSTRAPPED_FLAG),
        "timed_out": bool(codec.flags & frame.TIMED_OUT_FLAG),
        "follow_up": bool(codec.flags & frame.FOLLOW_UP_FLAG),
        "sender": machine.ids[codec.sender],
        "session": codec.session,
        "sequence": codec.sequence,
        "generation": codec.generation,
        "offset_us": codec.offset_us if codec.flags & frame.INSTANT_FLAG else None,
        "participation": names.members(machine.ids, data[24:middle]),
        "readiness": names.members(machine.ids, data[middle : codec.third]),
        "echoes": [_echo(codec, data, i) for i in range(codec.echo_count)],
    }
    if hasattr(codec, "mark") and codec.flags & frame.INSTANT_FLAG:
        fields["series"] = codec.series
        fields["mark"] = codec.mark
    if hasattr(codec, "present"):
        fields["present"] = names.members(machine.ids, data[codec.third : codec.echoes])
    return {"verdict": _VERDICTS[verdict], "fields": fields}


def _echo(codec, data, i):
    """Member, session, and whether its sender knows that to be live."""
    session = codec.echo_session(data, i)
    return [codec.echo_id(data, i), session, bool(codec.echo_is_live)]


def _encoded(frame, codec, machine, fields):
    codec.ready = fields["kind"] == "READY"
    codec.flags = frame.BOOTSTRAPPED_FLAG if fields["bootstrapped"] else 0
    codec.flags |= frame.TIMED_OUT_FLAG if fields["timed_out"] else 0
    codec.flags |= frame.FOLLOW_UP_FLAG if fields["follow_up"] else 0
    codec.flags |= frame.INSTANT_FLAG if fields["offset_us"] is not None else 0
    codec.offset_us = fields["offset_us"] or 0
    codec.sender = machine.index(fields["sender"])
    codec.session = fields["session"]
    codec.sequence = fields["sequence"]
    codec.generation = fields["generation"]
    if "mark" in fields:
        codec.series = fields["series"]
        codec.mark = fields["mark"]
    codec.echo_count = 0
    buffer = bytearray(codec.max_length)
    for member, session, live in fields["echoes"]:
        codec.put_echo(buffer, live, member, session)
    bitmaps = bytearray(2 * codec.width)
    _set(bitmaps, 0, machine, fields["participation"])
    _set(bitmaps, codec.width, machine, fields["readiness"])
    if "present" in fields:
        codec.present[:] = bytes(codec.width)
        _set(codec.present, 0, machine, fields["present"])
    return to_hex(buffer[: codec.encode(buffer, bitmaps)])


def _set(bitmap, start, machine, members):
    for member in members:
        at = machine.index(member)
        bitmap[start + (at >> 3)] |= 1 << (at & 7)


if sys.platform != "webassembly":
    while more():
        pass
