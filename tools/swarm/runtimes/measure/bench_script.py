"""Runs on a MicroPython runtime for `swarm bench --device-code`; prints one JSON object. See bench.py."""

import gc
import json
import sys
from struct import pack_into, unpack_from
from time import ticks_add, ticks_diff, ticks_ms, ticks_us

from faction.cobs import encode
from faction.core import LOCAL_PARTICIPATION_COMPLETED, PARTICIPATION_OBSERVED, READY_OBSERVED, Faction
from faction.node import Node
from faction.runner import Runner

MEMBERS = list(range(1, 33))
KEY = bytes(16)
ROUNDS = int(sys.argv[1])
SPAN_US = 30_000 if sys.platform == "webassembly" else 2_000  # its clock is coarse; short ones escape other processes


class Textbook:
    """The readiness machine as one would write it first: sets, and a list of outcomes for each command."""

    def __init__(self, peer_id, peers, required_count):
        self.peer_id = peer_id
        self.peers = set(peers)
        self.required_count = required_count
        self.reset()

    def reset(self):
        """Begin again."""
        self.state = "Initial"
        self.pinging = set()
        self.collecting = set()

    def process(self, command, peer_id=0):
        """Do one command; its result, and the list of its outcomes."""
        if self.state in ("Bootstrapped", "TimedOut"):
            return "Rejected", []
        if command == "ParticipationObserved" and self.state != "Collecting":
            return "Accepted", [self._participation(peer_id)]
        if command == "ReadyObserved":
            return "Accepted", self._ready(peer_id)
        if command == "LocalParticipationCompleted" and self.state == "Pinging":
            return "Accepted", self._completed()
        if command == "DeadlineExpired" and self.state != "Initial":
            self.state = "TimedOut"
            return "Accepted", [("Concluded", "TimedOut")]
        return "Rejected", []

    def _participation(self, peer_id):
        self.state = "Pinging"
        if peer_id not in self.peers:
            return "NonMemberIgnored", peer_id
        if peer_id in self.pinging:
            return "DuplicateParticipationIgnored", peer_id
        self.pinging.add(peer_id)
        return "ParticipationAccepted", peer_id

    def _ready(self, peer_id):
        if self.state == "Initial":
            self.state = "Pinging"
        if peer_id not in self.peers:
            return [("NonMemberIgnored", peer_id)]
        if peer_id in self.collecting:
            return [("DuplicateReadyIgnored", peer_id)]
        self.collecting.add(peer_id)
        return [("ReadyAccepted", peer_id)] + self._conclusion()

    def _completed(self):
        self.collecting.add(self.peer_id)
        self.state = "Collecting"
        outcomes = [("LocalParticipationCompleted", self.peer_id), ("BroadcastLocalReady", self.peer_id)]
        return outcomes + self._conclusion()

    def _conclusion(self):
        if self.state == "Collecting" and len(self.collecting) >= self.required_count:
            self.state = "Bootstrapped"
            return [("Concluded", "Bootstrapped")]
        return []


class ByHand:
    """A heartbeat as one would write it by hand: both sets of 32 members in each frame, no tag, no session, no echo."""

    def __init__(self):
        self.known = bytearray(4)
        self.ready = bytearray(4)
        self.concluded = False
        self.sequence = 0

    def receive(self, buffer):
        """Take over both sets."""
        _, magic, _, _, _ = unpack_from("<B4sHII", buffer)
        if magic != b"hand":
            return
        for i in range(4):
            self.known[i] |= buffer[15 + i]
            self.ready[i] |= buffer[19 + i]
        self.concluded = self.ready == b"\xff\xff\xff\xff"

    def build(self, buffer):
        """Make the next frame in buffer; its length."""
        self.sequence += 1
        pack_into("<B4sHII", buffer, 0, self.concluded, b"hand", 1, 1000, self.sequence)
        buffer[15:19] = self.known
        buffer[19:23] = self.ready
        return 23


class Nothing:
    """Stands where a board has a link and an application, and has nothing to do: they are called, and give nothing."""

    def nothing(self, _=None, length=0):
        """No frame has come, the sensor is not ready."""
        return 0

    receive = pending = changed = on_receive = send = nothing

    def tick(self, now):
        """As an application's, which need not be called again for a while."""
        return 64

    def receive_buffer(self):
        """As a link's."""
        return bytearray(250)

    def warm_up(self):
        """The sensor is ready, and so is the link."""
        return True

    free = warm_up

    def note(self, where, error):
        """As an application's: nothing may go wrong here."""
        raise error


def commands(participation, ready, completed):
    """A swarm's start as one machine sees it: everybody's participation, its own completion, everybody's readiness."""
    series = [(participation, member) for member in MEMBERS]
    series.append((completed, 0))
    series += [(ready, member) for member in MEMBERS]
    return series


def run_commands(machine, series):
    """Have a machine do a series of commands."""
    for command, member in series:
        machine.process(command, member)


