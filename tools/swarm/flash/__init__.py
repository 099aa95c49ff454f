"""MicroPython itself onto boards: official firmware, esptool, a Pico's drive, builds with the node frozen in."""
