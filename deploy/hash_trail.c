#include "deploy/hash_trail.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "common/file.h"

static const size_t LIMIT = (size_t)1 << 31;

/* The line at *at, which moves behind it. Returns false at the end and where a line is none of ours. */
static bool read_line(const char **at, struct hash_line *line)
{
    const char *end = strchr(*at, '\n');
    int n = 0;
    if (!end || sscanf(*at, "%" SCNd64 ",%" SCNd64 ",%64[0-9a-f]%n", &line->update, &line->env_steps, line->sha256,
                       &n) != 3 || *at + n != end)
        return false;
    *at = end + 1;
    return true;
}

static void advance(struct hash_trail *t)
{
    t->has_recorded = read_line(&t->at, &t->recorded);
}

int hash_trail_open(struct hash_trail *t, const char *path, const char *out, struct error *err)
{
    size_t bytes;
    *t = (struct hash_trail){ .out_path = out };
    int rc = file_read(path, LIMIT, &t->text, &bytes, err);
    if (rc != 0)
        return rc;
    t->at = strchr(t->text, '\n');
    t->at = t->at ? t->at + 1 : t->text + bytes;
    advance(t);
    if (out && !(t->out = fopen(out, "w")))
        return error_errno(err, "cannot write %s", out);
    if (out)
        fprintf(t->out, "update,env_steps,params_sha256\n");
    return 0;
}

void hash_trail_fini(struct hash_trail *t)
{
    if (t->out)
        fclose(t->out);
    free(t->text);
    *t = (struct hash_trail){ 0 };
}

bool hash_trail_reach(struct hash_trail *t, int64_t update, int64_t env_steps, const char *sha256)
{
    t->reached = (struct hash_line){ .update = update, .env_steps = env_steps };
    snprintf(t->reached.sha256, sizeof(t->reached.sha256), "%s", sha256);
    if (t->out)
        fprintf(t->out, "%" PRId64 ",%" PRId64 ",%s\n", update, env_steps, sha256);
    const struct hash_line *r = &t->recorded;
    if (t->has_differed || !t->has_recorded || r->update != update || r->env_steps != env_steps
        || strcmp(r->sha256, sha256) != 0) {
        t->has_differed = true;
        return false;
    }
    t->last_equal = t->reached;
    t->n_equal++;
    advance(t);
    return true;
}

void hash_trail_left(const struct hash_trail *t, int64_t update, int64_t *until, int64_t *behind)
{
    struct hash_line line = t->recorded;
    const char *at = t->at;
    *until = *behind = 0;
    for (bool has = t->has_recorded; has; has = read_line(&at, &line))
        (*(line.update <= update ? until : behind))++;
}

int hash_trail_finish(struct hash_trail *t, struct error *err)
{
    FILE *out = t->out;
    t->out = NULL;
    if (!out)
        return 0;
    const bool is_whole = fflush(out) == 0 && !ferror(out);
    return fclose(out) == 0 && is_whole ? 0 : error_errno(err, "%s cannot be written", t->out_path);
}
