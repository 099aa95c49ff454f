"""The ESP-NOW link on the device's radio as the shims copy it: when a frame left, and when one that came began."""

import time

import pytest

from device_script import Air, departed, message, run
from requirements import require
from swarm import paths
from swarm.rig import air as medium

LENGTH = 46
AIR_US = medium.airtime_us(LENGTH)
LINK = f"""
import sys
sys.path.append({str(paths.LIB)!r})
from time import sleep_ms, ticks_diff, ticks_us
from faction.links.espnow import EspNowLink
link = EspNowLink({{"channel": 6, "members": [1, 2, 3]}}, None)
buffer = bytearray({LENGTH})

def send():
    before = ticks_us()
    left = link.send(buffer, {LENGTH})
    after = ticks_us()
    return [None if left is None else ticks_diff(left, before), ticks_diff(after, before)]
"""


@pytest.fixture(params=("unix", "cpython"))
def board(request):
    return require(request.param)


def reports_after(seconds):
    """A radio that reports each frame's departure that much later."""

    def answer(datagram):
        if datagram[:1] != b"X":
            return []
        time.sleep(seconds)
        return [departed()]

    return answer


def test_a_frame_left_its_air_time_before_the_radios_report(board):
    with Air(reports_after(0.002)) as air:
        sent = run(board, LINK + "send()\nshow([send() for _ in range(9)])", air)
    assert all(took_us >= 2000 for _, took_us in sent), "the report is waited for"
    # At most the margin for a late report too early, where no busy host comes between; and never too late.
    told = [(left_us, took_us) for left_us, took_us in sent if left_us is not None]
    assert told or all(took_us > 3250 + AIR_US for _, took_us in sent), "no host is that busy"
    assert all(0 <= left_us <= max(took_us - AIR_US - 250, 0) for left_us, took_us in told)


# Microseconds that a frame may have waited, since its report came so long, and its air time, after the call; and those
# that it is taken to have waited.
CLAIMS = {-900: 0, 0: 0, 250: 0, 1000: 750, 2250: 2000, 2300: 2000, 3249: 2000, 3250: None, 9000: None, 90_000: None}


def test_a_report_brings_what_is_told_forward_by_two_milliseconds_at_most(board):
    """A frame that left at once, and whose report was late, would be told to have left so much too late: the instant
    that counts from it is too early by as much, and everybody takes the earliest."""
    code = f"""
import faction.links.espnow as module

class Radio:
    def send(self, *_):
        now[0] += waited + {AIR_US}

link._radio = Radio()
module.ticks_us = lambda: now[0] & (1 << 30) - 1
told = []
for waited in {list(CLAIMS)}:
    now = [(1 << 30) - 500]
    left = link.send(buffer, {LENGTH})
    told.append(None if left is None else ticks_diff(left, (1 << 30) - 500))
show(told)
"""
    assert run(board, LINK + code) == list(CLAIMS.values())
    # In a series, whose clock would creep by what is told too late.
    none = run(board, LINK + "link.believed_us = 0\n" + code)
    assert none == [None if claim is None else 0 for claim in CLAIMS.values()]


def test_a_report_at_once_leaves_the_moment_at_which_the_radio_was_given_the_frame(board):
    # Earlier than any frame can have left.
    with Air(reports_after(0)) as air:
        left_us, took_us = run(board, LINK + "send()\nshow(send())", air)
    assert left_us is None and took_us > 3250 + AIR_US or 0 <= left_us <= max(took_us - AIR_US - 250, 500), took_us


def test_a_radio_that_does_not_report_holds_a_node_up_once(board):
    with Air() as air:  # nobody answers: a report is missing for good
        first, others, counters, error = run(
            board, LINK + "show([send(), [send() for _ in range(5)], link.counters(), repr(link.error)])", air
        )
    assert first[0] is None and first[1] >= 100_000
    assert all(0 <= left_us <= took_us for left_us, took_us in others), "counted from when the radio was given them"
    assert min(took_us for _, took_us in others) < 50_000, "sent without waiting"
    assert (counters["sent"], counters["send_errors"]) == (5, 1) and "116" in error


def test_an_error_of_the_radio_itself_does_not_end_the_waiting(board):
    code = LINK + "link._radio.del_peer(b'\\xff' * 6)\nfirst = send()\nlink._radio.add_peer(b'\\xff' * 6)\nsend()\n"
    with Air(reports_after(0.005)) as air:
        first, second, error = run(board, code + "show([first, send(), repr(link.error)])", air)
    assert first[0] is None and "NOT_FOUND" in error
    assert second[1] >= 5000


