#include "tests/amx_emulated.h"

#define SHOAL_AMX amx_portable
#define SHOAL_AMX_EMULATED
#define SHOAL_BF16_PORTABLE
#include "common/kernels_amx.c"
