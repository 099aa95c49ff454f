"""Where things are on the virtual board: it has ESP-NOW and nothing connected but its temperature sensor."""

NAME = "VIRTUAL"
LINKS = ("espnow",)
LED = None
BUTTON = None
TIMER = 0
