#include "common/dispatch.h"

int dispatch_limit = 512;

int dispatch_width(void)
{
#if defined(__x86_64__)
    if (dispatch_limit >= 512 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq"))
        return 512;
    if (dispatch_limit >= 256 && __builtin_cpu_supports("avx2"))
        return 256;
#endif
    return 128;
}
