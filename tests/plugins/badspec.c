/* An impossible specification, one mistake for each value of an option; or a failing open. All of it
 * with another rounding mode, as libraries built with -ffast-math have another flush-to-zero mode. */
#include <fenv.h>
#include <stdio.h>

#include "plain.h"

static const struct shoal_option options[] = {
    { "mistake", 1, -2, 100, "which" },
    { "max_speed", 0.1, -1e-300, 1e300, NULL },
};

static int is_open;

__attribute__((constructor)) static void round_otherwise(void)
{
    fesetround(FE_UPWARD);
}

/* What opened is closed exactly once, also when Shoal refuses the specification. */
static void badspec_close(void *shared)
{
    (void)shared;
    if (is_open-- != 1)
        abort();
}

__attribute__((destructor)) static void see_that_all_is_closed(void)
{
    if (is_open != 0)
        abort();
}

static int badspec_open(const double *values, struct shoal_spec *spec, void **shared, char *error)
{
    (void)shared;
    plain_open(values, spec, 2);
    fesetround(FE_DOWNWARD);
    switch ((int)values[0]) {
    case -2: return 7;
    case -1:
        snprintf(error, SHOAL_ERROR_BYTES, "no map\nfound; max_speed is %g", values[1]);
        return -1;
    case 1: spec->n_obs = 0; break;
    case 2: spec->n_obs = SHOAL_MAX_OBS + 1; break;
    case 3: spec->n_act = SHOAL_MAX_ACT + 1; break;
    case 4: spec->act_high[0] = spec->act_low[0]; break;
    case 5: spec->act_high[0] = INFINITY; break;
    case 6: spec->n_choices = 3, spec->n_act = 2; break;
    case 7: spec->n_choices = 1; break;
    case 8: spec->time_limit = -1; break;
    case 9: spec->n_state = -3; break;
    case 10: spec->step_s = NAN; break;
    default: break;
    }
    is_open++;
    return 0;
}

static void badspec_get_state(const void *self, double *state)
{
    plain_get_state(self, state);
    if (plain_values[0] == 11)
        state[1] = -INFINITY;
}

static struct shoal_environment table = PLAIN_TABLE("badspec", options, badspec_open, plain_step);

const struct shoal_environment *shoal_environment(void)
{
    table.close = badspec_close;
    table.get_state = badspec_get_state;
    return &table;
}
