"""The espnow and network shims keep the device's limits and habits, on both runtimes that virtual boards use."""

import pytest

from device_script import Air, departed, message, run
from requirements import require

PEER = b"\x02\xfa\xc7\x10\x00\x02"
ON = """
import espnow, network
wlan = network.WLAN(network.STA_IF)
wlan.active(True)
radio = espnow.ESPNow()
"""
ALL = b"\xff" * 6


@pytest.fixture(params=("unix", "cpython"))
def board(request):
    return require(request.param)


def deliver(board, bodies, code):
    """Run code on a board for which messages with these bodies wait."""
    with Air() as air:
        for body in bodies:
            air.put(message(PEER, body))
        return run(board, ON + code, air)


def test_default_ring_holds_one_maximal_message_and_drops_the_newest_silently(board):
    shown = deliver(
        board,
        [b"a" * 250, b"b" * 250],
        """
radio.active(True)
_chip.run()
first = bytes(radio.irecv(0)[1])
show([radio.config("rxbuf"), first[0], len(first), radio.any(), list(radio.stats())])
""",
    )
    assert shown == [526, ord("a"), 250, False, [0, 0, 0, 1, 1]]


@pytest.mark.parametrize(("rxbuf", "taken"), [(13 + 46 + 1, 0), (13 + 46 + 2, 1), (2 * 59 + 1, 1), (2 * 59 + 2, 2)])
def test_a_ring_refuses_the_message_that_would_just_fit(board, rxbuf, taken):
    shown = deliver(
        board,
        [b"x" * 46, b"y" * 46],
        f"radio.config(rxbuf={rxbuf})\nradio.active(True)\n_chip.run()\nshow(list(radio.stats()))",
    )
    assert shown == [0, 0, 0, taken, 2 - taken]


def test_ring_space_comes_back_when_a_message_is_read(board):
    shown = deliver(
        board,
        [b"x" * 46],
        """
radio.config(rxbuf=61)
radio.active(True)
_chip.run()
lengths = [len(radio.irecv(0)[1])]
radio._interrupt(bytearray(b"R" + b"\\x02\\xfa\\xc7\\x10\\x00\\x02" + b"\\xd8" + b"z" * 46), 0, 54)
lengths.append(len(radio.irecv(0)[1]))
show([lengths, list(radio.stats())])
""",
    )
    assert shown == [[46, 46], [0, 0, 0, 2, 0]]


def test_errors_have_the_devices_names(board):
    shown = run(
        board,
        """
import espnow, network
wlan = network.WLAN(network.STA_IF)
radio = espnow.ESPNow()
out = {}
out["inactive"] = error_of(radio.any)
out["no wifi"] = error_of(radio.active, True)
out["channel without wifi"] = error_of(wlan.config, channel=3)
wlan.active(True)
out["bad channel"] = error_of(wlan.config, channel=15)[0]
radio.active(True)
other = bytes((2, 0, 0, 0, 0, 9))
out["unknown peer"] = error_of(radio.send, other, b"x")
out["del unknown peer"] = error_of(radio.del_peer, other)
radio.add_peer(b"\\xff" * 6)
out["twice"] = error_of(radio.add_peer, b"\\xff" * 6)
out["long"] = error_of(radio.send, b"\\xff" * 6, bytes(251))
out["other channel"] = error_of(radio.add_peer, other, channel=9)
out["short address"] = error_of(radio.add_peer, b"12345")
for i in range(19):
    radio.add_peer(bytes((2, 0, 0, 0, 1, i)))
out["full"] = error_of(radio.add_peer, other)
out["count"] = list(radio.peer_count())
wlan.active(False)
out["wifi gone"] = error_of(radio.send, b"\\xff" * 6, b"x")
out["option"] = error_of(radio.config, "nonsense")
out["one object"] = espnow.ESPNow() is radio and network.WLAN(0) is wlan
show(out)
""",
    )
    assert shown == {
        "inactive": ["OSError", -12389, "ESP_ERR_ESPNOW_NOT_INIT"],
        "no wifi": ["OSError", -12289, "ESP_ERR_WIFI_NOT_INIT"],
        "channel without wifi": ["OSError", "Wifi Not Started"],
        "bad channel": "RuntimeError",
        "unknown peer": ["OSError", -12393, "ESP_ERR_ESPNOW_NOT_FOUND"],
        "del unknown peer": ["OSError", -12393, "ESP_ERR_ESPNOW_NOT_FOUND"],
        "twice": ["OSError", -12395, "ESP_ERR_ESPNOW_EXIST"],
        "long": ["OSError", -12390, "ESP_ERR_ESPNOW_ARG"],
        "other channel": ["OSError", -12397, "ESP_ERR_ESPNOW_CHAN"],
        "short address": ["ValueError", "invalid buffer length"],
        "full": ["OSError", -12392, "ESP_ERR_ESPNOW_FULL"],
        "count": [20, 0],
        "wifi gone": ["OSError", -12396, "ESP_ERR_ESPNOW_IF"],
        "option": ["ValueError", "unknown config param"],
        "one object": True,
    }


