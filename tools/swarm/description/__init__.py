"""A swarm described: swarm.toml, the key beside it, and what follows from them."""
