"""A node that takes part in reports, for script.py: what each step of an exchange comes to, on any runtime."""

from faction import names

_CHECKS = 11  # counters of frames that are heard


def from_hex(text):
    """The bytes that are written so."""
    return bytes([int(text[i : i + 2], 16) for i in range(0, len(text), 2)])


def to_hex(data):
    """Bytes as they are written."""
    return "".join([f"{byte:02x}" for byte in data])


class Reporter:
    """A node with a clock of its own. swarm and node: as in a vector; key: its bytes."""

    def __init__(self, swarm, key, node):
        from faction.remote.node import RemoteNode  # of which who replays something else has no need

        self._node = RemoteNode(
            swarm["name"],
            swarm["members"],
            node["peer_id"],
            swarm["required_count"],
            key,
            node["session"],
            round_ms=swarm["round_ms"],
            gather=node["gathers"],
            period_ms=swarm["period_ms"],
        )
        self._ms = 0
        self._buffer = bytearray(250)
        self._node.start(0, 0)

    def step(self, entry):
        """Do one step of an exchange; returns what has come of it, by the names of the step."""
        self._pass(entry.get("after_ms", 0))
        reports = self._node.reports
        if "hear" in entry:
            return self._hear(from_hex(entry["hear"]))
        if "says" in entry:
            return {"says": self._pass(entry["within_ms"], entry["sequence"])}
        if "put" in entry:
            return {"refused": self._put(*entry["put"])}
        if "take" in entry:
            record = reports.next()
            return {"take": record and list(record[:-1] + (to_hex(record[-1]),))}  # noqa: RUF005 - MicroPython
        if "ask" in entry:
            reports.ask(*entry["ask"])
        elif "answer" in entry:
            asked = list(reports.asked.get()) if reports.asked.wanted else None
            reports.answer(*entry["answer"][:2], from_hex(entry["answer"][2]))
            return {"asked": asked}
        else:
            self._node.complete_local(self._ms, self._ms * 1000)
        return {}

    def _hear(self, frame):
        node = self._node
        before = list(node.counters[:_CHECKS])
        node.receive(frame, len(frame), self._ms, self._ms * 1000, self._ms * 1000)
        counted = [names.COUNTERS[i] for i in range(_CHECKS) if node.counters[i] != before[i]]
        is_open = node.frame.is_report and counted == ["received"]
        return {"counted": counted, "text": to_hex(node.reports._text[16 : len(frame) - 8]) if is_open else None}

    def _put(self, beat, session, late_us, value):
        try:
            self._node.reports.put(beat, session, late_us, from_hex(value))
        except ValueError:
            return True
        return False

    def _pass(self, ms, sequence=0):
        """Let time pass; with a sequence, until the node has said a report, which is its session's of that number."""
        node = self._node
        end = self._ms + ms
        while self._ms < end:
            if sequence:
                node.sequence = sequence - 1
            length = node.poll(self._ms, self._ms * 1000, self._buffer)
            if node.sample_due:
                node.take_sample(self._ms * 1000)
            if sequence and length and self._buffer[0] == 0x23:
                return to_hex(self._buffer[:length])
            self._ms += max(1, min(node.wait_ms(self._ms, self._ms * 1000), end - self._ms))
        return None
