#include "deploy/run_private.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <jansson.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <time.h>
#include <unistd.h>

#include "actor/env/env_source.h"
#include "common/digest.h"
#include "common/file.h"

void run_default_path(const char *config, int64_t seed, char *out, size_t bytes)
{
    const char *base = strrchr(config, '/');
    base = base ? base + 1 : config;
    int length = (int)strcspn(base, ".");
    char date[32];
    time_t now = time(NULL);
    struct tm local;
    localtime_r(&now, &local);
    strftime(date, sizeof(date), "%Y%m%d-%H%M%S", &local);
    for (int i = 1;; i++) {
        char again[16] = "";
        if (i > 1)
            snprintf(again, sizeof(again), "-%d", i);
        snprintf(out, bytes, "runs/%.*s-%" PRId64 "-%s%s", length, base, seed, date, again);
        if (!file_exists(out))
            return;
    }
}

void run_shell_word(const char *path, char *out, size_t bytes)
{
    const char *quote = strpbrk(path, " \t\"$&;()<>|*?#") ? "'" : "";
    snprintf(out, bytes, "%s%s%s", quote, path, quote);
}

void run_file(const struct run *r, const char *name, char *out, size_t bytes)
{
    snprintf(out, bytes, "%s/%s", r->path, name);
}

void run_config_path(const char *run, char *out, size_t bytes)
{
    snprintf(out, bytes, "%s/config.yaml", run);
}

bool run_exists(const char *run)
{
    char path[RUN_PATH_BYTES + 64];
    run_config_path(run, path, sizeof(path));
    return file_exists(path);
}

int run_refuse_place(const char *subject, struct error *err)
{
    if ((!strchr(subject, '/') && !file_exists(subject)) || env_source_is_task(subject))
        return 0;
    return error_set(err, ERR_MISSING, "%.80s holds no run: there is no %.80s/config.yaml; it is no task "
                     "either, whose file ends in .yaml", subject, subject);
}

FILE *run_open_file(const struct run *r, const char *name, const char *mode, struct error *err)
{
    char path[RUN_PATH_BYTES + 64];
    run_file(r, name, path, sizeof(path));
    FILE *fp = fopen(path, mode);
    if (!fp)
        error_errno(err, "cannot write %s", path);
    return fp;
}

static int take_lock(struct run *r, struct error *err)
{
    char path[RUN_PATH_BYTES + 64];
    run_file(r, "lock", path, sizeof(path));
    r->lock = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0666);
    if (r->lock < 0)
        return error_errno(err, "cannot open %s", path);
    if (flock(r->lock, LOCK_EX | LOCK_NB) != 0)
        return error_set(err, ERR_TEMPORARY, "%s is in use by another learner; stop that one first, "
                         "or choose another --run", r->path);
    return 0;
}

/* The run's identity: its id and how often its learner was started. */
static int write_session(const struct run *r, struct error *err)
{
    char path[RUN_PATH_BYTES + 64];
    struct file_writer w;
    run_file(r, "session", path, sizeof(path));
    int rc = file_begin(&w, path, err);
    if (rc != 0)
        return rc;
    fprintf(w.fp, "%016" PRIx64 " %" PRId64 "\n", r->id, r->epoch);
    return file_commit(&w, err);
}

/* Several processes append whole lines to it. */
static FILE *open_log(const struct run *r, const char *mode, struct error *err)
{
    FILE *fp = run_open_file(r, "log.txt", mode, err);
    if (!fp)
        return NULL;
    fclose(fp);
    return run_open_file(r, "log.txt", "a", err);
}

static int open_files(struct run *r, const char *mode, struct error *err)
{
    if (!(r->metrics = run_open_file(r, "metrics.csv", mode, err))
        || !(r->eval = run_open_file(r, "eval.csv", mode, err))
        || !(r->hashes = run_open_file(r, "hashes.csv", mode, err))
        || !(r->staleness = run_open_file(r, "staleness.csv", mode, err))
        || !(r->log = open_log(r, mode, err)))
        return ERR_IO;
    setvbuf(r->log, NULL, _IOLBF, 0);
    return 0;
}

