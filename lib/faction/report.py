"""What a node has to tell about itself. Loaded when somebody asks; until then it costs nothing."""

from time import ticks_diff, ticks_ms, ticks_us

from faction.names import COUNTERS, STATES, members


def facts(runner, failure):
    """All about the runner's node, as a dict. Raises RuntimeError when there is none."""
    if runner is None:
        raise RuntimeError("no node runs on this board: " + (failure or "main.py has not started one"))
    node = runner.node
    ids = node.machine.ids
    ready = members(ids, node.bitmaps[node.frame.width :])
    counters = {name: node.counters[i] for i, name in enumerate(COUNTERS)}
    first = node.first_sample
    return {
        "swarm": runner.config["swarm"],
        "node": node.machine.peer_id,
        "open": runner.open,
        "session": node.session,
        "state": STATES[node.machine.state],
        "heard": members(ids, node.bitmaps),
        "ready": ready,
        "missing": [peer for peer in ids if peer not in ready],
        "required": node.machine.required_count,
        "generation": node.generation,
        "restarts": counters["restarts"],
        "timeouts": counters["timeouts"],
        "conflict": node.conflict,
        "deadline_in_ms": ticks_diff(node.deadline, ticks_ms()),
        "instant_in_us": first.remaining_us(ticks_us()) if first.known else None,
        "sample": runner.sample,
        "counters": counters,
        "links": {name: link.counters() for name, link in runner.links.items()},
        "errors": list(runner.errors),
    }


def _ids(ids):
    return " ".join(str(i) for i in ids) or "none"


def _counts(counters):
    return "  ".join("%s %d" % (name, count) for name, count in counters.items() if count) or "none"


def screen(runner, failure):
    """All about the runner's node, as the text of one screen."""
    try:
        f = facts(runner, failure)
    except RuntimeError as error:
        return str(error)
    total = len(runner.node.machine.ids)
    lines = [
        "swarm %s (%s), node %d, session %d" % (f["swarm"], "open" if f["open"] else "locked", f["node"], f["session"]),
        "state      %s, %d of %d required" % (f["state"], len(f["ready"]), f["required"]),
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
        digest = "".join("%02x" % byte for byte in runner.node.frame.foreign_digest)
        lines.append("foreign: heard another swarm, or a node provisioned differently (digest %s)" % digest)
    for error in f["errors"]:
        lines.append("error      " + error)
    return "\n".join(lines)


def _sample(f):
    if f["sample"]:
        s = f["sample"]
        return "%s, %d us after the agreed instant%s" % (s["value"], s["late_us"], " (late)" if s["late"] else "")
    if f["instant_in_us"] is None:
        return "no instant agreed yet"
    return "due in %d ms" % (f["instant_in_us"] // 1000)
