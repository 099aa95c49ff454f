"""The verbs for whoever works on the library itself."""
