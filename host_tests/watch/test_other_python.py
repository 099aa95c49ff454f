"""What is on the port is not always ours: every verb asks first who answers, and says the same of it."""

import builtins
import contextlib
import io
import os
import threading
import tty
from types import SimpleNamespace

import pytest

from swarm import cli
from swarm.serial.port import BoardError, open_port
from swarm.serial.prompt import raw_repl
from swarm.serial.raw_paste import send

CIRCUITPYTHON = (
    "circuitpython",
    (9, 1, 0, ""),
    b"Adafruit CircuitPython 9.1.0 on 2024-07-10; Raspberry Pi Pico with rp2040",
)
OLD_MICROPYTHON = ("micropython", (1, 9, 4), b"MicroPython v1.9.4 on 2018-05-11; ESP32 module with ESP32")
_ANY_KEY = b"\r\nCode done running.\r\n\r\nPress any key to enter the REPL. Use CTRL-D to reload.\r\n"
_RAW_BANNER = b"raw REPL; CTRL-B to exit\r\n>"
_WINDOW = 32


class OtherPython:
    """A board on which another Python than a MicroPython of today answers, at a port of its own, within the context.

    runs: a program does, which takes no notice of anything but Ctrl-C.

    What CircuitPython says is from its sources (main.c, shared/runtime/pyexec.c, 9.1): after code.py it waits for "any
    key", which it swallows; then its prompt is as MicroPython's. A MicroPython before 1.14 knows no raw-paste mode: its
    raw REPL takes the request for that as code, and its Ctrl-A begins anew (lib/utils/pyexec.c, 1.9.4).
    """

    def __init__(self, what, runs=False):
        self._runs = runs
        self._name, self._version, self._banner = what
        self._waits = self._raw_paste = self._name == "circuitpython"
        self._raw = False
        self._code = bytearray()
        self._end, self._port_end = os.openpty()
        tty.setraw(self._port_end)
        self.port = os.ttyname(self._port_end)
        self.ran = []  # code that was run
        self._thread = threading.Thread(target=self._serve, daemon=True)

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        os.close(self._port_end)
        self._thread.join(5)
        os.close(self._end)

    def _serve(self):
        if self._waits and not self._runs:
            self._say(_ANY_KEY)
        with contextlib.suppress(OSError):  # both ends are closed
            while data := os.read(self._end, 1):
                self._take(data)

    def _say(self, data):
        os.write(self._end, data)

    def _take(self, byte):
        if self._runs:
            if byte == b"\x03":
                self._runs = False
                self._say(b"Traceback (most recent call last):\r\nKeyboardInterrupt:\r\n" + _ANY_KEY)
        elif self._waits:
            self._waits = False
            self._say(b"\r\n" + self._banner + b"\r\n>>> ")
        elif not self._raw:
            if byte == b"\x01":
                self._raw = True
                self._say(_RAW_BANNER)
            elif byte in b"\r\x03\x02":
                self._say(b"\r\n" + (self._banner + b"\r\n" if byte == b"\x02" else b"") + b">>> ")
        elif byte == b"\x01":
            asks = self._code == b"\x05A" and self._raw_paste
            self._code.clear()
            if asks:
                self._say(b"R\x01" + _WINDOW.to_bytes(2, "little"))
                self._paste()
            else:
                self._say(_RAW_BANNER)
        elif byte == b"\x02":
            self._raw = False
            self._say(b"\r\n" + self._banner + b"\r\n>>> ")
        elif byte == b"\x03":
            self._code.clear()
        elif byte == b"\x04":
            self._say(b"OK")
            self._run()
        else:
            self._code += byte

    def _paste(self):
        count = 0
        while (byte := os.read(self._end, 1)) != b"\x04":
            self._code += byte
            count += 1
            if count % _WINDOW == 0:
                self._say(b"\x01")
        self._say(b"\x04")
        self._run()

    def _run(self):
        code = self._code.decode()
        self._code.clear()
        self.ran.append(code)
        said, complaint = io.StringIO(), ""
        implementation = SimpleNamespace(name=self._name, version=self._version)
        modules = {"sys": SimpleNamespace(implementation=implementation, platform="RP2040", maxsize=2**31 - 1)}

        def load(name, *_):
            if name not in modules:
                raise ImportError(f"no module named '{name}'")
            return modules[name]

        names = {"print": lambda *words: print(*words, file=said), "__import__": load}
        try:
            exec(code, {"__builtins__": {**vars(builtins), **names}})
        except Exception as error:
            complaint = f"Traceback (most recent call last):\r\n{type(error).__name__}: {error}\r\n"
        told = said.getvalue().replace("\n", "\r\n")
        self._say(f"{told}\x04{complaint}\x04>".encode())


VERBS = [
    ["status", "1"],
    ["monitor", "--once", "1"],
    ["collect", "1"],
    ["doctor", "1"],
    ["deploy", "1"],
    ["replace", "1", "--port", None, "--no-flash"],
    ["flash", "1", "--firmware", "empty.uf2"],
]


@pytest.mark.parametrize(
    ("what", "name"), [(CIRCUITPYTHON, "CircuitPython 9.1.0"), (OLD_MICROPYTHON, "MicroPython 1.9.4")]
)
def test_another_python_is_told_by_its_name_with_what_to_do(what, name, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("swarm.flash.uf2.check_image", lambda *_: b"")
    (tmp_path / "empty.uf2").touch()
    with OtherPython(what) as board:
        assert cli.main(["init", "--board", "RPI_PICO", "--ports", board.port]) == 0
        for verb in VERBS:
            capsys.readouterr()
            assert cli.main([board.port if word is None else word for word in verb]) == 1, verb
            said = capsys.readouterr()
            said = " ".join((said.out + said.err).split())
            assert f"{name} answers, " in said, said
            assert "swarm flash " in said or "hold BOOTSEL" in said, said
            assert not any(wrong in said for wrong in ("cable", "module", "Traceback", "reset")), said
        with pytest.raises(BoardError, match=f"{name} answers, and the node needs MicroPython 1.19 or newer; ") as why:
            raw_repl(board.port).__enter__()
        assert why.value.kind == "foreign"


def test_a_program_on_another_python_is_stopped_by_a_deploy_and_told(tmp_path, monkeypatch, capsys):
    """A look stops nothing, and says that it may be one."""
    monkeypatch.chdir(tmp_path)
    with OtherPython(CIRCUITPYTHON, runs=True) as board:
        assert cli.main(["init", "--board", "RPI_PICO", "--ports", board.port]) == 0
        assert cli.main(["status", "1"]) == 1
        assert "is it a board with MicroPython" in capsys.readouterr().err
        assert cli.main(["deploy", "1"]) == 1
        assert "CircuitPython 9.1.0 answers, and the node needs" in capsys.readouterr().err


def test_long_code_reaches_a_raw_prompt_that_has_no_flow_control():
    code = "# a line\n" * 200
    with OtherPython(OLD_MICROPYTHON) as board, open_port(board.port) as transport:
        transport.enter_raw_repl()
        assert transport.read_until(1, b">").endswith(b">")
        send(transport.serial, f"text = {code!r}\nprint(len(text))".encode())
        assert transport.follow(5) == (f"{len(code)}\r\n".encode(), b"")
