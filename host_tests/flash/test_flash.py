"""swarm flash, against the real esptool and a mock of the chips' loaders, and against a board that shows a drive."""

import errno
import io
import os
import re
import socket
import threading
from contextlib import ExitStack, suppress

import pytest
from esp32_mock_bootloader import mock_bootloader
from rich.console import Console

from chips import IMAGE_BYTES, make_image
from fake_pico import ABSOLUTE, INFO, RP2040, RP2350, FakePico
from fake_pico import uf2 as make_uf2
from requirements import values
from swarm import boards, cli, paths
from swarm.description import project
from swarm.flash import cache, esp, uf2
from swarm.flash.board import Settings, Target
from swarm.flash.error import FlashError
from swarm.verbs import flash

BOARDS = {
    "esp32": "ESP32_GENERIC",
    "esp32s2": "ESP32_GENERIC_S2",
    "esp32s3": "ESP32_GENERIC_S3",
    "esp32c3": "ESP32_GENERIC_C3",
    "esp32c6": "ESP32_GENERIC_C6",
}
HARDWARE = {  # the mock's
    "esp32": "240ac4e29526",
    "esp32s2": "240ac4318513",
    "esp32s3": "240ac480335f",
    "esp32c3": "240ac41f677d",
    "esp32c6": "240ac40f435c",
}
KEY = "000102030405060708090a0b0c0d0e0f"
# Of the loader's protocol: begin and go on with writing, plain and compressed; erase all or a region.
FRAME = re.compile(rb"\xc0\x00([^\xc0])")  # its start, to the chip, operation code
WRITES = {0x02, 0x03, 0x10, 0x11, 0xD0, 0xD1}


class Wire:
    """Stands between esptool and the mock: counts what changes the flash, and may be cut after so many bytes."""

    def __init__(self, port, cut_after=None):
        self.cut_after = cut_after
        self.commands = []  # operation codes that went to the chip
        self._to = port
        self._server = socket.create_server(("127.0.0.1", 0))
        self.url = f"socket://127.0.0.1:{self._server.getsockname()[1]}"
        threading.Thread(target=self._serve, daemon=True).start()

    def close(self):
        self._server.close()

    def writes(self):
        """How many commands would change the flash."""
        return sum(command in WRITES for command in self.commands)

    def _serve(self):
        while True:
            try:
                host, _ = self._server.accept()
            except OSError:
                return
            chip = socket.create_connection(("127.0.0.1", self._to))
            threading.Thread(target=self._pump, args=(chip, host), daemon=True).start()
            self._watch(host, chip)

    def _watch(self, host, chip):
        passed, tail = 0, b""
        try:
            while data := host.recv(4096):
                joined = tail + data
                self.commands += [found[0] for found in FRAME.findall(joined)]
                tail = joined[-2:]
                passed += len(data)
                if self.cut_after is not None and passed > self.cut_after:
                    break
                chip.sendall(data)
        except OSError:
            pass
        _close(host, chip)

    @staticmethod
    def _pump(source, sink):
        try:
            while data := source.recv(4096):
                sink.sendall(data)
        except OSError:
            pass
        _close(source, sink)


def _close(*ends):
    """Close sockets that another thread may be reading from: it has to be woken."""
    for end in ends:
        with suppress(OSError):
            end.shutdown(socket.SHUT_RDWR)
        end.close()


@pytest.fixture(scope="module")
def mocks():
    """One mock of each chip: it forgets its state, but for the flash, from one connection to the next."""
    with ExitStack() as running:
        yield {name: running.enter_context(mock_bootloader(name)) for name in BOARDS}


@pytest.fixture
def chip(mocks):
    """Give wires to chips."""
    with ExitStack() as wires:

        def connect(name, **how):
            wire = Wire(mocks[name].port(), **how)
            wires.callback(wire.close)
            return wire

        yield connect


@pytest.fixture
def quick(monkeypatch):
    """Do not wait for boards that do not come."""
    monkeypatch.setattr(uf2, "VOLUME_S", 0.5)
    monkeypatch.setattr(uf2, "RETURN_S", 0.5)


def swarm(capsys, *argv):
    """Run swarm flash; returns its exit status and what it wrote to both streams."""
    try:
        status = cli.main(["flash", *map(str, argv)])
    except SystemExit as left:
        status = left.code
    out, err = capsys.readouterr()
    assert "Traceback" not in err
    return status, out, err


