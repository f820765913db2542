/* shoal rollout: transitions of an environment, or of a run's policy in it, as a file. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/file.h"
#include "common/text.h"
#include "deploy/args.h"
#include "deploy/commands.h"
#include "deploy/experiment.h"
#include "deploy/guard.h"
#include "deploy/notes.h"
#include "deploy/program.h"
#include "deploy/rollout.h"
#include "deploy/run.h"

#define COUNT(a) ((int)(sizeof(a) / sizeof(*(a))))

enum { MAX_STEPS = 1000000000 };

/* What was asked for. */
struct request {
    const char *subject;            /* an environment, or a run */
    char **overrides;
    int n_overrides;
    const char *policy, *state, *out, *steps, *seed;
    bool best, stochastic, json;
};

/* What is needed to play; all empty at first. */
struct stage {
    struct experiment experiment;
    struct env_model *model;
    struct npz_array actions;
    struct arena *arena;            /* of the policy */
    struct rollout_plan plan;
    bool is_guarded;                /* against what the environment does to this process */
};

/* ---- the environment ---- */

static int load_environment(struct stage *s, const struct request *q, bool is_run,
                            struct error *err)
{
    char path[RUN_PATH_BYTES + 64];
    run_config_path(q->subject, path, sizeof(path));
    if (is_run)
        return experiment_load(&s->experiment, path, q->overrides, q->n_overrides, err);
    int rc = run_refuse_place(q->subject, err);
    return rc == 0 ? experiment_load_environment(&s->experiment, q->subject, q->overrides,
                                                 q->n_overrides, err)
                   : rc;
}

/* ---- the actions ---- */

static int load_policy(struct stage *s, const struct request *q, struct error *err)
{
    struct policy_shape shape;
    float *params = NULL;
    int rc = run_load_policy(q->subject, q->best, env_spec(s->model), &shape, &params, err);
    if (rc == 0 && q->stochastic && shape.head == HEAD_DETERMINISTIC)
        rc = error_set(err, ERR_USAGE, "--stochastic: the policy of %s is deterministic, there is nothing "
                       "to sample; leave the flag out", q->subject);
    if (rc == 0) {
        s->arena = arena_create(1 << 16);
        s->plan.policy = policy_create(&shape, 1, s->arena);
        policy_set(s->plan.policy, params);
        s->plan.actor = q->stochastic ? ROLLOUT_SAMPLED : ROLLOUT_MEAN;
    }
    free(params);
    return rc;
}

static int choose_actor(struct stage *s, const struct request *q, bool is_run, struct error *err)
{
    if ((q->best || q->stochastic) && (!is_run || q->policy))
        return error_set(err, ERR_USAGE, "%s is for the policy of a run; %s%s",
                         q->best ? "--best" : "--stochastic", is_run ? "--policy " : q->subject,
                         is_run ? "says otherwise" : " is an environment");
    if (!q->policy && is_run)
        return load_policy(s, q, err);
    if (!q->policy || strcmp(q->policy, "random") == 0) {
        s->plan.actor = ROLLOUT_RANDOM;
    } else if (strcmp(q->policy, "zero") == 0) {
        s->plan.actor = ROLLOUT_ZERO;
    } else if (text_ends_with(q->policy, ".npy")) {
        s->plan.actor = ROLLOUT_GIVEN;
        int rc = rollout_read_actions(q->policy, env_spec(s->model), &s->plan.steps, &s->actions,
                                      err);
        s->plan.actions = s->actions.data;
        return rc;
    } else {
        return error_set(err, ERR_USAGE, "--policy: expected random, zero or a file of actions that "
                         "ends in .npy, found \"%.100s\"", q->policy);
    }
    return 0;
}

static int read_numbers(struct rollout_plan *plan, const struct request *q, struct error *err)
{
    long long steps = 0, seed = 0;
    if (!q->out)
        return error_set(err, ERR_USAGE, "shoal rollout needs --out FILE.npz or FILE.csv");
    if (!q->steps && !(q->policy && text_ends_with(q->policy, ".npy")))
        return error_set(err, ERR_USAGE, "shoal rollout needs --steps N (only --policy FILE.npy says "
                         "itself how many)");
    int rc = q->steps ? args_int("--steps", q->steps, 1, MAX_STEPS, &steps, err) : 0;
    if (rc == 0)
        rc = args_int("--seed", q->seed, 0, INT64_MAX, &seed, err);
    *plan = (struct rollout_plan){ .state = q->state, .steps = steps, .seed = (uint64_t)seed,
                                   .out = q->out, .is_quiet = q->json };
    return rc;
}

/* ---- all together ---- */

static void print_json(const struct rollout_result *r, double steps_per_s)
{
    printf("{\"steps\":%" PRId64 ",\"episodes\":%" PRId64 ",\"return_mean\":", r->steps, r->episodes);
    if (r->episodes > 0)
        printf("%.9g", r->return_mean);
    else
        printf("null");
    printf(",\"diverged\":%" PRId64 ",\"steps_per_s\":%.9g}\n", r->diverged, steps_per_s);
}

