#include "deploy/rerun_gradients.h"

#include <stdio.h>
#include <string.h>

#include "actor/gradients.h"

struct rerun_gradients {
    int n_places, per_place;
    struct gradients **places;      /* [n_places] */
};

/* What the session said to the actor of a place. */
static int welcome_place(struct welcome *w, const struct experiment *e, struct error *err)
{
    const struct settings *s = &e->settings;
    const struct option_section section = { .name = e->algorithm->name, .options = e->algorithm->options,
                                            .n_options = e->algorithm->n_options,
                                            .base = (void *)(uintptr_t)e->hyper };    /* printing only reads */
    const struct mlp_body policy = settings_policy_body(s);
    w->seed = (uint64_t)s->top.seed;
    w->horizon = s->actor.horizon;
    w->normalises = s->learner.normalise_observations;
    w->scales_rewards = s->learner.scale_rewards;
    w->whole_episodes = e->traits.takes_whole_episodes;
    w->layer_norm = policy.has_layer_norm;
    w->critic_layer_norm = settings_critic_body(s).has_layer_norm;
    snprintf(w->algorithm, sizeof(w->algorithm), "%.15s", e->algorithm->name);
    snprintf(w->activation, sizeof(w->activation), "%s", activation_name(policy.activation));
    snprintf(w->head, sizeof(w->head), "%s", policy_head_name(e->traits.head));
    if (options_print_line(&section, true, w->algorithm_options, sizeof(w->algorithm_options)) < 0)
        return error_set(err, ERR_CONFIG, "the options of %s are longer than WELCOME can say", e->algorithm->name);
    return 0;
}

struct rerun_gradients *rerun_gradients_create(const struct experiment *e, const struct env_spec *spec,
                                               struct arena *arena, struct error *err)
{
    const struct settings *s = &e->settings;
    const size_t per_place = (size_t)s->top.envs_per_actor, n_hidden = (size_t)s->network.hidden.n;
    struct rerun_gradients *g = arena_alloc(arena, 1, sizeof(*g));
    struct message m;
    uint32_t hidden[OPTION_MAX_INTS];
    for (size_t l = 0; l < n_hidden; l++)
        hidden[l] = (uint32_t)s->network.hidden.v[l];
    message_init(&m, MESSAGE_WELCOME);
    int rc = welcome_place(&m.welcome, e, err);
    const uint32_t *zeros = arena_alloc(arena, 2 * per_place, sizeof(*zeros));
    m.welcome.hidden = (struct bytes){ (const unsigned char *)hidden, n_hidden * sizeof(*hidden) };
    m.welcome.streams = m.welcome.lives = (struct bytes){ (const unsigned char *)zeros, per_place * sizeof(*zeros) };
    m.welcome.sequences = (struct bytes){ (const unsigned char *)zeros, per_place * sizeof(int64_t) };
    g->per_place = (int)per_place;
    g->places = arena_alloc(arena, (size_t)s->top.actors, sizeof(struct gradients *));
    for (; rc == 0 && g->n_places < s->top.actors; g->n_places++)
        rc = gradients_create(&g->places[g->n_places], &m.welcome, e->algorithm, spec, arena, err);
    if (rc != 0)
        rerun_gradients_destroy(&g);
    return g;
}

void rerun_gradients_destroy(struct rerun_gradients **g)
{
    for (int i = 0; *g && i < (*g)->n_places; i++)
        gradients_destroy(&(*g)->places[i]);
    *g = NULL;
}

const float *rerun_gradients_adopt(struct rerun_gradients *g, uint32_t stream, bool is_new, const float *snapshot)
{
    struct gradients *place = g->places[stream / (uint32_t)g->per_place];
    if (is_new)
        gradients_restart(place);
    return gradients_adopt(place, snapshot);
}

struct fragment *rerun_gradients_make(struct rerun_gradients *g, struct stream *streams,
                                      const struct schedule_record *r, struct fragment_pool *fragments)
{
    struct message m;
    message_init(&m, MESSAGE_GRADIENT);
    m.gradient.incarnation = 1;
    m.gradient.version = (int64_t)r->version;
    struct fragment *f = fragment_pool_take(fragments);
    f->frame = gradients_make(g->places[r->stream / (uint32_t)g->per_place], &m, streams, 0);
    f->stream = r->stream;
    f->life = r->life;
    f->sequence = (int64_t)r->sequence;
    f->version = (int64_t)r->version;
    f->n_transitions = (int)r->n_transitions;
    if (r->n_used == 0)
        return f;
    if (message_decode(&m, f->frame->data, f->frame->size) != NULL) {
        fragment_pool_give(fragments, f);
        return NULL;
    }
    f->n_rows = 1;
    f->returns = m.gradient.returns;
    f->lengths = m.gradient.lengths;
    f->gradient = m.gradient.gradient;
    f->metrics = m.gradient.metrics;
    f->statistics = m.gradient.statistics;
    return f;
}
