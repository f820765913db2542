/* shoal bench: how fast this machine does what a training is made of. */
#include <stdio.h>
#include <string.h>

#include "common/matrix.h"
#include "common/option.h"
#include "deploy/args.h"
#include "deploy/bench.h"
#include "deploy/commands.h"
#include "deploy/program.h"

#define COUNT(a) ((int)(sizeof(a) / sizeof(*(a))))

static const struct {
    const char *name, *summary;
    bool is_quick;                  /* measured when no group is named */
    int (*run)(struct bench *b, struct error *err);
} groups[] = {
    { "kernels", "matrix products of networks, and the machine's peaks", true, bench_kernels },
    { "updates", "updates of every algorithm", true, bench_updates },
    { "acting", "environments, bare, through Shoal, and in an actor with a policy", true, bench_acting },
    { "ingest", "transitions from a socket into replay", true, bench_ingest },
    { "snapshots", "parameters to many actors", true, bench_snapshots },
    { "replay", "appending to replay, drawing, priorities", true, bench_replay },
    { "overhead", "a learner with an actor: what its updates leave over (about a minute)", false, bench_overhead },
    { "speed", "shoal train, PPO on HalfCheetah: transitions per second (about a minute)", false, bench_speed },
    { "threshold", "shoal train until InvertedPendulum is learnt, SAC and PPO (many minutes)", false,
      bench_threshold },
};
enum { N_GROUPS = COUNT(groups) };

static int unknown_group(const char *name, struct error *err)
{
    const char *names[N_GROUPS];
    char list[256] = "";
    size_t used = 0;
    for (int i = 0; i < N_GROUPS; i++) {
        names[i] = groups[i].name;
        used += (size_t)snprintf(list + used, sizeof(list) - used, "%s%s", i ? ", " : "", names[i]);
    }
    const char *near = nearest_word(name, names, N_GROUPS);
    return error_set(err, ERR_USAGE, "shoal bench: unknown group \"%.40s\"%s%s%s; there are %s", name,
                     near ? "; did you mean " : "", near ? near : "", near ? "?" : "", list);
}

/* Which groups were named, or the quick ones. */
static int choose(int n, char **names, bool chosen[N_GROUPS], struct error *err)
{
    for (int i = 0; i < N_GROUPS; i++)
        chosen[i] = n == 0 && groups[i].is_quick;
    for (int k = 0; k < n; k++) {
        int i = 0;
        while (i < N_GROUPS && strcmp(groups[i].name, names[k]) != 0)
            i++;
        if (i == N_GROUPS)
            return unknown_group(names[k], err);
        chosen[i] = true;
    }
    return 0;
}

static int run_groups(struct bench *b, const bool chosen[N_GROUPS], bool is_json, struct error *err)
{
    int rc = 0;
    matrix_setup();
    b->output = bench_output_create(is_json);
    for (int i = 0; i < N_GROUPS && rc == 0; i++)
        if (chosen[i])
            rc = groups[i].run(b, err);
    bench_output_end(&b->output, b);
    return rc;
}

/* The details of --help: the list of groups with what it means. */
static const char *details(void)
{
    static char text[1600];
    size_t used = (size_t)snprintf(text, sizeof(text),
        "Measure how fast this machine does what a training is made of, one core unless it says otherwise.\n"
        "Figures are medians of at least five windows (speed: of three trainings, threshold: of five seeds,\n"
        "overhead: of all windows together); windows in which others used the machine are measured again,\n"
        "and after too many of those a figure is marked with !. Without a GROUP: those with a star.\n\n");
    for (int i = 0; i < N_GROUPS && used < sizeof(text); i++)
        used += (size_t)snprintf(text + used, sizeof(text) - used, "  %c %-11s %s%s",
                                 groups[i].is_quick ? '*' : ' ', groups[i].name, groups[i].summary,
                                 i + 1 < N_GROUPS ? "\n" : "");
    return text;
}

int command_bench(int argc, char **argv, struct error *err)
{
    const char *seconds = "0.3";
    struct bench b = { 0 };
    bool wants_help, json = false, chosen[N_GROUPS];
    const struct flag flags[] = {
        { "--seconds", "S", &seconds, NULL, "length of a window (default 0.3)" },
        { "--filter", "TEXT", &b.filter, NULL, "only rows whose name contains this" },
        { "--json", NULL, NULL, &json, "print one JSON object at the end" },
    };
    const struct command command = {
        "bench", "[GROUP...] [flags]", NULL, details(), "shoal bench updates --filter sac", flags, COUNT(flags)
    };
    int n = args_parse(&command, argc, argv, &wants_help, err);
    if (n < 0 || wants_help)
        return n < 0 ? n : 0;
    int rc = args_real("--seconds", seconds, 0.001, 60, &b.seconds, err);
    if (rc == 0)
        rc = choose(n, argv, chosen, err);
    return rc == 0 ? run_groups(&b, chosen, json, err) : rc;
}
