# The official ESP32_GENERIC build with the node's firmware frozen in. Included paths are relative to the port's folder.
include(boards/ESP32_GENERIC/mpconfigboard.cmake)

set(MICROPY_FROZEN_MANIFEST ${MICROPY_BOARD_DIR}/manifest.py)
