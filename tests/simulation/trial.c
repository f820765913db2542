#include "tests/simulation/trial.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/digest.h"
#include "tests/support.h"

enum { MAX_STREAMS = 64 };

/* A trial under way. */
struct course {
    const struct trial *trial;
    struct trial_result *result;
    struct simulation *simulation;
    int64_t last_life[MAX_STREAMS], next_sequence[MAX_STREAMS];    /* in the schedule */
};

void trial_defaults(struct trial *t, const struct algorithm *algorithm, enum mode mode, int actors, int envs)
{
    struct option_section sections[SETTINGS_SECTIONS + 1];
    static char name[] = "env.name=Pendulum-v1";
    char *override = name;
    const struct option_preset preset = { algorithm->presets[0].values, NULL };
    struct error err;
    *t = (struct trial){ .seed = 1, .delay_us = 200, .jitter_us = 300, .step_us = 50, .step_jitter_us = 50,
                         .update_us = 500, .retransmit_us = 20000, .algorithm = algorithm };
    ck_assert_uint_le(algorithm->hyper_bytes, sizeof(t->hyper));
    int n = settings_sections(&t->settings, sections);
    sections[n] = (struct option_section){ .name = algorithm->name, .options = algorithm->options,
                                           .n_options = algorithm->n_options, .base = t->hyper };
    ck_assert_msg(options_load(sections, n + 1, &preset, NULL, &override, 1, &err) == 0, "%s", err.text);
    t->settings.top.mode = mode;
    t->settings.top.actors = actors;
    t->settings.top.envs_per_actor = envs;
    t->settings.network.hidden = (struct option_ints){ .n = 2, .v = { 64, 64 } };
    t->settings.eval.every = 0;
}

/* ---- what the simulation says ---- */

static void on_published(void *context, int64_t version, const float *params, size_t n)
{
    (void)context;
    bool is_finite = true;    /* Check notes every assertion in a pipe: one for all */
    for (size_t i = 0; i < n; i++)
        is_finite &= isfinite(params[i]) != 0;
    ck_assert_msg(is_finite, "version %d is not finite", (int)version);
}

static void on_evaluated(void *context, int64_t env_steps, const struct evaluation *e, const float *params)
{
    (void)env_steps, (void)params;
    ((struct course *)context)->result->evaluation = *e;
}

/* A digest over everything so far and `line`. */
static void digest_line(uint64_t *so_far, const char *line)
{
    char whole[256];
    unsigned char digest[DIGEST_BYTES];
    int n = snprintf(whole, sizeof(whole), "%" PRIu64 ",%s", *so_far, line);
    digest_sha256(whole, (size_t)n, digest);
    memcpy(so_far, digest, sizeof(*so_far));
}

static void on_hash(void *context, int64_t update, int64_t env_steps, const char *sha256)
{
    struct trial_result *r = ((struct course *)context)->result;
    char line[160];
    snprintf(line, sizeof(line), "%" PRId64 ",%" PRId64 ",%s", update, env_steps, sha256);
    digest_line(&r->hashes, line);
    snprintf(r->params_sha256, sizeof(r->params_sha256), "%s", sha256);
}

static void note_order(struct course *c, const struct schedule_record *record)
{
    int64_t *life = &c->last_life[record->stream], *next = &c->next_sequence[record->stream];
    if (record->life != *life)
        *next = 0;
    c->result->out_of_order += (int64_t)record->life < *life || (int64_t)record->sequence < *next;
    *life = record->life;
    *next = (int64_t)record->sequence + 1;
}

static void on_scheduled(void *context, const struct schedule_record *record)
{
    struct course *c = context;
    char line[160];
    if (record->stream < MAX_STREAMS)
        note_order(c, record);
    if (c->result->n_first < TRIAL_FIRST)
        c->result->first[c->result->n_first++] = *record;
    c->result->scheduled += record->n_used;
    snprintf(line, sizeof(line), "%" PRIu64 ",%" PRIu32 ",%" PRIu32 ",%" PRIu64 ",%" PRIu64 ",%" PRIu32,
             record->update, record->stream, record->life, record->sequence, record->version, record->n_used);
    digest_line(&c->result->records, line);
}

static void on_log(void *context, enum simulation_voice voice, const char *line)
{
    ((struct course *)context)->result->log_lines += voice == VOICE_TRAINING;
    if (getenv("SHOAL_TEST_VERBOSE"))
        fprintf(stderr, "%s\n", line);
}

