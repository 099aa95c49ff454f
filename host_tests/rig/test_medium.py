"""The medium: what the air does to messages, repeatably, and the process that carries them."""

import json
import socket
import subprocess
import sys
import threading
import time

import pytest

from swarm.rig import air
from swarm.rig.air import Weather, airtime_us, arrivals
from swarm.rig.medium import STRANGER, Medium, mac_of, node_of
from swarm.rig.medium_client import MediumClient

SEED = 20
BODY = bytes(range(46))
CHANNEL = 1


def build(weather=None, nodes=(1, 2, 3), seed=SEED):
    """A medium with boards on CHANNEL, whose addresses are ("board", node)."""
    medium = Medium(seed, weather or Weather())
    for node in nodes:
        tune(medium, node)
    return medium


def tune(medium, node, channel=CHANNEL):
    medium.receive(b"T" + mac_of(node) + bytes((channel,)), ("board", node), 0)


def send(medium, node, body=BODY, at_us=0, channel=CHANNEL, target=air.BROADCAST):
    medium.receive(b"X" + mac_of(node) + target + bytes((channel,)) + body, ("board", node), at_us)


def deliveries(medium, until_us=10**9):
    """What leaves the medium: [(receiver, kind, the rest)], without the length in front."""
    out = []
    for (_, node), datagram in medium.take_due(until_us):
        assert int.from_bytes(datagram[:2], "little") == len(datagram) - 2
        out.append((node, datagram[2:3], datagram[3:]))
    return out


def heard(medium):
    return [node for node, kind, _ in deliveries(medium) if kind == b"R"]


def do(medium, **request):
    return json.loads(medium.receive(json.dumps(request).encode(), ("control", 0), 1234))


def test_a_broadcast_reaches_everybody_on_the_channel_but_its_sender():
    medium = build(nodes=(1, 2, 3, 4))
    tune(medium, 3, channel=6)
    tune(medium, 4, channel=0)
    send(medium, 1)
    out = deliveries(medium)
    assert (1, b"D", b"\x01") in out
    assert [entry for entry in out if entry[1] == b"R"] == [(2, b"R", mac_of(1) + b"\xd8" + BODY)]


def test_a_message_arrives_after_its_air_time_and_messages_share_the_channel():
    medium = build()
    send(medium, 1, at_us=1_000)
    send(medium, 2, at_us=1_100)
    one = airtime_us(len(BODY))
    assert one == 192 + (43 + 46) * 8
    assert deliveries(medium, 1_000 + one - 1) == []
    assert {node for node, kind, _ in deliveries(medium, 1_000 + one) if kind == b"R"} == {2, 3}
    assert deliveries(medium, 1_000 + 2 * one - 1) == [], "the second waits until the channel is free"
    assert {node for node, kind, _ in deliveries(medium, 1_000 + 2 * one) if kind == b"R"} == {1, 3}


def test_channels_do_not_wait_for_each_other():
    medium = build()
    tune(medium, 3, channel=6)
    tune(medium, 4, channel=6)
    send(medium, 1, at_us=0)
    send(medium, 3, at_us=0, channel=6)
    assert {node for node, kind, _ in deliveries(medium, airtime_us(len(BODY))) if kind == b"R"} == {2, 4}


def test_a_unicast_reaches_one_and_tells_whether_it_was_answered():
    medium = build()
    send(medium, 1, target=mac_of(3))
    assert sorted(deliveries(medium)) == [(1, b"D", b"\x01"), (3, b"R", mac_of(1) + b"\xd8" + BODY)]
    send(medium, 1, target=mac_of(9))
    assert deliveries(medium) == [(1, b"D", b"\x00")]


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_the_same_seed_loses_the_same_messages_whatever_the_order(seed):
    def losses(order):
        medium = build(Weather(loss=0.3), seed=seed)
        out = {}
        for number, node in order:
            send(medium, node, bytes((number,)))
            for receiver in heard(medium):
                out.setdefault((node, receiver), []).append(number)
        return out

    numbers = range(100)
    in_turn = losses([(number, node) for number in numbers for node in (1, 2, 3)])
    one_by_one = losses([(number, node) for node in (3, 1, 2) for number in numbers])
    assert in_turn == one_by_one, seed
    for link, received in in_turn.items():
        assert 50 <= len(received) <= 90, (seed, link)
    assert in_turn[1, 2] != in_turn[1, 3] and in_turn[1, 2] != in_turn[2, 1], "links fail independently"


