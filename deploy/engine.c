#include "deploy/engine.h"

#include "common/option.h"
#include "deploy/cores.h"

/* More workers do not help with batches of usual size. */
enum { MOST_BY_ITSELF = 8 };

int engine_workers(const struct settings *s, bool is_on_policy, bool has_local_actors, int cores)
{
    if (s->learner.workers > 0)
        return (int)s->learner.workers;
    /* Gradients are computed elsewhere; to apply one is little work. */
    if (s->top.mode == MODE_GRADIENTS)
        return 1;
    const bool do_wait = s->top.mode == MODE_SYNC || !is_on_policy;
    const int64_t left = do_wait || !has_local_actors ? cores : cores - s->top.actors;
    return left < 1 ? 1 : left > MOST_BY_ITSELF ? MOST_BY_ITSELF : (int)left;
}

/* bf16 is as good as f32 on Pendulum; on Hopper and HalfCheetah five seeds do not show it (tests/learning/RESULTS.md). */
static enum precision engine_precision(const struct experiment *e)
{
    const int choice = e->settings.learner.precision;
    return choice == PRECISION_AUTO ? PRECISION_F32 : (enum precision)choice;
}

int engine_init(struct mlp_engine *engine, const struct experiment *e, bool has_local_actors, struct error *err)
{
    const struct option backends = { .choices = KERNELS_CHOICES };
    char name[32];
    option_choice_name(&backends, e->settings.learner.backend, name, sizeof(name));
    int rc = kernels_find(name, engine_precision(e), &engine->kernels, err);
    if (rc != 0)
        return rc;
    const int n = engine_workers(&e->settings, e->algorithm->is_on_policy, has_local_actors, cores_available());
    engine->workers = n > 1 ? workers_create(n) : NULL;
    return 0;
}

void engine_fini(struct mlp_engine *engine)
{
    workers_destroy(&engine->workers);
}
