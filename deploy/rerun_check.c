#include "deploy/rerun_check.h"

#include <inttypes.h>

/* The next record that the training core or its restoring should be behind. */
static void read_said(struct rerun_check *c)
{
    do
        c->has_said = schedule_read(&c->behind, &c->said);
    while (c->has_said && !schedule_is_entry(&c->said) && c->said.kind != SCHEDULE_RETURN);
}

void rerun_check_begin(struct rerun_check *c, const char *data, size_t bytes, int64_t until)
{
    c->until = until;
    schedule_reader_init(&c->behind, data, bytes);
    read_said(c);
}

void rerun_check_fini(struct rerun_check *c)
{
    schedule_reader_fini(&c->behind);
    hash_trail_fini(&c->trail);
}

/* The first problem stays. */
static void fail(struct rerun_check *c, const struct error *problem)
{
    if (c->problem.code == 0)
        c->problem = *problem;
}

void rerun_check_entered(struct rerun_check *c, const struct schedule_record *found)
{
    struct error err;
    const struct schedule_record *said = &c->said;
    c->n_entered++;
    const bool is_same = c->has_said && said->kind == found->kind && said->update == found->update
                      && said->stream == found->stream && said->life == found->life
                      && said->sequence == found->sequence && said->version == found->version
                      && said->n_transitions == found->n_transitions && said->n_used == found->n_used;
    if (!is_same) {
        error_set(&err, ERR_DIFFERENT, "behind update %" PRIu64 " %s %" PRIu64 " of stream %" PRIu32 " entered "
                  "with %" PRIu32 " transitions; the schedule has %s %" PRIu64 " of stream %" PRIu32 " behind update %"
                  PRIu64 ", with %" PRIu32, found->update, schedule_kind_word(found->kind), found->sequence,
                  found->stream, found->n_used, c->has_said ? schedule_kind_word(said->kind) : "nothing, not",
                  said->sequence, said->stream, said->update, said->n_used);
        fail(c, &err);
    }
    read_said(c);
}

void rerun_check_hash(struct rerun_check *c, int64_t update, int64_t env_steps, const char *sha256)
{
    struct error err;
    if (update > c->until || hash_trail_reach(&c->trail, update, env_steps, sha256) || c->problem.code)
        return;
    const struct hash_line *recorded = &c->trail.recorded;
    if (!c->trail.has_recorded)
        error_set(&err, ERR_DIFFERENT, "the run's hashes.csv ends before update %" PRId64, update);
    else if (recorded->update != update || recorded->env_steps != env_steps)
        error_set(&err, ERR_DIFFERENT, "hashes.csv goes on with update %" PRId64 " at env_steps %" PRId64
                  ", the rerun with update %" PRId64 " at %" PRId64, recorded->update, recorded->env_steps, update,
                  env_steps);
    else
        error_set(&err, ERR_DIFFERENT, "the parameters differ first behind update %" PRId64 ", env_steps %" PRId64
                  ": %.12s there, %.12s here", update, env_steps, recorded->sha256, sha256);
    fail(c, &err);
}

bool rerun_check_returned(struct rerun_check *c, int64_t updates)
{
    struct error departure;
    if (!c->has_said || c->said.kind != SCHEDULE_RETURN) {
        error_set(&departure, ERR_DIFFERENT, "behind update %" PRId64 " numbers that are not finite make the rerun "
                  "return to a checkpoint, which the run did not", updates);
        fail(c, &departure);
        return false;
    }
    const bool was_there = c->said.n_used == 1;
    read_said(c);
    return was_there;
}

int rerun_check_left(const struct rerun_check *c, int64_t until, int64_t *behind, struct error *err)
{
    int64_t missing;
    hash_trail_left(&c->trail, until, &missing, behind);
    if (missing == 0)
        return 0;
    return error_set(err, ERR_DIFFERENT, "hashes.csv has an update %" PRId64 " at env_steps %" PRId64 ", to which the "
                     "schedule does not lead", c->trail.recorded.update, c->trail.recorded.env_steps);
}
