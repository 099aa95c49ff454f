"""The 32-bit MicroPython (webassembly port, under Node): how it is installed and run."""
