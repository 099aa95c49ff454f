"""Where things are on the virtual board; README.md beside this file says what it has."""

NAME = "VIRTUAL"
LINKS = ("espnow",)  # opened unless faction.json names others
UART = {"id": 1, "tx": 4, "rx": 5, "de": None, "single_wire": False}
LED = None
BUTTON = None
TIMER = 0
WATCHDOG = 0  # is made to wait for ever by another time
