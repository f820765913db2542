#include "common/settings.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "common/mlp.h"

#define ROW(section, field, type_, value_, min_, max_, choices_, help_) \
    { .name = #field, .type = type_, \
      .offset = offsetof(struct settings, section.field) - offsetof(struct settings, section), \
      .value = value_, .min = min_, .max = max_, .choices = choices_, .help = help_ }
#define INT(section, field, value, min, max, help) \
    ROW(section, field, OPTION_INT, value, min, max, NULL, help)
#define REAL(section, field, value, min, max, help) \
    ROW(section, field, OPTION_REAL, value, min, max, NULL, help)
#define TEXT(section, field, value, help) \
    ROW(section, field, OPTION_TEXT, value, 0, 0, NULL, help)
#define BOOL(section, field, value, help) \
    ROW(section, field, OPTION_BOOL, value, 0, 0, NULL, help)
#define CHOICE(section, field, value, choices, help) \
    ROW(section, field, OPTION_CHOICE, value, 0, 0, choices, help)

static const struct option top[] = {
    INT(top, seed, "1", 0, 9007199254740992, "everything random derives from it"),
    TEXT(top, algorithm, "sac", "what learns; its options stand in the section of its name"),
    TEXT(top, preset, "",
         "settings that belong together, by name (see the algorithm); what is given beside them wins"),
    CHOICE(top, mode, "async", MODE_CHOICES,
           "sync: rounds, each acted with what all before it gave; pipelined: rounds, collected while the one before "
           "is learnt from; both reproducible bit for bit; async: whoever is ready goes on; gradients: so, too, "
           "and actors compute gradients on what they collected (A3C)"),
    INT(top, actors, "2", 1, 10000, "actor processes; `shoal train` starts them here"),
    INT(top, envs_per_actor, "1", 1, 1024, "environments that one actor steps together"),
    INT(top, total_steps, "20000", 1, 1e12, "transitions of all actors together"),
};

static const struct option env[] = {
    TEXT(env, name, NULL, "the environment, named as in Gymnasium"),
};

static const struct option network[] = {
    ROW(network, hidden, OPTION_INTS, "[64, 64]", 1, 4096, NULL,
        "widths of the hidden layers of every network"),
    CHOICE(network, activation, "relu", ACTIVATION_CHOICES, "of the hidden layers"),
    CHOICE(network, init, "uniform", MLP_START_CHOICES,
           "uniform: as PyTorch's linear layers; orthogonal: with gains, biases 0"),
    CHOICE(network, layer_norm, "none", LAYER_NORM_CHOICES,
           "which networks normalise their hidden layers, in front of the activation"),
};

static const struct option actor[] = {
    INT(actor, horizon, "16", 1, SETTINGS_MAX_HORIZON,
        "T, transitions in a fragment; new parameters are adopted between fragments"),
    INT(actor, step_timeout_s, "60", 0, 10000,
        "seconds one environment step may take until its actor is started again; 0: no limit"),
};

static const struct option learner[] = {
    INT(learner, batch_size, "256", 1, 4096, "transitions in an update"),
    INT(learner, publish_every, "10", 1, 1e9,
        "versions between snapshots in async (in rounds: every round has one)"),
    INT(learner, max_staleness, "0", 0, 1e9,
        "async and gradients: versions that what is learnt from may be behind; what is older is thrown away; 0: any"),
    BOOL(learner, normalise_observations, "false",
         "networks see (observation - mean) / std of all that was collected, within 10"),
    BOOL(learner, scale_rewards, "false",
         "learn from reward / std of the discounted return, within 10; reported returns stay raw"),
    INT(learner, workers, "0", 0, WORKERS_MAX,
        "threads that share an update, whose number changes no result; 0: every core up to 8, but with on-policy "
        "async those that this machine's actors leave"),
    CHOICE(learner, backend, "auto", KERNELS_CHOICES,
           "matrix kernels; auto: the fastest of the precision that this CPU has"),
    CHOICE(learner, precision, "f32", PRECISION_CHOICES "|auto",
           "of the products in updates, where sums and all else stay f32; auto: the fastest that learns as well"),
};

