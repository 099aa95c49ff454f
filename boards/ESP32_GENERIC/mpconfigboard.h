// The official ESP32_GENERIC build with the node's firmware frozen in.

#include "boards/ESP32_GENERIC/mpconfigboard.h"

#undef MICROPY_HW_BOARD_NAME
#define MICROPY_HW_BOARD_NAME "Generic ESP32 with faction"
