"""An MQTT broker, to which each sample goes as a message of JSON."""

from __future__ import annotations

import os
import sys
import threading
from dataclasses import dataclass
from urllib.parse import unquote, urlsplit

from swarm.sinks.sink import Sink, line
from swarm.watch.samples import Sample

PASSWORD = "SWARM_MQTT_PASSWORD"
_PORT = 1883
_FORM = "mqtt://[USER@]HOST[:PORT]/PREFIX"
_MISSING = f"--mqtt needs paho-mqtt, which is not installed: type `{sys.executable} -m pip install 'paho-mqtt>=2.1,<3'`"
_AT_ONCE = 20  # messages that are on their way to the broker
_LOOK_S = 0.5
_KEEPALIVE_S = 15  # a broker that says nothing for one and a half of that is away
_AGAIN_S = (1, 30)  # until it is tried again, at first and at last


@dataclass(frozen=True)
class Broker:
    """A broker, and the beginning of the topics there."""

    host: str
    port: int
    user: str | None
    prefix: str

    @property
    def label(self) -> str:
        """What messages call it."""
        return f"--mqtt {self.host}:{self.port}"


def parse(url: str) -> Broker:
    """The broker of a URL. ValueError, which does not repeat it, when it is none."""
    try:
        parts = urlsplit(url)
        port = parts.port or _PORT
    except ValueError:  # whose words may have a part of a password
        raise ValueError(f"--mqtt: no broker, or no port from 1 to 65535: write {_FORM}") from None
    if parts.password is not None:
        raise ValueError(f"--mqtt: leave the password out, which lists of processes show: put it into {PASSWORD}")
    if parts.scheme != "mqtt" or not parts.hostname:
        raise ValueError(f"--mqtt: no broker: write {_FORM}")
    prefix = unquote(parts.path).strip("/")
    if not prefix or prefix.startswith("$") or set("+#\0") & set(prefix) or set("?#") & set(url):
        raise ValueError(f"--mqtt: no topic without +, #, ? and a $ in front: write {_FORM}")
    return Broker(parts.hostname, port, unquote(parts.username) if parts.username else None, prefix)


class Mqtt(Sink):
    """Publishes at PREFIX/NODE with QoS 1: each sample at least once. ValueError when paho-mqtt is not installed.

    Not retained: a message kept by the broker would be handed to who comes later as if it were new, and those of a
    backlog would take the place of later ones. A broker that is away is tried until the end.
    """

    def __init__(self, broker: Broker, table: list[Sample]) -> None:
        super().__init__(broker.label, table)
        try:
            from paho.mqtt.client import Client
            from paho.mqtt.enums import CallbackAPIVersion
        except ImportError:
            raise ValueError(_MISSING) from None
        self._prefix = broker.prefix
        self._connected = threading.Event()
        self._told = ""  # why it is away
        self._acknowledged = self._begin
        client = self._client = Client(CallbackAPIVersion.VERSION2)
        if broker.user:
            client.username_pw_set(broker.user, os.environ.get(PASSWORD))
        client.on_connect, client.on_disconnect = self._on_connect, self._on_disconnect
        client.on_connect_fail, client.on_publish = self._on_connect_fail, self._on_publish
        client.max_inflight_messages_set(_AT_ONCE)
        client.reconnect_delay_set(*_AGAIN_S)
        client.connect_async(broker.host, broker.port, _KEEPALIVE_S)
        client.loop_start()
        self.start()

    def run(self) -> None:
        """As Sink.run()."""
        while not self.ends or self.left_s and self._acknowledged < self._safe:
            if not self._connected.wait(min(_LOOK_S, self.left_s)):
                continue
            one = self.next(_LOOK_S) if self._next - self._acknowledged < _AT_ONCE else None
            if one is None:
                self._wait(min(_LOOK_S, self.left_s))
                continue
            self._client.publish(f"{self._prefix}/{one.node}", line(one), qos=1)
            self.done()

    def _wait(self, seconds: float) -> None:
        """For an acknowledgement, if one is to come."""
        with self._changed:
            if self._acknowledged < self._next:
                self._changed.wait(seconds)

    def close(self) -> None:
        """As Sink.close()."""
        self._client.disconnect()
        self._client.loop_stop()

    def taken(self) -> int:
        """As Sink.taken()."""
        return self._acknowledged

    # What paho calls, in its thread

    def _on_connect(self, _client, _data, _flags, reason, _properties) -> None:
        if reason.is_failure:
            self._away(
                f"the broker refuses ({reason}): name a user that it knows in the URL, and put the password into "
                f"{PASSWORD}"
            )
            return
        if self._told:
            self.say("connected")
        self._told = ""
        self._connected.set()

    def _on_connect_fail(self, _client, _data) -> None:
        error = sys.exc_info()[1]
        self._away(f"no broker answers ({error}): is it on, and does it listen there? It is tried until it is back")

    def _on_disconnect(self, _client, _data, _flags, reason, _properties) -> None:
        self._connected.clear()
        if not self.ends and not self._told:
            self._away(f"the connection is lost ({reason}): is the broker on? It is tried until it is back")

    def _away(self, why: str) -> None:
        """Say why it is away, once for all tries until it is back."""
        if not self._told:
            self.say(why)
        self._told = why

    def _on_publish(self, _client, _data, _mid, _reason, _properties) -> None:
        with self._changed:
            self._acknowledged += 1
            self._changed.notify_all()
