"""What every test may use: the device library on CPython, the runtimes by name."""

import pytest
from hypothesis import settings

import shims.cpython
from requirements import require
from swarm import runtimes

shims.cpython.install()

# A failing example is printed with the seed that repeats it; time limits per example only fail on busy machines.
settings.register_profile("project", deadline=None, print_blob=True)
settings.load_profile("project")


@pytest.fixture(params=runtimes.NAMES)
def runtime(request):
    """Each of the runtimes: cpython, unix, wasm."""
    return require(request.param)


@pytest.fixture(params=[name for name in runtimes.NAMES if name != "cpython"])
def micropython(request):
    """Each MicroPython runtime: unix (64-bit) and wasm (32-bit)."""
    return require(request.param)
