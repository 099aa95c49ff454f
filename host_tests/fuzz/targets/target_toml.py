"""swarm.toml with anything in it: a swarm whose members have configurations that boards take, or mistakes in words."""

from pathlib import Path

from swarm.description import project

MOST = 700
SEEDS = (
    b"",
    b'name = "demo"\nopen = true\n[[member]]\nid = 1\nboard = "ESP32_GENERIC"\n',
    b'name = "greenhouse"\nquorum = 1\ndeadline_ms = 60000\nlead_ms = 500\nlinger_ms = 0\nchannel = 1\nbaud = 9600\n'
    b'trace = 64\nwatchdog_ms = 0\non_timeout = "halt"\n[[member]]\nid = 1\nboard = "RPI_PICO"\nport = "/dev/ttyACM0"\n'
    b'hardware = "e6:61"\n[[member]]\nid = 2\nboard = "ESP32_GENERIC"\nserial = "0001"\nlinks = ["espnow", "uart"]\n',
)
WORDS = ("member", "id", "board", "hardware", "links", "ESP32_GENERIC", "RPI_PICO", "uart", "espnow", "'''", '"""')
_PATH = Path("swarm.toml")


def run(data):
    """One input."""
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        return  # load() says that the file is no text
    try:
        swarm = project.parse(text, _PATH)
    except project.ProjectError as error:
        assert all(line.startswith("swarm.toml") for line in str(error).split("\n")), error
        return
    assert swarm.ids and 1 <= swarm.required <= len(swarm.ids) and swarm.digest()
    for member in swarm.members:
        made = swarm.config_for(member)
        assert (made.get("node", member.id), made["required"]) == (member.id, swarm.required)
