#include "deploy/simulation_private.h"

#include <assert.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "common/arena.h"
#include "learner/snapshot.h"

static struct rng sequence(const struct simulation *s, int actor, enum draw purpose)
{
    struct rng r;
    rng_init(&r, s->conditions.seed, RNG_SIMULATION, (uint32_t)actor, (uint32_t)purpose);
    return r;
}

double simulation_draw(const struct simulation *s, const struct distribution *d, int actor, enum draw purpose,
                       uint64_t i)
{
    if (d->kind == DISTRIBUTION_CONSTANT)
        return d->a;
    struct rng r = sequence(s, actor, purpose);
    return distribution_draw(d, &r, i);
}

/* Number i of a sequence that is uniform in [0, 1). */
static double draw_uniform(const struct simulation *s, int actor, enum draw purpose, uint64_t i)
{
    const struct distribution uniform = { .kind = DISTRIBUTION_UNIFORM, .b = 1 };
    return simulation_draw(s, &uniform, actor, purpose, i);
}

bool simulation_strikes(const struct simulation *s, double p, int actor, enum draw purpose, uint64_t i)
{
    return p > 0 && draw_uniform(s, actor, purpose, i) < p;
}

double simulation_strikes_in_a_row(const struct simulation *s, double p, int actor, enum draw purpose, uint64_t i)
{
    /* P(k or more) = p^k */
    return p > 0 ? floor(log(1 - draw_uniform(s, actor, purpose, i)) / log(p)) : 0;
}

int64_t simulation_ns(double us)
{
    return us < 1e15 ? (int64_t)(us * 1e3) : AGENDA_NEVER;
}

int64_t simulation_after(const struct simulation *s, int64_t ns)
{
    return ns < AGENDA_NEVER - s->now_ns ? s->now_ns + ns : AGENDA_NEVER;
}

double simulation_clock_s(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

void simulation_say(const struct simulation *s, enum simulation_voice voice, const char *format, ...)
{
    char line[640];
    va_list args;
    if (!s->out.log)
        return;
    va_start(args, format);
    vsnprintf(line, sizeof(line), format, args);
    va_end(args);
    s->out.log(s->out.context, voice, line);
}

/* ---- beginning and end ---- */

struct simulation *simulation_create(const struct simulation_setup *setup, struct simulation_out out,
                                     struct error *err)
{
    struct simulation *s = memory_alloc(1, sizeof(*s));
    s->setup = *setup;
    s->out = out;
    s->conditions = *setup->conditions;
    s->status = TRAINING_BUSY;
    s->n_actors = (int)setup->settings->top.actors;
    s->agenda = agenda_create(SOURCE_ACTORS + 2 * s->n_actors);
    s->actors = memory_alloc((size_t)s->n_actors, sizeof(*s->actors));
    if (simulated_learner_create(s, err) != 0) {
        simulation_destroy(&s);
        return NULL;
    }
    simulated_actors_create(s);
    training_begin(s->training);
    agenda_set(s->agenda, SOURCE_LEARNER, 0);
    return s;
}

void simulation_destroy(struct simulation **simulation)
{
    struct simulation *s = *simulation;
    if (!s)
        return;
    simulated_actors_destroy(s);
    simulated_learner_destroy(s);
    network_destroy(s);
    agenda_destroy(&s->agenda);
    free(s->actors);
    free(s);
    *simulation = NULL;
}

enum training_status simulation_step(struct simulation *s)
{
    if (s->status == TRAINING_FINISHED || s->status == TRAINING_DIVERGED)
        return s->status;
    int64_t at_ns;
    const int source = agenda_next(s->agenda, &at_ns), i = source - SOURCE_ACTORS;
    assert(at_ns >= s->now_ns);
    s->now_ns = at_ns;
    s->counts.events++;
    if (source == SOURCE_LEARNER)
        simulated_learner_work(s);
    else if (source == SOURCE_SESSION)
        simulated_learner_tick(s);
    else if (i < s->n_actors)
        simulated_learner_receive(s, i);
    else
        simulated_actor_run(s, i - s->n_actors);
    return s->status == TRAINING_WAITING ? TRAINING_BUSY : s->status;
}

int64_t simulation_now_us(const struct simulation *s)
{
    return s->now_ns / 1000;
}

struct training *simulation_training(struct simulation *s)
{
    return s->training;
}

void simulation_count(const struct simulation *s, struct simulation_counts *out)
{
    *out = s->counts;
    out->now_ns = s->now_ns;
    for (int i = 0; i < s->n_actors; i++) {
        struct actor_counts counts = { 0 };
        if (s->actors[i].core)
            actor_count(s->actors[i].core, &counts);
        out->steps += s->actors[i].env_steps + counts.steps;
        out->actors += s->actors[i].core != NULL;
    }
}

void simulation_session_count(const struct simulation *s, struct session_counts *out)
{
    session_count(s->session, out);
}
