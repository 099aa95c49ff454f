"""Host tools of the swarm: demo, status, vectors and the rest of the `swarm` command."""

__version__ = "0.1.0"