@pytest.mark.parametrize("name", BOARDS)
def test_esp32_written_and_verified(capsys, tmp_path, chip, name):
    wire, image = chip(name), make_image(tmp_path, name)
    status, out, err = swarm(capsys, "--board", BOARDS[name], "--port", wire.url, "--firmware", image)
    assert (status, err) == (0, "")
    told, said = out.splitlines()
    assert told == f"{BOARDS[name]} at {wire.url}: {image.name}, SHA-256 {cache.from_file(image).checksum}"
    assert f"{HARDWARE[name]}: {IMAGE_BYTES} bytes written and verified" in said
    assert wire.writes() > 1


@pytest.mark.parametrize("name", values(("esp32", "esp32s3", "esp32c6"), long=("esp32s3", "esp32c6")))
def test_esp32_read_back_equal(capsys, tmp_path, chip, name):
    wire, image = chip(name), make_image(tmp_path, name)
    options = ("--board", BOARDS[name], "--port", wire.url, "--firmware", image, "--no-stub", "--read-back")
    status, out, err = swarm(capsys, *options)
    assert (status, err) == (0, "")
    assert "written and verified, the first 65536 read back equal" in out


WRONG_CHIPS = [("esp32s3", "esp32"), ("esp32", "esp32c3"), ("esp32c3", "esp32c6"), ("esp32c6", "esp32s2")]
WRONG_CHIPS += [("esp32s2", "esp32s3")]


@pytest.mark.parametrize(("there", "expected"), WRONG_CHIPS)
def test_a_wrong_chip_is_refused_before_writing(capsys, tmp_path, chip, there, expected):
    wire, image = chip(there), make_image(tmp_path, expected)
    status, out, err = swarm(capsys, "--board", BOARDS[expected], "--port", wire.url, "--firmware", image, "--erase")
    assert status == 1 and "the board has an ESP32" in err and "nothing was written" in err
    assert wire.commands and wire.writes() == 0


def test_a_file_for_another_chip_is_refused_without_asking_the_board(capsys, tmp_path, chip):
    wire, image = chip("esp32"), make_image(tmp_path, "esp32s3")
    status, _, err = swarm(capsys, "--board", "ESP32_GENERIC", "--port", wire.url, "--firmware", image)
    assert status == 1 and "made for esp32s3, and the board has an esp32: name that board's firmware" in err
    assert wire.commands == []


def test_a_file_for_a_later_revision_of_the_chip_is_refused(capsys, tmp_path, chip):
    wire, image = chip("esp32"), make_image(tmp_path, "esp32", least_revision=301)
    status, _, err = swarm(capsys, "--board", "ESP32_GENERIC", "--port", wire.url, "--firmware", image)
    assert status == 1 and "requires chip revision v3.1 or higher (this chip is revision v0.0); " in err
    assert "--force" not in err and wire.writes() == 0


@pytest.mark.parametrize("content", [b"", b"\xe9", b"UF2\n" * 200, b"\x7fELF" * 200])
def test_files_that_are_no_firmware(capsys, tmp_path, content):
    file = tmp_path / "a.bin"
    file.write_bytes(content)
    status, _, err = swarm(capsys, "--board", "ESP32_GENERIC", "--port", "socket://127.0.0.1:9", "--firmware", file)
    assert status == 1 and "not an ESP32 image: name the .bin file" in err


def test_a_missing_firmware_file(capsys, tmp_path):
    status, _, err = swarm(capsys, "--board", "RPI_PICO", "--firmware", tmp_path / "none.uf2")
    assert status == 1 and "cannot be read (No such file or directory): name a firmware file" in err


@pytest.mark.parametrize("after", [30_000, 60_000])
def test_a_cut_connection_is_told_and_a_retry_succeeds(capsys, tmp_path, chip, after):
    wire, image = chip("esp32", cut_after=after), make_image(tmp_path, "esp32")
    options = ("--board", "ESP32_GENERIC", "--port", wire.url, "--firmware", image)
    status, out, err = swarm(capsys, *options)
    assert status == 1 and "written and verified" not in out
    assert err.startswith(f"swarm flash: ESP32_GENERIC at {wire.url}: ") and len(err.splitlines()) == 1
    assert "the board may be only partly written: put that right and run" in err
    wire.cut_after = None
    status, out, err = swarm(capsys, *options)
    assert (status, err) == (0, "") and "written and verified" in out


