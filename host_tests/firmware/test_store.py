"""The session number: no power cut and no error lets one come twice, and a node that cannot store one says why."""

import builtins
import errno
import os
import random
import signal
import subprocess
import sys
import time

import pytest
from store import MAX_SESSION, FileStore, NvsStore, next_session, open_store

from requirements import require
from swarm import paths, runtimes

SEED = 20
KILLS = 40
FIRMWARE = paths.FIRMWARE


class PowerCut(BaseException):
    """Stands for the end of power: nothing catches it."""


class FlakyFiles:
    """Lets a number of file-system calls happen, then cuts the power, or fails, at the next one.

    before: whether that call has still no effect; with a cut in write() half of the data is written.
    """

    def __init__(self, monkeypatch, allowed, before=True, error=None):
        self.left = allowed
        self._before = before
        self._error = error
        self._open = builtins.open
        for owner, name in ((builtins, "open"), (os, "rename")):
            monkeypatch.setattr(owner, name, self._wrap(getattr(owner, name)))

    def step(self):
        """Count a call; raises when it is the one."""
        self.left -= 1
        if self.left == -1:
            raise self._error or PowerCut
        if self.left < 0 and not self._error:
            raise PowerCut

    def _wrap(self, function):
        def call(*arguments, **named):
            if self._before:
                self.step()
            result = function(*arguments, **named)
            if not self._before:
                self.step()
            return FlakyFile(self, result) if function is self._open else result

        return call