static const struct option replay[] = {
    INT(replay, capacity, "1_000_000", 1, 1e9, "transitions kept"),
    INT(replay, min_size, "1000", 1, 1e9,
        "transitions, acted at random, before the first update"),
    REAL(replay, samples_per_insert, "0", 0, 1e6,
         "how often a transition is sampled; 0: learner.batch_size, one update per transition"),
    REAL(replay, error_buffer, "0", 0, 1e12,
         "samples that async may be ahead or behind; 0: one round of all streams and a batch"),
    INT(replay, n_step, "1", 1, 1000, "transitions whose rewards are summed in front of the bootstrap"),
    BOOL(replay, prioritised, "false", "draw in proportion to how wrong the critics were"),
    REAL(replay, priority_exponent, "0.6", 0, 2, "alpha of prioritised replay; 0: uniform"),
    REAL(replay, importance_exponent, "0.4", 0, 1,
         "beta of prioritised replay at the first update, 1 behind the last"),
};

static const struct option transport[] = {
    INT(transport, window, "2", 1, 64,
        "fragments of a stream that may be under way in async (sync: one, pipelined: two)"),
    INT(transport, heartbeat_ms, "1000", 10, 60000, "between heartbeats"),
    INT(transport, liveness_ms, "4000", 20, 600000, "of silence until the other side is lost"),
    INT(transport, max_message_bytes, "67_108_864", 4096, 2147483647,
        "a larger message cuts the connection"),
    INT(transport, queue_messages, "64", 4, 100000, "queued for a peer before more are refused"),
};

static const struct option sync_[] = {
    ROW(sync, strict, OPTION_BOOL, "false", 0, 0, NULL,
        "a round waits for an actor that vanished until it is back, instead of others taking its streams over"),
    ROW(sync, takeover_s, OPTION_REAL, "15", 0, 1e6, NULL,
        "seconds after which they do; they give them back when it returns; no result changes where environments can "
        "save their state"),
};

static const struct option checkpoint[] = {
    INT(checkpoint, every_s, "60", 1, 1e6, "seconds between checkpoints"),
};

static const struct option metrics[] = {
    REAL(metrics, every_s, "1", 0.1, 86400, "seconds between lines of metrics.csv"),
    INT(metrics, hash_every, "1000", 1, 1e12, "updates between lines of hashes.csv"),
};

static const struct option eval[] = {
    INT(eval, every, "5000", 0, 1e12, "transitions between evaluations; 0: only at the end"),
    INT(eval, episodes, "20", 1, 10000, "episodes of an evaluation"),
    INT(eval, stop_count, "1", 1, 1000, "evaluations in a row that must reach stop_at"),
    INT(eval, timeout_s, "60", 0, 10000,
        "seconds one environment step of an evaluation may take until it is played again; 0: no limit"),
    REAL(eval, stop_at, "1e300", -1e300, 1e300,
         "end the run when an evaluation's mean reaches this; 1e300: never"),
};

static const struct option simulate[] = {
    INT(simulate, seed, "1", 0, 9007199254740992, "times, losses and failures derive from it, and nothing else does"),
    TEXT(simulate, step_us, "constant 50", "microseconds of an actor's step, of all its environments together"),
    TEXT(simulate, speed, "constant 1", "what the steps of an actor are multiplied with, drawn once per actor"),
    TEXT(simulate, update_us, "constant 500", "of an update"),
    TEXT(simulate, up_us, "constant 100", "from an actor to the learner"),
    TEXT(simulate, down_us, "constant 100", "from the learner to an actor"),
    REAL(simulate, loss, "0", 0, 0.99,
         "probability of losing a message: snapshots for good, others come retransmit_us later"),
    REAL(simulate, retransmit_us, "200_000", 0, 1e9, "until what was lost is sent again; what follows waits"),
    TEXT(simulate, fail_s, "never", "seconds until an actor fails, drawn for each of its processes"),
    TEXT(simulate, restart_s, "constant 2", "until a new one takes its place"),
    INT(simulate, staleness, "0", 0, 4096,
        "begin fragments with the version that is so many older than the newest (async; data are older when they are "
        "learnt from); 0: with what has arrived"),
};

