"""Where things are on an ESP32 development board."""

NAME = "ESP32_GENERIC"
LINKS = ("espnow",)
LED = 2
TIMER = 0
