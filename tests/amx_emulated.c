#include "tests/amx_emulated.h"

#define SHOAL_AMX amx_emulated
#define SHOAL_AMX_EMULATED
#include "common/kernels_amx.c"