#define SECTION(field, help_) \
    { .name = #field, .help = help_, .options = field, \
      .n_options = sizeof(field) / sizeof(*field), .base = &s->field }

int settings_sections(struct settings *s, struct option_section out[SETTINGS_SECTIONS])
{
    const struct option_section sections[SETTINGS_SECTIONS] = {
        SECTION(top, "the experiment"),
        SECTION(env, "what is learnt"),
        SECTION(network, "policy and critics"),
        SECTION(actor, "collecting experience"),
        SECTION(learner, "updates"),
        SECTION(replay, "experience kept for off-policy algorithms"),
        SECTION(transport, "between actors and the learner"),
        { .name = "sync", .help = "rounds (modes sync and pipelined)", .options = sync_,
          .n_options = sizeof(sync_) / sizeof(*sync_), .base = &s->sync },
        SECTION(checkpoint, "what a run can be resumed from"),
        SECTION(metrics, "what is written down"),
        SECTION(eval, "the policy without noise, played by a separate evaluator"),
        SECTION(simulate, "`shoal simulate`: times as \"constant X\", \"uniform LOW HIGH\", \"lognormal MEDIAN SIGMA\", "
                "\"pareto MIN ALPHA\" or \"trace FILE\""),
    };
    memcpy(out, sections, sizeof(sections));
    out[0].name = "";
    return SETTINGS_SECTIONS;
}

/* Replay, its ratio and its returns. */
static int check_off_policy(const struct settings *s, struct error *err)
{
    if (s->replay.capacity < s->replay.min_size || s->replay.capacity < s->actor.horizon)
        return error_set(err, ERR_CONFIG, "replay.capacity is %lld, less than replay.min_size or "
                         "actor.horizon", (long long)s->replay.capacity);
    if (s->top.total_steps <= s->replay.min_size)
        return error_set(err, ERR_CONFIG, "total_steps is %lld, not more than replay.min_size %lld: "
                         "nothing would be learnt; raise total_steps or lower replay.min_size",
                         (long long)s->top.total_steps,
                         (long long)s->replay.min_size);
    if (s->replay.n_step > s->actor.horizon)
        return error_set(err, ERR_CONFIG, "replay.n_step %lld is above actor.horizon %lld, the length of a "
                         "fragment: returns are cut where fragments end, none would span n steps; lower "
                         "replay.n_step or raise actor.horizon to %lld or more", (long long)s->replay.n_step,
                         (long long)s->actor.horizon, (long long)(16 * (s->replay.n_step - 1)));
    double least = ((double)s->actor.horizon * settings_samples_per_insert(s)
                    + (double)s->learner.batch_size) / 2;
    if (s->replay.error_buffer > 0 && s->replay.error_buffer < least)
        return error_set(err, ERR_CONFIG, "replay.error_buffer is %.17g; under %.17g neither inserting "
                         "a fragment nor sampling a batch may be allowed, and the run would stop",
                         s->replay.error_buffer, least);
    return 0;
}

