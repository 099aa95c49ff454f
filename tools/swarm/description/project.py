"""The swarm's description on the host: swarm.toml, and beside it swarm.key, and swarm.wifi where members use WiFi.

This is the one place that turns a swarm.toml into what its boards are given. A file, briefly:

    name = "greenhouse"
    quorum = 4                # of five; left out: all
    deadline_ms = 60000
    channel = 1

    [[member]]
    id = 1
    board = "ESP32_GENERIC"
    port = "/dev/ttyUSB0"     # or serial = "0001", the USB serial number, which stays when the port changes
    hardware = "240ac4123456" # machine.unique_id().hex(), by which a board finds itself in the list
    links = ["espnow"]        # left out: the board's own choice

`open = true` says that the swarm has no key. Otherwise the key is in the file of the same name that ends in .key.
`ssid = "roof"` names the WiFi network that members with the link udp join. Its password is in the file that ends in
.wifi, which is empty for a network without one.

    project = load("swarm.toml")
    for member in project.members:
        json.dumps(project.config_for(member)), project.key(), port_of(member)
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

import tomlkit
from serial.tools import list_ports
from tomlkit.exceptions import ParseError, TOMLKitError

from swarm.description import rules
from swarm.description.error import ProjectError
from swarm.description.secret import read_key, read_wifi
from swarm.device import config as device_config
from swarm.device.config import DEMONSTRATION_KEY
from swarm.output import readable, writable

FILE = "swarm.toml"


@dataclass
class Member:
    """One member: a node id, and the board that carries it."""

    id: int
    board: str  # name of a folder in boards/
    port: str | None = None  # serial port, such as /dev/ttyUSB0
    serial: str | None = None  # USB serial number; goes before port
    hardware: str | None = None  # machine.unique_id() in hexadecimal
    links: list[str] | None = None  # names of links; None: those of the board's board.py

    @property
    def talks(self) -> list[str]:
        """The links that it has."""
        return rules.links_of(self.board, self.links)


@dataclass
class Project:
    """A swarm: times in milliseconds, members in the order of the file. load() makes one."""

    name: str
    members: list[Member]
    quorum: int | None = None  # how many must be ready; None: all. required gives the number
    deadline_ms: int = rules.default("deadline_ms")
    lead_ms: int | None = None  # None: by the members. agreed_lead_ms gives the number
    linger_ms: int = rules.default("linger_ms")
    period_ms: int = rules.default("period_ms")  # between two samples of a series; 0: the first sample alone
    round_ms: int = rules.default("round_ms")  # in which each member makes itself heard; 0: no rounds
    samples_kb: int | None = None  # of flash for samples; None: by the period, as firmware/config.py has it
    on_timeout: str = "retry"  # or halt
    channel: int = rules.default("channel")  # of ESP-NOW, 1 ... 14
    baud: int = rules.default("baud")  # of the uart link
    gateway: int | list[int] | str | None = None  # who gathers samples over the air; rules.ANY: who is asked to
    ssid: str | None = None  # the WiFi network of the udp link
    udp_port: int = rules.default("udp_port")
    trace: int = rules.default("trace")  # transitions a board keeps
    watchdog_ms: int = rules.default("watchdog_ms")  # 0: none
    open: bool = False  # no key of its own: anyone may take part
    path: Path = field(default=Path(FILE), compare=False)
    _document: tomlkit.TOMLDocument = field(default_factory=tomlkit.document, repr=False, compare=False)

    @property
    def required(self) -> int:
        """How many members must be ready."""
        return len(self.members) if self.quorum is None else self.quorum

    @property
    def agreed_lead_ms(self) -> int:
        """Milliseconds from the first conclusion to the first sample.

        By default what a node on the slowest link takes: whoever concludes first names the instant for everybody.
        """
        if self.lead_ms is not None:
            return self.lead_ms
        return default_lead_ms(self.members, self.baud, self.agreed_round_ms)

    @property
    def agreed_round_ms(self) -> int:
        """Milliseconds in which each member makes itself heard; 0: no rounds, which a gateway needs."""
        return self.round_ms or (0 if self.gateway is None else device_config.GATEWAY_ROUND_MS)

    @property
    def ids(self) -> list[int]:
        """Member ids, ascending."""
        return sorted(member.id for member in self.members)

    @property
    def key_path(self) -> Path:
        """Where the key is, unless the swarm is open."""
        return self.path.with_suffix(".key")

    def member(self, node: int) -> Member:
        """The member with this id. ProjectError, which lists the ids, when there is none."""
        for member in self.members:
            if member.id == node:
                return member
        raise ProjectError(f"{self.path}: no member {node}: choose one of {', '.join(map(str, self.ids))}")

    def key(self) -> bytes:
        """The swarm's 16 bytes, those of the published demonstration key when it is open. ProjectError as read_key."""
        return DEMONSTRATION_KEY if self.open else read_key(self.key_path)

    @property
    def wifi_path(self) -> Path:
        """Where the WiFi's password is, where members use WiFi."""
        return self.path.with_suffix(".wifi")

    @property
    def uses_wifi(self) -> bool:
        """Whether members have the link udp."""
        return any("udp" in member.talks for member in self.members)

    def wifi(self) -> bytes:
        """The WiFi's password, empty for a network without one. ProjectError as read_wifi."""
        return read_wifi(self.wifi_path)

    def check_secrets(self) -> None:
        """Raise ProjectError when the key or the WiFi's password is missing, or is none."""
        self.key()
        if self.uses_wifi:
            self.wifi()

    def digest(self) -> str:
        """Eight digits for name, members, quorum, period and rounds; nodes with different ones ignore each other."""
        return device_config.digest(self.name, self.ids, self.required, self.period_ms, self.agreed_round_ms).hex()

    def config_for(self, member: Member) -> dict[str, Any]:
        """What a member's faction.json holds.

        Where a hardware id is known the board finds itself by it, so that the same file suits every such board;
        else the file says which `node` the board is. ProjectError when a board would refuse it.
        """
        listed = [{"id": one.id, "hardware": one.hardware} if one.hardware else one.id for one in self.members]
        made: dict[str, Any] = {"swarm": self.name, "members": listed}
        if member.hardware is None:
            made["node"] = member.id
        made["required"] = self.required
        for key in ("deadline_ms", "linger_ms", "period_ms", "on_timeout", "channel", "baud", "trace"):
            made[key] = getattr(self, key)
        made["round_ms"] = self.agreed_round_ms
        if self.gateway is not None:
            made["gateway"] = rules.gathering(self.gateway)
        made["watchdog_ms"] = self.watchdog_ms
        if self.samples_kb is not None:
            made["samples_kb"] = self.samples_kb
        made["lead_ms"] = self.agreed_lead_ms
        if member.links is not None:
            made["links"] = member.links
        if not self.open:
            made["locked"] = True
        if "udp" in member.talks:
            made |= {"ssid": self.ssid, "udp_port": self.udp_port}
        try:
            device_config.check(dict(made), member.hardware)
        except ValueError as error:  # of fields that were changed since load()
            raise ProjectError(f"{self.path}: member {member.id}: {error}") from None
        return made

    def save(self) -> None:
        """Write swarm.toml, with the comments it had; a power cut leaves the old file or the new one.

        ProjectError, and the old file, when what would be written is not valid.
        """
        _put(self._document, self, [key for key in rules.KEYS if key != "member"])
        tables = {table["id"]: table for table in self._document.get("member", [])}
        if list(tables) != [member.id for member in self.members]:
            array = tomlkit.aot()
            for member in self.members:
                array.append(tables.get(member.id) or tomlkit.table())
            self._document["member"] = array
        for table, member in zip(self._document["member"], self.members, strict=True):
            _put(table, member, rules.MEMBER_KEYS)
        text = tomlkit.dumps(self._document)
        parse(text, self.path)
        writable.write_atomically(self.path, text)


