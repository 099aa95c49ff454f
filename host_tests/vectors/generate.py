"""Writes the vector files beside it: `python host_tests/vectors/generate.py`. The same seed gives the same bytes.

Machine vectors expect what model.py says; frames and tags are built here with struct and the `cryptography` package.
Neither imports the device library.
"""

import gzip
import hashlib
import io
import json
import random
import struct
import sys
from pathlib import Path

from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.cmac import CMAC

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / "fixtures")]

from exchanges import exchanges  # noqa: E402 - found in these folders

from model import COMMANDS, STATES, Model  # noqa: E402

SEED = 20261124
SIZES = (1, 2, 5, 8, 9, 31, 32, 33, 64, 250)  # both sides of a byte, of a word, and the most a first-version swarm has
LARGEST = 680
LARGEST_IN_ROUNDS = 448
KINDS = ("member", "duplicate", "non-member", "local")
P, R, L, D, Q = COMMANDS


def machine_vector(name, peer_id, peers, required_count, commands):
    """A vector of commands, each a name or a pair of name and peer id, with the model's answers."""
    model = Model(peer_id, peers, required_count)
    steps = []
    for command in commands:
        command, of = (command, None) if isinstance(command, str) else command
        step = {"command": command} if of is None else {"command": command, "peer_id": of}
        steps.append({**step, **model.process(command, of)})
    return {
        "name": name,
        "config": {"peer_id": peer_id, "peers": list(peers), "required_count": required_count},
        "steps": steps,
    }


def matrix():
    """Every state with every command, and with every kind of peer where a command has one."""
    reach = {
        "Initial": [],
        "Pinging": [(P, 10), (R, 10)],
        "Collecting": [(P, 10), (R, 10), L],
        "Bootstrapped": [(P, 10), (R, 10), (R, 20), L],
        "TimedOut": [(P, 10), (R, 10), D],
    }
    peers = {"member": 40, "duplicate": 10, "non-member": 11, "local": 30}
    for state in STATES:
        for command in COMMANDS:
            for kind in KINDS if command in (P, R) else ("no peer",):
                if state == "Initial" and kind == "duplicate":
                    continue  # nothing has been observed yet
                probe = command if kind == "no peer" else (command, peers[kind])
                name = f"{state}: {command}, {kind}"
                yield machine_vector(name, 30, [40, 10, 30, 20, 50], 3, [*reach[state], probe, Q, probe])