/* A file is whole again, or it is not: that is said once. */
static void note_writing(struct run *r, const char *name, bool is_whole, const char *problem)
{
    if (is_whole) {
        r->is_cut &= strcmp(name, r->cut) != 0;
    } else if (!r->is_cut) {
        fprintf(stderr, "shoal: %s\n", problem);
        snprintf(r->cut, sizeof(r->cut), "%s", name);
        r->is_cut = true;
    }
}

/* Push what the C library still holds to the system. A line that was cut by a full disk is ended
 * before the next one. */
static void flush_file(struct run *r, FILE *fp, const char *name)
{
    char problem[128];
    const bool is_whole = fflush(fp) == 0 && !ferror(fp);
    snprintf(problem, sizeof(problem), "%s cannot be written: %s", name, strerror(errno));
    note_writing(r, name, is_whole, problem);
    if (is_whole)
        return;
    clearerr(fp);
    fprintf(fp, "\n");
}

static void flush_schedule(struct run *r)
{
    struct error err = { 0 };
    if (r->schedule)
        note_writing(r, "schedule.bin", schedule_file_flush(r->schedule, &err) == 0, err.text);
}

void run_flush(struct run *r)
{
    flush_file(r, r->metrics, "metrics.csv");
    flush_file(r, r->eval, "eval.csv");
    flush_file(r, r->hashes, "hashes.csv");
    flush_file(r, r->staleness, "staleness.csv");
    flush_schedule(r);
}

int run_create(struct run *r, const char *path, struct experiment *e, const struct kernels *kernels,
               struct error *err)
{
    char file[RUN_PATH_BYTES + 64];
    *r = (struct run){ .lock = -1, .epoch = 1, .best_mean = -INFINITY, .kernels = kernels };
    if (snprintf(r->path, sizeof(r->path), "%s", path) >= (int)sizeof(r->path))
        return error_set(err, ERR_USAGE, "--run: the path is too long");
    int rc = file_make_directory(path, err);
    if (rc != 0)
        return rc;
    run_config_path(path, file, sizeof(file));
    if (file_exists(file))
        return error_set(err, ERR_USAGE, "%s already holds a run; choose another --run, or go on "
                         "with it: shoal train --resume %s", path, path);
    rc = take_lock(r, err);
    const char *const folders[] = { "checkpoint", "best" };
    for (int i = 0; i < 2 && rc == 0; i++) {
        char folder[RUN_PATH_BYTES + 64];
        run_file(r, folders[i], folder, sizeof(folder));
        rc = file_make_directory(folder, err);
    }
    r->id = digest_random_id();
    if (rc == 0)
        rc = write_session(r, err);
    if (rc == 0)
        rc = open_files(r, "w", err);
    if (rc == 0)
        rc = run_create_schedule(r, &e->settings, err);
    if (rc != 0)
        return rc;
    fprintf(r->eval, "env_steps,time_s,mean,std\n");
    fprintf(r->hashes, "update,env_steps,params_sha256\n");
    fprintf(r->staleness, "version,env_steps,fragments,mean,p50,p90,p99,max\n");
    fprintf(r->metrics, "time_s,env_steps,updates,episodes,return_mean,return_min,return_max,"
            "length_mean,length_min,length_max,staleness_mean,staleness_p50,staleness_p90,staleness_p99,"
            "staleness_max,steps_per_s,updates_per_s,samples_per_insert,skipped_updates,actors,"
            "learner_wait_s,actors_credit_s,actors_parameters_s,"
            "bytes_in,bytes_out,fragments_received,fragments_accepted,fragments_lost");
    for (int i = 0; i < N_REJECTIONS; i++)
        fprintf(r->metrics, ",rejected_%s", rejection_word((enum rejection)i));
    for (int i = 0; i < e->algorithm->n_metrics; i++)
        fprintf(r->metrics, ",%s", e->algorithm->metric_names[i]);
    fprintf(r->metrics, "\n");
    run_flush(r);

    /* Written last: its presence says that the directory holds a run. */
    struct file_writer w;
    rc = file_begin(&w, file, err);
    if (rc != 0)
        return rc;
    experiment_print(e, true, w.fp);
    rc = file_commit(&w, err);
    return rc == 0 ? run_begin_schedule(r, 0, err) : rc;
}

