# The official RPI_PICO2 build with the node's firmware frozen in.
include(${MICROPY_PORT_DIR}/boards/RPI_PICO2/mpconfigboard.cmake)

set(MICROPY_BOARD_PINS ${MICROPY_PORT_DIR}/boards/RPI_PICO2/pins.csv)
set(MICROPY_FROZEN_MANIFEST ${MICROPY_BOARD_DIR}/manifest.py)
