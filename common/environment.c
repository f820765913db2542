#include "common/environment.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "common/digest.h"
#include "common/text.h"

const struct option env_common_options[N_ENV_COMMON_OPTIONS] = {
    { .name = "max_episode_steps", .type = OPTION_INT,
      .offset = offsetof(struct env_common_options, max_episode_steps), .value = "0", .min = 0,
      .max = 1e9, .help = "transitions until an episode is truncated; 0: the environment's own" },
};

/* Append to the text in `out`, cutting it at `bytes`. */
static void append(char *out, size_t bytes, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

static void append(char *out, size_t bytes, const char *format, ...)
{
    size_t used = strlen(out);
    va_list args;
    va_start(args, format);
    vsnprintf(out + used, bytes - used, format, args);
    va_end(args);
}

void env_spec_hash(const struct env_spec *spec, char out[ENV_SPEC_HASH_BYTES])
{
    /* The form is part of the protocol: proto/PROTOCOL.md, "The specification hash". */
    char text[256 + ENV_NAME_BYTES + 2 * ENV_MAX_ACT * 18 + ENV_OPTIONS_LINE_BYTES] = "";
    append(text, sizeof(text), "shoal-env-2 %s n_obs %d n_act %d n_choices %d limit %d low",
           spec->name, spec->shape.n_obs, spec->shape.n_act, spec->n_choices, spec->time_limit);
    for (int i = 0; i < spec->shape.n_act; i++)
        append(text, sizeof(text), " %.9g", (double)spec->act_low[i]);
    append(text, sizeof(text), " high");
    for (int i = 0; i < spec->shape.n_act; i++)
        append(text, sizeof(text), " %.9g", (double)spec->act_high[i]);
    append(text, sizeof(text), " content %s options %s", spec->content[0] ? spec->content : "-",
           spec->options[0] ? spec->options : "-");

    char digits[DIGEST_HEX_BYTES];
    digest_sha256_hex(text, strlen(text), digits);
    snprintf(out, ENV_SPEC_HASH_BYTES, "%.*s", ENV_SPEC_HASH_BYTES - 1, digits);
}

bool env_bounds_are_equal(const struct env_spec *spec)
{
    for (int i = 1; i < spec->shape.n_act; i++)
        if (spec->act_low[i] != spec->act_low[0] || spec->act_high[i] != spec->act_high[0])
            return false;
    return true;
}

void env_spec_describe(const struct env_spec *spec, char *out, size_t bytes)
{
    const struct row_shape shape = spec->shape;
    out[0] = '\0';
    append(out, bytes, "%s (%d observation%s, ", spec->name, shape.n_obs, text_plural(shape.n_obs));
    if (spec->n_choices > 0)
        append(out, bytes, "%d choice%s", spec->n_choices, text_plural(spec->n_choices));
    else if (env_bounds_are_equal(spec))
        append(out, bytes, "%d action%s in [%.4g, %.4g]", shape.n_act, text_plural(shape.n_act),
               (double)spec->act_low[0], (double)spec->act_high[0]);
    else
        append(out, bytes, "%d actions of different bounds", shape.n_act);
    if (spec->time_limit > 0)
        append(out, bytes, ", limit %d)", spec->time_limit);
    else
        append(out, bytes, ", no limit)");
}
