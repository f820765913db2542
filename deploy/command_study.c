/* shoal study: a grid of experiments, run side by side, gone on with, and reported. */
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "common/digest.h"
#include "common/file.h"
#include "common/text.h"
#include "deploy/args.h"
#include "deploy/commands.h"
#include "deploy/console.h"
#include "deploy/cores.h"
#include "deploy/report.h"
#include "deploy/study_progress.h"
#include "deploy/study_run.h"

#define COUNT(a) ((int)(sizeof(a) / sizeof(*(a))))
enum { MAX_JOBS = 1024 };

static void complain(const char *line)
{
    fprintf(stderr, "%s\n", line);
}

/* The study's file and directory. A directory of a study stands for the copy in it. */
static void find_places(const char *subject, const char *dir, char *file, char *folder, size_t bytes)
{
    const char *base = strrchr(subject, '/');
    base = base ? base + 1 : subject;
    snprintf(file, bytes, "%s/study.yaml", subject);
    if (file_exists(file)) {
        snprintf(folder, bytes, "%s", dir ? dir : subject);
        return;
    }
    snprintf(file, bytes, "%s", subject);
    if (dir)
        snprintf(folder, bytes, "%s", dir);
    else
        snprintf(folder, bytes, "runs/study/%.*s", (int)strcspn(base, "."), base);
}

/* ---- --list ---- */

static void list(const struct cells *c, const struct study *s)
{
    static const char *const words[] = { [CELL_NEW] = "to do", [CELL_INTERRUPTED] = "interrupted",
                                         [CELL_RUNNING] = "running", [CELL_DONE] = "done", [CELL_FAILED] = "failed" };
    int width = 0;
    for (int i = 0; i < c->n; i++)
        width = (int)strlen(c->v[i].name) > width ? (int)strlen(c->v[i].name) : width;
    for (int i = 0; i < c->n; i++)
        printf("%-*s  %-11s  %" PRId64 " steps\n", width, c->v[i].name, words[c->v[i].state], c->v[i].total_steps);
    printf("%d runs: %d arm%s, %d task%s, %d seed%s; %d done\n", c->n, s->n_arms, text_plural(s->n_arms), s->n_tasks,
           text_plural(s->n_tasks), s->n_seeds, text_plural(s->n_seeds), cells_count(c, CELL_DONE));
}

/* ---- the report ---- */

static const char **names_of(const struct study_part *parts, int n)
{
    const char **names = memory_alloc((size_t)n, sizeof(*names));
    for (int i = 0; i < n; i++)
        names[i] = parts[i].name;
    return names;
}

/* The finished cells' run directories; paths in the study's memory. Returns how many. */
static int list_runs(const struct cells *c, const struct study *s, const char *dir, struct report_run *runs)
{
    char path[RUN_PATH_BYTES + 512];
    int n = 0;
    for (int i = 0; i < c->n; i++) {
        const struct cell *cell = &c->v[i];
        if (cell->state != CELL_DONE)
            continue;
        cell_path(cell, dir, "runs", "", path, sizeof(path));
        runs[n++] = (struct report_run){ study_text(s, "%s", path), cell->arm, cell->task, cell->seed };
    }
    return n;
}

static int report(const struct cells *c, const struct study *s, const char *dir, const char *command,
                  struct error *err)
{
    char hash[DIGEST_HEX_BYTES];
    const char **arms = names_of(s->arms, s->n_arms), **tasks = names_of(s->tasks, s->n_tasks);
    struct report_run *runs = memory_alloc((size_t)c->n, sizeof(*runs));
    double *low = memory_alloc((size_t)s->n_tasks, sizeof(*low));
    double *high = memory_alloc((size_t)s->n_tasks, sizeof(*high));
    cells_hash(c, s, hash);
    for (int i = 0; i < s->n_tasks && s->n_scores > 0; i++) {
        low[i] = study_score(s, i)->low;
        high[i] = study_score(s, i)->high;
    }
    const int n_runs = list_runs(c, s, dir, runs);
    const struct report r = {
        .title = s->title, .question = s->question, .config_hash = hash, .command = command, .arms = arms,
        .n_arms = s->n_arms, .tasks = tasks, .n_tasks = s->n_tasks, .runs = runs, .n_runs = n_runs,
        .baseline = s->baseline, .is_virtual = s->runner == STUDY_SIMULATE,
        .scores_are_means = s->scores_are_means, .low = s->n_scores ? low : NULL,
        .high = s->n_scores ? high : NULL, .n_missing = c->n - n_runs,
    };
    int rc = n_runs > 0 ? report_write(&r, dir, err)
                        : error_set(err, ERR_MISSING, "%s: no run is finished yet, there is nothing to report", dir);
    if (rc == 0)
        console_say("the report is in %s/report.html, and as text in %s/report.md", dir, dir);
    free(arms);
    free(tasks);
    free(runs);
    free(low);
    free(high);
    return rc;
}

