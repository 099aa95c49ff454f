"""A deterministic simulator of whole swarms of the real device library (`swarm sim`)."""
