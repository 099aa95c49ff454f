"""What a board's answer to the deploy's questions is taken for."""

from types import SimpleNamespace

import pytest
from mpremote.transport import TransportExecError

from swarm.deploy import trial
from swarm.deploy.remote import Disturbed, NoRoom, Remote, Silent

SAMPLE = '{"value": 9, "late_us": 55401097, "node": 7, "session": 5, "late": true}'


@pytest.mark.parametrize(
    ("raised", "kind", "says"),
    [
        ("MemoryError: memory allocation failed", Disturbed, "it reports: MemoryError: memory allocation failed"),
        ("KeyboardInterrupt: ", Silent, "a Ctrl-C has ended what it was asked: "),
        ("OSError: [Errno 28] ENOSPC", NoRoom, "its flash is full"),
        ("no traceback", Disturbed, "it reports: "),
    ],
)
@pytest.mark.parametrize("said", ["", "\n" + SAMPLE])
def test_what_its_node_says_beside_an_error_does_not_hide_it(raised, kind, says, said):
    def run(code):
        if "['survey']" in code:
            raise TransportExecError("", f'Traceback (most recent call last):\n  File "x"\n{raised}{said}\n')
        return b""

    remote = Remote(SimpleNamespace(exec=run))
    with pytest.raises(kind, match=says) as caught:
        remote.ask("survey")
    assert type(caught.value) is kind
    if kind is Silent:
        assert issubclass(Silent, trial._AWAY), "it is asked again"
