"""One module a verb of the `swarm` command: its options, its help, and what it prints."""
