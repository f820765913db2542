#include "actor/acting.h"

/* Warm-up: the row's action. */
static void act_at_random(const struct policy_shape *shape, struct rng *rng, float *row)
{
    for (int j = 0; j < shape->row.n_act; j++)
        row[row_act(shape->row) + j] = shape->n_choices ? (float)rng_below(rng, (uint64_t)shape->n_choices)
                                                        : (float)rng_uniform(rng, -1, 1);
    row[row_log_prob(shape->row)] = 0;
}

void acting_choose(const struct acting *a, struct stream *const *open, int n)
{
    const struct policy_shape *shape = policy_shape_of(a->policy);
    const int n_act = shape->row.n_act;
    float *rows[ACTING_GROUP];
    for (int i = 0; i < n; i++) {
        struct stream *s = open[i];
        float *noise = a->noise + (size_t)i * (size_t)n_act;
        rows[i] = stream_row(s);
        if (a->is_random)
            act_at_random(shape, &s->action_rng, rows[i]);
        else if (shape->head == HEAD_DETERMINISTIC)
            exploration_draw(a->exploration, &s->action_rng, n_act, s->process, noise);
        else
            policy_draw_ahead(a->policy, &s->action_rng, &s->ahead, noise);
    }
    if (!a->is_random)
        policy_act(a->policy, n, rows, a->noise);
}
