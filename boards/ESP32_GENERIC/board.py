"""Where things are on an ESP32 development board."""

NAME = "ESP32_GENERIC"
LINKS = ("espnow",)
LED = 2
BUTTON = 0
TIMER = 0
