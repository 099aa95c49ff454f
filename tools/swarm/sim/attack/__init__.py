"""Attackers in the simulator, and every defence taken out in turn to see that it is needed."""