static void print_summary(const struct rollout_result *r, const char *name, double steps_per_s)
{
    char mean[64] = "", diverged[64] = "";
    if (r->episodes > 0)
        snprintf(mean, sizeof(mean), " (mean return %.2f)", r->return_mean);
    if (r->diverged > 0)
        snprintf(diverged, sizeof(diverged), ", %" PRId64 " of them diverged", r->diverged);
    printf("%s: %" PRId64 " step%s, %" PRId64 " episode%s ended%s%s, %.0f steps/s\n", name, r->steps,
           text_plural(r->steps), r->episodes, text_plural(r->episodes), mean, diverged, steps_per_s);
}

static void tell(const char *line, size_t n)
{
    notes_write(STDERR_FILENO, 0, line, n);
}

/* Open the environment, under a guard from then on. */
static int open_guarded(struct stage *s, struct error *err)
{
    static struct watch watch;
    static const struct guard guard = { .who = "shoal rollout", .place = "episode", .watch = &watch,
                                        .tell = tell };
    const struct env_setup *setup = &s->experiment.env;
    int rc = guard_begin(&guard, err);
    if (rc != 0)
        return rc;
    s->is_guarded = true;
    s->plan.watch = &watch;
    watch_begin(&watch, setup->name, 0);
    watch_enter(&watch, WATCH_OPENING, 0, 0);
    rc = env_open(&s->model, setup, err);
    watch_leave(&watch);
    return rc;
}

static int roll_out(const struct request *q, struct error *err)
{
    struct stage s = { 0 };
    struct rollout_result result = { 0 };
    const bool is_run = run_exists(q->subject);
    int rc = read_numbers(&s.plan, q, err);
    if (rc == 0)
        rc = check_env_overrides("shoal rollout", q->overrides, q->n_overrides, err);
    if (rc == 0)
        rc = load_environment(&s, q, is_run, err);
    if (rc == 0)
        rc = open_guarded(&s, err);
    if (rc == 0)
        rc = choose_actor(&s, q, is_run, err);
    if (rc == 0) {
        s.plan.model = s.model;
        rc = rollout_play(&s.plan, &result, err);
    }
    if (rc == 0 || (rc == ERR_INTERRUPTED && result.steps > 0)) {
        const double steps_per_s = (double)result.steps / (result.time_s > 0 ? result.time_s : 1e-6);
        if (q->json)
            print_json(&result, steps_per_s);
        else
            print_summary(&result, env_spec(s.model)->name, steps_per_s);
    }
    arena_destroy(&s.arena);
    npz_array_free(&s.actions);
    env_close(&s.model);
    if (s.is_guarded)
        guard_end();
    experiment_fini(&s.experiment);
    return rc;
}

int command_rollout(int argc, char **argv, struct error *err)
{
    struct request q = { .seed = "0" };
    const char *env_path = NULL;
    bool wants_help;
    const struct flag flags[] = {
        { "--steps", "N", &q.steps, NULL, "steps to take; episodes follow on one another" },
        { "--out", "FILE", &q.out, NULL, "where to write: .npz or .csv" },
        { "--policy", "WHAT", &q.policy, NULL, "random (an environment's default), zero, or FILE.npy: "
                                               "[steps][n_act] in the environment's units" },
        { "--state", "FILE.npz", &q.state, NULL, "start from its qpos and qvel, or its state" },
        { "--seed", "S", &q.seed, NULL, "of starts and random actions (default 0)" },
        { "--best", NULL, NULL, &q.best, "a run's best evaluated policy instead of its last" },
        { "--stochastic", NULL, NULL, &q.stochastic, "sample a run's policy instead of its best action" },
        { "--json", NULL, NULL, &q.json, "print one JSON object" },
        ENV_PATH_FLAG(env_path),
    };
    const struct command command = {
        "rollout", "ENV|RUN --steps N --out FILE [flags] [env.option=value ...]", NULL,
        "Play an environment, or a run's policy (its mean or most probable action) in the run's, and\n"
        "write every transition: obs, action, reward, terminated, truncated, next_obs and the state before and\n"
        "after (MuJoCo: qpos, qvel, next_qpos, next_qvel; others: state, next_state).\n"
        "Ctrl-C stops and keeps what there is.",
        "shoal rollout Pendulum-v1 --steps 1000 --out pendulum.npz --policy random", flags,
        COUNT(flags)
    };
    int n = args_parse(&command, argc, argv, &wants_help, err);
    if (n < 0 || wants_help)
        return n < 0 ? n : 0;
    if (n == 0)
        return error_set(err, ERR_USAGE, "shoal rollout needs an environment or a run directory; see "
                         "shoal rollout --help");
    q.subject = argv[0];
    q.overrides = argv + 1;
    q.n_overrides = n - 1;
    program_catch_signals();
    int rc = use_env_path(env_path, err);
    return rc == 0 ? roll_out(&q, err) : rc;
}
