"""Scripts run alike on every runtime, and what goes wrong is said plainly."""

import pytest

from swarm import runtimes


def script(tmp_path, text):
    path = tmp_path / "script.py"
    path.write_text(text)
    return path


def test_output_arguments_and_files(runtime, tmp_path):
    data = tmp_path / "data file.txt"
    data.write_text("first\nsecond\n")
    path = script(tmp_path, "import sys\nfor line in open(sys.argv[1]):\n    print(sys.argv[2], line.strip())\n")
    assert runtimes.run(runtime, path, [data, "x y"], files=[data]) == "x y first\nx y second\n"


def test_cells_share_their_names_and_more_is_called_to_the_end(runtime, tmp_path):
    path = script(
        tmp_path,
        "import sys\nleft = 3\n#%% a second cell\ndef more():\n    global left\n    left -= 1\n    print(left)\n"
        "    return left > 0\nif sys.platform != 'webassembly':\n    while more():\n        pass\n",
    )
    assert runtimes.run(runtime, path) == "2\n1\n0\n"


def test_the_library_is_importable(runtime, tmp_path):
    path = script(tmp_path, "from faction.core import Faction\nimport faction.frame\nprint(Faction(1, [1], 1).state)")
    assert runtimes.run(runtime, path) == "0\n"


def test_an_exception_is_a_failure_with_its_traceback(runtime, tmp_path):
    with pytest.raises(runtimes.ScriptFailed) as failure:
        runtimes.run(runtime, script(tmp_path, "print('before')\nraise KeyError('lost')"))
    assert "status 1" in str(failure.value) and "KeyError: lost" in str(failure.value).replace("'", "")


def test_exit_statuses_come_through(runtime, tmp_path):
    runtimes.run(runtime, script(tmp_path, "import sys\nsys.exit(0)"))
    with pytest.raises(runtimes.ScriptFailed, match="status 7"):
        runtimes.run(runtime, script(tmp_path, "import sys\nprint('out')\nsys.exit(7)"))


def test_a_script_that_does_not_end(runtime, tmp_path):
    with pytest.raises(runtimes.ScriptFailed, match="still running after 0.5 s"):
        runtimes.run(runtime, script(tmp_path, "while True:\n    pass"), timeout=0.5)


def test_streaming_gives_lines_as_they_come_and_reports_failure(runtime, tmp_path):
    path = script(tmp_path, "print('one')\nprint('two')\n1 // 0\n")
    seen = []
    with pytest.raises(runtimes.ScriptFailed, match="ZeroDivisionError"), runtimes.streaming(runtime, path) as lines:
        seen += lines
    assert seen[:2] == ["one\n", "two\n"]


def test_leaving_a_stream_early_ends_the_script(runtime, tmp_path):
    path = script(tmp_path, "while True:\n    print('more')\n")
    with pytest.raises(StopIteration), runtimes.streaming(runtime, path) as lines:
        assert next(lines) == "more\n"
        raise StopIteration


def test_missing_runtimes_name_the_remedy(monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(runtimes.RuntimeMissing, match="make setup"):
        runtimes.find_micropython()
    monkeypatch.setattr("shutil.which", lambda name: None)
    monkeypatch.setattr(runtimes, "wheel_node", lambda: None)
    with pytest.raises(runtimes.RuntimeMissing, match="make setup"):
        runtimes.find_node()


def test_an_old_node_is_not_used(monkeypatch, tmp_path):
    old = tmp_path / "node"
    old.write_text("#!/bin/sh\necho v16.20.0\n")
    old.chmod(0o755)
    monkeypatch.setattr("shutil.which", lambda name: str(old))
    monkeypatch.setattr(runtimes, "wheel_node", lambda: None)
    with pytest.raises(runtimes.RuntimeMissing, match="18.3"):
        runtimes.find_node()


def test_no_such_runtime(tmp_path):
    with pytest.raises(ValueError, match="'lua': choose one of cpython, unix, wasm"):
        runtimes.run("lua", script(tmp_path, ""))
