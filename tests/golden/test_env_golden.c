/* Every environment, with default and other options, against episodes of Gymnasium's own. They are
 * recorded by make_env_golden.py, which documents the files, and replayed here in the
 * environment's own units with its time limit. */
#include <glob.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "actor/env.h"
#include "actor/env/registry.h"
#include "tests/support.h"

static const double OBS_TOLERANCE = 1e-10;    /* of max(1, |x|) */

enum { TEXT_BYTES = 512 };

/* One file being read, and the first thing that was wrong in it. */
struct golden {
    const char *path;
    char text[TEXT_BYTES + 1];
    const char *name, *options;    /* in `text`; no options are NULL */
    double *numbers;
    const double *at, *end;
    int n_obs, n_act, n_choices, nq, nv, n_episodes;
    double reward_tolerance;
    int episode, t;
    char wrong[256];
};

struct episode {
    int n_steps, hold, head, stride;
    uint64_t seed;
    float reach;
    bool terminated, truncated;
    const double *start;    /* [nq + nv] */
    const double *rows;     /* [n_steps + 1][2]: reward, checksum */
};

/* The actions of an episode; make_env_golden.py has the same. */
struct actions {
    uint64_t state;
    float action[ENV_MAX_ACT];
};

__attribute__((format(printf, 2, 3))) static void wrong(struct golden *g, const char *format, ...)
{
    if (g->wrong[0] != '\0')
        return;
    int used = snprintf(g->wrong, sizeof(g->wrong), "episode %d, step %d: ", g->episode, g->t);
    va_list args;
    va_start(args, format);
    vsnprintf(g->wrong + used, sizeof(g->wrong) - (size_t)used, format, args);
    va_end(args);
}

/* The next n numbers of the file. */
static const double *next(struct golden *g, int n)
{
    const double *numbers = g->at;
    ck_assert_msg(n >= 0 && n <= g->end - g->at, "%s is too short", g->path);
    g->at += n;
    return numbers;
}

static int next_int(struct golden *g)
{
    return (int)*next(g, 1);
}

static void golden_open(struct golden *g, const char *path)
{
    memset(g, 0, sizeof(*g));
    g->path = path;
    size_t bytes;
    char *data = test_read(path, &bytes);
    ck_assert_msg(bytes > TEXT_BYTES, "%s is too short", path);

    memcpy(g->text, data, TEXT_BYTES);
    char *options = strchr(g->text, '\n');
    ck_assert_ptr_nonnull(options);
    *options++ = '\0';
    options[strcspn(options, "\n")] = '\0';
    g->name = g->text;
    g->options = *options ? options : NULL;

    const size_t n = (bytes - TEXT_BYTES) / sizeof(double);
    g->numbers = malloc(n * sizeof(double));
    memcpy(g->numbers, data + TEXT_BYTES, n * sizeof(double));
    free(data);
    g->at = g->numbers;
    g->end = g->numbers + n;
    g->n_obs = next_int(g);
    g->n_act = next_int(g);
    g->n_choices = next_int(g);
    g->nq = next_int(g);
    g->nv = next_int(g);
    g->reward_tolerance = *next(g, 1);
    g->n_episodes = next_int(g);
    ck_assert_int_le(g->n_obs, ENV_MAX_OBS);
    ck_assert_int_le(g->n_act, ENV_MAX_ACT);
}

static struct episode next_episode(struct golden *g)
{
    struct episode ep = { .n_steps = next_int(g) };
    ep.seed = (uint64_t)*next(g, 1);
    ep.hold = next_int(g);
    ep.reach = (float)*next(g, 1);
    ep.head = next_int(g);
    ep.stride = next_int(g);
    ep.terminated = next_int(g) != 0;
    ep.truncated = next_int(g) != 0;
    ep.start = next(g, g->nq + g->nv);
    ep.rows = next(g, 2 * (ep.n_steps + 1));
    return ep;
}

static bool is_shown(const struct episode *ep, int t)
{
    const bool ended = ep->terminated || ep->truncated;
    return ep->stride > 0 && (t <= ep->head || t % ep->stride == 0
                              || (ended && t >= ep->n_steps - 1));
}

static uint32_t draw(uint64_t *state)
{
    uint64_t z = *state += 0x9E3779B97F4A7C15u;
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
    return (uint32_t)((z ^ (z >> 31)) >> 40);
}

static const float *next_action(const struct golden *g, const struct episode *ep,
                                struct actions *a, int t)
{
    for (int i = 0; (t - 1) % ep->hold == 0 && i < g->n_act; i++) {
        const uint32_t u = draw(&a->state);
        a->action[i] = g->n_choices ? (float)(u % (uint32_t)g->n_choices)
                                    : ep->reach * (float)(2 * (double)u / 16777216.0 - 1);
    }
    return a->action;
}