def test_another_seed_loses_others():
    def received(seed):
        return [bool(arrivals(seed, Weather(loss=0.5), mac_of(1), mac_of(2), number, BODY)) for number in range(64)]

    assert received(1) == received(1) != received(2)


def test_one_rate_changes_nothing_of_the_others():
    for number in range(200):
        calm = arrivals(SEED, Weather(corrupt=0.5, delay_ms=4), mac_of(1), mac_of(2), number, BODY)
        rough = arrivals(SEED, Weather(corrupt=0.5, delay_ms=4, loss=0.5), mac_of(1), mac_of(2), number, BODY)
        assert rough in ([], calm), number


def test_rates_are_kept():
    weather = Weather(loss=0.2, duplicate=0.2, corrupt=0.2, reorder=0.2, delay_ms=2)
    got = [arrivals(SEED, weather, mac_of(1), mac_of(2), number, BODY) for number in range(2000)]
    arrived = [copies for copies in got if copies]
    for name, share, expected in (
        ("lost", 1 - len(arrived) / len(got), 0.2),
        ("doubled", sum(len(copies) == 2 for copies in arrived) / len(arrived), 0.2),
        ("corrupted", sum(copies[0].message != BODY for copies in arrived) / len(arrived), 0.2),
        ("late", sum(copies[0].after_us > 2000 for copies in arrived) / len(arrived), 0.2),
    ):
        assert abs(share - expected) < 0.04, (name, share)
    for copies in arrived:
        flipped = int.from_bytes(copies[0].message, "big") ^ int.from_bytes(BODY, "big")
        assert flipped.bit_count() in (0, 1)
        assert all(0 <= copy.after_us <= 2_000 + 15_000 + 5_000 for copy in copies)
    assert all(copies[1].after_us > copies[0].after_us for copies in arrived if len(copies) == 2)


def test_reordering_lets_a_later_message_overtake():
    medium = build(Weather(reorder=0.3))
    for number in range(50):
        send(medium, 1, bytes((number,)), at_us=number * 2_000)
    order = [rest[-1] for node, kind, rest in deliveries(medium) if kind == b"R" and node == 2]
    assert sorted(order) == list(range(50)) and order != sorted(order)


@pytest.mark.parametrize(
    ("field", "value", "told"),
    [
        ("loss", 1.5, "loss 1.5 is outside 0 ... 1"),
        ("delay_ms", -1, "delay_ms -1"),
        ("corrupt", "x", "'x' is not a number"),
    ],
)
def test_weather_refuses_what_makes_no_sense(field, value, told):
    with pytest.raises(ValueError, match="corrupt|loss|delay_ms") as refusal:
        Weather(**{field: value})
    assert told in str(refusal.value)


def test_a_partition_cuts_and_heals():
    medium = build(nodes=(1, 2, 3, 4))
    do(medium, do="partition", groups=[[1, 2], [3, 4]])
    send(medium, 1)
    assert heard(medium) == [2]
    send(medium, 4)
    assert heard(medium) == [3]
    do(medium, do="partition", groups=[])
    send(medium, 4)
    assert sorted(heard(medium)) == [1, 2, 3]


def test_weather_can_change_while_it_runs():
    medium = build()
    assert do(medium, do="weather", loss=1.0)["weather"]["loss"] == 1.0
    send(medium, 1)
    assert heard(medium) == []
    assert "outside" in do(medium, do="weather", loss=7)["error"]
    do(medium, do="weather", loss=0.0)
    send(medium, 1)
    assert sorted(heard(medium)) == [2, 3]