@pytest.mark.parametrize("late_ms", (0, 40))
def test_a_frame_that_is_read_late_is_stamped_with_the_millisecond_in_which_it_came(late_ms, board):
    code = f"""
came = ticks_us()
_chip.run()
after = ticks_us()
sleep_ms({late_ms})
buffer = link.receive_buffer()
begun = ticks_us()
length = link.receive(buffer)
took_us = ticks_diff(ticks_us(), begun)
show([length, ticks_diff(link.sent_us, came), ticks_diff(link.sent_us, after), ticks_diff(ticks_us(), after), took_us])
"""
    with Air() as air:
        air.put(message(b"\x02\xfa\xc7\x10\x00\x02", bytes(LENGTH)))
        length, since_us, late_us, waited_us, took_us = run(board, LINK + code, air)
    assert length == LENGTH and waited_us >= 1000 * late_ms
    assert since_us >= -AIR_US, "never earlier than it can have been"
    assert late_us <= 1000 - AIR_US + took_us, "a host that is busy may hold the call up"


CAME_READ = """
import faction.links.espnow as module

class Radio:
    peers_table = ()

    def any(self):
        return True

    def recvinto(self, packet, timeout_ms):
        packet[3] = came // 1000 & (1 << 30) - 1
        return 46

link._radio = Radio()
module.sleep_us = lambda us: None
module.ticks_ms = lambda: read // 1000 & (1 << 30) - 1
module.ticks_us = lambda: read & (1 << 30) - 1
late = []
for begun in (5_000_000, (1 << 30) - 7_000, 1000 * (1 << 30) - 7_000, 123_456_789_000):
    for came in range(begun, begun + 2000, 37):
        for read in range(came + 60, came + 9_000, 331):
            link.receive(link.receive_buffer())
            exact = min(read, came // 1000 * 1000 + 1000) - came - %d
            late.append(ticks_diff(link.sent_us, came & (1 << 30) - 1) - exact)
show([min(late), max(late)])
"""


def test_a_stamp_is_late_by_what_was_left_of_its_millisecond_whenever_it_is_read_and_wherever_the_clocks_wrap(board):
    assert run(board, LINK + CAME_READ % AIR_US) == [0, 0]


PUT = r"""
from time import ticks_add
import faction.links.espnow as module

def put(body=bytes(46), mac=b"\x02\xfa\xc7\x10\x00\x02"):
    link._radio._interrupt(bytearray(b"R") + mac + b"\xd8" + body, 0, 8 + len(body))

now = link._begun_ms = 0

def pass_ms(ms):
    "Let so many ms pass, in which the link is asked each 500 ms."
    global now
    for _ in range(ms // 500):
        now += 500
        link.receive(buffer)

module.ticks_ms = lambda: ticks_add(0, now)
"""


NEVER_LOST = """
taken = [link.receive(buffer) for _ in range(9)]
restarts = link.receive_errors
sleep_ms(60)
for number in range(4):
    link._radio._interrupt(bytearray(b"R" + b"\\x02\\xfa\\xc7\\x10\\x00\\x02" + b"\\xd8" + bytes(46)), 0, 54)
show([taken, restarts, [link.receive(buffer) for _ in range(6)], link.receive_errors, repr(link.error)])
"""


@pytest.mark.parametrize("version", ("1.28", "1.29"))
@pytest.mark.parametrize("length", (256, 300, 505, 506, 1000, 1470))
def test_a_packet_of_another_kind_costs_what_was_in_the_ring_and_nothing_after_it(length, version, board):
    code = LINK.replace("bytearray(46)", "link.receive_buffer()") + "import _chip\n_chip.run()\n" + NEVER_LOST
    with Air() as air:
        for body in (bytes(46), bytes(length), bytes(46), bytes(46)):
            air.put(message(b"\x02\xfa\xc7\x10\x00\x02", body))
        taken, restarts, after, restarts_then, error = run(board, code, air, {"SWARM_ESPNOW": version})
    assert taken[0] == 46 and after == [46, 46, 46, 46, 0, 0], (taken, after)
    assert restarts_then == restarts <= 1 and error == "None", "a stranger's packet is no error of this node"


@pytest.mark.parametrize("version", ("1.28", "1.29"))
def test_what_a_link_keeps_is_for_frames_and_not_for_the_longest_packet(version, board):
    code = LINK + "show([len(link.receive_buffer()), link._radio._ring_size, 'espnow' in sys.modules])"
    assert run(board, code, environment={"SWARM_ESPNOW": version}) == [250, 14 + 250 + 4 * (14 + 82), False]


