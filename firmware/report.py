"""What a node has to tell about itself. Loaded when somebody asks; until then it costs nothing."""

import json
import os
from time import ticks_diff, ticks_ms, ticks_us

from micropython import const
from tracing import ENTRY

import faction
from faction.core import BOOTSTRAPPED
from faction.names import COMMANDS, COUNTERS, OUTCOMES, STATES, members, missing, view

_COLUMNS = const(80)
_UNHEARD = const(8)  # frames sent over WiFi without one heard
_EXTERNAL = const(1 << 20)  # bytes: no chip has so much of its own in one piece
_STILL_MS = const(2000)  # without its timer, at a prompt, before which all callbacks have come


def facts(app, failure):
    """All about the application's node, as a dict. Raises RuntimeError when there is none."""
    if app is None:
        raise RuntimeError("no node runs on this board: " + failure)
    node = app.node
    ids = node.machine.ids
    counters = {name: node.counters[i] for i, name in enumerate(COUNTERS)}
    first = node.first_sample
    app.look(_STILL_MS)
    told = {
        "swarm": app.config["swarm"],
        "node": node.machine.peer_id,
        "digest": _hex(node.frame.digest),
        "open": app.open,
        "session": node.session,
        "state": STATES[node.machine.state],
        "heard": members(ids, node.knowledge.bitmaps),
        "ready": members(ids, node.knowledge.bitmaps[node.frame.width :]),
        "missing": missing(node),
        "required": node.machine.required_count,
        "generation": node.knowledge.generation,
        "restarts": counters["restarts"],
        "timeouts": counters["timeouts"],
        "conflict": node.conflict,
        "deadline_in_ms": ticks_diff(node.deadline, ticks_ms()) if node.machine.state < BOOTSTRAPPED else None,
        "instant_in_us": first.remaining_us(ticks_us()) if first.known else None,
        "sample": app.sample,
        "series": app.series and app.series.facts(),
        "presence": app.presence and app.presence.facts(),
        "gathers": app.gateway and app.gateway.gathers(),
        "counters": counters,
        "links": {name: _told(name, link) for name, link in app.links.items()},
        "errors": list(app.errors),
        "unsaid": app.unsaid,
        "application": faction.application,
        "version": faction.__version__,
        "runs_from": faction.__file__,
    }
    if hasattr(app.sensor, "health"):
        import raised

        told["health"] = raised.health(app.sensor)
        faction.let_go(("raised",))
    return told


def absent(app, _failure):
    """Ids of the members that are not ready."""
    return missing(app.node)


def _told(name, link):
    """A link's counters; a radio's with idf_least, the fewest bytes that ESP-IDF's own heap has had free, of which the
    radio takes what it receives into. External memory is not counted: it cannot use that."""
    counters = link.counters()
    if name == "espnow":
        import esp32

        heaps = esp32.idf_heap_info(esp32.HEAP_DATA)
        counters["idf_least"] = sum(heap[3] for heap in heaps if heap[0] < _EXTERNAL)
    return counters


def _hex(digest):
    return "".join("%02x" % byte for byte in digest)


def json_line(app, failure):
    """The facts as one line of JSON, for whoever takes lines."""
    return iter((json.dumps(facts(app, failure)),))


def rehearse(app, failure):
    """Have the sensor take a sample that counts for nothing: what goes wrong is kept as an error. Then the facts, as
    one line of JSON; a coroutine has only begun by then."""
    from samples import check_json

    if app.sensor:
        app.call("sample()", app.sensor.sample, check_json)
    return json_line(app, failure)


def keep(app, failure):
    """Have the version that runs stay, which a deploy has seen run; then the facts, as one line of JSON."""
    try:
        os.remove("faction.back")
    except OSError:
        pass  # it is not on trial
    return json_line(app, failure)


def samples(app, _failure):
    """The samples on flash and, of a series, those that are still to be written, as lines of JSON, oldest first: each
    with its number, and at the end how many there are."""
    count = 0
    for line in _lines(app):
        yield json.dumps(("sample", count, "".join(chr(byte) for byte in line.strip())))
        count += 1
    yield json.dumps(("samples", count))


def _lines(app):
    files = []  # both at once: while they are read, a full one may take the other's name
    for name in ("samples.jsonl.old", "samples.jsonl"):
        try:
            files.append(open(name, "rb"))  # noqa: SIM115 - they are closed one by one
        except OSError:
            pass  # there is none yet
    for file in files:
        yield from file
        file.close()
    if app and app.series:
        yield from list(app.series.unwritten())


def _ids(ids):
    """Ids as words, with runs of them as 1-5."""
    words = []
    first = last = -2
    for i in ids:
        if i == last + 1:
            words[-1] = "%d-%d" % (first, i)
        else:
            words.append(str(i))
            first = i
        last = i
    return words


def _counts(counters):
    return ["%s %s" % (name, counters[name]) for name in sorted(counters) if counters[name]]


