"""Rounds, model-checked: every state of who is there, who is lost and who is back."""
