"""What `swarm deploy` has a board do itself. Not imported on the host: it is sent to the board's prompt, to run there.

A board's flash holds up to two versions, the slots, each with all that a node is made of: library, firmware, board.py,
sensor, faction.json and faction.key. The pointer names the one that main.py runs. Hashes are SHA-256 in hexadecimal,
and a slot's content is a dict of them by path within it.
"""

import hashlib
import json
import os
import sys
from binascii import hexlify
from time import sleep_ms

import machine

POINTER = "faction.slot"
MARK = ""  # of answers, which the host gives
_CHUNK = 512

wanted = {}  # the content that a slot is to have


def answer(value):
    """Print an answer for the host; the mark tells it from lines of JSON that a node prints."""
    print(MARK + json.dumps(value))


def hash_file(path):
    """A file's hash, None when there is no such file."""
    digest = hashlib.sha256()
    chunk = bytearray(_CHUNK)
    view = memoryview(chunk)
    try:
        with open(path, "rb") as file:
            while True:
                count = file.readinto(chunk)
                if not count:
                    return hexlify(digest.digest()).decode()
                digest.update(view[:count])
    except OSError:
        return None


def copy_file(source, target):
    """Copy a file, over whatever has the target's name."""
    chunk = bytearray(_CHUNK)
    view = memoryview(chunk)
    with open(source, "rb") as old, open(target, "wb") as new:
        while True:
            count = old.readinto(chunk)
            if not count:
                return
            new.write(view[:count])


def hashes(slot):
    """What a slot holds: {path: hash}; empty when there is no such folder."""
    found = {}
    folders = [""]
    while folders:
        folder = folders.pop()
        for name in names(slot + "/" + folder, False):
            found[folder + name] = hash_file(slot + "/" + folder + name)
        folders.extend(folder + name + "/" for name in names(slot + "/" + folder, True))
    return found


def expect(content):
    """Take the content that a slot is to have."""
    wanted.clear()
    wanted.update(content)


def compare(slot):
    """Answer the paths where a slot is not as it is to be: missing, different, or too many."""
    held = hashes(slot)
    paths = [path for path in held if path not in wanted]
    answer(paths + [path for path in wanted if held.get(path) != wanted[path]])


def names(folder, of_folders):
    """Names of the folders in a folder, or of its files; none when there is no such folder."""
    try:
        return [entry[0] for entry in os.ilistdir(folder.rstrip("/")) if (entry[1] == 0x4000) == of_folders]
    except OSError:
        return []


def read(path):
    """A file's text, None when there is no such file."""
    try:
        with open(path) as file:
            return file.read()
    except OSError:
        return None


def arrange(slot, other):
    """Bring a slot as near to what it is to be as this board can by itself.

    What does not belong there goes, what the other slot has is copied from it. Answers the paths that are still
    missing, and the bytes that are free and in a block of the file system.
    """
    held = hashes(slot)
    source = hashes(other)
    for path in held:
        if held[path] != wanted.get(path):
            os.remove(slot + "/" + path)
    remove_empty(slot)
    missing = []
    for path in sorted(wanted):
        make_folders(slot + "/" + path)
        if held.get(path) != wanted[path]:
            if source.get(path) == wanted[path]:
                copy_file(other + "/" + path, slot + "/" + path)
            else:
                missing.append(path)
    statistics = os.statvfs(slot)
    block = statistics[1]
    answer({"missing": missing, "free": block * statistics[3], "block": block})


def make_folders(path):
    """Make the folders that a path goes through."""
    parts = path.split("/")
    for count in range(1, len(parts)):
        folder = "/".join(parts[:count])
        try:
            os.mkdir(folder)
        except OSError:
            os.stat(folder)  # it is there already, or cannot be made: then this raises


def remove_empty(folder):
    """Remove the empty folders in a folder, and then the folder itself when it is empty."""
    for name in names(folder, True):
        remove_empty(folder + "/" + name)
    try:
        os.rmdir(folder)
    except OSError:
        pass  # it holds something, or is not there


def clear(slot):
    """Remove a slot with all that it holds."""
    for path in hashes(slot):
        os.remove(slot + "/" + path)
    remove_empty(slot)


def open_store(slot):
    """This board's session store, as a slot's firmware has it. The program that runs does not see the import."""
    loaded = "store" in sys.modules
    sys.path.insert(0, slot)
    try:
        import store
    finally:
        sys.path.remove(slot)
    if not loaded:
        del sys.modules["store"]
    return store.open_store(sys.platform)


def session(slot):
    """Answer the stored session number; 0 when there is none, or it is spoiled."""
    try:
        number = open_store(slot).read()
    except ValueError:
        number = 0
    answer(number)


def raise_session(slot, number):
    """Store a session number, unless a higher one is stored."""
    kept = open_store(slot)
    try:
        if kept.read() >= number:
            return
    except ValueError:
        pass  # spoiled: the new number takes its place
    kept.write(number)


def switch(slot, back=None):
    """Have main.py run that slot from the next start on: one rename. back: the slot that it goes back to at the start
    after that, unless keep() was called; None: it does not go back."""
    sync()
    keep()
    if back:
        replace("faction.trial", back)
    replace(POINTER, slot)
    sync()


def replace(path, text):
    """Write a file that holds the old text or the new one, whenever the power goes."""
    with open(path + ".new", "w") as file:
        file.write(text)
    os.rename(path + ".new", path)


def keep():
    """The version that main.py runs is to stay: its trial is over, as is a hang of the one before."""
    for name in ("faction.trial", "faction.back", "faction.trial.new", "faction.bitten"):
        try:
            os.remove(name)
        except OSError:
            pass  # there is none


def replace_main(digest):
    """Put main.py.new in main.py's place when it has that hash. One that was there before is kept under another name.

    Answers the hash that main.py.new has, and that name, None when there was no main.py.
    """
    found = hash_file("main.py.new")
    kept = None
    if found == digest:
        before = hash_file("main.py")
        if before:
            kept = free_name("main.py.old", before)
            copy_file("main.py", kept + ".new")  # a cut leaves nothing that looks whole
            os.rename(kept + ".new", kept)
        os.rename("main.py.new", "main.py")
        sync()
    answer({"hash": found, "kept": kept})


def put_aside(name):
    """Rename a file of the root, if it is there, so that nothing takes it up. Answers its new name, or None."""
    digest = hash_file(name)
    aside = None
    if digest:
        aside = free_name(name + ".old", digest)
        os.rename(name, aside)
        sync()
    answer(aside)


def free_name(name, digest):
    """The name, or with a number behind it, that no other file has than one with that hash."""
    free = name
    number = 1
    while hash_file(free) not in (None, digest):
        number += 1
        free = name + "." + str(number)
    return free


def sync():
    """Have the file system write what it holds back, where it does that."""
    if hasattr(os, "sync"):
        os.sync()


def still(node):
    """Put no node in the place of one that does not run, before the next start; node: nor leave one that does."""
    stop = getattr(sys.modules.get("autostart"), "stop", None)
    if stop and (node or not sys.modules["faction"].app):
        stop()


def restart():
    """Restart the board, and say so behind all that its node says."""
    try:
        still(True)
        answer(None)
        sleep_ms(50)  # for it to be sent
    finally:
        machine.reset()  # also when another tool interrupts this: no node runs any more


def word():
    """Answer what runs here: the node's status, or why there is none."""
    try:
        import faction

        answer(faction.status_dict())
    except (ImportError, RuntimeError) as error:
        answer({"failure": str(error)})


def rehearse():
    """Have the node that runs here take a sample that counts for nothing."""
    import faction

    faction.tell("rehearse")
