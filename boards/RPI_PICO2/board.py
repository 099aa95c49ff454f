"""Where things are on a Raspberry Pi Pico 2; README.md beside this file has the wiring."""

NAME = "RPI_PICO2"
LINKS = ("uart",)  # opened unless faction.json names others
UART = {"id": 1, "tx": 4, "rx": 5, "de": None, "single_wire": False}
LED = 25
BUTTON = None  # BOOTSEL is no pin
TIMER = -1  # a software timer: this port has no other
WATCHDOG = 0x400D_8000  # its registers, by which it is stopped (RP2350 data sheet, 12.9)
