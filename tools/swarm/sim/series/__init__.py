"""A series simulated: its beats and what must hold of them, and what befalls it."""
