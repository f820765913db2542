#include "common/kernels.h"

#include <stdio.h>
#include <string.h>

const struct kernels *const kernels_all[] = {
#if defined(__x86_64__) && !defined(SHOAL_DOUBLE)
    &kernels_avx512, &kernels_avx2,
    &kernels_amx_bf16x3, &kernels_avx512_bf16x3,
    &kernels_amx_bf16, &kernels_avx512_bf16,
#endif
    &kernels_openblas, NULL
};

static const char *const precision_names[] = {
    [PRECISION_F32] = "f32", [PRECISION_BF16X3] = "bf16x3", [PRECISION_BF16] = "bf16",
};

static const struct kernels *chosen;

const struct kernels *kernels_best(enum precision precision)
{
    for (int i = 0; kernels_all[i]; i++)
        if (kernels_all[i]->precision == precision && kernels_all[i]->is_supported())
            return kernels_all[i];
    return NULL;
}

int kernels_find(const char *name, enum precision precision, const struct kernels **out,
                 struct error *err)
{
    char names[128] = "auto";
    const bool is_any = strcmp(name, "auto") == 0;
    bool exists = is_any;
    for (int i = 0; kernels_all[i]; i++) {
        const struct kernels *k = kernels_all[i];
        if (k->precision != precision)
            continue;
        const bool is_it = is_any || strcmp(name, k->name) == 0;
        exists |= is_it;
        if (!k->is_supported())
            continue;
        if (is_it) {
            *out = k;
            return 0;
        }
        const size_t used = strlen(names);
        snprintf(names + used, sizeof(names) - used, ", %s", k->name);
    }
    const char *with = precision_names[precision];
    if (strcmp(names, "auto") == 0)
        return error_set(err, ERR_CONFIG, "this CPU has no kernels of precision %s; choose learner.precision "
                         "f32, which runs everywhere", with);
    return error_set(err, ERR_CONFIG, "%s kernels called \"%s\" with precision %s; choose one of %s",
                     exists ? "this CPU cannot run the" : "there are no", name, with, names);
}

const struct kernels *kernels_default(void)
{
    return chosen ? chosen : kernels_best(PRECISION_F32);
}

void kernels_set_default(const struct kernels *k)
{
    chosen = k;
}