class FlakyFile:
    def __init__(self, files, file):
        self._files = files
        self._file = file

    def __enter__(self):
        return self

    def __exit__(self, *_):
        try:
            self._files.step()  # closing is where data reaches the flash
        finally:
            self._file.close()

    def read(self):
        self._files.step()
        return self._file.read()

    def write(self, data):
        try:
            self._files.step()
        except BaseException:
            self._file.write(data[: len(data) // 2])
            self._file.flush()
            raise
        return self._file.write(data)


@pytest.fixture
def path(tmp_path):
    return str(tmp_path / "faction.session")


@pytest.mark.parametrize("before", (True, False))
@pytest.mark.parametrize("at", range(12))
def test_a_power_cut_at_any_call_leaves_the_old_number_or_the_new_one(at, before, path, monkeypatch):
    FileStore(path).write(41)
    with monkeypatch.context() as patch:
        files = FlakyFiles(patch, at, before)
        try:
            assert next_session(FileStore(path)) == 42
            cut = False
        except PowerCut:
            cut = True
        assert cut == (files.left < 0)
    kept = FileStore(path).read()
    assert kept in (41, 42) and (cut or kept == 42)
    assert next_session(FileStore(path)) == kept + 1


def test_the_table_of_calls_is_as_long_as_it_must_be(path, monkeypatch):
    with monkeypatch.context() as patch:
        files = FlakyFiles(patch, 12)
        assert next_session(FileStore(path)) == 1
        assert 0 <= files.left <= 4, "give the test above more calls"


@pytest.mark.parametrize("code", (errno.ENOSPC, errno.EROFS, errno.EIO, errno.EACCES))
@pytest.mark.parametrize("at", range(9))
def test_an_error_at_any_call_is_said_and_keeps_the_node_out(at, code, path, monkeypatch):
    FileStore(path).write(41)
    with monkeypatch.context() as patch:
        files = FlakyFiles(patch, at, error=OSError(code, errno.errorcode[code]))
        with pytest.raises(OSError, match=f"session (0|42): not stored .*{errno.errorcode[code]}.*: make room"):
            next_session(FileStore(path))
        assert files.left < 0
    assert FileStore(path).read() in (41, 42)


def test_numbers_rise(path):
    store = FileStore(path)
    assert store.read() == 0
    assert [next_session(store) for _ in range(3)] == [1, 2, 3] and FileStore(path).read() == 3


@pytest.mark.parametrize("content", (b"", b"12x", b"-1", b"\xff\xfe", str(MAX_SESSION + 1).encode(), b"1.5"))
def test_a_file_that_holds_something_else_is_not_taken_for_none(content, path):
    with open(path, "wb") as file:
        file.write(content)
    with pytest.raises(ValueError, match="is no session number: deploy this board again"):
        next_session(FileStore(path))
    with open(path, "rb") as file:
        assert file.read() == content


def test_the_last_number(path):
    FileStore(path).write(MAX_SESSION - 1)
    assert next_session(FileStore(path)) == MAX_SESSION
    with pytest.raises(ValueError, match=f"session {MAX_SESSION + 1}: used up: give the swarm a new key"):
        next_session(FileStore(path))


class Forgetful:
    """A store that takes everything and keeps nothing."""

    def read(self):
        return 7

    def write(self, number):
        pass


def test_a_store_that_does_not_keep_the_number():
    with pytest.raises(OSError, match="session 8: reads back as 7: the storage is worn out"):
        next_session(Forgetful())


ENDLESS = """
import store

numbers = store.FileStore()
while True:
    print(store.next_session(numbers))
"""


def test_killed_at_any_moment_no_number_comes_twice(tmp_path):
    """A real process raises the number as fast as it can, and loses its power again and again."""
    require("unix")
    chance = random.Random(SEED)
    (tmp_path / "script.py").write_text(ENDLESS)
    command, environment = runtimes.command("unix", tmp_path / "script.py", paths=[FIRMWARE, paths.LIB])
    printed = []
    for _ in range(KILLS):
        process = subprocess.Popen(command, env=environment, cwd=tmp_path, stdout=subprocess.PIPE, text=True)
        first = process.stdout.readline()
        time.sleep(chance.uniform(0, 0.01))
        process.send_signal(signal.SIGKILL)
        lines = (first + process.communicate()[0]).split("\n")[:-1]  # the last line may have been cut
        printed += [int(line) for line in lines]
    assert len(printed) >= KILLS
    falls = [pair for pair in zip(printed, printed[1:], strict=False) if pair[0] >= pair[1]]
    assert not falls, f"seed {SEED}: {falls}"
    assert FileStore(str(tmp_path / "faction.session")).read() >= printed[-1]


@pytest.fixture
def nvs(tmp_path, monkeypatch):
    """The NVS store on a shim of the ESP32's module, in a folder of its own."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(paths.SHIMS / "device"))
    monkeypatch.delitem(sys.modules, "esp32", raising=False)
    import esp32

    assert esp32.__file__.startswith(str(paths.SHIMS))
    yield esp32
    del sys.modules["esp32"]


def test_the_chip_decides_which_store(nvs):
    assert isinstance(open_store("esp32"), NvsStore)
    assert isinstance(open_store("rp2"), FileStore) and isinstance(open_store("linux"), FileStore)


def test_numbers_rise_in_nvs_and_are_committed(nvs):
    assert NvsStore().read() == 0
    assert [next_session(NvsStore()) for _ in range(3)] == [1, 2, 3]
    assert NvsStore().read() == 3


def test_what_is_not_committed_does_not_count(nvs, monkeypatch):
    next_session(NvsStore())

    def power_cut(self):
        raise PowerCut

    with monkeypatch.context() as patch:
        patch.setattr(nvs.NVS, "commit", power_cut)
        with pytest.raises(PowerCut):
            next_session(NvsStore())
    assert NvsStore().read() == 1


@pytest.mark.parametrize("name", ("get_i32", "set_i32", "commit"))
def test_an_error_of_nvs_is_said_and_not_taken_for_none(name, nvs, monkeypatch):
    next_session(NvsStore())

    def fail(*_):
        raise OSError(-0x1105, "ESP_ERR_NVS_NOT_ENOUGH_SPACE")

    with monkeypatch.context() as patch:
        patch.setattr(nvs.NVS, name, fail)
        with pytest.raises(OSError, match="session (0|2): not stored .*NOT_ENOUGH_SPACE"):
            next_session(NvsStore())
    assert NvsStore().read() == 1


def test_the_shim_errs_as_the_device_does(nvs):
    store = nvs.NVS("faction")
    with pytest.raises(OSError) as error:
        store.get_i32("session")
    assert error.value.args == (-0x1102, "ESP_ERR_NVS_NOT_FOUND")
    with pytest.raises(OSError, match="KEY_TOO_LONG"):
        store.set_i32("a" * 16, 1)
    with pytest.raises(OverflowError):
        store.set_i32("a", 1 << 31)
    store.set_i32("a", -5)
    assert store.get_i32("a") == -5
    store.erase_key("a")
    with pytest.raises(OSError, match="NOT_FOUND"):
        store.erase_key("a")
