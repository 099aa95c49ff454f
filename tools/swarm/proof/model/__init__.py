"""`make model`: every state that a few real nodes, and their rounds, can get into, within bounds."""