def test_a_ring_that_has_emptied_itself_is_not_begun_anew(board):
    code = (
        LINK.replace("bytearray(46)", "link.receive_buffer()")
        + PUT
        + """
link._radio.active = None  # whoever calls it fails
put(bytes(300))
nothing = link.receive(buffer)
put()
show([nothing, link.receive(buffer), link.receive_errors])
"""
    )
    with Air() as air:
        assert run(board, code, air, {"SWARM_ESPNOW": "1.29"}) == [0, 46, 1]


def test_a_packet_is_read_once_it_is_whole(board):
    code = (
        LINK.replace("bytearray(46)", "link.receive_buffer()")
        + """
link._radio.write_us = 40
for number in range(20):
    link._radio._interrupt(bytearray(b"R" + b"\\x02\\xfa\\xc7\\x10\\x00\\x02" + b"\\xd8" + bytes(46)), 0, 54)
    taken = link.receive(buffer)
    if taken != 46 or link.receive_errors:
        break
show([number, taken, link.receive_errors])
"""
    )
    with Air() as air:
        assert run(board, code, air) == [19, 46, 0]


def test_strangers_take_no_more_memory_than_a_few(board):
    code = (
        LINK.replace("bytearray(46)", "link.receive_buffer()")
        + """
most = taken = 0
for number in range(500):
    body = bytearray(b"R\\x02\\x00\\x00\\x00" + number.to_bytes(2, "big") + b"\\xd8" + bytes(46))
    link._radio._interrupt(body, 0, 54)
    taken += link.receive(buffer) == 46
    most = max(most, len(link._radio.peers_table))
    if number == 100:
        _chip.local_us = lambda old=_chip.local_us: old() + (1 << 30) * 1000  # uptimes whose milliseconds take memory
show([taken, most, link.receive_errors])
"""
    )
    with Air() as air:
        assert run(board, code, air) == [500, 3 + 8, 0], (
            "and none of their packets is lost, since one may be a member's"
        )


def test_a_radio_that_was_turned_off_is_turned_on_again(board):
    code = (
        LINK.replace("bytearray(46)", "link.receive_buffer()")
        + """
link._radio.active(False)
sleep_ms(60)
off = [link.receive(buffer), repr(link.error), link.receive_errors]
link._radio._interrupt(bytearray(b"R" + b"\\x02\\xfa\\xc7\\x10\\x00\\x02" + b"\\xd8" + bytes(46)), 0, 54)
show([off, link.receive(buffer)])
"""
    )
    with Air() as air:
        (nothing, error, count), taken = run(board, code, air)
    assert (nothing, count, taken) == (0, 1, 46) and "NOT_INIT" in error


def test_a_radio_that_has_gone_deaf_begins_anew_and_less_often_once_that_did_not_help(board):
    code = (
        LINK.replace("bytearray(46)", "link.receive_buffer()")
        + PUT
        + """
begun = [0]
active = link._radio.active

def counted(on):
    begun[0] += on
    active(on)
    if on:
        link._radio._ring_size = 0  # and hears nothing all the same

link._radio.active = counted
pass_ms(600_000)
never_heard = begun[0]
put()
pass_ms(500)
seen = []
for ms in (29_500, 1000, 299_000, 1000, 3_600_000):
    pass_ms(ms)
    seen.append(begun[0])
show([never_heard, link.received, seen, link.counters()["deaf"], repr(link.error)])
"""
    )
    with Air() as air:
        never_heard, received, seen, deaf, error = run(board, code, air)
    assert (never_heard, received) == (0, 1), "who is alone from the start has nothing to miss"
    assert seen[:4] == [0, 1, 1, 2], "after half a minute, then after five"
    assert seen[4] == 2 + 12 and deaf == seen[4] and error == "None"


def test_a_radio_that_hears_again_is_given_as_little_time_as_at_first(board):
    code = (
        LINK.replace("bytearray(46)", "link.receive_buffer()")
        + PUT
        + """
heard = []
for _ in range(3):
    put()
    pass_ms(400_000)
    heard.append([link.received, link.counters()["deaf"]])
show(heard)
"""
    )
    with Air() as air:
        heard = run(board, code, air)
    assert heard == [[1, 2], [2, 4], [3, 6]], "after half a minute each time, by a radio that was begun anew"