def test_broadcast_is_true_unheard_and_counts_its_departure(board):
    def leave(datagram):
        return [departed()] if datagram[:1] == b"X" else []

    with Air(leave) as air:
        shown = run(
            board,
            ON
            + """
radio.active(True)
wlan.config(channel=6)
radio.add_peer(b"\\xff" * 6)
unsynced = radio.send(b"\\xff" * 6, bytearray(b"one"), False)
synced = radio.send(b"\\xff" * 6, memoryview(bytearray(b"two!"))[:3], True)
show([unsynced, synced, list(radio.stats())])
""",
            air,
        )
    assert shown == [True, True, [2, 2, 0, 0, 0]]
    head = b"\x02\xfa\xc7\x10\x00\x01"
    assert [sent for sent in air.sent if sent[:1] == b"X"] == [
        b"X" + head + ALL + b"\x06one",
        b"X" + head + ALL + b"\x06two",
    ]
    assert [sent[7] for sent in air.sent if sent[:1] == b"T"] == [1, 6]  # the radio on, then on its channel


def test_an_unanswered_unicast_is_false_and_a_radio_that_never_reports_times_out(board):
    def leave(datagram):
        return [departed(False)] if datagram[:1] == b"X" else []

    code = ON + "radio.active(True)\nradio.add_peer(bytes((2, 0, 0, 0, 0, 9)))\n"
    with Air(leave) as air:
        shown = run(board, code + "show([radio.send(bytes((2,0,0,0,0,9)), b'x'), list(radio.stats())])", air)
    assert shown == [False, [1, 1, 1, 0, 0]]
    shown = run(board, code + "show(error_of(radio.send, bytes((2,0,0,0,0,9)), b'x'))")
    assert shown == ["OSError", 116]


def test_receiving_reuses_its_buffers(board):
    shown = deliver(
        board,
        [b"first message", b"2nd", b"third", b"to fill memory", b"x" * 9],
        """
radio.config(rxbuf=600)
radio.active(True)
_chip.run()
one = radio.irecv(0)
first = [bytes(one[0]), bytes(one[1])]
two = radio.irecv(0)
same = one is two and one[1] is two[1] and one[0] is two[0]
buffer = bytearray(250)
data = [None, buffer, None, None]
length = radio.recvinto(data, 0)
third = [length, bytes(buffer), data[2], data[1] is buffer]
backing = bytearray(b"-" * 260)
window = memoryview(backing)[:250]
radio.recvinto([None, window], 0)
small = [error_of(radio.recvinto, [None, bytearray(249)], 0), radio.any(), radio.recvinto(data, 0)]
empty = [radio.any(), list(radio.irecv(0)), radio.recvinto(data, 5)]
show([[list(first[0]), first[1].decode()], same, [length, third[1].decode(), third[2], third[3]], backing[:20].decode(),
      small, empty, [[list(mac), seen[0]] for mac, seen in radio.peers_table.items()]])
""",
    )
    assert shown == [
        [list(PEER), "first message"],
        True,
        [5, "third", -40, True],
        "to fill memory------",
        [["ValueError", "invalid buffer length"], True, 9],
        [False, [None, None], 0],
        [[list(PEER), -40]],
    ]


def test_a_short_message_leaves_a_bytearrays_room(board):
    shown = deliver(
        board,
        [b"ab", b"0123456789"],
        """
radio.active(True)
_chip.run()
data = [None, bytearray(250)]
show([radio.recvinto(data, 0), radio.recvinto(data, 0), data[1].decode()])
""",
    )
    assert shown == [2, 10, "0123456789"]


def test_a_message_wakes_nobody_at_an_idle_prompt(board):
    shown = deliver(
        board,
        [b"a"],
        """
import machine, time
radio.active(True)
calls = []
radio.irq(lambda _: calls.append("radio"))
_chip.run(runs=False)
asleep = [list(calls), radio.any()]
timer = machine.Timer(0, period=1, callback=lambda _: calls.append("timer"))
time.sleep_ms(2)
_chip.run(runs=False)
timer.deinit()
radio._interrupt(bytearray(b"R" + bytes(6) + b"\\xd8" + b"b"), 0, 9)
_chip.run()
show([asleep, calls])
""",
    )
    assert shown == [[[], True], ["radio", "timer", "radio"]], "but with a timer's callback, and where a program runs"


def test_a_full_queue_loses_callbacks_and_no_messages(board):
    shown = deliver(
        board,
        [bytes((i,)) for i in range(12)],
        """
radio.config(rxbuf=600)
radio.active(True)
calls = []
radio.irq(lambda who: calls.append(who is radio))
_chip._queue.extend([(lambda _: None, None)] * 3)
_chip.air.poll()
while _chip._queue:
    _chip.run()
left = 0
while radio.any():
    radio.irecv(0)
    left += 1
show([calls, _chip.lost_callbacks, left, list(radio.stats())])
""",
    )
    assert shown == [[True] * 5, 7, 12, [0, 0, 0, 12, 0]]


