// The official ESP32_GENERIC_C6 build with the node's firmware frozen in.

#include "boards/ESP32_GENERIC_C6/mpconfigboard.h"

#undef MICROPY_HW_BOARD_NAME
#define MICROPY_HW_BOARD_NAME "Generic ESP32-C6 with faction"
