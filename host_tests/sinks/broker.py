"""A real MQTT broker on this computer, and somebody who reads there."""

import json
import socket
import subprocess
import sys
import time
from contextlib import contextmanager

import pytest

WAIT_S = 60.0
# The broker from PyPI, as a process that can be killed.
_PROGRAM = """
import asyncio, json, sys
from amqtt.broker import Broker
async def main():
    broker = Broker(json.loads(sys.argv[1]))
    await broker.start()
    print("ready", flush=True)
    await asyncio.sleep(600)
asyncio.run(main())
"""


def wait(done, what=""):
    """Until it is so."""
    end = time.monotonic() + WAIT_S
    while not done():
        assert time.monotonic() < end, what
        time.sleep(0.02)


def free_port():
    """A port that nobody listens at."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


def require_broker():
    """Skip, saying why, where the broker cannot be had."""
    pytest.importorskip("amqtt", reason="amqtt, a broker from PyPI, is not installed here: make setup")
    return pytest.importorskip("paho.mqtt.client", reason="paho-mqtt is not installed here: make setup")


@contextmanager
def running(port, users=None):
    """A broker at that port; users: a file of those that it knows, whoever has no name else."""
    anonymous = {"amqtt.plugins.authentication.AnonymousAuthPlugin": {"allow_anonymous": True}}
    known = {"amqtt.plugins.authentication.FileAuthPlugin": {"password_file": str(users)}}
    config = {
        "listeners": {"default": {"type": "tcp", "bind": f"127.0.0.1:{port}"}},
        "plugins": known if users else anonymous,
    }
    process = subprocess.Popen(
        [sys.executable, "-c", _PROGRAM, json.dumps(config)],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    try:
        assert process.stdout.readline() == "ready\n"
        yield
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


@contextmanager
def reader(port, topic="#"):
    """What comes at a broker from now on: (topic, message, whether it was kept there), in a list."""
    client_of = require_broker()
    from paho.mqtt.enums import CallbackAPIVersion

    found, there = [], []
    client = client_of.Client(CallbackAPIVersion.VERSION2)
    client.on_message = lambda _client, _data, one: found.append((one.topic, one.payload.decode(), one.retain))
    client.on_subscribe = lambda *_: there.append(True)
    client.on_connect = lambda *_: client.subscribe(topic, 1)
    client.connect("127.0.0.1", port)
    client.loop_start()
    wait(lambda: there, "a subscription")
    try:
        yield found
    finally:
        client.disconnect()
        client.loop_stop()
