#include "actor/env/task_terms.h"

#include <assert.h>
#include <math.h>
#include <string.h>

/* ---- operands ---- */

int term_source_size(const mjModel *m, enum term_source source)
{
    switch (source) {
    case SOURCE_QPOS: return (int)m->nq;
    case SOURCE_QVEL:
    case SOURCE_QFRC_ACTUATOR:
    case SOURCE_QFRC_CONSTRAINT: return (int)m->nv;
    case SOURCE_CTRL: return (int)m->nu;
    case SOURCE_CINERT: return 10 * (int)m->nbody;
    case SOURCE_CVEL:
    case SOURCE_CFRC_EXT: return 6 * (int)m->nbody;
    case SOURCE_XPOS: return 3 * (int)m->nbody;
    case SOURCE_SITE_XPOS: return 3 * (int)m->nsite;
    case SOURCE_SENSORDATA: return (int)m->nsensordata;
    case SOURCE_CENTRE_OF_MASS: return 3;
    case N_SOURCES: break;
    }
    return 0;
}

struct operand operand_part(const mjModel *m, enum term_source source, int first, int n)
{
    int size = term_source_size(m, source);
    return (struct operand){ .source = source, .first = first, .n = n < 0 ? size - first : n };
}

struct operand operand_all(const mjModel *m, enum term_source source)
{
    return operand_part(m, source, 0, -1);
}

struct operand operand_position(const mjModel *m, enum term_source source, const char *name,
                                int first, int n)
{
    int id = mj_name2id(m, source == SOURCE_XPOS ? mjOBJ_BODY : mjOBJ_SITE, name);
    return (struct operand){ .source = source, .first = 3 * id + first, .n = id < 0 ? 0 : n };
}

struct operand operand_difference(struct operand a, struct operand b)
{
    assert(a.source == b.source && a.n == b.n);
    a.is_difference = true;
    a.minus = b.first;
    return a;
}

static const double *source_numbers(const mjData *d, enum term_source source)
{
    switch (source) {
#define X(symbol, field) case SOURCE_##symbol: return d->field;
    TERM_SOURCES(X)
#undef X
    case SOURCE_CENTRE_OF_MASS:
    case N_SOURCES: break;
    }
    return NULL;
}

static void centre_of_mass(const mjModel *m, const mjData *d, double out[3])
{
    double mass = 0, sum[3] = { 0 };
    for (int b = 0; b < m->nbody; b++) {
        mass += m->body_mass[b];
        for (int k = 0; k < 3; k++)
            sum[k] += m->body_mass[b] * d->xipos[3 * b + k];
    }
    for (int k = 0; k < 3; k++)
        out[k] = sum[k] / mass;
}

/* Where an operand's numbers are; `room` [3] for those that have to be computed. */
static const double *numbers_of(const struct operand *o, const mjModel *m, const mjData *d,
                                double room[3])
{
    if (o->source != SOURCE_CENTRE_OF_MASS)
        return source_numbers(d, o->source);
    centre_of_mass(m, d, room);
    return room;
}

static inline double number_at(const struct operand *o, const double *numbers, int i)
{
    double x = numbers[o->first + i];
    return o->is_difference ? x - numbers[o->minus + i] : x;
}

static double clip(double x, double low, double high)
{
    return x < low ? low : x > high ? high : x;
}

/* ---- writing a task down ---- */

struct observation_term *task_observe(struct task_terms *t, struct operand of)
{
    assert(t->n_observations < TASK_MAX_TERMS && of.first >= 0 && of.n >= 0);
    struct observation_term *term = &t->observations[t->n_observations++];
    *term = (struct observation_term){ .of = of };
    return term;
}

struct reward_term *task_reward(struct task_terms *t, enum reward_kind kind, double weight,
                                struct operand of)
{
    assert(t->n_rewards < TASK_MAX_TERMS && of.first >= 0 && of.n >= 0);
    struct reward_term *term = &t->rewards[t->n_rewards++];
    *term = (struct reward_term){ .kind = kind, .weight = weight, .of = of };
    return term;
}

struct health_term *task_require(struct task_terms *t, struct operand of, double low, double high)
{
    assert(t->n_healths < TASK_MAX_TERMS && of.first >= 0 && of.n >= 0);
    struct health_term *term = &t->healths[t->n_healths++];
    *term = (struct health_term){ .of = of, .low = low, .high = high };
    return term;
}

static struct reset_term *add_reset(struct task_terms *t, const mjModel *m, bool is_velocity)
{
    assert(t->n_resets < TASK_MAX_TERMS);
    struct reset_term *term = &t->resets[t->n_resets++];
    *term = (struct reset_term){ .is_velocity = is_velocity,
                                 .n = is_velocity ? (int)m->nv : (int)m->nq };
    return term;
}

void task_reset_uniform(struct task_terms *t, const mjModel *m, bool is_velocity, double scale)
{
    struct reset_term *term = add_reset(t, m, is_velocity);
    term->low = -scale;
    term->high = scale;
}

void task_reset_normal(struct task_terms *t, const mjModel *m, bool is_velocity, double scale)
{
    struct reset_term *term = add_reset(t, m, is_velocity);
    term->is_normal = true;
    term->scale = scale;
}

/* ---- reading it ---- */

bool terms_read_body_forces(const struct task_terms *t)
{
    for (int i = 0; i < t->n_observations; i++)
        if (t->observations[i].of.source == SOURCE_CFRC_EXT)
            return true;
    for (int i = 0; i < t->n_rewards; i++)
        if (t->rewards[i].of.source == SOURCE_CFRC_EXT && t->rewards[i].of.n > 0)
            return true;
    for (int i = 0; i < t->n_healths; i++)
        if (t->healths[i].of.source == SOURCE_CFRC_EXT)
            return true;
    return false;
}

