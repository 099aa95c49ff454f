// The official ESP32_GENERIC_C3 build with the node's firmware frozen in.

#include "boards/ESP32_GENERIC_C3/mpconfigboard.h"

#undef MICROPY_HW_BOARD_NAME
#define MICROPY_HW_BOARD_NAME "Generic ESP32-C3 with faction"
