"""A bare board: a MicroPython process with a folder for its flash and a prompt, without a node, a radio or a serial
line. It takes what a deploy has a board do, at once, and its power can go in the middle of any change of a file.
"""

import subprocess
from contextlib import contextmanager, nullcontext

import pytest
from mpremote.transport import Transport, TransportError, TransportExecError

from swarm import paths, runtimes
from swarm.deploy import deployment
from swarm.deploy.deployment import EARLIEST_SESSION, Deployment

SCRIPT = paths.SHIMS.parent / "power_cut_script.py"
_DONE, _RAISED = b"\x04\n", b"\x05\n"


class BareBoard(Transport):
    """A board with its flash in a folder; a context manager. at, share: where the power goes, see SCRIPT."""

    def __init__(self, flash, at=-1, share=1.0):
        line, environment = runtimes.command("unix", SCRIPT, [at, share], paths=[paths.SHIMS / "device"])
        pipe = subprocess.PIPE
        self._process = subprocess.Popen(line, env=environment, cwd=flash, stdin=pipe, stdout=pipe)

    def exec(self, command, data_consumer=None):
        code = command if isinstance(command, bytes) else command.encode()
        said = []
        try:
            self._process.stdin.write(b"%d\n%s" % (len(code), code))
            self._process.stdin.flush()
        except BrokenPipeError:
            raise TransportError("no power") from None
        for line in self._process.stdout:
            if line == _DONE:
                return b"".join(said)
            if line == _RAISED:
                raise TransportExecError(1, "", b"".join(said).decode())
            said.append(line)
        raise TransportError("no power")

    def operations(self):
        """What has been done to files, in order."""
        return eval(self.exec("print(power.done)"))

    def exec_raw_no_follow(self, command):
        """A restart, in answer to which a bare board does nothing."""

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._process.kill()
        self._process.stdin.close()
        self._process.stdout.close()
        self._process.wait()


class _Deploy(Deployment):
    """A deploy of given files that does not wait for a node."""

    def __init__(self, files, *arguments, **named):
        super().__init__(*arguments, **named)
        self._files = files

    def _build(self, facts):
        return self._files

    def _await_word(self, ports, transport, slot, stored):
        return stored


@contextmanager
def bare_deploys():
    """Within this, deploys talk to bare boards: a board stands where the path of its port would. The clock stands."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(deployment, "seconds_since_2020", lambda: EARLIEST_SESSION)
        patch.setattr(deployment, "open_port", nullcontext)
        patch.setattr(deployment, "prompt", lambda *_: nullcontext())
        yield


def deploy(board, described, member, files, above=0):
    """Deploy files to a bare board, which is to start in a session above that; DeployError when its power goes."""
    return _Deploy(files, described, member, board, above=above).run()