def quorum():
    """Conclusions by the last ready peer and by local completion, from required 1 to all."""
    for size in (1, 2, 3, 5, 8, 9):
        peers = list(range(size))
        for required in sorted({1, (size + 1) // 2, size}):
            others = [(R, peer) for peer in peers[1:]]
            label = f"{size} members, {required} required"
            yield machine_vector(f"{label}: local completion last", 0, peers, required, [(P, 0), *others, L, Q])
            yield machine_vector(f"{label}: last ready", 0, peers, required, [(P, 0), L, *others, Q])
            yield machine_vector(
                f"{label}: own ready heard first", 0, peers, required, [(R, 0), *others[:-1], L, *others, D, Q]
            )
            yield machine_vector(f"{label}: deadline", 0, peers, required, [(P, 0), *others[:-1], D, *others, L, Q])


def sequence(rng, size, steps):
    """A long random sequence: mostly observations, so that the machine stays alive for a while."""
    peers = rng.sample(range(65536), size)
    peers[: min(size, 2)] = [0, 65535][:size]
    rng.shuffle(peers)
    local = rng.choice(peers)
    strangers = [peer for peer in rng.sample(range(65536), size + 4) if peer not in peers]
    required = rng.choice((1, size, rng.randint(1, size)))
    commands = []
    complete_at = rng.randrange(steps)
    for at in range(steps):
        chance = rng.random()
        if at == complete_at or chance < 0.02 / size:
            commands.append(L)
        elif chance < 0.04 / size:
            commands.append(D)
        elif chance < 0.1:
            commands.append(Q)
        else:
            of = rng.choice(strangers) if chance < 0.15 else rng.choice(peers)
            commands.append((rng.choice((P, R)), of))
    return machine_vector(f"{size} members, {required} required, {steps} steps", local, peers, required, commands)


def sequences(rng, size, count, steps):
    """Several random sequences of one size."""
    return [sequence(rng, size, steps) for _ in range(count)]


def cmac(key, message):
    """The whole AES-CMAC of message."""
    mac = CMAC(AES(key))
    mac.update(message)
    return mac.finalize()


def tags(rng):
    """The four examples of RFC 4493, and every length across the first five blocks."""
    key = bytes.fromhex("2b7e151628aed2a6abf7158809cf4f3c")
    text = bytes.fromhex(
        "6bc1bee22e409f96e93d7e117393172aae2d8a571e03ac9c9eb76fac45af8e51"
        "30c81c46a35ce411e5fbc1191a0a52eff69f2445df4f9b17ad2b417be66c3710"
    )
    published = {
        0: "bb1d6929e95937287fa37d129b756746",
        16: "070a16b46b4d4144f79bdd9dd04a287c",
        40: "dfa66747de9ae63030ca32611497c827",
        64: "51f0bebf7e3b9d92fc49741779363cfe",
    }
    for length, tag in published.items():
        yield {"name": f"RFC 4493, {length} bytes", "key": key.hex(), "message": text[:length].hex(), "tag": tag}
    for length in [*range(81), 242]:
        key, message = rng.randbytes(16), rng.randbytes(length)
        tag = cmac(key, message).hex()
        yield {"name": f"{length} bytes", "key": key.hex(), "message": message.hex(), "tag": tag}


class Swarm:
    """A swarm of random ids, for frames; its frames are built field by field, so that any can be made wrong."""

    def __init__(self, rng, size, period_ms=0, round_ms=0):
        self.times = {name: ms for name, ms in (("period_ms", period_ms), ("round_ms", round_ms)) if ms}
        self.name = rng.choice(("demo", "greenhouse 7", "Gewächshaus"))
        self.members = sorted(rng.sample(range(65536), size))
        self.required = rng.randint(1, size)
        self.key = rng.choice((bytes(16), rng.randbytes(16)))
        self.width = (size + 7) // 8
        name = self.name.encode()
        hashed = struct.pack("<BB", 2, len(name)) + name + struct.pack("<H", size)
        hashed += struct.pack(f"<{size}H", *self.members) + struct.pack("<HI", self.required, period_ms)
        hashed += struct.pack("<I", round_ms) if round_ms else b""
        self.digest = hashlib.sha256(hashed).digest()[:4]

    def fields(self, rng, echoes=None):
        """Random fields of a frame that every node of the swarm accepts."""
        offset_us = rng.choice(
            (None, 0, 1, -1, 500_000, 500_000_000, -500_000_000, rng.randint(-500_000_000, 500_000_000))
        )
        participation = sorted(rng.sample(self.members, rng.randint(1, len(self.members))))
        readiness = sorted(rng.sample(participation, rng.randint(0, len(participation))))
        sender = rng.choice(participation)
        count = rng.randint(0, 8) if echoes is None else echoes
        in_series = "period_ms" in self.times and offset_us is not None
        mark = {"series": rng.randint(1, 65535), "mark": rng.choice((0, 1, (1 << 30) - 1, rng.randrange(1 << 30)))}
        with_rounds = "round_ms" in self.times
        present = sorted(rng.sample(self.members, rng.randint(0, len(self.members)))) if with_rounds else None
        return {
            "kind": "READY" if sender in readiness else "PING",
            "bootstrapped": rng.random() < 0.5,
            "timed_out": rng.random() < 0.3,
            "sender": sender,
            "session": rng.choice((1, 255, 256, 65536, (1 << 30) - 1, rng.randrange(1, 1 << 30))),
            "sequence": rng.choice((1, 2, (1 << 30) - 1, rng.randrange(1, 1 << 30))),
            "generation": rng.choice((0, 1, (1 << 30) - 1, rng.randrange(1 << 30))),
            "offset_us": offset_us,
            "participation": participation,
            "readiness": readiness,
            "follow_up": offset_us is not None and rng.random() < 0.5,
            "echoes": [[rng.choice(self.members), rng.randrange(1, 1 << 30), rng.random() < 0.5] for _ in range(count)],
            **(mark if in_series else {}),
            **({"present": present} if with_rounds else {}),
        }

    def bitmap(self, ids):
        """The bitmap of a set of members."""
        bits = sum(1 << self.members.index(member) for member in ids)
        return bits.to_bytes(self.width, "little")

    def parts(self, fields):
        """The frame without its tag, as a dict of its parts in order."""
        flags = fields["bootstrapped"] | (fields["offset_us"] is not None) << 1 | fields["timed_out"] << 2
        flags |= fields["follow_up"] << 3
        return {
            "kind": bytes([0x22 if fields["kind"] == "READY" else 0x21]),
            "flags": bytes([flags | len(fields["echoes"]) + ("mark" in fields) << 4]),
            "digest": self.digest,
            "sender": struct.pack("<H", fields["sender"]),
            "session": struct.pack("<I", fields["session"]),
            "sequence": struct.pack("<I", fields["sequence"]),
            "generation": struct.pack("<I", fields["generation"]),
            "offset": struct.pack("<i", fields["offset_us"] or 0),
            "participation": self.bitmap(fields["participation"]),
            "readiness": self.bitmap(fields["readiness"]),
            "present": self.bitmap(fields["present"]) if "present" in fields else b"",
            "echoes": b"".join(
                struct.pack("<HI", member, session | live << 30) for member, session, live in fields["echoes"]
            )
            + (struct.pack("<HI", fields["series"], fields["mark"]) if "mark" in fields else b""),
        }

    def cmac(self, message):
        """The whole tag of a message under the swarm's key."""
        return cmac(self.key, message)

    def seal(self, parts):
        """The parts as bytes, with their tag."""
        body = b"".join(parts.values())
        return body + self.cmac(body)[:8]

    def settings(self):
        """What a vector says of it."""
        return {"name": self.name, "members": self.members, "required_count": self.required, **self.times}

    def vector(self, name, frame, verdict, fields=None, **more):
        """A frame vector of this swarm."""
        return {
            "name": name,
            "swarm": self.settings(),
            "key": self.key.hex(),
            "frame": frame.hex(),
            "verdict": verdict,
            "fields": fields,
            **more,
        }


def frames(rng):
    """Frames of many sizes that are accepted, and frames that fail each check."""
    for size in (1, 2, 5, 8, 9, 20, 64, 65, 250, LARGEST):
        swarm = Swarm(rng, size)
        for echoes in range(9):
            fields = swarm.fields(rng, echoes)
            label = f"{size} members, {echoes} echoes"
            yield swarm.vector(label, swarm.seal(swarm.parts(fields)), "Accepted", fields)
    for size in (1, 5, 8, 20):
        yield from refused(rng, Swarm(rng, size))
    yield from series(random.Random(f"{SEED} series"))
    yield from rounds(random.Random(f"{SEED} rounds"))


def series(rng):
    """Frames of swarms with a period."""
    for size, period_ms in ((1, 100), (5, 60_000), (20, 1000), (LARGEST, 2_592_000_000)):
        swarm = Swarm(rng, size, period_ms)
        for echoes in range(8):
            fields = swarm.fields(rng, echoes)
            label = f"a period, {size} members, {echoes} echoes"
            yield swarm.vector(label, swarm.seal(swarm.parts(fields)), "Accepted", fields)
        fields = {**swarm.fields(rng, 0), "offset_us": 5, "series": 7, "mark": 9}
        parts = swarm.parts(fields)
        bare = {**parts, "flags": bytes([parts["flags"][0] & 15]), "echoes": b""}
        yield swarm.vector(f"a period, {size} members: an instant without its mark", swarm.seal(bare), "Malformed")
        beyond = {**parts, "echoes": struct.pack("<HI", 7, 1 << 30)}
        yield swarm.vector(f"a period, {size} members: mark of 2^30", swarm.seal(beyond), "Impossible")


def rounds(rng):
    """Frames of swarms with rounds."""
    for size in (1, 5, 20, LARGEST_IN_ROUNDS):
        swarm = Swarm(rng, size, 60_000, 30_000)
        label = f"rounds, {size} members"
        for echoes in range(8):
            fields = swarm.fields(rng, echoes)
            yield swarm.vector(f"{label}, {echoes} echoes", swarm.seal(swarm.parts(fields)), "Accepted", fields)
        fields = {**swarm.fields(rng, 2), "offset_us": 5, "series": 7, "mark": 9}
        parts = swarm.parts(fields)
        without = {**parts, "present": b""}
        yield swarm.vector(f"{label}: a frame of two bitmaps", swarm.seal(without), "Misfit")
        yield swarm.vector(f"{label}: cut by a byte", swarm.seal({**parts, "present": parts["present"][1:]}), "Misfit")
        yield swarm.vector(
            f"{label}: an odd byte", swarm.seal({**parts, "present": parts["present"] + b"\0"}), "Misfit"
        )
        if size % 8:
            padded = parts["present"][:-1] + bytes([parts["present"][-1] | 0x80])
            yield swarm.vector(f"{label}: padding bit of the third", swarm.seal({**parts, "present": padded}), "Misfit")
        forged = bytearray(swarm.seal(parts))
        forged[24 + 2 * swarm.width] ^= 1
        yield swarm.vector(f"{label}: another present", bytes(forged), "Forged")


def refused(rng, swarm):
    """One swarm's frames with one thing wrong each; those with a right tag show that the check is not the tag's."""
    fields = swarm.fields(rng, 2)
    parts = swarm.parts(fields)
    size = len(swarm.members)

    def wrong(what, verdict, seal=swarm.seal, **changed):
        return swarm.vector(f"{size} members: {what}", seal({**parts, **changed}), verdict)

    good = swarm.seal(parts)
    for kind in (0x01, 0x20, 0x23, 0x2F, 0x31, 0xFF):
        yield wrong(f"kind {kind:#x}", "Malformed", kind=bytes([kind]))
    for kind in (0x11, 0x12):
        yield wrong(f"version 1, kind {kind:#x}", "Outdated", kind=bytes([kind]))
    flags = parts["flags"][0]
    yield wrong("follow-up without an instant", "Malformed", flags=bytes([flags & ~2 | 8]))
    yield wrong("nine echoes", "Malformed", flags=bytes([flags & 15 | 9 << 4]), echoes=bytes(54))
    yield wrong("an odd byte", "Misfit", echoes=parts["echoes"] + b"\0")
    yield swarm.vector(f"{size} members: nothing", b"", "Malformed")
    yield swarm.vector(f"{size} members: cut to 33 bytes", good[:33], "Malformed")
    yield swarm.vector(f"{size} members: 251 bytes", good + bytes(251 - len(good)), "Malformed")
    yield wrong("another digest", "Foreign", digest=bytes([swarm.digest[0] ^ 1]) + swarm.digest[1:])
    yield wrong("another digest, last byte", "Foreign", digest=swarm.digest[:3] + bytes([swarm.digest[3] ^ 0x80]))
    longer = {part: parts[part] + b"\0" for part in ("participation", "readiness")}
    yield wrong("bitmaps a byte too long", "Misfit", **longer)
    if size % 8:
        padded = parts["participation"][:-1] + bytes([parts["participation"][-1] | 0x80])
        yield wrong("padding bit", "Misfit", participation=padded)
        yield wrong("padding bit in both", "Misfit", participation=padded, readiness=padded)
    strangers = [peer for peer in (0, 65535, 7, 8) if peer not in swarm.members]
    yield wrong("sender is no member", "NonMember", sender=struct.pack("<H", strangers[0]))
    for part in ("session", "sequence", "generation"):
        yield wrong(f"{part} of 2^30", "Impossible", **{part: struct.pack("<I", 1 << 30)})
        yield wrong(f"{part} of 2^32 - 1", "Impossible", **{part: b"\xff" * 4})
    yield wrong("echo's session of 2^31", "Impossible", echoes=parts["echoes"][:8] + struct.pack("<I", 1 << 31))
    alone = swarm.bitmap([fields["sender"]])
    yield wrong("ready and not participating", "Impossible", participation=bytes(swarm.width), readiness=alone)

    def damaged(parts):
        frame = bytearray(swarm.seal(parts))
        frame[-rng.randint(1, 8)] ^= 1 << rng.randrange(8)
        return bytes(frame)

    yield wrong("tag", "Forged", seal=damaged)
    yield wrong("no tag", "Forged", seal=lambda parts: b"".join(parts.values()) + bytes(8))
    yield wrong("offset changed on the way", "Forged", seal=lambda parts: good[:20] + b"\x05" + good[21:-1] + b"\x00")
    for offset in (500_000_001, -500_000_001, 1 << 29, -(1 << 29), (1 << 31) - 1, -(1 << 31)):
        # The offset is not used, and the rest of the frame is.
        changed = {"offset": struct.pack("<i", offset), "flags": bytes([flags | 2])}
        frame = swarm.seal({**parts, **changed})
        expected = {**fields, "offset_us": None}
        yield swarm.vector(f"{size} members: offset of {offset} us", frame, "Accepted", expected, encodes=False)


def files():
    """{file name: vectors} of everything that is generated."""
    result = {"matrix.jsonl": list(matrix()), "quorum.jsonl": list(quorum())}
    for size in SIZES:
        rng = random.Random(f"{SEED} sequences of {size}")
        count, steps = (8, 120) if size < 31 else (4, 300) if size < 250 else (2, 1500)
        result[f"sequences-{size}.jsonl.gz"] = sequences(rng, size, count, steps)
    result[f"sequences-{LARGEST}.jsonl.gz"] = sequences(random.Random(f"{SEED} largest"), LARGEST, 1, 1500)
    result["cmac.jsonl"] = list(tags(random.Random(f"{SEED} tags")))
    result["frames.jsonl"] = list(frames(random.Random(f"{SEED} frames")))
    rng = random.Random(f"{SEED} reports")
    swarms = [Swarm(rng, size, 10_000, 30_000) for size in (4, 9, 20, LARGEST_IN_ROUNDS)]
    result["reports.jsonl"] = list(exchanges(swarms, rng))
    return result


def encode(name, vectors):
    """The bytes of a file; gzip without a time, so that they are the same each time."""
    text = "".join(json.dumps(vector, separators=(",", ":")) + "\n" for vector in vectors).encode()
    if not name.endswith(".gz"):
        return text
    packed = io.BytesIO()
    with gzip.GzipFile(filename="", mode="wb", fileobj=packed, mtime=0) as out:
        out.write(text)
    return packed.getvalue()


def main():
    """Write all files."""
    for name, vectors in files().items():
        data = encode(name, vectors)
        (HERE / name).write_bytes(data)
        print(f"{name}: {len(vectors)} vectors, {len(data)} bytes")


if __name__ == "__main__":
    main()
