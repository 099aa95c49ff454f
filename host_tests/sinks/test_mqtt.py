"""A real broker that each sample goes to, whether it is there or not."""

import builtins
import json

import pytest
from broker import free_port, reader, require_broker, running, wait

from swarm import cli
from swarm.sinks import mqtt, sink
from swarm.sinks.every import Sinks
from swarm.watch.samples import Sample


def sample(n, node=2):
    return Sample(node, 7, 5, "21.5", False, series=9, n=n, utc="2026-11-29T06:00:00.000Z", within_s=0.001)


def beats(found):
    return [json.loads(text)["n"] for _, text, _ in found]


def begun(port, table, prefix="house/attic"):
    return mqtt.Mqtt(mqtt.parse(f"mqtt://127.0.0.1:{port}/{prefix}"), table)


def grow(one, table, *ns):
    for n in ns:
        table.append(sample(n))
    one.safe()


def test_each_new_sample_is_a_message_at_its_node_and_none_is_kept_there():
    require_broker()
    port = free_port()
    with running(port):
        table = [sample(0)]
        with reader(port, "house/attic/+") as found:
            one = begun(port, table)
            table += [sample(1), sample(1, node=300)]
            one.safe()
            wait(lambda: len(found) == 2, found)
            assert one.end()
        assert [(topic, kept) for topic, _, kept in found] == [("house/attic/2", False), ("house/attic/300", False)]
        assert json.loads(found[0][1]) == {
            "node": 2,
            "session": 7,
            "series": 9,
            "n": 1,
            "utc": "2026-11-29T06:00:00.000Z",
            "within_s": 0.001,
            "late_us": 5,
            "value": 21.5,
            "late": 0,
        }
        with reader(port) as later:
            other = begun(port, [])
            assert other.end()
        assert later == []


def test_many_come_in_their_order_and_all_before_the_end():
    require_broker()
    port = free_port()
    with running(port), reader(port) as found:
        table = []
        one = begun(port, table)
        grow(one, table, *range(500))
        assert one.end()
        wait(lambda: len(found) == 500, len(found))
    assert beats(found) == list(range(500))


def test_a_broker_that_comes_late_goes_and_comes_back_gets_all(capfd, monkeypatch):
    require_broker()
    monkeypatch.setattr(mqtt, "_AGAIN_S", (1, 1))
    port = free_port()
    table, said, came = [], [], []

    def told(words):
        said.append(capfd.readouterr().err)
        return words in "".join(said)

    one = begun(port, table)
    grow(one, table, 0, 1)
    wait(lambda: told(f"swarm collect: --mqtt 127.0.0.1:{port}: no broker answers"), said)
    assert "refused" in "".join(said) and "is it on" in "".join(said)
    # It may have got its messages before the reader is there: each is counted at whoever was there by then.
    with running(port):
        wait(lambda: one.taken() == 2)
        assert told("connected")
        with reader(port) as found:
            grow(one, table, 2, 3)
            wait(lambda: one.taken() == 4)
            wait(lambda: len(found) == 2)
            came += beats(found)
    wait(lambda: told("is the broker on?"), said)
    grow(one, table, *range(4, 100))
    with running(port), reader(port) as found:
        wait(lambda: one.taken() == 100)
    assert one.end()
    assert came == [2, 3]
    assert "".join(said).count("no broker answers") == 1, "once, however often it is tried"


def test_what_no_broker_took_is_told_at_the_end(capfd, monkeypatch):
    require_broker()
    monkeypatch.setattr(sink, "END_S", 0.5)
    table = []
    one = begun(free_port(), table)
    grow(one, table, 0, 1, 2)
    assert not one.end()
    assert "3 of 3 samples not taken in time: in the file alone" in capfd.readouterr().err


def test_a_user_that_the_broker_does_not_know_is_told_where_the_password_goes(tmp_path, capfd, monkeypatch):
    require_broker()
    from pwdlib import PasswordHash

    users = tmp_path / "users"
    users.write_text("gardener:" + PasswordHash.recommended().hash("rosebud") + "\n")
    port = free_port()
    with running(port, users):
        broker = mqtt.parse(f"mqtt://gardener@127.0.0.1:{port}/x")
        said = []
        monkeypatch.setenv(mqtt.PASSWORD, "tulip")
        wrong = mqtt.Mqtt(broker, [])
        wait(
            lambda: said.append(capfd.readouterr().err) or "put the password into SWARM_MQTT_PASSWORD" in "".join(said)
        )
        wrong.end()
        monkeypatch.setenv(mqtt.PASSWORD, "rosebud")
        table = []
        right = mqtt.Mqtt(broker, table)
        grow(right, table, 0)
        wait(lambda: right.taken() == 1, said)
        assert right.end()
        said.append(capfd.readouterr().err)
        assert not {word for word in ("tulip", "rosebud") if word in "".join(said)}


@pytest.mark.parametrize(
    "url, told",
    (
        ("mqtt://me:rosebud@host/x", "leave the password out"),
        ("http://host/x", "no broker"),
        ("host/x", "no broker"),
        ("mqtt:///x", "no broker"),
        ("mqtt://host", "no topic"),
        ("mqtt://host/", "no topic"),
        ("mqtt://host/a/+", "no topic"),
        ("mqtt://host/a/#", "no topic"),
        ("mqtt://host/a?b", "no topic"),
        ("mqtt://host/$SYS", "no topic"),
        ("mqtt://host:99999/x", "no port"),
        ("mqtt://me:rosebud/more@host/x", "no port"),
        ("mqtt://host:me/x", "write mqtt://"),
        ("mqtt://[host/x", "write mqtt://"),
    ),
)
def test_a_url_that_is_none_is_told_without_what_it_hides(url, told):
    with pytest.raises(ValueError, match=told) as caught:
        mqtt.parse(url)
    assert "rosebud" not in str(caught.value)


def test_a_url_s_parts():
    assert mqtt.parse("mqtt://host/a") == mqtt.Broker("host", 1883, None, "a")
    assert mqtt.parse("mqtt://me%40home@[::1]:1884/house/attic/") == mqtt.Broker("::1", 1884, "me@home", "house/attic")


def test_without_paho_it_says_what_to_install(monkeypatch):
    real = builtins.__import__

    def without(name, *rest):
        if name.startswith("paho"):
            raise ImportError(name)
        return real(name, *rest)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(ValueError, match="-m pip install 'paho-mqtt>=2.1,<3'"):
        Sinks(None, "mqtt://host/x").begin([])


@pytest.mark.parametrize("option", (("--exec", "cat"), ("--mqtt", "mqtt://host/x")))
def test_it_is_of_what_is_followed(capsys, option):
    assert cli.main(["collect", "--port", "nowhere", *option]) == 2
    assert "give --follow as well" in capsys.readouterr().err