int terms_n_obs(const struct task_terms *t)
{
    int n = 0;
    for (int i = 0; i < t->n_observations; i++)
        n += t->observations[i].of.n;
    return n;
}

void terms_observe(const struct task_terms *t, const mjModel *m, const mjData *d, double *obs)
{
    for (int i = 0; i < t->n_observations; i++) {
        const struct observation_term *term = &t->observations[i];
        const struct operand *o = &term->of;
        double room[3];
        const double *numbers = numbers_of(o, m, d, room);
        if (o->is_difference)
            for (int k = 0; k < o->n; k++)
                obs[k] = number_at(o, numbers, k);
        else
            memcpy(obs, numbers + o->first, (size_t)o->n * sizeof(*obs));

        if (term->function == SIN)
            for (int k = 0; k < o->n; k++)
                obs[k] = sin(obs[k]);
        else if (term->function == COS)
            for (int k = 0; k < o->n; k++)
                obs[k] = cos(obs[k]);
        if (term->low != 0 || term->high != 0)
            for (int k = 0; k < o->n; k++)
                obs[k] = clip(obs[k], term->low, term->high);
        obs += o->n;
    }
}

static double norm(const struct operand *o, const double *numbers)
{
    double sum = 0;
    for (int k = 0; k < o->n; k++)
        sum += number_at(o, numbers, k) * number_at(o, numbers, k);
    return sqrt(sum);
}

static double squares(const struct reward_term *term, const double *numbers)
{
    double sum = 0;
    for (int k = 0; k < term->of.n; k++) {
        double x = number_at(&term->of, numbers, k);
        x = (term->is_clipped ? clip(x, term->clip_low, term->clip_high) : x) - term->target;
        sum += x * x;
    }
    return sum;
}

/* The number of a term that the simulation's state gives, unweighted. */
static double state_value(const struct reward_term *term, const mjModel *m, const mjData *d)
{
    double room[3];
    const double *numbers = numbers_of(&term->of, m, d, room);
    switch (term->kind) {
    case REWARD_VALUE:
    case REWARD_RATE: return number_at(&term->of, numbers, 0);
    case REWARD_DISTANCE: return norm(&term->of, numbers);
    case REWARD_SQUARES: return squares(term, numbers);
    case REWARD_CONSTANT:
    case REWARD_ALIVE:
    case REWARD_ACTION_SQUARES: break;
    }
    return 0;
}

static bool is_carried(const struct reward_term *term)
{
    return term->kind == REWARD_RATE || term->is_before;
}

int terms_n_carried(const struct task_terms *t)
{
    int n = 0;
    for (int i = 0; i < t->n_rewards; i++)
        n += is_carried(&t->rewards[i]);
    return n;
}

void terms_carry(const struct task_terms *t, const mjModel *m, const mjData *d, double *carried)
{
    for (int i = 0; i < t->n_rewards; i++)
        if (is_carried(&t->rewards[i]))
            *carried++ = state_value(&t->rewards[i], m, d);
}

bool terms_are_healthy(const struct task_terms *t, const mjModel *m, const mjData *d)
{
    for (int i = 0; i < t->n_healths; i++) {
        const struct health_term *h = &t->healths[i];
        double room[3];
        const double *numbers = numbers_of(&h->of, m, d, room);
        for (int k = 0; k < h->of.n; k++) {
            const double x = number_at(&h->of, numbers, k);
            const bool is_inside = h->includes_bounds ? x >= h->low && x <= h->high
                                                      : x > h->low && x < h->high;
            if (!is_inside)
                return false;
        }
    }
    return true;
}

/* In float32 from the squares to the weight, because actions are float32 in Gymnasium. */
static double action_cost(const float *action, int n, double weight)
{
    float sum = 0;
    for (int k = 0; k < n; k++)
        sum += action[k] * action[k];
    return (double)((float)weight * sum);
}

double terms_reward(const struct task_terms *t, const mjModel *m, const mjData *d,
                    const float *action, double step_s, bool is_healthy, const double *carried)
{
    double reward = 0;
    for (int i = 0; i < t->n_rewards; i++) {
        const struct reward_term *term = &t->rewards[i];
        double part = 0;
        switch (term->kind) {
        case REWARD_CONSTANT: part = term->weight; break;
        case REWARD_ALIVE: part = is_healthy ? term->weight : 0; break;
        case REWARD_RATE:
            part = term->weight * ((state_value(term, m, d) - *carried++) / step_s);
            break;
        case REWARD_ACTION_SQUARES: part = action_cost(action, (int)m->nu, term->weight); break;
        case REWARD_VALUE:
        case REWARD_DISTANCE:
        case REWARD_SQUARES:
            part = term->weight * (term->is_before ? *carried++ : state_value(term, m, d));
            break;
        }
        reward += term->is_limited ? clip(part, term->limit_low, term->limit_high) : part;
    }
    return reward;
}

void terms_draw_start(const struct task_terms *t, mjData *d, struct rng *rng)
{
    for (int i = 0; i < t->n_resets; i++) {
        const struct reset_term *r = &t->resets[i];
        double *x = (r->is_velocity ? d->qvel : d->qpos) + r->first;
        for (int k = 0; k < r->n; k++)
            x[k] += r->is_normal ? r->scale * rng_normal(rng) : rng_uniform(rng, r->low, r->high);
    }
}
