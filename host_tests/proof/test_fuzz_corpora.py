"""Whatever comes from outside, over the air, over a serial line or in a file, ends as it should: inputs that a fuzzer
has found on each runtime, and the fuzzer itself for a short time."""

import shutil
from concurrent.futures import ThreadPoolExecutor

import pytest

from requirements import values
from swarm import paths
from swarm.proof.fuzz import corpora

SEED = 20261124
SECONDS = 5  # for each target; `make fuzz` takes many more
needs_atheris = pytest.mark.skipif(
    not corpora.available(), reason="PyPI has atheris for Linux on x86-64 and Python 3.11 and newer only"
)


def test_every_target_has_a_corpus():
    for target in corpora.TARGETS:
        assert len(corpora.inputs(target)) > 10, target
    kept = sorted(file.stem for file in corpora.CORPUS.iterdir())
    assert kept == sorted(corpora.TARGETS)
    assert kept == sorted(file.stem[len("target_") :] for file in corpora.TARGET_FOLDER.glob("target_*.py"))


# Where it takes half a minute only every sixth input, but with -m long.
@pytest.mark.parametrize("every", [6, pytest.param(1, marks=pytest.mark.long)])
def test_no_input_raises_or_leaves_memory_behind(runtime, every):
    targets, every = (corpora.TARGETS, 1) if runtime == "cpython" else (corpora.ON_BOARDS, every)
    said = corpora.replay(runtime, every=every)
    assert (said["exceptions"], said["grown"], said["first"]) == (0, 0, None)
    assert said["inputs"] == sum(len(corpora.inputs(target)[::every]) for target in targets)
    assert said["frames"] > 50, "frames with a right tag"


@pytest.mark.long  # eleven fuzzers to start
@needs_atheris
def test_nothing_is_found_in_a_short_time():
    with ThreadPoolExecutor(2) as pool:
        for tried, failure in pool.map(lambda target: corpora.fuzz(target, SEED, SECONDS), corpora.TARGETS):
            assert failure is None and tried > 0, failure