/* The command that began the study whose copy this is; NULL: it does not say. */
static char *first_command(const char *file)
{
    static const char begin[] = "# shoal study ";
    char line[RUN_PATH_BYTES] = "";
    FILE *fp = fopen(file, "r");
    const bool is_there = fp && fgets(line, sizeof(line), fp) && strncmp(line, begin, strlen(begin)) == 0;
    if (fp)
        fclose(fp);
    line[strcspn(line, "\n")] = '\0';
    return is_there ? memory_copy_text(line + strlen("# ")) : NULL;
}

static void print_word(const char *argument, FILE *out)
{
    char word[RUN_PATH_BYTES];
    run_shell_word(argument, word, sizeof(word));
    fprintf(out, " %s", word);
}

/* Whether a word is an override that one of [n] others behind it replaces. */
static bool is_replaced(const char *word, char *const *overrides, int n)
{
    word += *word == '\'';
    for (int i = 0; i < n; i++)
        if (strncmp(word, overrides[i], strcspn(overrides[i], "=") + 1) == 0)
            return true;
    return false;
}

/* The words of a command, but for overrides that are given anew. */
static void print_command(const char *command, char *const *overrides, int n, FILE *out)
{
    const char *end = command + strlen(command);
    for (const char *word = command, *next; word < end; word = next + 1) {
        next = word + (*word == '\'' ? strcspn(word + 1, "'") + 2 : strcspn(word, " "));
        next = next < end ? next : end;
        if (!is_replaced(word, overrides, n))
            fprintf(out, "%s%.*s", word > command ? " " : "", (int)(next - word), word);
    }
}

/* "shoal study configs/study/a.yaml total_steps=1000". Where a study goes on from its copy, it is the command that
 * began it together with what is overridden now: what would give the same runs from the beginning. */
static char *command_line(const char *file, char *const *rest, int n)
{
    char *first = strcmp(file, rest[0]) != 0 ? first_command(file) : NULL, *text = NULL;
    size_t bytes = 0;
    FILE *out = open_memstream(&text, &bytes);
    if (first)
        print_command(first, rest + 1, n - 1, out);
    else
        fputs("shoal study", out);
    for (int i = first ? 1 : 0; i < n; i++)
        print_word(rest[i], out);
    fclose(out);
    text_join_lines(text);
    free(first);
    return text;
}

/* ---- running ---- */

/* One study at a time in a directory; the descriptor, or a negative code. */
static int take_lock(const char *dir, struct error *err)
{
    char path[RUN_PATH_BYTES + 64];
    int rc = file_make_directory(dir, err);
    if (rc != 0)
        return rc;
    snprintf(path, sizeof(path), "%s/lock", dir);
    const int lock = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0666);
    if (lock < 0)
        return error_errno(err, "cannot open %s", path);
    if (flock(lock, LOCK_EX | LOCK_NB) == 0)
        return lock;
    close(lock);
    return error_set(err, ERR_TEMPORARY, "%s is in use by another shoal study; stop that one first, or choose "
                     "another --dir", dir);
}

static void say_beginning(const struct cells *c, const char *dir, int jobs)
{
    const int n_done = cells_count(c, CELL_DONE), n_interrupted = cells_count(c, CELL_INTERRUPTED);
    char done[48] = "", interrupted[48] = "";
    if (n_done > 0)
        snprintf(done, sizeof(done), ", %d already done", n_done);
    if (n_interrupted > 0)
        snprintf(interrupted, sizeof(interrupted), ", %d to go on with", n_interrupted);
    console_say("%d runs%s%s, %d at a time, in %s", c->n, done, interrupted, jobs, dir);
    for (int i = 0; i < c->n; i++)
        if (c->v[i].state == CELL_FAILED)
            console_say("%s has diverged and stays as it is; to try it again, remove %s/runs/%s", c->v[i].name, dir,
                        c->v[i].name);
}

/* What is missing, and how to get it. */
static int conclude(const struct cells *c, const char *dir, struct error *err)
{
    const int n_failed = cells_count(c, CELL_FAILED);
    char word[RUN_PATH_BYTES + 8];
    if (n_failed == 0)
        return 0;
    run_shell_word(dir, word, sizeof(word));
    return error_set(err, ERR_TEMPORARY, "%d of %d runs failed and are missing in the report; %s/logs says why; to try "
                     "again: shoal study %s", n_failed, c->n, dir, word);
}

