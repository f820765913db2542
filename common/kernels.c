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

const char *precision_name(enum precision precision)
{
    static const char *const names[] = {
        [PRECISION_F32] = "f32", [PRECISION_BF16X3] = "bf16x3", [PRECISION_BF16] = "bf16",
    };
    return names[precision];
}

static const struct kernels *chosen;

const struct kernels *kernels_best(enum precision precision)
{
    for (int i = 0; kernels_all[i]; i++)
        if (kernels_all[i]->precision == precision && kernels_all[i]->is_supported())
            return kernels_all[i];
    return NULL;
}

/* "auto" and the sets of that precision that this CPU has: "auto, avx2 or openblas". Returns how many sets. */
static int list_choices(enum precision precision, char *out, size_t bytes)
{
    const char *names[16];
    int n = 0;
    for (int i = 0; kernels_all[i] && n < (int)(sizeof(names) / sizeof(*names)); i++)
        if (kernels_all[i]->precision == precision && kernels_all[i]->is_supported())
            names[n++] = kernels_all[i]->name;
    snprintf(out, bytes, "auto");
    for (int i = 0; i < n; i++) {
        const size_t used = strlen(out);
        snprintf(out + used, bytes - used, "%s%s", i + 1 < n ? ", " : " or ", names[i]);
    }
    return n;
}

static int refuse(const char *name, enum precision precision, bool exists, struct error *err)
{
    char choices[128];
    const char *with = precision_name(precision);
    if (list_choices(precision, choices, sizeof(choices)) == 0)
        return error_set(err, ERR_CONFIG, "learner.precision is %s, and this CPU has no kernels for it; choose f32, "
                         "which runs everywhere", with);
    return error_set(err, ERR_CONFIG, "learner.backend is %s with learner.precision %s, and %s; choose %s", name, with,
                     exists ? "this CPU cannot run it" : "there are no such kernels", choices);
}

int kernels_find(const char *name, enum precision precision, const struct kernels **out,
                 struct error *err)
{
    bool exists = false;
    for (int i = 0; kernels_all[i]; i++) {
        const struct kernels *k = kernels_all[i];
        if (k->precision != precision || (strcmp(name, "auto") != 0 && strcmp(name, k->name) != 0))
            continue;
        exists = true;
        if (k->is_supported()) {
            *out = k;
            return 0;
        }
    }
    return refuse(name, precision, exists, err);
}

const struct kernels *kernels_default(void)
{
    return chosen ? chosen : kernels_best(PRECISION_F32);
}

void kernels_set_default(const struct kernels *k)
{
    chosen = k;
}
