# The official ESP32_GENERIC_S2 build with the node's firmware frozen in. Included paths are relative to the port's folder.
include(boards/ESP32_GENERIC_S2/mpconfigboard.cmake)

set(MICROPY_FROZEN_MANIFEST ${MICROPY_BOARD_DIR}/manifest.py)
