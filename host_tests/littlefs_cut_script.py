"""Cuts the power at each write and erase of a flash chip under a real LittleFS, while a board writes its files.

Prints JSON: for each step what a board reads when it has started again, before the step, after each cut of it, and
after the step. A cut is before a write or erase, or in its middle.
"""

import json

import app
import onboard
import store
import uos

BLOCK, BLOCKS, PAGE = 4096, 32, 256


class PowerCut(BaseException):
    """Nothing catches it."""


class Chip:
    """NOR flash in memory. left: changes until the power goes; half: in the middle of that one, not before it."""

    def __init__(self, data=None):
        self.data = data or bytearray(b"\xff" * BLOCK * BLOCKS)
        self.left = -1
        self.half = False
        self.off = False

    def readblocks(self, block, buffer, offset=0):
        at = block * BLOCK + offset
        buffer[:] = self.data[at : at + len(buffer)]

    def writeblocks(self, block, buffer, offset=0):
        at = block * BLOCK + offset
        self._change(at, buffer)

    def ioctl(self, what, block):
        if what == 4:
            return BLOCKS
        if what == 5:
            return BLOCK
        if what == 6:
            self._change(block * BLOCK, b"\xff" * BLOCK)
        return 0

    def _change(self, at, new):
        if self.off:
            raise PowerCut
        if self.left == 0:
            self.off = True
            count = len(new) // 2 if self.half else 0
            self.data[at : at + count] = new[:count]
            raise PowerCut
        self.left -= 1
        self.data[at : at + len(new)] = new


def mount(chip):
    if uos.getcwd() == "/flash":
        uos.umount("/flash")
    uos.mount(uos.VfsLfs2(chip, progsize=PAGE, readsize=PAGE, lookahead=32), "/flash")
    uos.chdir("/flash")


def read(name):
    try:
        with open(name) as file:
            return file.read()
    except OSError:
        return None


def sample(number):
    return json.dumps({"node": 1, "late_us": number, "value": 20.5, "late": False})


def steps():
    """Each step: what is done before it, what it does, and what a board reads of it."""

    def held(count):
        for number in range(count):
            app.append_bounded("samples.jsonl", sample(number))

    def deploy(slot, text):
        # As a deploy does: a version's files, each of them closed, and then the pointer.
        onboard.make_folders(slot + "/faction.json")
        with open(slot + "/faction.json", "wb") as file:
            for _ in range(30):
                file.write(text)
        onboard.switch(slot)

    def configuration():
        return read(read("faction.slot") + "/faction.json")

    def samples():
        return [read("samples.jsonl.old"), read("samples.jsonl")]

    numbers = store.FileStore()
    return {
        "first session": (lambda: None, lambda: store.next_session(numbers), numbers.read),
        "session": (lambda: numbers.write(41), lambda: store.next_session(numbers), numbers.read),
        "first sample": (lambda: held(0), lambda: held(1), samples),
        "sample": (lambda: held(3), lambda: app.append_bounded("samples.jsonl", sample(3)), samples),
        "full": (lambda: held(_full()), lambda: app.append_bounded("samples.jsonl", sample(9)), samples),
        "deploy": (lambda: deploy("faction.a", b"old" * 50), lambda: deploy("faction.b", b"new" * 50), configuration),
    }


def _full():
    return 4096 // (len(sample(10)) + 1)


def cut(before, step, state):
    """Cut a step at each write and erase; what is read before, after each cut, and after the whole step."""
    chip = Chip()
    uos.VfsLfs2.mkfs(chip, progsize=PAGE, readsize=PAGE, lookahead=32)
    mount(chip)
    before()
    start = bytes(chip.data)
    told = {"before": state(), "cuts": []}
    at = 0
    while True:
        for half in (False, True):
            chip = Chip(bytearray(start))
            mount(chip)
            chip.left, chip.half = at, half
            try:
                step()
                told["after"] = state()
                return told
            except PowerCut:
                pass
            mount(Chip(chip.data))
            told["cuts"].append(state())
            step()  # the next start goes on from there
        at += 1


print(json.dumps({name: cut(*step) for name, step in steps().items()}))
