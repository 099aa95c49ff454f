"""What the tests of deploys share: trials that take no longer than a virtual board needs."""

import pytest

from swarm.deploy import trial


@pytest.fixture(scope="module", autouse=True)
def short_trials():
    """A node that is ready is watched for a moment only: what is wrong with it shows at once, or when it samples."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(trial, "_SETTLE_S", 0.3)
        patch.setattr(trial, "_LOOK_S", 0.1)
        yield
