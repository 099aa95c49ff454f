"""Host tools of the swarm: demo, status, vectors and the rest of the `swarm` command."""

__version__ = "1.0.0"