static int run(struct cells *c, const struct study *s, const char *dir, int jobs, const char *command,
               struct error *err)
{
    char word[RUN_PATH_BYTES + 8];
    const int lock = take_lock(dir, err);
    if (lock < 0)
        return lock;
    int rc = cells_look(c, s, dir, err);
    if (rc == 0)
        rc = cells_write(c, s, dir, command, err);
    if (rc == 0) {
        say_beginning(c, dir, jobs);
        const struct study_run_options options = { .dir = dir, .runner = s->runner, .jobs = jobs };
        rc = study_run(c, &options, err);
        run_shell_word(dir, word, sizeof(word));
        if (rc == ERR_INTERRUPTED)
            error_set(err, rc, "interrupted with %d of %d runs done; go on with: shoal study %s",
                      cells_count(c, CELL_DONE), c->n, word);
    }
    if (rc == 0 && cells_count(c, CELL_DONE) > 0)
        rc = report(c, s, dir, command, err);
    if (rc == 0)
        rc = conclude(c, dir, err);
    close(lock);
    return rc;
}

int command_study(int argc, char **argv, struct error *err)
{
    const char *dir = NULL, *jobs_text = NULL, *env_path = NULL;
    bool wants_help, wants_list = false, wants_report = false;
    const struct flag flags[] = {
        { "--dir", "DIR", &dir, NULL, "where runs and report go (default runs/study/<name>)" },
        { "--jobs", "N", &jobs_text, NULL, "runs at a time (default: as many as there are cores)" },
        { "--report", NULL, NULL, &wants_report, "run nothing; report what is there" },
        { "--list", NULL, NULL, &wants_list, "run nothing; say which runs there are and how far they are" },
        ENV_PATH_FLAG(env_path),
    };
    const struct command command = {
        "study", "CONFIG [key=value ...] [flags]", NULL,
        "Run every arm of a study on every task with every seed, and report how the arms compare. CONFIG\n"
        "is a study (configs/study), or the directory of one that was begun. Settings behind it are for all\n"
        "runs; seeds=1,2,3 says which seeds. What is finished is not run again, what was interrupted goes\n"
        "on; more arms, tasks and seeds may be added. Ctrl-C stops with checkpoints; once more stops at once.\n"
        "\n"
        "Runs share the cores: as many at a time as there are cores, each with learner.workers 1 unless the\n"
        "configuration says otherwise. Actors are processes of their own and take what the learners leave, so\n"
        "seconds depend on what runs beside; where arms are compared by time, use --jobs 1, or run: simulate.",
        "shoal study configs/study/sync_vs_async_ppo.yaml", flags, COUNT(flags)
    };
    char file[RUN_PATH_BYTES], folder[RUN_PATH_BYTES];
    long long jobs = cores_available();
    struct study s = { 0 };
    struct cells cells = { 0 };
    int n = args_parse(&command, argc, argv, &wants_help, err);
    if (n < 0 || wants_help)
        return n < 0 ? n : 0;
    if (n == 0 || strchr(argv[0], '='))
        return error_set(err, ERR_USAGE, "shoal study needs a study, for example: shoal study "
                         "configs/study/sync_vs_async_ppo.yaml");
    find_places(argv[0], dir, file, folder, sizeof(file));
    char *line = command_line(file, argv, n);
    int rc = use_env_path(env_path, err);
    if (rc == 0 && strchr(folder, '='))
        rc = error_set(err, ERR_USAGE, "--dir: \"%.200s\" has a '=', which stands for overrides", folder);
    if (rc == 0 && jobs_text)
        rc = args_int("--jobs", jobs_text, 1, MAX_JOBS, &jobs, err);
    if (rc == 0)
        rc = study_load(&s, file, argv + 1, n - 1, err);
    if (rc == 0)
        rc = cells_init(&cells, &s, complain, err);
    if (rc == 0 && (wants_list || wants_report))
        rc = cells_look(&cells, &s, folder, err);
    if (rc == 0 && wants_list)
        list(&cells, &s);
    else if (rc == 0 && wants_report)
        rc = report(&cells, &s, folder, line, err);
    else if (rc == 0)
        rc = run(&cells, &s, folder, (int)jobs, line, err);
    free(line);
    cells_fini(&cells);
    if (s.memory)
        study_fini(&s);
    return rc;
}
