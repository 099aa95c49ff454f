"""What is wrong with a swarm's description."""


class ProjectError(Exception):
    """A swarm.toml, its key or a port cannot be used. Each line of the message names file, key, value and remedy."""
