"""Talking to a board: which one is meant, at which port, and what is said at its prompt."""
