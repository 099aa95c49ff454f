"""Where things are on an ESP32-S2 development board; README.md beside this file has the wiring."""

NAME = "ESP32_GENERIC_S2"
LINKS = ("espnow",)  # opened unless faction.json names others
UART = {"id": 1, "tx": 4, "rx": 5, "de": None, "single_wire": False}
LED = None  # what these boards have is a colour LED, which takes another protocol
BUTTON = 0  # BOOT
TIMER = 0  # a hardware timer
WATCHDOG = 0  # is made to wait for ever by another time