def test_a_timer_whose_callback_a_full_queue_loses_wakes_the_board_all_the_same(board):
    shown = deliver(
        board,
        [bytes((i,)) for i in range(12)],
        """
import machine, time
radio.config(rxbuf=600)
radio.active(True)
calls = []
radio.irq(lambda _: calls.append("radio"))
_chip.run(runs=False)
asleep = list(calls)
timer = machine.Timer(0, period=1, callback=lambda _: calls.append("timer"))
for _ in range(2):
    time.sleep_ms(2)
    _chip.run(runs=False)
show([asleep, calls])
""",
    )
    assert shown == [[], ["radio"] * 8 + ["timer"]], "machine_timer_isr_handler() of esp32 wakes whatever was scheduled"


def test_wifi_outlives_a_soft_reset_and_not_a_power_cut(board, tmp_path):
    retained = {"SWARM_RETAINED": str(tmp_path / "retained")}
    run(board, ON + "wlan.config(channel=11, pm=network.WLAN.PM_NONE)\nshow(1)", environment=retained)
    read = "import network\nwlan = network.WLAN(network.STA_IF)\n"
    soft = {**retained, "SWARM_BOOT": "soft"}
    with Air() as air:
        shown = run(board, read + "show([wlan.active(), wlan.config('channel'), wlan.config('pm')])", air, soft)
    assert shown == [True, 11, 0]
    assert [sent[7] for sent in air.sent if sent[:1] == b"T"] == [11]  # it is in the air again at once
    assert run(board, read + "show(wlan.active())", environment=retained) is False


OUT_OF_STEP = """
radio.config(rxbuf=2000)
radio.active(True)
_chip.run()
data = [None, bytearray(espnow.MAX_DATA_LEN)]
lengths = []
while radio.any() and len(lengths) < 100:
    lengths.append(error_of(radio.recvinto, data, 0) or len(data[1]))
show([lengths[:2], sum(length == 46 for length in lengths)])
"""


def test_a_long_packet_puts_the_ring_out_of_step_and_it_stays_so(board):
    first, taken = deliver(board, [b"L" * 300] + [b"x" * 46] * 9, OUT_OF_STEP)
    assert first == [300 - 256, ["ValueError", "ESPNow.recv(): buffer error"]]
    assert taken < 9, "some of the frames after it are lost"


def test_later_versions_keep_the_whole_length_and_empty_a_ring_that_is_out_of_step(board):
    with Air() as air:
        for body in [b"L" * 300] + [b"x" * 46] * 9:
            air.put(message(PEER, body))
        shown = run(board, ON + OUT_OF_STEP, air, {"SWARM_ESPNOW": "1.29"})
    assert shown == [[300, 46], 9]
    with Air() as air:
        for body in [b"L" * 300] + [b"x" * 46] * 9:
            air.put(message(PEER, body))
        small = OUT_OF_STEP.replace("espnow.MAX_DATA_LEN", "250")
        shown = run(board, ON + small, air, {"SWARM_ESPNOW": "1.29"})
    assert shown == [[["ValueError", "ESPNow.recv(): buffer error"]], 0]


def test_a_packet_that_is_half_written_is_not_read_whole(board):
    shown = deliver(
        board,
        [b"x" * 46],
        """
radio.active(True)
radio.write_us = 1000000
_chip.run()
half = [radio.any(), error_of(radio.recvinto, [None, bytearray(250)], 0)]
radio._written_us = 0
show([half, error_of(radio.recvinto, [None, bytearray(250)], 0)])
""",
    )
    error = ["ValueError", "ESPNow.recv(): buffer error"]
    assert shown == [[True, error], error], "its header is gone, and what comes then is taken for one"


def test_senders_are_kept_for_good_but_where_one_found_no_memory(board):
    with Air() as air:
        for i in range(9):
            air.put(message(bytes((2, 0, 0, 0, 0, i)), b"x" * 46))
        shown = run(
            board,
            ON
            + """
import micropython
radio.config(rxbuf=2000)
radio.active(True)
_chip.run()
buffer = bytearray(250)
data = [None, buffer, 0, 0]
for _ in range(7):
    radio.recvinto(data, 0)
held = [len(radio.peers_table), error_of(radio.peers_table.clear)]

def locked():
    micropython.heap_lock()
    try:
        return radio.recvinto(data, 0)
    except MemoryError:
        return -1
    finally:
        micropython.heap_unlock()

buffer[:] = b""
lengths = [locked(), len(buffer)]
radio.peers_table.clear()
show([held, lengths, len(radio.peers_table), radio.recvinto(data, 0), error_of(radio.peers_table.clear)])
""",
            air,
        )
    assert shown == [[7, ["TypeError"]], [-1, 46], 0, 46, ["TypeError"]]
