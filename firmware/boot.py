"""Runs before main.py on each boot. The node needs nothing here."""
