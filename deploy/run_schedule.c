/* schedule.bin and machines.txt: what a rerun needs. */
#include <inttypes.h>
#include <stdio.h>

#include "deploy/provenance.h"
#include "deploy/run_private.h"

int run_create_schedule(struct run *r, const struct settings *s, struct error *err)
{
    char path[RUN_PATH_BYTES + 64];
    run_file(r, "schedule.bin", path, sizeof(path));
    return schedule_file_create(&r->schedule, path, (uint32_t)(s->top.actors * s->top.envs_per_actor),
                                (uint32_t)settings_message_transitions(s), err);
}

void run_resume_schedule(struct run *r, uint64_t bytes)
{
    char path[RUN_PATH_BYTES + 64], line[640];
    struct error err;
    run_file(r, "schedule.bin", path, sizeof(path));
    if (schedule_file_resume(&r->schedule, path, bytes, &err) == 0)
        return;
    snprintf(line, sizeof(line), "the run goes on without a schedule and cannot be repeated by shoal rerun: %s",
             err.text);
    run_write_log(r, line);
    fprintf(stderr, "shoal: %s\n", line);
}

int run_begin_schedule(struct run *r, int64_t update, struct error *err)
{
    char path[RUN_PATH_BYTES + 64], machine[PROVENANCE_BYTES];
    struct provenance_config config;
    run_config_path(r->path, path, sizeof(path));
    int rc = provenance_read_config(path, &config, err);
    FILE *fp = rc == 0 ? run_open_file(r, "machines.txt", "a", err) : NULL;
    if (!fp)
        return rc ? rc : ERR_IO;
    provenance_describe(r->kernels, machine, sizeof(machine));
    fprintf(fp, "epoch %" PRId64 "; %s\n", r->epoch, machine);
    fclose(fp);
    r->saved_update = update;
    r->begin = (struct schedule_record){ .kind = SCHEDULE_BEGIN, .update = (uint64_t)update,
                                         .life = (uint32_t)r->epoch, .sequence = config.total_steps,
                                         .version = config.digest };
    run_flush(r);
    return 0;
}

void run_write_schedule(struct run *r, const struct schedule_record *record)
{
    if (!r->schedule)
        return;
    if (!r->has_begun)
        schedule_file_write(r->schedule, &r->begin);
    r->has_begun = true;
    schedule_file_write(r->schedule, record);
}
