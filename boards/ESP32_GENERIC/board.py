"""Where things are on an ESP32 development board; README.md beside this file has the wiring."""

NAME = "ESP32_GENERIC"
LINKS = ("espnow",)  # opened unless faction.json names others
UART = {"id": 1, "tx": 17, "rx": 16, "de": None, "single_wire": False}
LED = 2
BUTTON = 0  # BOOT
TIMER = 0  # a hardware timer
WATCHDOG = 0  # is made to wait for ever by another time
