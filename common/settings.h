/* The configuration of an experiment: what every part may need to know.
 *
 * Sections and options are tables (settings.c); an algorithm adds one section of its own. Choices
 * are indices in the order of their lists. */
#ifndef SHOAL_COMMON_SETTINGS_H
#define SHOAL_COMMON_SETTINGS_H

#include <stdbool.h>
#include <stdint.h>

#include "common/environment.h"
#include "common/error.h"
#include "common/mlp.h"
#include "common/option.h"

enum mode { MODE_SYNC, MODE_PIPELINED, MODE_ASYNC, MODE_GRADIENTS };
#define MODE_CHOICES "sync|pipelined|async|gradients"

enum layer_norm { LAYER_NORM_NONE, LAYER_NORM_CRITICS, LAYER_NORM_ALL };
#define LAYER_NORM_CHOICES "none|critics|all"

/* Behind the choices of enum precision. */
enum { PRECISION_AUTO = PRECISION_BF16 + 1 };

struct settings {
    struct {
        int64_t seed;
        char algorithm[OPTION_TEXT_BYTES], preset[OPTION_TEXT_BYTES];
        int mode;
        int64_t actors, envs_per_actor, total_steps;
    } top;
    struct {
        char name[OPTION_TEXT_BYTES];
        struct env_common_options common;
        _Alignas(16) unsigned char own[ENV_OPTIONS_BYTES];    /* the environment's */
    } env;
    struct {
        struct option_ints hidden;
        int activation, init, layer_norm;
    } network;
    struct {
        int64_t horizon, step_timeout_s;
    } actor;
    struct {
        int64_t batch_size, publish_every;
        int64_t max_staleness;
        bool normalise_observations, scale_rewards;
        int64_t workers;
        int backend, precision;     /* of KERNELS_CHOICES; enum precision, or PRECISION_AUTO */
    } learner;
    struct {
        int64_t capacity, min_size, n_step;
        double samples_per_insert, error_buffer;
        bool prioritised;
        double priority_exponent, importance_exponent;
    } replay;
    struct {
        int64_t window, heartbeat_ms, liveness_ms, max_message_bytes, queue_messages;
    } transport;
    struct {
        bool strict;
        double takeover_s;
    } sync;
    struct {
        int64_t every_s;
    } checkpoint;
    struct {
        double every_s;
        int64_t hash_every;
    } metrics;
    struct {
        int64_t every, episodes, stop_count, timeout_s;
        double stop_at;
    } eval;
    struct {
        int64_t seed;
        /* distributions, as deploy/distribution.h reads them */
        char step_us[OPTION_TEXT_BYTES], speed[OPTION_TEXT_BYTES], update_us[OPTION_TEXT_BYTES];
        char up_us[OPTION_TEXT_BYTES], down_us[OPTION_TEXT_BYTES];
        char fail_s[OPTION_TEXT_BYTES], restart_s[OPTION_TEXT_BYTES];
        double loss, retransmit_us;
        int64_t staleness;
    } simulate;
};

enum { SETTINGS_SECTIONS = 12, SETTINGS_ENV = 1, SETTINGS_MAX_HORIZON = 16384 };

/* The sections over `s`, in the order they are printed. Returns SETTINGS_SECTIONS. */
int settings_sections(struct settings *s, struct option_section out[SETTINGS_SECTIONS]);

/* What no single option can say: combinations that cannot work with an algorithm of this kind. */
int settings_check(const struct settings *s, bool is_on_policy, struct error *err);

/* Combinations that work, but badly, and settings that do nothing: a line for the log about each. Returns how
 * many.
 *   ignores_batch_size    the algorithm does nothing with learner.batch_size */
enum { SETTINGS_MAX_WARNINGS = 2, SETTINGS_WARNING_BYTES = 320 };
int settings_warnings(const struct settings *s, bool is_on_policy, bool ignores_batch_size,
                      char out[SETTINGS_MAX_WARNINGS][SETTINGS_WARNING_BYTES]);

/* Names of choices. */
const char *settings_mode(const struct settings *s);

/* Whether a run goes in rounds of one fragment of every stream. */
static inline bool settings_are_lockstep(const struct settings *s)
{
    return s->top.mode == MODE_SYNC || s->top.mode == MODE_PIPELINED;
}

/* Transitions that a whole fragment has or, in mode gradients, a whole gradient: one fragment of every stream of an
 * actor. */
int64_t settings_message_transitions(const struct settings *s);

/* The hidden layers of the policy, and those of critics or the value network. */
struct mlp_body settings_policy_body(const struct settings *s);
struct mlp_body settings_critic_body(const struct settings *s);

/* Samples per insert: as configured, or the batch size. */
double settings_samples_per_insert(const struct settings *s);

/* About how many versions are made while one fragment of every stream is learnt from. */
double settings_versions_per_fragment(const struct settings *s, bool is_on_policy);

/* The error buffer in samples: as configured, or one round of all streams and a batch. */
double settings_error_buffer(const struct settings *s);

#endif