def test_a_connection_cut_before_anything_is_written(capsys, tmp_path, chip):
    wire, image = chip("esp32c3", cut_after=200), make_image(tmp_path, "esp32c3")
    status, _, err = swarm(capsys, "--board", "ESP32_GENERIC_C3", "--port", wire.url, "--firmware", image)
    assert status == 1 and "nothing was written: check the cable" in err and wire.writes() == 0


def test_a_connection_lost_after_the_verified_write(tmp_path, chip):
    wire = chip("esp32")
    image = make_image(tmp_path, "esp32").read_bytes()
    lost = pytest.raises(FlashError, match="it was written and verified before")
    with lost, esp.loader(wire.url, "esp32", progress=lambda *_: None) as loader:
        esp.write(loader, image, 0x1000)
        wire.cut_after = 0
        esp.read_back(loader, image, 0x1000, 4096)


def test_without_a_swarm_file_members_cannot_be_named(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    status, _, err = swarm(capsys, "3")
    assert status == 2 and err.startswith("swarm flash: swarm.toml: no such file: `swarm init` writes one")


def test_interrupted(capsys, tmp_path, chip, monkeypatch):
    def interrupt(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(esp, "write_flash", interrupt)
    resets = []
    monkeypatch.setattr(esp, "reset_chip", resets.append)
    wire, image = chip("esp32"), make_image(tmp_path, "esp32")
    status, _, err = swarm(capsys, "--board", "ESP32_GENERIC", "--port", wire.url, "--firmware", image)
    assert status == 130 and err.endswith("interrupted: write this board again\n") and len(resets) == 1


def test_no_port(capsys, tmp_path):
    options = ("--board", "ESP32_GENERIC", "--port", "/dev/ttyNONE", "--firmware", make_image(tmp_path, "esp32"))
    status, _, err = swarm(capsys, *options)
    assert status == 1 and "/dev/ttyNONE: no such port; plug the board in" in err and "nothing was written" in err


def test_progress_is_shown_in_a_terminal(tmp_path, chip):
    wire, image = chip("esp32"), make_image(tmp_path, "esp32")
    console = Console(file=io.StringIO(), force_terminal=True, width=200)
    flash.flash(Target("ESP32_GENERIC", wire.url), Settings(firmware=image), console)
    assert "Writing" in console.file.getvalue() and "\N{BOX DRAWINGS HEAVY HORIZONTAL}" in console.file.getvalue()


def test_erase_is_done_when_asked_for_only(capsys, tmp_path, chip):
    wire, image = chip("esp32"), make_image(tmp_path, "esp32")
    options = ("--board", "ESP32_GENERIC", "--port", wire.url, "--firmware", image)
    assert swarm(capsys, *options)[0] == 0 and 0xD0 not in wire.commands
    assert swarm(capsys, *options, "--erase")[0] == 0 and 0xD0 in wire.commands


def test_damage_is_noticed(tmp_path, chip, monkeypatch):
    wire = chip("esp32")
    image = make_image(tmp_path, "esp32", 8192).read_bytes()
    damaged = image[:5000] + bytes([image[5000] ^ 1]) + image[5001:]
    written = esp.write_flash

    def write_damaged(esp, places):
        written(esp, [(places[0][0], damaged)])

    monkeypatch.setattr(esp, "write_flash", write_damaged)
    quiet = {"progress": lambda *_: None}
    with pytest.raises(FlashError, match="partly written"), esp.loader(wire.url, "esp32", **quiet) as loader:
        esp.write(loader, image, 0x1000)
    differs = pytest.raises(FlashError, match="differs from the file at 0x2388: flash again")  # 0x1000 + 5000
    with differs, esp.loader(wire.url, "esp32", stub=False, **quiet) as loader:
        esp.read_back(loader, image, 0x1000, 8192)


def test_offsets_are_the_boards(tmp_path, chip):
    for name, board in BOARDS.items():
        offset = int(boards.facts(board)["flash"]["offset"], 0)
        assert offset == (0x1000 if name in ("esp32", "esp32s2") else 0)


def write_swarm(folder, *members):
    """A swarm.toml with a key; members: pairs of board and port, or triples with a hardware id."""
    text = 'name = "s"\n'
    for node, (board, port, *hardware) in enumerate(members, 1):
        text += f'# node {node}\n[[member]]\nid = {node}\nboard = "{board}"\nport = "{port}"\nlinks = ["uart"]\n'
        text += f'hardware = "{hardware[0]}"\n' if hardware else ""
    (folder / "swarm.toml").write_text(text)
    (folder / "swarm.key").write_text(KEY)
    (folder / "swarm.key").chmod(0o600)
    return folder / "swarm.toml"


def test_members_by_node(capsys, tmp_path, chip):
    wires = [chip("esp32"), chip("esp32")]
    described = write_swarm(tmp_path, ("ESP32_GENERIC", wires[0].url), ("ESP32_GENERIC", wires[1].url))
    image = make_image(tmp_path, "esp32")
    status, out, err = swarm(capsys, "2", "--swarm", described, "--firmware", image)
    assert (status, err) == (0, "") and f"node 2 at {wires[1].url}: ESP32-" in out
    assert wires[0].commands == [] and wires[1].writes()
    # Its hardware id is noted, and comments stay.
    assert [member.hardware for member in project.load(described).members] == [None, HARDWARE["esp32"]]
    assert "# node 2" in described.read_text()


def test_all_members_and_a_summary(capsys, tmp_path, chip):
    wire = chip("esp32c3")
    described = write_swarm(tmp_path, ("ESP32_GENERIC_C3", wire.url), ("ESP32_GENERIC_C3", "/dev/ttyNONE"))
    image = make_image(tmp_path, "esp32c3")
    status, out, err = swarm(capsys, "--all", "--swarm", described, "--firmware", image)
    assert status == 1 and out.endswith("1 of 2 boards written\n")
    assert err.startswith("swarm flash: node 2 at /dev/ttyNONE: ") and len(err.splitlines()) == 1


def test_another_board_than_the_members_is_refused_before_writing(capsys, tmp_path, chip, monkeypatch):
    wire = chip("esp32")
    described = write_swarm(tmp_path, ("ESP32_GENERIC", wire.url, "240ac4000001"))
    resets = []
    monkeypatch.setattr(esp, "reset_chip", resets.append)
    status, _, err = swarm(capsys, "1", "--swarm", described, "--firmware", make_image(tmp_path, "esp32"))
    assert status == 1 and f"the board is {HARDWARE['esp32']}, and 240ac4000001 is listed; nothing was written" in err
    assert wire.writes() == 0 and len(resets) == 1  # it runs on


def test_the_key_is_nowhere(capsys, tmp_path, chip):
    wire = chip("esp32")
    described = write_swarm(tmp_path, ("ESP32_GENERIC", wire.url), ("RPI_PICO", "/dev/ttyNONE"))
    shown = ""
    for options in (("1", "--firmware", make_image(tmp_path, "esp32")), ("2", "--firmware", tmp_path / "none"), ("3",)):
        shown += "".join(swarm(capsys, *options, "--swarm", described)[1:])
    for folder, _, names in os.walk(tmp_path):
        for name in names:
            if name != "swarm.key":
                with open(os.path.join(folder, name), "rb") as file:
                    content = file.read()
                assert KEY.encode() not in content and bytes.fromhex(KEY) not in content
    assert shown and KEY not in shown


WRONG = [
    ((), "say which board"),
    (("--board", "PICO"), "no board 'PICO': choose one of"),
    (("--board", "VIRTUAL", "--port", "a"), "VIRTUAL is made of files"),
    (("--board", "ESP32_GENERIC"), "give its serial port with --port"),
    (("--board", "RPI_PICO", "--erase"), "--erase: RPI_PICO has no such thing"),
    (("--board", "RPI_PICO", "--read-back"), "--read-back: RPI_PICO has no such thing"),
    (("--board", "ESP32_GENERIC", "--port", "a", "--volume", "b"), "--volume b: ESP32_GENERIC shows no drive"),
    (("--board", "RPI_PICO", "--firmware", "a", "--micropython", "1.27.0"), "--micropython 1.27.0: --firmware names"),
    (("--board", "ESP32_GENERIC", "--port", "a", "--erase", "--no-stub"), "--no-stub: the chip's own loader cannot"),
    (("--board", "ESP32_GENERIC", "--port", "a", "--baud", "7"), "--baud 7: write a whole number from 9600 to 4000000"),
    (("1", "--board", "RPI_PICO"), "--board RPI_PICO: members' boards are in"),
    (("7",), "7: no such member in"),
    (("1", "--all"), "--all: all members are meant"),
    (("1", "2", "--port", "a"), "--port and --volume are one board's"),
    (("--all", "--firmware", "a"), "--firmware a: the members have different boards"),
    (("x",), "'x': write a whole number"),
]


@pytest.mark.parametrize(("options", "said"), WRONG, ids=[" ".join(options) for options, _ in WRONG])
def test_wrong_use(capsys, tmp_path, options, said):
    described = write_swarm(tmp_path, ("ESP32_GENERIC", "a"), ("RPI_PICO", "b"))
    status, out, err = swarm(capsys, *options, "--swarm", described)
    assert (status, out) == (2, "") and said in err


def test_help_has_examples_and_exit_statuses(capsys):
    status, out, _ = swarm(capsys, "--help")
    assert status == 0 and "examples:" in out and "Exit status: 0" in out.replace("\n", " ")


def write_uf2(folder, **how):
    file = folder / "firmware.uf2"
    file.write_bytes(make_uf2(**how))
    return file


def test_a_pico_is_asked_into_its_loader_written_and_waited_for(capsys, tmp_path):
    file = write_uf2(tmp_path)
    with FakePico(tmp_path) as pico:
        options = ("--board", "RPI_PICO", "--port", pico.port, "--volume", pico.volume, "--firmware", file)
        status, out, err = swarm(capsys, *options)
        assert (status, err) == (0, "")
        assert out.endswith(f"153600 bytes copied to {pico.volume}, MicroPython 1.28.0 runs on {pico.hardware}\n")
        assert pico.received == file.read_bytes() and pico.starts == 2


def test_the_drive_is_found_among_the_mounted(capsys, tmp_path, monkeypatch):
    file = write_uf2(tmp_path)
    (tmp_path / "stick").mkdir()
    with FakePico(tmp_path) as pico:
        monkeypatch.setattr(uf2, "_mount_points", lambda: [tmp_path / "stick", pico.volume])
        status, out, err = swarm(capsys, "--board", "RPI_PICO", "--port", pico.port, "--firmware", file)
        assert (status, err) == (0, "") and pico.received == file.read_bytes()


def test_a_new_pico_whose_button_was_held(capsys, tmp_path, monkeypatch):
    file = write_uf2(tmp_path)
    with FakePico(tmp_path, in_loader=True) as pico:
        monkeypatch.setattr(uf2, "_mount_points", lambda: [pico.volume])
        status, out, err = swarm(capsys, "--board", "RPI_PICO", "--firmware", file)
        assert (status, err) == (0, "") and "the board restarted (without a port it was not asked)" in out
        assert pico.received == file.read_bytes()


def test_a_pico_that_is_a_member(capsys, tmp_path):
    file = write_uf2(tmp_path)
    with FakePico(tmp_path) as pico:
        described = write_swarm(tmp_path, ("RPI_PICO", pico.port))
        options = ("1", "--swarm", described, "--volume", pico.volume, "--firmware", file)
        assert swarm(capsys, *options)[0] == 0
        assert project.load(described).member(1).hardware == pico.hardware
        pico.hardware = "e661385283000000"
        status, _, err = swarm(capsys, *options)
        assert status == 1 and "the board is e661385283000000, and e66138528361bb32 is listed; nothing was" in err
        assert pico.starts == 2  # it was left alone


def test_a_member_in_its_loader_is_recognized_afterwards(capsys, tmp_path):
    file = write_uf2(tmp_path)
    with FakePico(tmp_path, in_loader=True) as pico:
        described = write_swarm(tmp_path, ("RPI_PICO", pico.port, "e661385283000000"))
        status, _, err = swarm(capsys, "1", "--swarm", described, "--volume", pico.volume, "--firmware", file)
        assert status == 1 and "written, but the board is e66138528361bb32, and e661385283000000 is listed" in err


@pytest.mark.parametrize(
    ("how", "said"),
    [
        ({"family": 0xE48BFF59}, "made for rp2350, and the board has an rp2040"),
        ({"family": 0x1C5F21B0}, "made for family 0x1c5f21b0, and the board has an rp2040"),
        ({"flags": 0}, "made for no family, and the board has an rp2040"),
    ],
)
def test_a_uf2_of_another_family_is_refused_without_asking_the_board(capsys, tmp_path, how, said):
    file = write_uf2(tmp_path, **how)
    with FakePico(tmp_path) as pico:
        options = ("--board", "RPI_PICO", "--port", pico.port, "--volume", pico.volume, "--firmware", file)
        status, _, err = swarm(capsys, *options)
        assert status == 1 and said in err
        assert pico.starts == 1 and pico.received is None and not pico.volume.exists()


def test_a_pico_2_takes_an_image_with_a_first_block_of_another_family(capsys, tmp_path):
    """As picotool makes it against erratum E10; and no image for a Pico."""
    file = tmp_path / "firmware.uf2"
    info = INFO.replace("RPI-RP2", "RP2350")
    with FakePico(tmp_path, info=info) as pico:
        options = ("--board", "RPI_PICO2", "--port", pico.port, "--volume", pico.volume, "--firmware", file)
        file.write_bytes(make_uf2(family=RP2040))
        assert "made for rp2040, and the board has an rp2350" in swarm(capsys, *options)[2] and pico.starts == 1
        file.write_bytes(ABSOLUTE + make_uf2(family=RP2350))
        status, out, err = swarm(capsys, *options)
        assert (status, err) == (0, "") and pico.received == file.read_bytes() and pico.starts == 2


@pytest.mark.parametrize(
    ("image", "said"),
    [
        (ABSOLUTE, "made for rp2350 (any), and the board has an rp2350"),  # nothing behind it
        (ABSOLUTE * 2 + make_uf2(4, family=RP2350), "made for rp2350 (any), and the board has an rp2350"),
        (ABSOLUTE + make_uf2(4), "made for rp2040, and the board has an rp2350"),
        (ABSOLUTE[:40] + b"\0" + ABSOLUTE[41:] + make_uf2(4, family=RP2350), "made for rp2350 (any)"),  # it holds data
        (ABSOLUTE + make_uf2(4, family=RP2350)[:-512], "block 0 of 3 says 0 of 4: fetch the file again"),
    ],
)
def test_what_an_rp2350_does_not_take(tmp_path, image, said):
    (tmp_path / "firmware.uf2").write_bytes(image)
    with pytest.raises(FlashError) as caught:
        uf2.check_image(tmp_path / "firmware.uf2", "rp2350")
    assert said in str(caught.value)


def test_an_image_with_the_node_says_what_comes_before_it(capsys, tmp_path, chip):
    file, text = tmp_path / "firmware.uf2", b"Generic board with faction"
    image = bytearray(make_uf2())
    image[512 * 8 - 234 : 512 * 8 - 224] = text[:10]  # across two blocks
    image[512 * 8 + 32 : 512 * 8 + 32 + len(text) - 10] = text[10:]
    file.write_bytes(image)
    with FakePico(tmp_path, in_loader=True) as pico:
        said = swarm(capsys, "--board", "RPI_PICO", "--volume", pico.volume, "--firmware", file)[1]
    assert "a version that was deployed onto the board before comes first: `swarm deploy` it" in said
    binary = make_image(tmp_path, "esp32")
    options = ("--board", "ESP32_GENERIC", "--port", chip("esp32").url, "--firmware", binary)
    assert "comes first" not in swarm(capsys, *options)[1]


def test_an_image_for_either_processor_of_an_rp2350(tmp_path):
    (tmp_path / "firmware.uf2").write_bytes(ABSOLUTE + make_uf2(4, family=0xE48BFF5A))
    assert len(uf2.check_image(tmp_path / "firmware.uf2", "rp2350")) == 5 * 512


@pytest.mark.parametrize("cut", [0, 100, 512, 512 * 299, 512 * 300 - 1])
def test_a_cut_uf2_is_refused(tmp_path, cut):
    file = tmp_path / "firmware.uf2"
    file.write_bytes(make_uf2()[:cut])
    with pytest.raises(FlashError, match="fetch"):
        uf2.check_image(file, "rp2040")


def test_a_uf2_with_a_spoilt_block_is_refused(tmp_path):
    data = bytearray(make_uf2(4))
    data[512 * 2] ^= 1
    (tmp_path / "firmware.uf2").write_bytes(data)
    with pytest.raises(FlashError, match="block 2 is no UF2"):
        uf2.check_image(tmp_path / "firmware.uf2", "rp2040")


@pytest.mark.parametrize("info", [INFO.replace("RPI-RP2", "RP2350"), "something else"])
def test_a_drive_of_another_board_is_refused(capsys, tmp_path, info):
    file = write_uf2(tmp_path, family=RP2040)
    with FakePico(tmp_path, in_loader=True, info=info) as pico:
        status, _, err = swarm(capsys, "--board", "RPI_PICO", "--volume", pico.volume, "--firmware", file)
        assert status == 1 and "and RPI-RP2 is expected; nothing was written: check --board" in err
        assert [one.name for one in pico.volume.iterdir()] == ["INFO_UF2.TXT"]


def test_several_drives_are_not_chosen_from(capsys, tmp_path, monkeypatch):
    file = write_uf2(tmp_path)
    for name in "ab":
        (tmp_path / name).mkdir()
        (tmp_path / name / "INFO_UF2.TXT").write_text(INFO)
    monkeypatch.setattr(uf2, "_mount_points", lambda: [tmp_path / "a", tmp_path / "b"])
    status, _, err = swarm(capsys, "--board", "RPI_PICO", "--firmware", file)
    assert status == 1 and "several boards are in their loaders: choose with --volume DIR" in err


def test_a_drive_that_does_not_appear(capsys, tmp_path, quick):
    file = write_uf2(tmp_path)
    with FakePico(tmp_path) as pico:
        elsewhere = tmp_path / "elsewhere"
        options = ("--board", "RPI_PICO", "--port", pico.port, "--volume", elsewhere, "--firmware", file)
        status, _, err = swarm(capsys, *options)
        assert status == 1 and f"{elsewhere}: no loader's drive is mounted there: mount it" in err


def test_neither_a_port_nor_a_drive(capsys, tmp_path, monkeypatch):
    monkeypatch.setattr(uf2, "_mount_points", list)
    file = write_uf2(tmp_path)
    status, _, err = swarm(capsys, "--board", "RPI_PICO", "--port", "/dev/ttyNONE", "--firmware", file)
    assert status == 1 and "there is no port /dev/ttyNONE, and a drive RPI-RP2: no loader's drive is mounted" in err


def test_a_board_of_another_platform_is_not_asked_into_a_loader(capsys, tmp_path):
    file = write_uf2(tmp_path)
    with FakePico(tmp_path, platform="esp32") as pico:
        options = ("--board", "RPI_PICO", "--port", pico.port, "--volume", pico.volume, "--firmware", file)
        status, _, err = swarm(capsys, *options)
        assert status == 1 and "the board runs MicroPython for esp32, and rp2 is expected" in err and pico.starts == 1


def test_a_pico_unplugged_after_it_was_written(capsys, tmp_path, quick):
    file = write_uf2(tmp_path)
    with FakePico(tmp_path, returns=False) as pico:
        options = ("--board", "RPI_PICO", "--port", pico.port, "--volume", pico.volume, "--firmware", file)
        status, _, err = swarm(capsys, *options)
        assert status == 1 and "the firmware was copied, but MicroPython does not answer: " in err


def test_a_drive_that_goes_while_it_is_written(tmp_path, monkeypatch):
    (tmp_path / "INFO_UF2.TXT").write_text(INFO)
    monkeypatch.setattr(uf2.os, "fsync", _failing_after(1))
    with pytest.raises(FlashError, match="Input/output error; the board is only partly written: hold BOOTSEL"):
        uf2.copy(tmp_path, make_uf2(), lambda *_: None)


def test_a_drive_that_goes_with_the_last_block(tmp_path, monkeypatch):
    """As it does on a real system: the board restarts before the file is closed."""
    fail = _failing_after(2)

    def last(descriptor):
        try:
            fail(descriptor)
        finally:
            if os.fstat(descriptor).st_size == 512 * 300:
                (tmp_path / "INFO_UF2.TXT").unlink()

    (tmp_path / "INFO_UF2.TXT").write_text(INFO)
    monkeypatch.setattr(uf2.os, "fsync", last)
    uf2.copy(tmp_path, make_uf2(), lambda *_: None)


def test_a_drive_that_stays(tmp_path, quick):
    (tmp_path / "INFO_UF2.TXT").write_text(INFO)
    with pytest.raises(FlashError, match="the board did not start what was copied: hold BOOTSEL"):
        uf2.copy(tmp_path, make_uf2(2), lambda *_: None)


def _failing_after(good):
    """An fsync that fails after so many good ones."""
    left = [good]

    def fsync(_):
        if not left[0]:
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        left[0] -= 1

    return fsync


def test_mounted_drives_are_read_from_the_system(monkeypatch, tmp_path):
    spaced = tmp_path / "a b"
    spaced.mkdir()
    (spaced / "INFO_UF2.TXT").write_text(INFO)
    shown = str(spaced).replace(" ", "\\040")
    text = f"/dev/sda1 / ext4 rw 0 0\n/dev/sdb1 {shown} vfat rw 0 0\nserver:/x /mnt/x nfs rw 0 0\n"
    monkeypatch.setattr(uf2.sys, "platform", "linux")
    monkeypatch.setattr(uf2.Path, "read_text", _reading(uf2.Path.read_text, "/proc/self/mounts", text))
    assert uf2.volumes("RPI-RP2") == [spaced]


def _reading(read, name, text):
    """Path.read_text, but for one file."""
    return lambda path, *args, **kwargs: text if str(path) == name else read(path, *args, **kwargs)


@pytest.fixture
def mpflash(tmp_path, monkeypatch):
    """Put a script in mpflash's place; with None there is none."""

    def install(script):
        (tmp_path / "bin").mkdir(exist_ok=True)
        program = tmp_path / "bin" / "mpflash"
        program.unlink(missing_ok=True)
        if script is not None:
            program.write_text(f"#!/bin/sh\n{script}\n")
            program.chmod(0o755)
        monkeypatch.setattr(cache.sys, "prefix", str(tmp_path))
        return tmp_path / "cache"

    return install


def official(folder):
    return cache.official("RPI_PICO", "rp2", ".uf2", "1.28.0", folder)


BRINGS = 'mkdir -p "$MPFLASH_FIRMWARE/rp2"; echo "$@" > "$MPFLASH_FIRMWARE/rp2/RPI_PICO-v1.28.0.uf2"'


def test_official_firmware_is_fetched_once_and_kept(mpflash):
    folder = mpflash(BRINGS)
    first = official(folder)
    assert first.path.read_text() == "download --board RPI_PICO --version 1.28.0 --force\n"
    assert first.described == "MicroPython 1.28.0 for RPI_PICO"
    mpflash(None)
    assert official(folder) == first


def test_kept_firmware_that_has_changed_is_refused(mpflash):
    folder = mpflash(BRINGS)
    with official(folder).path.open("a") as file:
        file.write("x")
    with pytest.raises(FlashError, match=r"not what was fetched: remove RPI_PICO-v1.28.0.uf2.sha256"):
        official(folder)


def test_a_fetch_that_was_broken_off_is_repeated(mpflash):
    folder = mpflash(BRINGS)
    (folder / "rp2").mkdir(parents=True)
    (folder / "rp2" / "RPI_PICO-v1.28.0.uf2").write_text("half")
    assert official(folder).path.read_text() != "half"


def test_without_the_internet_there_is_a_plain_error(mpflash):
    folder = mpflash('echo "07:44:19 | ❌ Could not connect to micropython.org" >&2; exit 0')  # its words and status
    with pytest.raises(FlashError) as caught:
        official(folder)
    assert str(caught.value) == (
        "mpflash did not bring RPI_PICO 1.28.0; it says: Could not connect to micropython.org. Is there a way to the "
        "internet, and such a version? Else fetch RPI_PICO-v1.28.0.uf2 from micropython.org/download/RPI_PICO and give "
        "it with --firmware FILE"
    )


def test_without_mpflash_there_is_a_plain_error(mpflash):
    folder = mpflash(None)
    with pytest.raises(
        FlashError, match=r"mpflash, which fetches official firmware, is not installed: type .*pip install mpflash=="
    ):
        official(folder)


def test_mpflash_is_pinned():
    text = (paths.ROOT / "pyproject.toml").read_text()
    assert '"mpflash==' in text
