"""Simulated boards: the ideal one, which takes no time, and those that cost what real ones cost."""
