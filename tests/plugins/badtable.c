/* A table with one mistake, which SHOAL_TEST_MISTAKE names. */
#include <string.h>

#include "plain.h"

static struct shoal_option options[] = {
    { "first", 1, 0, 2, "of two" },
    { "second", 0.1, 0, 1, "of two" },
};

static int badtable_open(const double *values, struct shoal_spec *spec, void **shared, char *error)
{
    (void)shared, (void)error;
    return plain_open(values, spec, 2);
}

/* A table of a later Shoal: longer, and otherwise the same. */
static struct {
    struct shoal_environment known;
    void *later[8];
} longer = { PLAIN_TABLE("badtable", options, badtable_open, plain_step), { &longer } };

const struct shoal_environment *shoal_environment(void)
{
    const char *mistake = getenv("SHOAL_TEST_MISTAKE");
    struct shoal_environment *t = &longer.known;
    if (!mistake)
        return t;
    if (strcmp(mistake, "null") == 0)
        return NULL;
    if (strcmp(mistake, "short") == 0)
        t->bytes = 16;
    else if (strcmp(mistake, "longer") == 0)
        t->bytes = sizeof(longer);
    else if (strcmp(mistake, "name") == 0)
        t->name = "other";
    else if (strcmp(mistake, "step") == 0)
        t->step = NULL;
    else if (strcmp(mistake, "half") == 0)
        t->set_state = NULL;
    else if (strcmp(mistake, "stateless") == 0)
        t->get_state = NULL, t->set_state = NULL;
    else if (strcmp(mistake, "many") == 0)
        t->n_options = SHOAL_MAX_OPTIONS + 1;
    else if (strcmp(mistake, "spelling") == 0)
        options[1].name = "Second";
    else if (strcmp(mistake, "twice") == 0)
        options[1].name = "first";
    else if (strcmp(mistake, "taken") == 0)
        options[1].name = "max_episode_steps";
    else if (strcmp(mistake, "range") == 0)
        options[1].high = INFINITY;
    else if (strcmp(mistake, "default") == 0)
        options[1].value = 1.5;
    else if (strcmp(mistake, "help") == 0)
        options[1].help = "two\nlines";
    return t;
}