# For each target some defects: what is changed in which file.
_UDP = "lib/faction/links/udp.py"
_VECTORS = "tools/swarm/runtimes/vectors/replay.py"
DEFECTS = {
    "frame": (
        ("lib/faction/frame.py", " or length > len(buffer):", ":"),
        ("lib/faction/frame.py", "if self._cmac.differs(buffer, length):", "if False:"),
        ("lib/faction/frame.py", "if (buffer[11] | buffer[15] | buffer[19]) > 0x3F:", "if False:"),
    ),
    "report": (
        ("lib/faction/remote/rounds.py", "not buffer.find(_REPORT, 0, 1)", "buffer[0] == 0x23"),
        ("lib/faction/remote/question.py", "if self.number < _LAST:", "if True:"),
        ("lib/faction/remote/envelope.py", "if self._frame._cmac.differs(buffer, length - TAG):", "if False:"),
        ("lib/faction/remote/records.py", "(buffer[at + 3] & 0x3F) << 24", "buffer[at + 3] << 24"),
        ("lib/faction/remote/reports.py", "ENTRY <= self._text[at] <= end - at", "ENTRY <= self._text[at]"),
        ("lib/faction/remote/reports.py", "if member < 0 or self._text[at]", "if self._text[at]"),
        ("lib/faction/remote/envelope.py", "return _REPLAYED if", "return 0 if"),
    ),
    "cobs": (
        ("lib/faction/cobs.py", "return code == length", "return True"),
        ("lib/faction/cobs.py", "code = buffer[-1] - 1", "code = buffer[-1]"),
    ),
    "uart": (
        ("lib/faction/links/uart.py", "if fill + stop - self._at >= len(buffer):", "if False:"),
        ("lib/faction/links/uart.py", "self._at += 1\n", "self._at += 2\n"),
    ),
    "espnow": (
        ("lib/faction/links/espnow.py", "except ValueError:\n", "except ZeroDivisionError:\n"),
        (
            "lib/faction/links/espnow.py",
            "except OSError as error:  # somebody",
            "except KeyError as error:  # somebody",
        ),
        ("lib/faction/links/espnow.py", "            self._begin_anew(now)\n", "            pass\n"),
        ("lib/faction/links/espnow.py", "self.send_errors += 1", "pass"),
    ),
    "udp": (
        (_UDP, "if 0 < length < got:", "if 0 < length:"),
        (_UDP, "                self._begin_anew()\n", "                pass\n"),
        (_UDP, "except OSError:\n            return 0", "except KeyError:\n            return 0"),
        (_UDP, "            self.send_errors += 1\n", "            pass\n"),
        (_UDP, "            self._to = None\n", ""),
        (_UDP, "now, self._look_ms) >= 0:", "now, self._look_ms) > 1 << 28:"),
    ),
    "config": (
        ("firmware/config.py", "if not isinstance(given, dict):", "if False:"),
        ("firmware/config.py", "except (AttributeError, ValueError):", "except AttributeError:"),
        ("firmware/config.py", "if len(key) != 16:", "if False:"),
    ),
    "toml": (
        ("tools/swarm/description/project.py", "except TOMLKitError as error:", "except ZeroDivisionError as error:"),
        ("tools/swarm/description/project.py", "if mistakes.messages:", "if False:"),
    ),
    "trace": (
        ("tools/swarm/device/replay.py", "except (ValueError, RecursionError):", "except RecursionError:"),
        ("tools/swarm/device/replay.py", "missing > trace.promised", "missing / 0"),
    ),
    "vectors": (
        (
            _VECTORS,
            "except (ValueError, RecursionError) as error:",
            "except RecursionError as error:",
        ),
        (_VECTORS, "if not isinstance(vector, dict):", "if False:"),
    ),
    "serial": (
        ("tools/swarm/serial/port.py", 'complaint.decode("utf-8", "replace")', "complaint.decode()"),
        ("tools/swarm/serial/prompt.py", 'or ["an error without words"]', ""),
        ("tools/swarm/serial/port.py", "plain(complaint", "(complaint"),
        ("tools/swarm/serial/status.py", "    check_status(status, port)\n", ""),
        ("tools/swarm/serial/answer.py", "return plain(value) if isinstance(value, str) else value", "return value"),
        ("tools/swarm/serial/status.py", "return plain(run(", "return str(run("),
        ("tools/swarm/serial/raw_paste.py", "if time.monotonic() >= end:", "if False:"),
        ("tools/swarm/watch/instants.py", "or time.monotonic() > end", ""),
    ),
}


@pytest.fixture(scope="module")
def copy(tmp_path_factory):
    """The repository's code, to be broken."""
    root = tmp_path_factory.mktemp("copy")
    for part in ("lib", "firmware", "tools"):
        shutil.copytree(paths.ROOT / part, root / part, ignore=shutil.ignore_patterns("__pycache__"))
    for part in ("boards", "host_tests"):
        (root / part).symlink_to(paths.ROOT / part)
    return root


# Those of the serial line each take a second and more.
@pytest.mark.parametrize("target", values(DEFECTS, long={"serial"}))
def test_a_corpus_notices_defects(copy, target):
    code = [copy / "lib", copy / "firmware", copy / "tools"]
    for name, here, there in DEFECTS[target]:
        source = (copy / name).read_text()
        assert source.count(here) == 1, f"{name}: {here}"
        (copy / name).write_text(source.replace(here, there))
        try:
            said = corpora.replay("cpython", [target], code)
        finally:
            (copy / name).write_text(source)
        assert said["exceptions"] > 0, f"{name}: {there} for {here}"


@needs_atheris
def test_the_fuzzer_finds_what_no_corpus_holds(copy):
    changed = copy / "lib" / "faction" / "cobs.py"
    source = changed.read_text()
    here = "    code = buffer[-1] - 1\n"
    assert source.count(here) == 1
    rare = '    assert int.from_bytes(buffer[2:6], "little") != 0x2BADCAFE\n'
    changed.write_text(source.replace(here, rare + here))
    try:
        assert corpora.replay("cpython", ["cobs"], [copy / "lib"])["exceptions"] == 0
        _, failure = corpora.fuzz("cobs", SEED, 60, code=[copy / "lib"])
    finally:
        changed.write_text(source)
    assert failure and "AssertionError" in failure and "input b" in failure and f"seed {SEED}" in failure