int run_resume(struct run *r, const char *path, const struct kernels *kernels, struct error *err)
{
    char file[RUN_PATH_BYTES + 64];
    *r = (struct run){ .lock = -1, .best_mean = -INFINITY, .kernels = kernels };
    if (snprintf(r->path, sizeof(r->path), "%s", path) >= (int)sizeof(r->path))
        return error_set(err, ERR_USAGE, "--resume: the path is too long");
    run_config_path(path, file, sizeof(file));
    if (!file_exists(file))
        return error_set(err, ERR_MISSING, "%s holds no run: there is no %s", path, file);
    int rc = take_lock(r, err);
    if (rc != 0)
        return rc;
    run_file(r, "session", file, sizeof(file));
    FILE *fp = fopen(file, "r");
    int n = fp ? fscanf(fp, "%16" SCNx64 " %" SCNd64, &r->id, &r->epoch) : 0;
    if (fp)
        fclose(fp);
    if (n != 2 || r->epoch < 1 || r->id == 0)
        return error_set(err, ERR_FORMAT, "%s does not hold a run id and an epoch; the run cannot "
                         "be resumed", file);
    r->epoch++;
    rc = write_session(r, err);
    return rc == 0 ? open_files(r, "a", err) : rc;
}

void run_close(struct run *r)
{
    FILE **const files[] = { &r->metrics, &r->eval, &r->hashes, &r->staleness, &r->log };
    schedule_file_close(&r->schedule);
    for (size_t i = 0; i < sizeof(files) / sizeof(*files); i++) {
        if (*files[i])
            fclose(*files[i]);
        *files[i] = NULL;
    }
    if (r->lock >= 0)
        close(r->lock);
    r->lock = -1;
}

/* ---- checkpoints ---- */

static void checkpoint_path(const struct run *r, char *out, size_t bytes)
{
    run_file(r, "checkpoint/learner.safetensors", out, bytes);
}

bool run_has_checkpoint(const struct run *r)
{
    char path[RUN_PATH_BYTES + 64];
    checkpoint_path(r, path, sizeof(path));
    return file_exists(path);
}

int run_save_policy(const struct run *r, const struct experiment *e, const char *folder,
                    const float *params, struct error *err)
{
    char path[RUN_PATH_BYTES + 64], name[64];
    snprintf(name, sizeof(name), "%s/policy.safetensors", folder);
    run_file(r, name, path, sizeof(path));
    const struct tensor_metadata about[] = {
        { "algorithm", e->algorithm->name }, { "environment", e->env_name }, { "format", "shoal-1" },
        { "specification", r->spec_hash },
    };
    return policy_save(path, &e->policy, params, about, 4, err);
}

static void policy_path(const char *run, bool best, char *path, size_t bytes)
{
    snprintf(path, bytes, "%s/%s/policy.safetensors", run, best ? "best" : "checkpoint");
}

bool run_environment_differs(const char *run, bool best, const struct env_spec *env)
{
    char path[RUN_PATH_BYTES + 64], hash[ENV_SPEC_HASH_BYTES];
    struct safetensors *file;
    struct error err;
    policy_path(run, best, path, sizeof(path));
    if (safetensors_open(&file, path, &err) != 0)
        return false;
    const char *trained = safetensors_metadata(file, "specification");
    env_spec_hash(env, hash);
    const bool differs = trained && strcmp(trained, hash) != 0;
    safetensors_close(&file);
    return differs;
}

int run_load_policy(const char *run, bool best, const struct env_spec *env,
                    struct policy_shape *shape, float **params, struct error *err)
{
    char path[RUN_PATH_BYTES + 64];
    *params = NULL;
    policy_path(run, best, path, sizeof(path));
    if (!file_exists(path))
        return error_set(err, ERR_MISSING, "there is no %s yet: the run has not %s", path,
                         best ? "been evaluated" : "written a checkpoint");
    int rc = policy_load(path, shape, params, err);
    if (rc == 0 && (env->shape.n_obs != shape->row.n_obs || env->shape.n_act != shape->row.n_act
                    || env->n_choices != shape->n_choices)) {
        free(*params);
        *params = NULL;
        rc = error_set(err, ERR_FORMAT, "%s has %d observations, %d actions and %d choices (0: continuous), "
                       "%s has %d, %d and %d", path, shape->row.n_obs, shape->row.n_act, shape->n_choices,
                       env->name, env->shape.n_obs, env->shape.n_act, env->n_choices);
    }
    return rc;
}