/* The observation after step t, by its checksum or by itself. */
static void check_observation(struct golden *g, const struct env *e, const struct episode *ep,
                              int t)
{
    double obs[ENV_MAX_OBS], sum = 0, tolerance = 0;
    env_observation(e, obs);
    if (is_shown(ep, t)) {
        const double *expected = next(g, g->n_obs);
        for (int i = 0; i < g->n_obs; i++)
            if (!(fabs(obs[i] - expected[i]) <= OBS_TOLERANCE * fmax(1, fabs(expected[i]))))
                wrong(g, "observation %d is %.17g, Gymnasium has %.17g", i, obs[i], expected[i]);
    }
    for (int i = 0; i < g->n_obs; i++) {
        const double weight = 1 + (37 * i % 64) / 64.0;
        sum += weight * obs[i];
        tolerance += weight * OBS_TOLERANCE * fmax(1, fabs(obs[i]));
    }
    const double expected = ep->rows[2 * t + 1];
    if (!(fabs(sum - expected) <= tolerance))
        wrong(g, "the observations' checksum is %.17g, Gymnasium's %.17g", sum, expected);
}

/* What the step itself said. */
static void check_outcome(struct golden *g, const struct episode *ep, int t,
                          const struct env_outcome *out)
{
    const double reward = ep->rows[2 * t];
    if (!(fabs(out->reward - reward) <= g->reward_tolerance * fmax(1, fabs(reward))))
        wrong(g, "the reward is %.17g, Gymnasium's %.17g", out->reward, reward);
    const bool is_last = t == ep->n_steps;
    if (out->terminated != (is_last && ep->terminated))
        wrong(g, "terminated is %d", out->terminated);
    if (out->truncated != (is_last && ep->truncated))
        wrong(g, "truncated is %d", out->truncated);
    if (out->diverged)
        wrong(g, "it diverged");
}

static void check_episode(struct golden *g, struct env *e)
{
    const struct episode ep = next_episode(g);
    struct actions actions = { .state = ep.seed };
    struct error err;
    const int rc = g->nv > 0 ? env_set_physics(e, ep.start, g->nq, ep.start + g->nq, g->nv, &err)
                             : env_set_raw_state(e, ep.start, g->nq, &err);
    g->t = 0;
    if (rc != 0)
        wrong(g, "the start is refused: %s", err.text);
    if (g->wrong[0] != '\0')
        return;
    check_observation(g, e, &ep, 0);
    for (int t = 1; t <= ep.n_steps && g->wrong[0] == '\0'; t++) {
        struct env_outcome out;
        float next_obs[ENV_MAX_OBS];
        g->t = t;
        env_step_units(e, next_action(g, &ep, &actions, t), next_obs, &out);
        check_outcome(g, &ep, t, &out);
        check_observation(g, e, &ep, t);
    }
}

static const char *models_dir(void)
{
    const char *dir = getenv("SHOAL_MODELS");
    return dir && *dir ? dir : SHOAL_MODELS_DIR;
}

/* Replay one file up to its first difference, which stays in g->wrong. */
static void check_file(struct golden *g)
{
    const struct env_setup setup = { .name = g->name, .options = g->options,
                                     .models_dir = models_dir() };
    struct error err;
    struct env_model *m = NULL;
    if (env_open(&m, &setup, &err) != 0) {
        wrong(g, "%s", err.text);
        return;
    }
    const struct env_spec *spec = env_spec(m);
    ck_assert_int_eq(spec->shape.n_obs, g->n_obs);
    ck_assert_int_eq(spec->shape.n_act, g->n_act);
    ck_assert_int_eq(spec->n_choices, g->n_choices);

    struct env *e = env_create(m);
    for (g->episode = 0; g->episode < g->n_episodes && g->wrong[0] == '\0'; g->episode++)
        check_episode(g, e);
    if (g->wrong[0] == '\0')
        ck_assert_ptr_eq(g->at, g->end);
    env_destroy(&e);
    env_close(&m);
}

START_TEST(episodes_are_those_of_gymnasium)
{
    glob_t files;
    ck_assert_int_eq(glob("tests/golden/env_*.bin", 0, NULL, &files), 0);
    int n_wrong = 0;
    for (size_t i = 0; i < files.gl_pathc; i++) {
        struct golden g;
        golden_open(&g, files.gl_pathv[i]);
        check_file(&g);
        if (g.wrong[0] != '\0') {
            fprintf(stderr, "%s: %s\n", g.path, g.wrong);
            n_wrong++;
        }
        free(g.numbers);
    }
    globfree(&files);
    ck_assert_msg(n_wrong == 0, "%d recordings are not reproduced", n_wrong);
}
END_TEST

START_TEST(every_environment_has_recorded_episodes)
{
    const char *names[N_ENVIRONMENTS];
    environment_names(names);
    for (int i = 0; i < N_ENVIRONMENTS; i++) {
        char path[256];
        struct golden g;
        snprintf(path, sizeof(path), "tests/golden/env_%s.bin", names[i]);
        golden_open(&g, path);
        ck_assert_str_eq(g.name, names[i]);
        ck_assert_ptr_null(g.options);
        free(g.numbers);
    }
}
END_TEST

int main(void)
{
    const TTest *const tests[] = { episodes_are_those_of_gymnasium,
                                   every_environment_has_recorded_episodes };
    return suite_run("env_golden", tests, TEST_COUNT(tests), 300);
}