static int read_checkpoint(const struct course *c, struct training *t, struct error *err,
                           int (*read)(struct training *t, const struct safetensors *file, struct error *err))
{
    struct safetensors *file;
    if (!c->trial->checkpoint)
        return error_set(err, ERR_MISSING, "none");
    int rc = safetensors_open(&file, c->trial->checkpoint, err);
    if (rc == 0)
        rc = read(t, file, err);
    safetensors_close(&file);
    return rc;
}

static int on_load(void *context, struct training *t, struct error *err)
{
    struct course *c = context;
    int rc = read_checkpoint(c, t, err, training_load);
    const struct training_streams streams = training_streams(t);
    for (int64_t i = 0; i < c->trial->settings.top.actors * c->trial->settings.top.envs_per_actor; i++) {
        c->last_life[i] = streams.lives[i];
        c->next_sequence[i] = streams.sequences[i];
    }
    return rc;
}

static int on_restore(void *context, struct training *t, struct error *err)
{
    return read_checkpoint(context, t, err, training_restore);
}

/* ---- the course of it ---- */

/* Whether the learner is to end here; then it saves. */
static bool is_interrupted(struct course *c)
{
    struct tensor tensors[TRAINING_MAX_TENSORS];
    struct training *t = simulation_training(c->simulation);
    struct error err;
    if (c->trial->interrupt_at == 0 || c->result->scheduled < c->trial->interrupt_at || !training_is_at_rest(t))
        return false;
    int n = training_save(t, tensors);
    ck_assert_msg(safetensors_write(c->trial->checkpoint, tensors, n, NULL, 0, &err) == 0, "%s", err.text);
    return true;
}

static struct distribution jittered(double us, double jitter_us)
{
    return (struct distribution){ .kind = DISTRIBUTION_UNIFORM, .a = us, .b = us + jitter_us };
}

static struct distribution constant(double us)
{
    return (struct distribution){ .kind = DISTRIBUTION_CONSTANT, .a = us };
}

void trial_run(const struct trial *t, int64_t limit_us, struct trial_result *r)
{
    struct course c = { .trial = t, .result = r };
    struct env_model *model;
    struct error err = { 0 };
    *r = (struct trial_result){ .status = TRAINING_BUSY, .hashes = t->hashes_before };
    ck_assert_msg(env_open(&model, &(struct env_setup){ .name = t->settings.env.name }, &err) == 0, "%s", err.text);
    struct conditions conditions = {
        .seed = t->seed, .step_us = jittered(t->step_us, t->step_jitter_us), .speed = constant(1),
        .update_us = constant(t->update_us), .up_us = jittered(t->delay_us, t->jitter_us),
        .down_us = jittered(t->delay_us, t->jitter_us), .fail_s = { .kind = DISTRIBUTION_NEVER },
        .restart_s = constant(0.01), .loss = t->loss, .retransmit_us = t->retransmit_us, .staleness = t->staleness,
    };
    if (t->fail_s > 0)
        conditions.fail_s = jittered(0, 2 * t->fail_s);
    if (t->has_stragglers)
        conditions.speed = (struct distribution){ .kind = DISTRIBUTION_PARETO, .a = 1, .b = 2 };
    const struct simulation_setup setup = {
        .settings = &t->settings, .algorithm = t->algorithm, .hyper = t->hyper, .model = model,
        .conditions = &conditions, .epoch = t->is_resumed ? 2 : 1, .is_resumed = t->is_resumed,
        .kill_every_us = t->kill_every_us, .are_nameless = t->kill_silently,
    };
    c.simulation = simulation_create(&setup, (struct simulation_out){
        .context = &c, .published = on_published, .evaluated = on_evaluated, .hash = on_hash,
        .scheduled = on_scheduled, .log = on_log, .load = on_load, .restore = on_restore }, &err);
    ck_assert_msg(c.simulation != NULL, "%s", err.text);
    while (r->status == TRAINING_BUSY && simulation_now_us(c.simulation) < limit_us && !is_interrupted(&c))
        r->status = simulation_step(c.simulation);
    training_report(simulation_training(c.simulation), &r->report);
    simulation_session_count(c.simulation, &r->counts);
    simulation_count(c.simulation, &r->simulated);
    r->virtual_us = simulation_now_us(c.simulation);
    r->kills = r->simulated.failures;
    simulation_destroy(&c.simulation);
    env_close(&model);
}

void trial_expect_whole(const struct trial_result *r, int64_t total)
{
    ck_assert_int_eq(r->status, TRAINING_FINISHED);
    ck_assert_int_eq(r->report.env_steps, total);
    ck_assert_int_eq(r->scheduled, total);
    ck_assert_int_eq(r->out_of_order, 0);
    ck_assert_int_eq(r->report.skipped_updates, 0);
    ck_assert_int_eq(r->log_lines, 0);
}
