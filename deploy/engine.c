#include "deploy/engine.h"

#include <sched.h>

#include "common/option.h"

/* More do not help with batches of usual size. */
enum { MOST_BY_ITSELF = 8 };

int engine_cores(void)
{
    cpu_set_t set;
    const int n = sched_getaffinity(0, sizeof(set), &set) == 0 ? CPU_COUNT(&set) : 1;
    return n > 0 ? n : 1;
}

/* Actors that wait for the learner leave it their cores: in sync while it learns, and off-policy whenever
 * learning takes longer than acting. Others keep theirs. */
int engine_workers(const struct experiment *e, int cores)
{
    const struct settings *s = &e->settings;
    if (s->learner.workers > 0)
        return (int)s->learner.workers;
    const bool do_wait = s->top.mode == MODE_SYNC || !e->algorithm->is_on_policy;
    const int64_t left = do_wait ? cores : cores - s->top.actors;
    return left < 1 ? 1 : left > MOST_BY_ITSELF ? MOST_BY_ITSELF : (int)left;
}

/* No faster precision has been shown to learn as well on enough tasks yet. */
static enum precision engine_precision(const struct experiment *e)
{
    const int choice = e->settings.learner.precision;
    return choice == PRECISION_AUTO ? PRECISION_F32 : (enum precision)choice;
}

int engine_init(struct mlp_engine *engine, const struct experiment *e, struct error *err)
{
    const struct option backends = { .choices = KERNELS_CHOICES };
    char name[32];
    option_choice_name(&backends, e->settings.learner.backend, name, sizeof(name));
    int rc = kernels_find(name, engine_precision(e), &engine->kernels, err);
    if (rc != 0)
        return rc;
    const int n = engine_workers(e, engine_cores());
    engine->workers = n > 1 ? workers_create(n) : NULL;
    return 0;
}

void engine_fini(struct mlp_engine *engine)
{
    workers_destroy(&engine->workers);
}
