"""`esp32` as far as it takes heap: a list, and a tuple for each of ESP-IDF's heaps (ports/esp32/modesp32.c)."""

HEAP_DATA = 4


def idf_heap_info(_capabilities):
    return [(168184, 41000 + i, 31744, 38244) for i in range(4)]