def xor_loop(one, other):
    """The unit that the receive path is measured in: an XOR of 16 bytes, in a loop."""
    for i in range(16):
        one[i] ^= other[i]


def repeat_xor(count):
    """Run the XOR loop that many times."""
    one = bytearray(16)
    other = bytes(range(16))
    while count:
        xor_loop(one, other)
        count -= 1


def member(number):
    """A node that has not started."""
    return Node("bench", MEMBERS, number, len(MEMBERS), KEY, 1000)


def started(number):
    """A node that runs and is ready."""
    node = member(number)
    node.start(0, 0)
    node.complete_local(0, 0)
    node._build(bytearray(250))  # the first frame makes the cipher, which stays
    node.sessions.heard[0] = 1000 if number > 1 else 0  # of the receiver
    return node


def recorded():
    """Frames of 46 bytes from one sender, each with one bit more than the one before and an echo of the receiver, and
    as many thereafter that tell nothing new."""
    sender = started(2)
    news = []
    width = sender.frame.width
    for half in (0, width):
        for i in range(2, len(MEMBERS)):
            sender.knowledge.bitmaps[half + (i >> 3)] |= 1 << (i & 7)
            if half:
                sender.knowledge.bitmaps[i >> 3] |= 1 << (i & 7)
            news.append(next_frame(sender))
    return news, [next_frame(sender) for _ in news]


def next_frame(sender):
    """Its next frame, with an echo of the receiver."""
    sender.echoes.owe(0)
    buffer = bytearray(250)
    length = sender._build(buffer)
    return bytes(buffer[:length])


def told(frames):
    """A node that has received these frames."""
    node = started(1)
    receive_all(node, frames)
    return node


def receive_all(node, frames):
    """Have a node receive frames, one after the other."""
    for frame in frames:
        node.receive(frame, 46, 5, 5000, 4000)


def build_all(node, count):
    """Have a node build that many frames, each with an echo, in its buffer `spare`."""
    buffer = node.spare
    for _ in range(count):
        node.echoes.owe(0)
        node._build(buffer)


def repeat(call, argument):
    """Call call(argument) a thousand times."""
    for _ in range(1000):
        call(argument)


def idle():
    """A runner whose node and link have nothing to do."""
    nothing = Nothing()
    runner = Runner(member(1), [nothing], nothing)
    runner.start()
    runner.tick()
    runner.node.trickle.due = ticks_add(ticks_ms(), 60_000)
    runner.tick()
    return runner


def timed(make, call, argument, count):
    """(microseconds, bytes taken) per step of call(make(), argument), which makes count steps."""
    best = None
    taken = 0
    for _ in range(ROUNDS):
        total = 0
        repeats = 0
        while total < SPAN_US:
            subject = make()
            gc.collect()
            before = gc.mem_alloc()
            start = ticks_us()
            call(subject, argument)
            total += ticks_diff(ticks_us(), start)
            taken = gc.mem_alloc() - before
            repeats += 1
        each = total / repeats / count
        best = each if best is None else min(best, each)
    return [best, taken / count]


def measure():
    """All figures by name, each as timed() gives them."""
    frames, same = recorded()
    if len(frames[0]) != 46 or len(same[0]) != 46:
        raise ValueError("the frames are to be of 46 bytes: " + str(len(frames[0])))
    damaged = [frame[:-1] + bytes((frame[-1] ^ 1,)) for frame in frames]
    by_hand = bytearray(31)
    ByHand().build(by_hand)
    wire = bytearray(48)
    ours = commands(PARTICIPATION_OBSERVED, READY_OBSERVED, LOCAL_PARTICIPATION_COMPLETED)
    book = commands("ParticipationObserved", "ReadyObserved", "LocalParticipationCompleted")

    def spare():
        node = started(2)
        node.spare = bytearray(250)
        return node

    return {
        "xor_loop": timed(lambda: 0, lambda _, count: repeat_xor(count), 2000, 2000),
        "command": timed(lambda: Faction(1, MEMBERS, 32), run_commands, ours, len(ours)),
        "command_textbook": timed(lambda: Textbook(1, MEMBERS, 32), run_commands, book, len(book)),
        "receive": timed(lambda: started(1), receive_all, frames, len(frames)),
        "receive_same": timed(lambda: told(frames), receive_all, same, len(same)),
        "receive_replayed": timed(lambda: told(frames), receive_all, frames, len(frames)),
        "receive_forged": timed(lambda: started(1), receive_all, damaged, len(damaged)),
        "receive_by_hand": timed(lambda: ByHand().receive, repeat, by_hand, 1000),
        "build_by_hand": timed(lambda: ByHand().build, repeat, by_hand, 1000),
        "cobs_encode": timed(lambda: lambda frame: encode(frame, 46, wire, "46s"), repeat, frames[0], 1000),
        "idle_tick": timed(lambda: idle().tick, repeat, None, 1000),
        "build": timed(spare, build_all, 100, 100),
    }


gc.collect()
if sys.implementation.name == "micropython" and sys.platform != "webassembly":
    gc.disable()
print(json.dumps(measure()))
