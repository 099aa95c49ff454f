// The official ESP32_GENERIC_S2 build with the node's firmware frozen in.

#include "boards/ESP32_GENERIC_S2/mpconfigboard.h"

#undef MICROPY_HW_BOARD_NAME
#define MICROPY_HW_BOARD_NAME "Generic ESP32-S2 with faction"
