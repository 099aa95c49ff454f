"""What the device code takes on its runtimes: bytes, memory and time."""
