/* The AMX kernels with tiles in plain C, so that all of them but the instructions runs on other CPUs, too:
 * "amx_emulated" converts by AVX512_BF16, "amx_portable" runs everywhere. */
#ifndef SHOAL_TESTS_AMX_EMULATED_H
#define SHOAL_TESTS_AMX_EMULATED_H

#include "common/kernels.h"

#if defined(__x86_64__)
extern const struct kernels kernels_amx_emulated_bf16, kernels_amx_emulated_bf16x3;
#endif
extern const struct kernels kernels_amx_portable_bf16, kernels_amx_portable_bf16x3;

#endif
