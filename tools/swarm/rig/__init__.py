"""Virtual boards: MicroPython processes, the medium through which they hear each other, and the demo made of them."""
