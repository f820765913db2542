/* What the session does with a gradient (mode gradients): accept it once, or refuse it for a reason. */
#include <assert.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "common/digest.h"
#include "learner/session_private.h"

void session_create_gradients(struct session *s)
{
    const struct settings *settings = s->setup.settings;
    const struct row_statistics_setup setup = {
        .shape = s->shape, .of_observations = settings->learner.normalise_observations,
        .of_rewards = settings->learner.scale_rewards, .discount = s->setup.traits->discount,
    };
    s->arena = arena_create(1 << 12);
    row_statistics_init(&s->increment, &setup, s->arena);
    s->statistics = arena_alloc(s->arena, row_statistics_increment_n(&setup) + 1, sizeof(*s->statistics));
    arena_seal(s->arena);
}

void session_fill_gradients(const struct session *s, struct welcome *w)
{
    const struct settings *settings = s->setup.settings;
    const struct algorithm *a = s->setup.algorithm;
    const struct option_section section = {
        .name = a->name, .options = a->options, .n_options = a->n_options,
        .base = (void *)(uintptr_t)s->setup.hyper,    /* printing only reads */
    };
    const int n = options_print_line(&section, true, w->algorithm_options, sizeof(w->algorithm_options));
    assert(n >= 0);    /* all of an algorithm's options together are shorter */
    (void)n;
    snprintf(w->algorithm, sizeof(w->algorithm), "%.15s", a->name);
    w->critic_layer_norm = settings_critic_body(settings).has_layer_norm;
    w->scales_rewards = settings->learner.scale_rewards;
}

static bool is_finite(struct bytes b)
{
    float x;
    for (size_t i = 0; i < b.size; i += sizeof(x)) {
        memcpy(&x, b.data + i, sizeof(x));
        if (!isfinite(x))
            return false;
    }
    return true;
}

/* What is wrong with the statistics, or NULL. */
static const char *inspect_statistics(struct session *s, const struct gradient_header *g)
{
    static _Thread_local struct error err;
    const size_t n = row_statistics_increment_n(&s->increment.setup);
    if (g->statistics.size != n * sizeof(double)) {
        error_set(&err, ERR_FORMAT, "it has %zu statistics; this run needs %zu",
                  g->statistics.size / sizeof(double), n);
        return err.text;
    }
    if (n == 0)
        return NULL;
    memcpy(s->statistics, g->statistics.data, g->statistics.size);
    row_statistics_clear(&s->increment);
    if (row_statistics_merge(&s->increment, s->statistics, &err) != 0)
        return err.text;
    /* Where there was no gradient there may be no statistics either. */
    const double count = s->statistics[0];
    if (count == (double)g->n_transitions || (count == 0 && g->gradient.size == 0))
        return NULL;
    error_set(&err, ERR_FORMAT, "its statistics are of %g transitions, it is of %" PRId64, count, g->n_transitions);
    return err.text;
}

/* What is wrong with a gradient's contents, or NULL. */
static const char *inspect(struct session *s, const struct slot *slot, const struct gradient_header *g,
                           enum rejection *r)
{
    static _Thread_local char text[256];
    const struct settings *settings = s->setup.settings;
    const int64_t most = settings->actor.horizon * slot->n_streams;
    const int64_t least = settings->learner.max_staleness > 0 ? slot->n_streams : most;
    const size_t n = g->gradient.size / sizeof(float), n_metrics = g->metrics.size / sizeof(double);
    *r = REJECT_DIMENSIONS;
    if (g->n_transitions < least || g->n_transitions > most || g->n_transitions % slot->n_streams != 0) {
        snprintf(text, sizeof(text), "it is of %" PRId64 " transitions; this run needs %s%" PRId64 ", as many of each "
                 "of %d streams", g->n_transitions, least < most ? "at most " : "", most, slot->n_streams);
        return text;
    }
    if ((n != 0 && n != s->setup.n_trained) || n_metrics != (size_t)s->setup.algorithm->n_metrics) {
        snprintf(text, sizeof(text), "it has %zu parameters and %zu metrics; this run has %zu and %d", n, n_metrics,
                 s->setup.n_trained, s->setup.algorithm->n_metrics);
        return text;
    }
    if (g->version > s->versions[0]) {
        *r = REJECT_VERSION;
        snprintf(text, sizeof(text), "it is of version %" PRId64 ", but the newest is %" PRId64, g->version,
                 s->versions[0]);
        return text;
    }
    *r = REJECT_CHECKSUM;
    if (digest_crc32(g->gradient.data, g->gradient.size) != (uint32_t)g->checksum)
        return "its checksum does not match";
    *r = REJECT_NONFINITE;
    if (!is_finite(g->gradient))
        return "it holds NaN or infinity";
    *r = REJECT_STATISTICS;
    return inspect_statistics(s, g);
}

/* The actor had none to send. People hear of the first, and every time their number has doubled. */
static void note_failure(struct session *s, struct slot *slot, const struct gradient_header *g)
{
    const int64_t n = ++slot->failures;
    if (n < 2 * slot->failures_told)
        return;
    slot->failures_told = n;
    session_say(s, "actor %s: %" PRId64 " gradient%s so far could not be computed: %s", slot->name, n,
                n == 1 ? "" : "s", g->failure);
}

bool session_gradient(struct session *s, struct slot *slot, const struct gradient_header *g, struct frame *frame)
{
    const struct fragment_header h = {
        .incarnation = g->incarnation, .stream = g->stream, .life = g->life, .sequence = g->sequence,
        .version = g->version, .n_transitions = g->n_transitions, .n_rows = 1,
    };
    enum rejection r;
    if (!s->is_gradients) {
        session_send_reject(s, slot->peer, "message", REJECT_MALFORMED, s->is_lockstep, NULL, "this run is in mode %s: "
                            "its actors send FRAGMENT, and GRADIENT is not applied",
                            settings_mode(s->setup.settings));
        return false;
    }
    if (g->stream != slot->streams[0]) {
        session_send_reject(s, slot->peer, "gradient", REJECT_STREAM, true, &h, "a gradient of this actor names its "
                            "first stream, %" PRIu32 ", not %" PRId64, slot->streams[0], g->stream);
        return false;
    }
    if (!session_is_next(s, slot, &h))
        return false;
    const char *wrong = inspect(s, slot, g, &r);
    if (wrong) {
        s->out.deliver(s->out.context, session_refuse(s, slot, r, &h, wrong));
        return false;
    }
    struct fragment *f = session_accept(s, slot, &h);
    f->frame = frame;
    f->returns = g->returns;
    f->lengths = g->lengths;
    f->gradient = g->gradient;
    f->metrics = g->metrics;
    f->statistics = g->statistics;
    if (g->gradient.size == 0)
        note_failure(s, slot, g);
    s->out.deliver(s->out.context, f);
    return true;
}