def _put(table, values: Project | Member, keys) -> None:
    """Bring a TOML table up to date, leaving alone what is right and leaving out what is only the default."""
    defaults = {one.name: one.default for one in fields(values)}
    for key in keys:
        value = getattr(values, key)
        if key in table:
            if value is None:
                del table[key]
            elif table[key] != value:
                table[key] = value
        elif value != defaults[key]:
            table[key] = value


def default_lead_ms(members: list[Member], baud: int, round_ms: int = 0) -> int:
    """Milliseconds from the first conclusion to the first sample of these members, by their number and links."""
    links = {link for member in members for link in member.talks}
    imin_ms = max(device_config.imin_ms(link, len(members), baud, round_ms) for link in links)
    return device_config.default_lead_ms(len(members), imin_ms)


def load(path: Path | str = FILE) -> Project:
    """Read and check a swarm.toml. ProjectError with a line for each mistake."""
    path = Path(path)
    try:
        text = readable.text(path)
    except FileNotFoundError:
        raise ProjectError(f"{path}: no such file: `swarm init` writes one, --swarm FILE names another") from None
    except (OSError, UnicodeDecodeError) as error:
        raise ProjectError(f"{path}: cannot be read as text: {error}") from None
    return parse(text, path)


def parse(text: str, path: Path) -> Project:
    """The swarm that the text of a swarm.toml describes; path is where it lies. ProjectError as load()."""
    try:
        document = tomlkit.parse(text)
    except TOMLKitError as error:
        line = f":{error.line}" if isinstance(error, ParseError) else ""
        why = str(error).partition(" at line ")[0]
        raise ProjectError(f"{path}{line}: not TOML: {why}: check quotes, brackets and equal signs there") from None
    given: dict[str, Any] = document.unwrap()
    mistakes = rules.Mistakes(path, text)
    rules.check(given, mistakes)
    if mistakes.messages:
        raise ProjectError("\n".join(mistakes.messages))
    members = [Member(**one) for one in given.pop("member")]
    for member in members:
        # As the boards do: a radio's address is often written with colons.
        member.hardware = member.hardware and re.sub("[:-]", "", member.hardware).lower()
    return Project(**given, members=members, path=path, _document=document)


def port_of(member: Member) -> str:
    """The serial port that a member's board is at. ProjectError when the file names none, or it is not plugged in."""
    if member.serial is not None:
        try:
            port = port_of_serial(member.serial)
        except ProjectError as error:
            raise ProjectError(f"member {member.id}: {error}") from None
        if port is None:
            raise ProjectError(
                f"member {member.id}: serial: {member.serial!r}: no such board is plugged in: plug it in, or see the "
                "serial numbers with `mpremote connect list`"
            )
        return port
    if member.port is None:
        raise ProjectError(
            f"member {member.id}: no port or serial is listed: add one to its [[member]], or give --port"
        )
    return member.port


def port_of_serial(serial: str) -> str | None:
    """The serial port of the board with this USB serial number; None when it is not plugged in.

    ProjectError when several boards have it, as those of some makers do. One board may have several ports: its first.
    """
    found = sorted((one for one in list_ports.comports() if one.serial_number == serial), key=lambda one: one.device)
    places = {(getattr(one, "location", None) or one.device).partition(":")[0] for one in found}
    if len(places) > 1:
        ports = " and ".join(one.device for one in found)
        raise ProjectError(f"serial: {serial!r}: the boards at {ports} have it alike: list each by its port instead")
    return found[0].device if found else None
