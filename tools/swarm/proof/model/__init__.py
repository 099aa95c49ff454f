"""`make model`: every state that a few real nodes can get into, within bounds."""
