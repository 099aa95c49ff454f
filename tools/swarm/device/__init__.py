"""The device code on the host: the real library and configuration, imported under CPython with the shims."""