/* Rounds, and what would silently do nothing. */
static int check_on_policy(const struct settings *s, struct error *err)
{
    const int64_t streams = s->top.actors * s->top.envs_per_actor;
    const int64_t round = streams * s->actor.horizon;
    if (s->replay.n_step != 1 || s->replay.prioritised)
        return error_set(err, ERR_CONFIG, "%s: %.40s learns from a round once and keeps no replay; leave it "
                         "out, or choose an off-policy algorithm",
                         s->replay.prioritised ? "replay.prioritised" : "replay.n_step",
                         s->top.algorithm);
    if (2 * round > INT32_MAX)
        return error_set(err, ERR_CONFIG, "actors x envs_per_actor x actor.horizon is a round of %lld "
                         "transitions; at most %d are possible", (long long)round, INT32_MAX / 2);
    return 0;
}

/* A bound that would do nothing, or throw everything away. */
static int check_staleness(const struct settings *s, bool is_on_policy, struct error *err)
{
    const long long bound = s->learner.max_staleness, every = s->learner.publish_every;
    if (bound > 0 && settings_are_lockstep(s))
        return error_set(err, ERR_CONFIG, "learner.max_staleness is for modes async and gradients; in %s every "
                         "fragment is %s behind; leave it out", settings_mode(s),
                         s->top.mode == MODE_SYNC ? "0 rounds" : "1 round");
    if (bound > 0 && !is_on_policy && bound < every)
        return error_set(err, ERR_CONFIG, "learner.max_staleness %lld is less than learner.publish_every %lld: actors "
                         "would be behind by more even with the newest snapshot; raise the first or lower the second",
                         bound, every);
    return 0;
}

int settings_check(const struct settings *s, bool is_on_policy, struct error *err)
{
    int64_t streams = s->top.actors * s->top.envs_per_actor;
    if (s->network.hidden.n >= MLP_MAX_LAYERS || s->network.hidden.n < 1)
        return error_set(err, ERR_CONFIG, "network.hidden: expected 1 to %d layers",
                         MLP_MAX_LAYERS - 1);
    if (streams > 1000000)
        return error_set(err, ERR_CONFIG, "actors x envs_per_actor is %lld streams; at most "
                         "1000000 are possible", (long long)streams);
    if (s->transport.liveness_ms < 2 * s->transport.heartbeat_ms)
        return error_set(err, ERR_CONFIG, "transport.liveness_ms must be at least twice "
                         "transport.heartbeat_ms (%lld)", (long long)s->transport.heartbeat_ms);
    int rc = check_staleness(s, is_on_policy, err);
    if (rc != 0)
        return rc;
    return is_on_policy ? check_on_policy(s, err) : check_off_policy(s, err);
}

/* Into `list`, separated by commas: what an on-policy algorithm does nothing with and is not at its default.
 * Returns whether there is anything. */
static bool list_idle(const struct settings *s, bool ignores_batch_size, char *list, size_t bytes)
{
    struct settings usual;
    struct option_section sections[SETTINGS_SECTIONS];
    const int n = settings_sections(&usual, sections);
    for (int i = 0; i < n; i++)
        sections[i].is_hidden = true;    /* nothing is required */
    options_load(sections, n, NULL, NULL, NULL, 0, NULL);
    const struct {
        const char *name;
        bool is_given;
    } idle[] = {
        { "replay.capacity", s->replay.capacity != usual.replay.capacity },
        { "replay.min_size", s->replay.min_size != usual.replay.min_size },
        { "replay.samples_per_insert", s->replay.samples_per_insert != usual.replay.samples_per_insert },
        { "replay.error_buffer", s->replay.error_buffer != usual.replay.error_buffer },
        { "replay.priority_exponent", s->replay.priority_exponent != usual.replay.priority_exponent },
        { "replay.importance_exponent", s->replay.importance_exponent != usual.replay.importance_exponent },
        { "learner.publish_every", s->learner.publish_every != usual.learner.publish_every },
        { "learner.batch_size", ignores_batch_size && s->learner.batch_size != usual.learner.batch_size },
    };
    size_t used = 0;
    for (size_t i = 0; i < sizeof(idle) / sizeof(*idle); i++)
        if (idle[i].is_given)
            used += (size_t)snprintf(list + used, bytes - used, "%s%s", used ? ", " : "", idle[i].name);
    return used > 0;
}