int run_save(struct run *r, const struct experiment *e, struct training *t, struct error *err)
{
    struct tensor tensors[TRAINING_MAX_TENSORS];
    char path[RUN_PATH_BYTES + 64], schedule[32], best[32];
    size_t n_params;
    int rc = training_check(t, err);
    if (rc != 0)
        return rc;
    int n = training_save(t, tensors);
    run_flush(r);
    snprintf(schedule, sizeof(schedule), "%" PRIu64, r->schedule ? schedule_file_bytes(r->schedule) : 0);
    snprintf(best, sizeof(best), "%.17g", r->best_mean);
    const struct tensor_metadata about[] = {
        { "algorithm", e->algorithm->name }, { "best_mean", best },
        { "environment", e->env_name }, { "format", "shoal-learner-1" }, { "mode", settings_mode(&e->settings) },
        { "schedule_bytes", schedule },
    };
    checkpoint_path(r, path, sizeof(path));
    rc = safetensors_write(path, tensors, n, about, 6, err);
    if (rc != 0)
        return rc;
    /* Behind what the checkpoint knows of the schedule: whoever goes on from it begins here. */
    r->saved_update = training_updates(t);
    run_write_schedule(r, &(struct schedule_record){ .kind = SCHEDULE_SAVE, .update = (uint64_t)r->saved_update });
    return run_save_policy(r, e, "checkpoint", training_policy(t, &n_params), err);
}

/* Keep the header and the lines whose column `column` holds at most `limit`; returns the last kept
 * value of column 0, or 0. */
static double cut_csv(const struct run *r, FILE **fp, const char *name, int column, double limit)
{
    char path[RUN_PATH_BYTES + 64];
    char *text = NULL;
    size_t bytes = 0;
    struct error err;
    struct file_writer w;
    double last = 0;
    run_file(r, name, path, sizeof(path));
    fflush(*fp);
    if (file_read(path, (size_t)1 << 31, &text, &bytes, &err) != 0)
        return 0;
    if (file_begin(&w, path, &err) != 0) {
        free(text);
        return 0;
    }
    bool is_header = true;
    for (char *line = text, *end; (end = strchr(line, '\n')); line = end + 1, is_header = false) {
        char *field = line;
        for (int i = 0; i < column && field; i++) {
            field = memchr(field, ',', (size_t)(end - field));
            field = field ? field + 1 : NULL;
        }
        if (!is_header && (!field || strtod(field, NULL) > limit))
            continue;
        if (!is_header)
            last = strtod(line, NULL);
        fwrite(line, 1, (size_t)(end - line) + 1, w.fp);
    }
    free(text);
    file_commit(&w, &err);
    fclose(*fp);
    *fp = fopen(path, "a");
    return last;
}

/* A run keeps its mode: what streams, rounds and the schedule are numbered by depends on it. */
static int check_mode(const struct experiment *e, const struct safetensors *file, const char *path, struct error *err)
{
    const char *then = safetensors_metadata(file, "mode"), *now = settings_mode(&e->settings);
    if (!then || strcmp(then, now) == 0)
        return 0;
    return error_set(err, ERR_CONFIG, "%s was written in mode %s and cannot go on in mode %s; write mode: %s in "
                     "its config.yaml again, or begin a new run", path, then, now, then);
}

