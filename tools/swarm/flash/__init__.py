"""MicroPython itself onto boards: official firmware, esptool, the RP2040's drive, builds with the node frozen in."""