int settings_warnings(const struct settings *s, bool is_on_policy, bool ignores_batch_size,
                      char out[SETTINGS_MAX_WARNINGS][SETTINGS_WARNING_BYTES])
{
    const long long T = s->actor.horizon, n = s->replay.n_step;
    const bool is_shared = s->top.mode != MODE_GRADIENTS;    /* or each actor has rounds of its own */
    const long long round = (is_shared ? s->top.actors : 1) * s->top.envs_per_actor * T, total = s->top.total_steps;
    char idle[200];
    int count = 0;
    if (is_on_policy && list_idle(s, ignores_batch_size, idle, sizeof(idle)))
        snprintf(out[count++], SETTINGS_WARNING_BYTES, "%.40s keeps no replay, publishes every version and does "
                 "nothing with %s", s->top.algorithm, idle);
    if (is_on_policy && round > total)
        snprintf(out[count++], SETTINGS_WARNING_BYTES, "total_steps %lld is less than a round of %lld "
                 "transitions (%senvs_per_actor x actor.horizon): what is collected beyond it is "
                 "thrown away", total, round, is_shared ? "actors x " : "");
    if (is_on_policy)
        return count;
    if (T < 16 * (n - 1))
        snprintf(out[count++], SETTINGS_WARNING_BYTES, "actor.horizon %lld is short for replay.n_step %lld: "
                 "returns are cut where fragments end, here %.0f %% of them; from %lld on under 7 %% are", T,
                 n, 100.0 * (double)(n - 1) / (double)T, 16 * (n - 1));
    if (T < 8)
        snprintf(out[count++], SETTINGS_WARNING_BYTES, "actor.horizon %lld is short: every fragment costs a "
                 "message and a row that closes it; 16 to 64 suit off-policy algorithms", T);
    return count;
}

const char *settings_mode(const struct settings *s)
{
    static const char *const names[] = { [MODE_SYNC] = "sync", [MODE_PIPELINED] = "pipelined",
                                         [MODE_ASYNC] = "async", [MODE_GRADIENTS] = "gradients" };
    return names[s->top.mode];
}

static struct mlp_body body(const struct settings *s, enum layer_norm least)
{
    struct mlp_body b = { .n_hidden = s->network.hidden.n,
                          .activation = (enum activation)s->network.activation,
                          .has_layer_norm = s->network.layer_norm >= (int)least };
    memcpy(b.hidden, s->network.hidden.v, (size_t)b.n_hidden * sizeof(*b.hidden));
    return b;
}

struct mlp_body settings_policy_body(const struct settings *s)
{
    return body(s, LAYER_NORM_ALL);
}

struct mlp_body settings_critic_body(const struct settings *s)
{
    return body(s, LAYER_NORM_CRITICS);
}

int64_t settings_message_transitions(const struct settings *s)
{
    return s->actor.horizon * (s->top.mode == MODE_GRADIENTS ? s->top.envs_per_actor : 1);
}

double settings_samples_per_insert(const struct settings *s)
{
    return s->replay.samples_per_insert > 0 ? s->replay.samples_per_insert
                                            : (double)s->learner.batch_size;
}

double settings_versions_per_fragment(const struct settings *s, bool is_on_policy)
{
    const double round = (double)(s->top.actors * s->top.envs_per_actor * s->actor.horizon);
    if (s->top.mode == MODE_GRADIENTS)
        return (double)s->top.actors;
    return is_on_policy ? 1 : fmax(1, round * settings_samples_per_insert(s) / (double)s->learner.batch_size);
}

double settings_error_buffer(const struct settings *s)
{
    if (s->replay.error_buffer > 0)
        return s->replay.error_buffer;
    double round = (double)(s->top.actors * s->top.envs_per_actor * s->actor.horizon);
    return round * settings_samples_per_insert(s) + (double)s->learner.batch_size;
}