int run_load(struct run *r, const struct experiment *e, struct training *t, struct error *err)
{
    char path[RUN_PATH_BYTES + 64];
    struct safetensors *file;
    struct training_report report;
    checkpoint_path(r, path, sizeof(path));
    int rc = safetensors_open(&file, path, err);
    if (rc != 0)
        return rc;
    rc = check_mode(e, file, path, err);
    if (rc == 0)
        rc = training_load(t, file, err);
    const char *schedule = safetensors_metadata(file, "schedule_bytes");
    const char *best = safetensors_metadata(file, "best_mean");
    if (rc == 0 && best)
        r->best_mean = strtod(best, NULL);
    if (rc == 0)
        run_resume_schedule(r, schedule ? strtoull(schedule, NULL, 10) : 0);
    safetensors_close(&file);
    if (rc != 0)
        return rc;
    training_report(t, &report);
    /* Both columns: updates go on while env_steps stands still, and the other way round. */
    cut_csv(r, &r->metrics, "metrics.csv", 1, (double)report.env_steps);
    r->time_before_s = cut_csv(r, &r->metrics, "metrics.csv", 2, (double)report.updates);
    /* An evaluation that came in behind the checkpoint is played again. */
    cut_csv(r, &r->eval, "eval.csv", 0, (double)report.evaluated_steps);
    cut_csv(r, &r->hashes, "hashes.csv", 0, (double)report.updates);
    cut_csv(r, &r->staleness, "staleness.csv", 0, (double)report.version);
    if (!r->metrics || !r->eval || !r->hashes || !r->staleness)
        return error_set(err, ERR_IO, "cannot write in %s", r->path);
    return run_begin_schedule(r, report.updates, err);
}

int run_restore(struct run *r, struct training *t, struct error *err)
{
    char path[RUN_PATH_BYTES + 64];
    struct safetensors *file = NULL;
    checkpoint_path(r, path, sizeof(path));
    int rc = run_has_checkpoint(r) ? safetensors_open(&file, path, err)
           : error_set(err, ERR_MISSING, "none was written yet");
    if (rc == 0)
        rc = training_restore(t, file, err);
    safetensors_close(&file);
    run_write_schedule(r, &(struct schedule_record){
        .kind = SCHEDULE_RETURN, .update = (uint64_t)training_updates(t),
        .version = rc == 0 ? (uint64_t)r->saved_update : 0, .n_used = rc == 0 });
    return rc;
}

int run_begin_again(struct run *r, struct error *err)
{
    cut_csv(r, &r->metrics, "metrics.csv", 0, -1);
    cut_csv(r, &r->eval, "eval.csv", 0, -1);
    cut_csv(r, &r->hashes, "hashes.csv", 0, -1);
    cut_csv(r, &r->staleness, "staleness.csv", 0, -1);
    if (!r->metrics || !r->eval || !r->hashes || !r->staleness)
        return error_set(err, ERR_IO, "cannot write in %s", r->path);
    char path[RUN_PATH_BYTES + 64];
    run_file(r, "actors.csv", path, sizeof(path));
    unlink(path);
    run_resume_schedule(r, 0);
    return run_begin_schedule(r, 0, err);
}

/* ---- what is written down ---- */

void run_write_metrics(struct run *r, const struct experiment *e, double time_s,
                       const struct training_report *t, const struct session_counts *s,
                       const struct run_speeds *speeds)
{
    fprintf(r->metrics, "%.3f,%" PRId64 ",%" PRId64 ",%" PRId64, time_s, t->env_steps, t->updates,
            t->episodes);
    const double episodes[] = { t->return_mean, t->return_min, t->return_max, t->length_mean,
                                t->length_min, t->length_max };
    for (size_t i = 0; i < sizeof(episodes) / sizeof(*episodes); i++)
        if (isfinite(episodes[i]))
            fprintf(r->metrics, ",%.6g", episodes[i]);
        else
            fprintf(r->metrics, ",");
    fprintf(r->metrics, ",%.4g,%" PRId64 ",%" PRId64 ",%" PRId64 ",%" PRId64 ",%.6g,%.6g,%.6g,%" PRId64 ",%d",
            t->staleness_mean, t->staleness_p50, t->staleness_p90, t->staleness_p99, t->staleness_max,
            speeds->steps_per_s, speeds->updates_per_s, t->samples_per_insert, t->skipped_updates, s->actors);
    fprintf(r->metrics, ",%.3f,%.3f,%.3f,%" PRId64 ",%" PRId64 ",%" PRId64 ",%" PRId64 ",%" PRId64,
            speeds->learner_wait_s, (double)s->credit_ms * 1e-3, (double)s->parameters_ms * 1e-3, s->bytes_in,
            s->bytes_out, s->received, s->accepted, s->lost);
    for (int i = 0; i < N_REJECTIONS; i++)
        fprintf(r->metrics, ",%" PRId64, s->rejected[i]);
    for (int i = 0; i < e->algorithm->n_metrics; i++)
        fprintf(r->metrics, ",%.6g", t->metrics[i]);
    fprintf(r->metrics, "\n");
    run_flush(r);
}

