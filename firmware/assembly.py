"""Puts the application together at a start: reads what describes it and opens its links.

Only a start needs what is here, config and store: afterwards they are let go, and their memory with them.
"""

import os
import sys

import board
import machine
import signs
from app import App
from config import load, load_key
from store import next_session, open_store
from tracing import Trace

import faction
from faction.frame import DEMONSTRATION_KEY
from faction.node import Node

_KEPT = ("swarm", "node", "channel")  # of the configuration: the rest is in what it has made
_LINKS = {"espnow": "EspNowLink", "uart": "UartLink", "udp": "UdpLink"}  # their classes, each in its own module
_FOLDER = __file__.rpartition("assembly.")[0]  # of this version: faction.json, .key and .wifi are there too


def make():
    """The application that faction.json, faction.key, board.py and sensor.py describe, in a new session, and what to
    say of it once it runs.

    Raises ValueError or OSError, which say what to do, when that is not possible.
    """
    try:
        config = load(_FOLDER + "faction.json", machine.unique_id())
        config["wifi"] = _FOLDER + "faction.wifi"
        key = load_key(_FOLDER + "faction.key", config["locked"])
        sensor = load_sensor()
        session = next_session(open_store(sys.platform))
        links = {name: open_link(name, config) for name in config["links"] or board.LINKS}
        trace = Trace(config["node"], config["members"], config["required"], config["trace"])
        node = make_node(config, key, session, max(link.imin_ms for link in links.values()), trace)
        trace.base.ids = node.machine.ids  # equal ones: two bytes a member, once
        kept = {key: config[key] for key in _KEPT}
        is_open = key == DEMONSTRATION_KEY
        app = faction.app = App(kept, is_open, node, links, trace, sensor)  # type: ignore[assignment]
        keep_samples(app, config["samples_kb"], config["period_ms"])
        if config["round_ms"]:
            from faction.remote.presence import Presence

            Presence(app, config["round_ms"])
        if config["gateway"] is not None:
            from faction.remote.gateway import Gateway

            Gateway(app, config["node"] in config["gateway"])
        if config["watchdog_ms"]:
            signs.watch(config["watchdog_ms"])
        trust = "open" if is_open else "locked"
        return app, "swarm %s %s started session %d" % (kept["swarm"], trust, session)
    finally:
        faction.let_go(("assembly", "config", "store", "raised", "faction.description"))


def keep_samples(app, kb, period_ms):
    """Have that app take and keep its samples; what more than one needs is loaded only for a series."""
    if period_ms:
        from beats import Beats

        Beats(app, kb, period_ms)
    else:
        from samples import Samples

        Samples(app, kb)


def open_link(name, config):
    """Open the link of that name. Raises OSError or ValueError when the board cannot have it."""
    try:
        Link = getattr(__import__("faction.links." + name, None, None, (name,)), _LINKS[name])
    except ImportError as error:
        raise ValueError("%s cannot have the link %s (%s): write another in links" % (board.NAME, name, error))
    try:
        return Link(config, board)
    except OSError as error:
        raise OSError("link %s did not start (%s): reset the board, by power if need be" % (name, error))


def make_node(config, key, session, imin_ms, observer):
    """The node that a configuration describes; imin_ms: of its slowest link."""
    options = {}  # type: dict
    made = Node  # type: type
    if config["round_ms"]:
        from faction.remote.node import RemoteNode

        made = RemoteNode
        options["round_ms"] = config["round_ms"]
        if config["gateway"] is not None:
            options["gather"] = config["node"] in config["gateway"]
    return made(
        config["swarm"],
        config["members"],
        config["node"],
        config["required"],
        key,
        session,
        deadline_ms=config["deadline_ms"],
        retry=config["on_timeout"] == "retry",
        lead_ms=config["lead_ms"],
        linger_ms=config["linger_ms"],
        imin_ms=imin_ms,
        observer=observer,
        period_ms=config["period_ms"],
        **options,
    )


def load_sensor():
    """The user's sensor module, afresh: a restart begins its warm-up again. Raises ValueError, naming what is wrong."""
    sys.modules.pop("sensor", None)
    signs.watch(1)
    try:
        import sensor
    except BaseException as error:
        if isinstance(error, KeyboardInterrupt):
            raise
        from raised import describe

        raise ValueError("sensor.py: %s: mend it, then deploy again" % describe(error))
    finally:
        signs.watch(0)
    for name in ("warm_up", "sample"):
        if not hasattr(sensor, name):
            raise ValueError("sensor.py: has no %s(): write it, then deploy again" % name)
    try:
        os.remove("faction.bitten")  # of hindrance.py
        if hasattr(sensor, "health"):
            sensor.health = None  # as raised.py knows it
    except OSError:
        pass  # the watchdog has not reset the board
    return sensor
