#include "deploy/rerun_survey.h"

#include <inttypes.h>

/* Why a record cannot be followed, or 0. `n` is its number, from 1. */
static int check_record(const struct schedule_record *r, int64_t n, const struct settings *s, const char *run,
                        struct error *err)
{
    const bool is_gradients = s->top.mode == MODE_GRADIENTS;
    if (n == 1 && (r->kind != SCHEDULE_BEGIN || r->update != 0))
        return error_set(err, ERR_FORMAT, "%s/schedule.bin does not begin where the run begins; it cannot be repeated", run);
    if (is_gradients ? r->kind == SCHEDULE_FRAGMENT : r->kind == SCHEDULE_GRADIENT)
        return error_set(err, ERR_FORMAT, "%s/schedule.bin holds a %s, which mode: %s has none of", run,
                         schedule_kind_word(r->kind), settings_mode(s));
    if (is_gradients && r->kind == SCHEDULE_GRADIENT
        && (r->stream % s->top.envs_per_actor != 0 || r->n_transitions % s->top.envs_per_actor != 0))
        return error_set(err, ERR_FORMAT, "%s/schedule.bin holds a gradient of stream %" PRIu32 " and %" PRIu32
                         " transitions, which no actor of %" PRId64 " environments has", run, r->stream,
                         r->n_transitions, s->top.envs_per_actor);
    if (r->kind == SCHEDULE_BEGIN && (r->sequence < 1 || r->sequence > INT64_MAX))
        return error_set(err, ERR_FORMAT, "%s/schedule.bin gives a learner's total_steps as %" PRIu64, run, r->sequence);
    return 0;
}

static int check_whole(const struct schedule_reader *s, const struct settings *settings, const char *run,
                       struct error *err)
{
    if (s->problem)
        return error_set(err, ERR_FORMAT, "%s/schedule.bin is damaged behind %zu bytes, in record %" PRId64 ": %s", run,
                         s->at, s->n_records + 1, s->problem);
    if (s->n_records == 0)
        return error_set(err, ERR_FORMAT, "%s/schedule.bin holds no records: there is nothing to repeat", run);
    if (s->n_streams != settings->top.actors * settings->top.envs_per_actor || s->horizon != settings_message_transitions(settings))
        return error_set(err, ERR_FORMAT, "%s/schedule.bin is of %" PRIu32 " streams with actor.horizon %" PRIu32
                         ", config.yaml of others: it was changed, and the run cannot be repeated", run, s->n_streams,
                         s->horizon);
    return 0;
}

int64_t rerun_survey_steps(const void *data, size_t bytes, int64_t until)
{
    struct schedule_reader s;
    struct schedule_record r;
    int64_t n = 0;
    schedule_reader_init(&s, data, bytes);
    while (schedule_read(&s, &r) && (int64_t)r.update < until)
        n += schedule_is_entry(&r) ? r.n_used : 0;
    schedule_reader_fini(&s);
    return n;
}

int rerun_survey(struct rerun_outline *o, const struct settings *settings, uint64_t config, const char *run,
                 const void *data, size_t bytes, struct error *err)
{
    struct schedule_reader s;
    struct schedule_record r;
    int rc = 0;
    *o = (struct rerun_outline){ 0 };
    schedule_reader_init(&s, data, bytes);
    while (rc == 0 && schedule_read(&s, &r)) {
        rc = check_record(&r, s.n_records, settings, run, err);
        o->has_other_config |= r.kind == SCHEDULE_BEGIN && r.version != config;
        o->has_end = r.kind == SCHEDULE_END;
        o->last_update = r.update;
    }
    o->n_records = s.n_records;
    o->is_torn = s.is_torn;
    if (rc == 0)
        rc = check_whole(&s, settings, run, err);
    schedule_reader_fini(&s);
    return rc;
}
