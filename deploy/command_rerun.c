/* shoal rerun: a run again, from its schedule. */
#include <inttypes.h>
#include <stdio.h>

#include "common/text.h"
#include "deploy/args.h"
#include "deploy/commands.h"
#include "deploy/program.h"
#include "deploy/rerun.h"

#define COUNT(a) ((int)(sizeof(a) / sizeof(*(a))))

static void print_result(const struct rerun_options *o, const struct rerun_result *r)
{
    char took[48] = "";
    if (r->run_time_s > 0)
        snprintf(took, sizeof(took), " (the run took %.1f s)", r->run_time_s);
    printf("%s: %" PRId64 " hash%s equal, up to update %" PRId64 " and %" PRId64 " transitions, in %.1f s%s\n", o->run,
           r->n_equal, r->n_equal == 1 ? " is" : "es are", r->updates, r->env_steps, r->time_s, took);
    printf("schedule: %" PRId64 " records, %.2f bytes each; %" PRId64 " learner%s, %" PRId64 " li%s of streams\n",
           r->n_records, r->n_records ? (double)r->bytes / (double)r->n_records : 0, r->n_learners,
           text_plural(r->n_learners), r->n_lives, r->n_lives == 1 ? "fe" : "ves");
    if (r->is_torn)
        printf("schedule.bin ends inside a record, as a learner that was killed leaves it\n");
    if (r->n_behind > 0)
        printf("%" PRId64 " hash%s behind the end of the schedule could not be compared: the learner was killed, or goes "
               "on\n", r->n_behind, r->n_behind == 1 ? "" : "es");
}

int command_rerun(int argc, char **argv, struct error *err)
{
    const char *until_text = NULL, *out = NULL, *env_path = NULL;
    bool wants_help, is_quiet = false;
    const struct flag flags[] = {
        { "--until", "UPDATES", &until_text, NULL, "stop behind so many updates" },
        { "--out", "FILE", &out, NULL, "write the hashes that are reached, in the form of hashes.csv" },
        { "--quiet", NULL, NULL, &is_quiet, "no progress" },
        ENV_PATH_FLAG(env_path),
    };
    const struct command command = {
        "rerun", "RUN [flags]", NULL,
        "Repeat a run from its recorded schedule, whatever its mode, and compare the parameters with hashes.csv.\n"
        "Nothing is written into RUN; evaluations are left out. Exit status 0: every hash is equal; 1: not.",
        "shoal rerun runs/inverted_pendulum-1-20260101-120000 --until 10000", flags, COUNT(flags)
    };
    long long until = INT64_MAX;
    struct rerun_result result;
    int n = args_parse(&command, argc, argv, &wants_help, err);
    if (n < 0 || wants_help)
        return n < 0 ? n : 0;
    if (n != 1)
        return error_set(err, ERR_USAGE, "shoal rerun needs one run directory; see shoal rerun --help");
    program_catch_signals();
    int rc = use_env_path(env_path, err);
    if (rc == 0 && until_text)
        rc = args_int("--until", until_text, 1, INT64_MAX, &until, err);
    if (rc != 0)
        return rc;
    const struct rerun_options options = { argv[0], until, out, program_stop_requests, is_quiet };
    rc = rerun_run(&options, &result, err);
    if (rc == 0)
        print_result(&options, &result);
    return rc;
}
