# The official ESP32_GENERIC_C6 build with the node's firmware frozen in. Included paths are relative to the port's folder.
include(boards/ESP32_GENERIC_C6/mpconfigboard.cmake)

set(MICROPY_FROZEN_MANIFEST ${MICROPY_BOARD_DIR}/manifest.py)