def test_what_was_recorded_can_be_injected_and_reaches_its_first_sender_too():
    medium = build()
    do(medium, do="record", on=True)
    send(medium, 2, b"old", at_us=77)
    do(medium, do="record", on=False)
    send(medium, 2, b"not recorded")
    deliveries(medium)
    recorded = do(medium, do="recorded")
    assert recorded == {
        "count": 1,
        "messages": [{"t_us": 77, "source": 2, "channel": 1, "frame": b"old".hex()}],
    }
    do(medium, do="inject", channel=1, frame=recorded["messages"][0]["frame"])
    out = deliveries(medium)
    assert sorted(out) == [(node, b"R", STRANGER + b"\xd8" + b"old") for node in (1, 2, 3)]
    assert set(do(medium, do="stats")["boards"]) == {"1", "2", "3"}


def test_statistics_and_readings():
    medium = build()
    send(medium, 1, b"abc")
    send(medium, 1, b"abcd")
    medium.receive(b"A" + mac_of(2) + b"\x34\x12" + (98_765).to_bytes(8, "little"), ("board", 2), 0)
    stats = do(medium, do="stats")
    assert (stats["frames"], stats["now_us"]) == (2, 1234)
    assert {name: stats["boards"]["1"][name] for name in ("frames", "channel")} == {"frames": 2, "channel": 1}
    assert stats["boards"]["1"]["last_frame"] == b"abcd".hex()
    assert stats["boards"]["2"]["heard"] == 2
    assert do(medium, do="readings", node=2)["readings"] == [[98_765, 0x1234]]
    assert do(medium, do="readings", node=9)["readings"] == []
    assert "unknown" in do(medium, do="dance")["error"]


def test_what_is_not_a_board_is_ignored():
    medium = build()
    for datagram in (b"", b"X", b"X123456", b"T" + b"\x00" * 7, b"{", b"Z" + mac_of(1)):
        medium.receive(datagram, ("somebody", 0), 0)
    assert sorted(node_of(mac) for mac in medium.boards) == [1, 2, 3]


def test_the_process_carries_datagrams_and_answers_for_itself():
    command = [sys.executable, "-m", "swarm.rig.medium", "--seed", "1"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        port = int(process.stdout.readline())
        client = MediumClient(port)
        boards = []
        for node in (1, 2):
            board = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            board.connect(("127.0.0.1", port))
            board.settimeout(5)
            board.send(b"T" + mac_of(node) + b"\x01")
            boards.append(board)
        while len(client.do("stats")["boards"]) < 2:
            time.sleep(0.01)
        boards[0].send(b"X" + mac_of(1) + air.BROADCAST + b"\x01hello")
        assert boards[1].recv(100)[2:] == b"R" + mac_of(1) + b"\xd8hello"
        assert boards[0].recv(100)[2:] == b"D\x01"
        with pytest.raises(ValueError, match="unknown"):
            client.do("dance")
        client.do("record", on=True)
        for number in range(250):
            boards[0].send(b"X" + mac_of(1) + air.BROADCAST + b"\x01" + number.to_bytes(2, "big"))
            boards[0].recv(100)
        recorded = client.recorded()
        assert [int(message["frame"], 16) for message in recorded] == list(range(250)), "more than one answer holds"
        client.do("quit")
        assert process.wait(5) == 0
        with pytest.raises(OSError, match="not running"):
            client.do("stats")
        for open_socket in (*boards, client):
            open_socket.close()
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


def test_an_answer_that_comes_late_is_not_taken_for_the_next_one():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as medium:
        medium.bind(("127.0.0.1", 0))
        client = MediumClient(medium.getsockname()[1])

        def serve():
            for late in ({}, {"question": 1, "frames": 1}):  # what was asked once more is answered once more
                question, address = medium.recvfrom(65536)
                for reply in (late, {"question": json.loads(question)["question"], "frames": 2}):
                    medium.sendto(json.dumps(reply).encode(), address)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        assert client.do("stats") == {"frames": 2}
        assert client.do("readings", node=1) == {"frames": 2}
        thread.join()
        client.close()