def _row(label, words, rows=2):
    """A label and words as text of at most that many rows of a screen; dots stand for what has no room."""
    text = label
    start = 0
    for word in words or ("none",):
        if len(text) - start + len(word) + 5 > _COLUMNS:
            rows -= 1
            if not rows:
                return text + " ..."
            start = len(text) + 1
            text += "\n" + " " * len(label)
        text += " " + word
    return text


def line(app, failure):
    """Print the most important facts about the application's node in one line."""
    try:
        print(_line(facts(app, failure)))
    except RuntimeError as error:
        print(error)


def _line(f):
    start = "%s node %d: %s, heard %d, ready %d of %d, missing" % (
        f["swarm"],
        f["node"],
        f["state"],
        len(f["heard"]),
        len(f["ready"]),
        f["required"],
    )
    return _row(start, _ids(f["missing"]), 1)


def screen(app, failure):
    """Print all about the application's node on one screen."""
    try:
        print("\n".join(_screen(app, facts(app, failure))))
    except RuntimeError as error:
        print(error)


def _screen(app, f):
    total = len(app.node.machine.ids)
    trust = "open" if f["open"] else "locked"
    lines = [
        _row(
            "swarm %s (%s), node %d, session %d," % (f["swarm"], trust, f["node"], f["session"]),
            ("version %s runs from %s" % (f["version"], _place(f["runs_from"])),),
            1,
        ),
        "state      %s, %d of %d required" % (f["state"], len(f["ready"]), f["required"])
        + ("" if f["deadline_in_ms"] is None else ", deadline in %d ms" % f["deadline_in_ms"]),
        _row("heard     ", ["%d of %d:" % (len(f["heard"]), total)] + _ids(f["heard"])),
        _row("ready     ", ["%d of %d:" % (len(f["ready"]), total)] + _ids(f["ready"])),
        _row("missing   ", _ids(f["missing"])),
        _row("sample    ", _sample(f).split(" ")),
        "generation %d, time-outs %d" % (f["generation"], f["timeouts"])
        + (", application " + f["application"] if f["application"] else ""),
        _row("frames    ", _counts(f["counters"]), 2 if "health" in f else 3),
    ]
    if app.series and not f["conflict"]:
        lines.insert(6, _row("series    ", app.series.status().split(" "), 1))
        if app.presence:
            lines.insert(7, _row("lost      ", app.presence.status()))
    if "health" in f:
        lines.append(_row("health    ", json.dumps(f["health"]).split(" "), 1))
    for name, counters in f["links"].items():
        if counters.get("unheard", 0) >= _UNHEARD:
            counters["WiFi"] += ", nobody is heard: others off, or clients kept apart?"
        lines.append(_row("%-10s" % name, _counts(counters), 1 if "WiFi" in counters else 2))
    if f["open"]:
        lines.append("open       the demonstration key is published: anybody can speak in this swarm")
    if f["conflict"]:
        lines.append("stopped    a second board has this id: give it another, then restart both")
    if f["counters"]["foreign"]:
        digest = _hex(app.node.frame.foreign_digest)
        lines.append("foreign    another swarm, or a node provisioned otherwise: digest " + digest)
    if f["counters"]["outdated"]:
        lines.append("outdated   frames of older firmware are heard: deploy all boards")
    if f["counters"]["stale"]:
        lines.append("stale      recordings, or a board whose session number was lost: swarm deploy it")
    for text in f["errors"]:
        lines.append(_row("error     ", text.split(" ")))
    return lines


def _place(library):
    """Where a node runs from, by where its library is."""
    return library.rpartition("faction/__init__.")[0].strip("./") or "the firmware"


def _sample(f):
    if f["sample"]:
        s = f["sample"]
        instant = "beat %d" % s["n"] if f["series"] else "the agreed instant"
        return "%s, %d us after %s%s" % (s["value"], s["late_us"], instant, " (late)" if s["late"] else "")
    if f["instant_in_us"] is None:
        return "no instant agreed yet"
    if f["instant_in_us"] > 0:
        return "due in %d ms" % (f["instant_in_us"] // 1000)
    return "none; the swarm's instant was %d s ago" % (-f["instant_in_us"] // 1_000_000)


def trace(app, failure):
    """Print the trace of the application's node as lines of JSON: first where it begins, then its transitions."""
    if app is None:
        print("no node runs on this board: " + failure)
        return
    kept = app.trace
    while True:
        noted = kept.noted
        lines = []
        kept.mend()
        for i in range(kept.count):
            at = (kept.next - kept.count + i) % kept.size * ENTRY
            entry = kept.ring[at : at + ENTRY]
            lines.append(
                {
                    "step": i + 1,
                    "command": COMMANDS[entry[0] & 15],
                    "peer_id": kept.peer_id(at),
                    "before": STATES[entry[0] >> 4],
                    "after": STATES[entry[1]],
                    "outcomes": entry[2],
                    "first_outcome": OUTCOMES[entry[3]],
                }
            )
        base = kept.base
        config = {"peer_id": base.peer_id, "peers": list(base.ids), "required_count": base.required_count}
        lines.insert(0, {"config": config, "view": view(base), "steps": len(lines)})
        if noted == kept.noted:  # else the node went on meanwhile
            break
    for entry in lines:
        print(json.dumps(entry))