void run_write_eval(struct run *r, int64_t env_steps, double time_s, const struct evaluation *e)
{
    fprintf(r->eval, "%" PRId64 ",%.3f,%.6f,%.6f\n", env_steps, time_s, e->mean, e->std);
    fflush(r->eval);
}

void run_write_hash(struct run *r, int64_t update, int64_t env_steps, const char *sha256)
{
    fprintf(r->hashes, "%" PRId64 ",%" PRId64 ",%s\n", update, env_steps, sha256);
}

/* When it is. */
static void date_now(char out[32])
{
    time_t now = time(NULL);
    struct tm local;
    localtime_r(&now, &local);
    strftime(out, 32, "%Y-%m-%d %H:%M:%S", &local);
}

void run_write_log(struct run *r, const char *line)
{
    char date[32];
    date_now(date);
    fprintf(r->log, "%s  %s\n", date, line);
}

void run_append_log(const char *path, const char *line)
{
    char file[RUN_PATH_BYTES + 64], date[32], text[1024];
    snprintf(file, sizeof(file), "%s/log.txt", path);
    date_now(date);
    int n = snprintf(text, sizeof(text), "%s  %.960s\n", date, line);
    int fd = open(file, O_WRONLY | O_APPEND | O_CLOEXEC);
    if (fd < 0)
        return;
    /* On a full disk it was at least on the screen. */
    (void)!write(fd, text, (size_t)n);
    close(fd);
}

int run_write_summary(struct run *r, const struct experiment *e, const char *status,
                      double time_s, const struct training_report *t,
                      const struct last_evaluation *last, struct error *err)
{
    char path[RUN_PATH_BYTES + 64];
    struct file_writer w;
    run_write_schedule(r, &(struct schedule_record){
        .kind = SCHEDULE_END, .update = (uint64_t)t->updates, .n_used = strcmp(status, "interrupted") != 0 });
    flush_schedule(r);
    run_file(r, "summary.json", path, sizeof(path));
    int rc = file_begin(&w, path, err);
    if (rc != 0)
        return rc;
    json_t *summary = json_pack(
        "{s:s, s:s, s:s, s:s, s:I, s:I, s:I, s:I, s:f}", "status", status, "environment",
        e->env_name, "algorithm", e->algorithm->name, "mode",
        settings_mode(&e->settings), "seed", (json_int_t)e->settings.top.seed, "env_steps",
        (json_int_t)t->env_steps, "updates", (json_int_t)t->updates, "episodes",
        (json_int_t)t->episodes, "time_s", time_s);
    const struct evaluation *final = &last->result;
    if (final->episodes)
        json_object_set_new(summary, "final_evaluation",
                            json_pack("{s:i, s:f, s:f, s:f, s:f}", "episodes", final->episodes,
                                      "mean", final->mean, "std", final->std, "min", final->min,
                                      "max", final->max));
    else if (last->has_failed)
        json_object_set_new(summary, "final_evaluation", json_string("failed, see log.txt"));
    if (last->n_failed > 0)
        json_object_set_new(summary, "failed_evaluations", json_integer(last->n_failed));
    if (t->skipped_updates > 0)
        json_object_set_new(summary, "skipped_updates", json_integer(t->skipped_updates));
    if (isfinite(r->best_mean))
        json_object_set_new(summary, "best_evaluation_mean", json_real(r->best_mean));
    json_dumpf(summary, w.fp, JSON_INDENT(2) | JSON_REAL_PRECISION(10));
    fprintf(w.fp, "\n");
    json_decref(summary);
    return file_commit(&w, err);
}
