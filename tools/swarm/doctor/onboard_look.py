"""What `swarm doctor` and `swarm replace` ask of a board. Like onboard.py it is sent to the prompt, to run there.

It reads and changes nothing. The key is compared by a hash with a salt of the moment; it does not leave the board.
"""

import hashlib
import json
import os
import sys
from binascii import hexlify, unhexlify

MARK = ""  # as in onboard.py


def _hex(data):
    return hexlify(data).decode()


def look(salt):
    """Answer what runs here, and what it knows."""
    faction = sys.modules.get("faction")
    facts = {"loaded": faction is not None, "radio": None}
    if faction is None:
        facts["main"] = "main.py" in os.listdir()
    elif faction.app is None:
        facts["failure"] = faction.failure
    else:
        app, node = faction.app, faction.app.node
        ids = list(node.machine.ids)
        facts["status"] = faction.status_dict()
        facts["version"] = faction.__version__
        facts["digest"] = _hex(node.frame.digest)
        facts["foreign_digest"] = _hex(node.frame.foreign_digest)
        facts["ids"] = ids
        facts["required"] = node.machine.required_count
        presence = getattr(app, "presence", None)  # older firmware has none
        facts["round_ms"] = presence.round_ms if presence else 0
        facts["channel"] = app.config["channel"]
        live = [node.sessions.heard[3 * i] for i in range(len(ids))]
        facts["sessions"] = [[ids[i], live[i]] for i in range(len(ids)) if live[i]]
        facts["key"] = _key(_folder(faction.__file__), salt)
        if "espnow" in app.links:
            facts["radio"] = _radio()
    print(MARK + json.dumps(facts))


def _folder(library):
    """Where a node's faction.key is, by where its library is: beside it in a version, above lib where it was copied."""
    folder = library.rpartition("faction/__init__.")[0]
    return folder[:-4] if folder.endswith("lib/") else folder


def _key(folder, salt):
    """Hash of the salt and the key that a node in that folder uses; None when it uses the published one."""
    try:
        with open(folder + "faction.key", "rb") as file:
            key = unhexlify(file.read().strip())
    except OSError:
        return None
    return _hex(hashlib.sha256(salt + key).digest())


def _radio():
    """The channel that the radio is on."""
    import network

    return network.WLAN(network.STA_IF).config("channel")
