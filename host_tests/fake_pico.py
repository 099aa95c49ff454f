"""An RP2040 board for tests: a prompt at a PTY, which machine.bootloader() turns into a drive, and a UF2 file back."""

import ast
import io
import os
import select
import shutil
import struct
import threading
import time
import tty
from contextlib import redirect_stdout, suppress
from pathlib import Path
from types import SimpleNamespace

INFO = "UF2 Bootloader v3.0\nModel: Raspberry Pi RP2\nBoard-ID: RPI-RP2\n"
BLOCK = struct.Struct("<8I476sI")
RP2040 = 0xE48BFF56
WINDOW = 128  # of raw-paste mode, as on a board


def uf2(blocks=300, family=RP2040, flags=0x2000):
    """A UF2 file of that many blocks."""
    made = bytearray()
    for number in range(blocks):
        address = 0x10000000 + 256 * number
        data = bytes([number & 0xFF]) * 256
        made += BLOCK.pack(0x0A324655, 0x9E5D5157, flags, address, 256, number, blocks, family, data, 0x0AB16F30)
    return bytes(made)


class FakePico:
    """The board. port: its serial port, a link that comes and goes; volume: its loader's drive, likewise.

    A file is taken when its last block is there. returns: whether the board comes back then.
    """

    def __init__(self, folder, hardware="e66138528361bb32", platform="rp2", in_loader=False, info=INFO, returns=True):
        self.port = Path(folder, "port")
        self.volume = Path(folder, "RPI-RP2")
        self.hardware = hardware
        self.platform = platform
        self.info = info
        self.returns = returns
        self.received = None  # the file it runs
        self.starts = 0  # of MicroPython
        self._master = -1
        self._stop = threading.Event()
        self._to_loader = in_loader
        self._thread = threading.Thread(target=self._live, daemon=True)

    def __enter__(self):
        if self._to_loader:
            self._show_drive()
        else:
            self._show_port()
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._stop.set()
        self._thread.join()
        self._hide_port()

    def _live(self):
        while not self._stop.is_set():
            if self._to_loader:
                self._hide_port()
                if not self.volume.exists():
                    self._show_drive()
                self._load()
            else:
                self._prompt()

    def _show_port(self):
        self._master, slave = os.openpty()
        tty.setraw(slave)
        self.port.symlink_to(os.ttyname(slave))
        os.close(slave)
        self.starts += 1

    def _hide_port(self):
        if self._master >= 0:
            self.port.unlink()
            os.close(self._master)
            self._master = -1

    def _show_drive(self):
        unmounted = self.volume.with_name("unmounted")
        unmounted.mkdir()
        (unmounted / "INFO_UF2.TXT").write_text(self.info)
        unmounted.rename(self.volume)  # a drive is there at once

    def _hide_drive(self):
        gone = self.volume.rename(self.volume.with_name("gone"))
        shutil.rmtree(gone)

    def _load(self):
        """The loader: wait for a whole file, then start it."""
        while not self._stop.is_set():
            files = [file for file in self.volume.iterdir() if file.suffix == ".uf2"]
            data = files[0].read_bytes() if files else b""
            if len(data) >= BLOCK.size and len(data) == BLOCK.size * BLOCK.unpack_from(data)[6]:
                self.received = data
                self._hide_drive()
                if self.returns:
                    self._to_loader = False
                    self._show_port()
                else:
                    self._stop.set()
                return
            time.sleep(0.002)

    def _prompt(self):
        """MicroPython's raw prompt, where code comes in raw-paste mode."""
        code = bytearray()
        pasting = False
        while not self._stop.is_set() and not self._to_loader:
            if not select.select([self._master], [], [], 0.02)[0]:
                continue
            try:
                said = os.read(self._master, 4096)
            except OSError:  # nobody has the port open
                time.sleep(0.02)
                continue
            for byte in said:
                code.append(byte)
                if code == b"\x05A\x01" and not pasting:
                    pasting = True
                    code.clear()
                    self._say(b"R\x01" + WINDOW.to_bytes(2, "little"))
                elif pasting and byte == 4:
                    pasting = False
                    self._say(b"\x04")
                    self._run(code[:-1].decode())
                    code.clear()
                elif pasting:
                    if len(code) % WINDOW == 0:
                        self._say(b"\x01")
                elif byte in b"\r\x01\x02\x03":
                    code.clear()
                    if byte == 1:
                        self._say(b"raw REPL; CTRL-B to exit\r\n>")

    def _say(self, said):
        with suppress(OSError):
            os.write(self._master, said)

    def _run(self, source):
        output, error = io.StringIO(), ""
        implementation = SimpleNamespace(name="micropython", version=(1, 28, 0, ""))
        modules = {
            "machine": SimpleNamespace(unique_id=lambda: bytes.fromhex(self.hardware), bootloader=self._bootloader),
            "sys": SimpleNamespace(platform=self.platform, implementation=implementation, maxsize=2**31 - 1),
        }

        def load(name, *_):
            return modules.get(name) or __import__(name)

        builtins = {"__import__": load, "print": print, "repr": repr, "list": list}
        try:
            with redirect_stdout(output):
                exec(compile(ast.parse(source), "<stdin>", "exec"), {"__builtins__": builtins})
        except Exception as raised:  # noqa: BLE001 - as a board, it reports whatever happens
            error = f"{type(raised).__name__}: {raised}\r\n"
        if not self._to_loader:
            text = output.getvalue().replace("\n", "\r\n")
            self._say(f"{text}\x04{error}\x04>".encode())

    def _bootloader(self):
        self._to_loader = True
