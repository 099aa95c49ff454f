"""What a node has to tell about itself. Loaded when somebody asks; until then it costs nothing."""

import json
from time import ticks_diff, ticks_ms, ticks_us

from faction.names import COMMANDS, COUNTERS, OUTCOMES, STATES, members, view


def facts(app, failure):
    """All about the application's node, as a dict. Raises RuntimeError when there is none."""
    if app is None:
        raise RuntimeError("no node runs on this board: " + failure)
    node = app.node
    ids = node.machine.ids
    counters = {name: node.counters[i] for i, name in enumerate(COUNTERS)}
    first = node.first_sample
    return {
        "swarm": app.config["swarm"],
        "node": node.machine.peer_id,
        "open": app.open,
        "session": node.session,
        "state": STATES[node.machine.state],
        "heard": members(ids, node.bitmaps),
        "ready": members(ids, node.bitmaps[node.frame.width :]),
        "missing": node.missing(),
        "required": node.machine.required_count,
        "generation": node.generation,
        "restarts": counters["restarts"],
        "timeouts": counters["timeouts"],
        "conflict": node.conflict,
        "deadline_in_ms": ticks_diff(node.deadline, ticks_ms()),
        "instant_in_us": first.remaining_us(ticks_us()) if first.known else None,
        "sample": app.sample,
        "counters": counters,
        "links": {name: link.counters() for name, link in app.links.items()},
        "errors": list(app.errors),
    }


def _ids(ids):
    return " ".join(str(i) for i in ids) or "none"


def _counts(counters):
    return "  ".join("%s %d" % (name, count) for name, count in counters.items() if count) or "none"


def line(app, failure):
    """Print the most important facts about the application's node in one line."""
    try:
        print(_line(facts(app, failure)))
    except RuntimeError as error:
        print(error)


def _line(f):
    return "%s node %d: %s, heard %d, ready %d of %d, missing %s" % (
        f["swarm"],
        f["node"],
        f["state"],
        len(f["heard"]),
        len(f["ready"]),
        f["required"],
        _ids(f["missing"]),
    )


def screen(app, failure):
    """Print all about the application's node on one screen."""
    try:
        print("\n".join(_screen(app, facts(app, failure))))
    except RuntimeError as error:
        print(error)


def _screen(app, f):
    total = len(app.node.machine.ids)
    lines = [
        "swarm %s (%s), node %d, session %d" % (f["swarm"], "open" if f["open"] else "locked", f["node"], f["session"]),
        "state      %s, %d of %d required%s" % (f["state"], len(f["ready"]), f["required"], _deadline(f)),
        "heard      %d of %d: %s" % (len(f["heard"]), total, _ids(f["heard"])),
        "ready      %d of %d: %s" % (len(f["ready"]), total, _ids(f["ready"])),
        "missing    %s" % _ids(f["missing"]),
        "sample     %s" % _sample(f),
        "restarts   %d, generation %d, time-outs %d" % (f["restarts"], f["generation"], f["timeouts"]),
        "frames     %s" % _counts(f["counters"]),
    ]
    for name, counters in f["links"].items():
        lines.append("%-10s %s" % (name, _counts(counters)))
    if f["open"]:
        lines.append("open: this swarm uses the published demonstration key, anybody can speak in it")
    if f["conflict"]:
        lines.append("stopped: a second board carries this id: give one of them another, then restart both")
    if f["counters"]["foreign"]:
        digest = "".join("%02x" % byte for byte in app.node.frame.foreign_digest)
        lines.append("foreign: heard another swarm, or a node provisioned differently (digest %s)" % digest)
    for text in f["errors"]:
        lines.append("error      " + text)
    return lines


def _deadline(f):
    if f["state"] in ("Bootstrapped", "TimedOut"):
        return ""
    return ", deadline in %d ms" % f["deadline_in_ms"]


def _sample(f):
    if f["sample"]:
        s = f["sample"]
        return "%s, %d us after the agreed instant%s" % (s["value"], s["late_us"], " (late)" if s["late"] else "")
    if f["instant_in_us"] is None:
        return "no instant agreed yet"
    return "due in %d ms" % (f["instant_in_us"] // 1000)


def trace(app, failure):
    """Print the trace of the application's node as lines of JSON: first where it begins, then its transitions."""
    if app is None:
        print("no node runs on this board: " + failure)
        return
    base = app.trace.base
    config = {"peer_id": base.peer_id, "peers": list(base.ids), "required_count": base.required_count}
    print(json.dumps({"config": config, "view": view(base)}))
    for command, peer_id, before, after, count, first in app.trace.entries():
        step = {
            "command": COMMANDS[command],
            "peer_id": peer_id,
            "before": STATES[before],
            "after": STATES[after],
            "outcomes": count,
            "first_outcome": OUTCOMES[first],
        }
        print(json.dumps(step))
