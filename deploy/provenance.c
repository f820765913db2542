#include "deploy/provenance.h"

#include <gnu/libc-version.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>

#include "actor/env/mujoco_guard.h"
#include "common/arena.h"
#include "common/digest.h"
#include "common/file.h"
#include "common/matrix.h"

enum { CONFIG_LIMIT = 1 << 20 };

void provenance_describe(const struct kernels *kernels, char *out, size_t bytes)
{
    char cpu[64], blas[80];
    struct utsname system = { 0 };
    matrix_cpu_class(cpu, sizeof(cpu));
    matrix_library(blas, sizeof(blas));
    uname(&system);
    snprintf(out, bytes, "shoal %s; processor %s %s; kernels %s %s; blas %s; mujoco %s; libc %s; compiler %s",
             SHOAL_VERSION, system.machine, cpu, kernels->name, precision_name(kernels->precision), blas,
             mujoco_guard_version(), gnu_get_libc_version(), __VERSION__);
}

/* The value of `key` [n_key] in a description; its length goes to *n. NULL: it is not there. */
static const char *find(const char *text, const char *key, size_t n_key, size_t *n)
{
    for (const char *at = text; *at;) {
        const size_t part = strcspn(at, ";");
        if (part > n_key && at[n_key] == ' ' && memcmp(at, key, n_key) == 0) {
            *n = part - n_key - 1;
            return at + n_key + 1;
        }
        at += part;
        at += strspn(at, "; ");
    }
    return NULL;
}

void provenance_compare(const char *ours, const char *theirs, char *out, size_t bytes)
{
    size_t used = 0;
    out[0] = '\0';
    for (const char *at = ours; *at && used < bytes;) {
        const size_t part = strcspn(at, ";"), n_key = strcspn(at, " ;");
        size_t n_ours = 0, n_theirs = 0;
        const char *mine = find(ours, at, n_key, &n_ours), *other = find(theirs, at, n_key, &n_theirs);
        if (mine && other && (n_ours != n_theirs || memcmp(mine, other, n_ours) != 0))
            used += (size_t)snprintf(out + used, bytes - used, "%s%.*s: %.*s there, %.*s here", used ? "; " : "",
                                     (int)n_key, at, (int)n_theirs, other, (int)n_ours, mine);
        at += part;
        at += strspn(at, "; ");
    }
}

/* Whether a line says something; cut behind what it says. */
static bool says_something(char *line)
{
    char *comment = strstr(line, " #");
    if (line[0] == '#')
        line[0] = '\0';
    else if (comment)
        *comment = '\0';
    size_t n = strlen(line);
    while (n > 0 && strchr(" \t\r", line[n - 1]))
        line[--n] = '\0';
    return n > 0;
}

/* A whole number as YAML has it, with underscores where somebody put them. */
static uint64_t read_count(const char *text)
{
    uint64_t n = 0;
    if (strpbrk(text, ".eE"))
        return (uint64_t)strtod(text, NULL);
    for (text += strspn(text, " \t"); (*text >= '0' && *text <= '9') || *text == '_'; text++)
        n = *text == '_' ? n : 10 * n + (uint64_t)(*text - '0');
    return n;
}

int provenance_read_config(const char *path, struct provenance_config *out, struct error *err)
{
    static const char total[] = "total_steps:";
    char *text = NULL, *at, *line;
    size_t bytes = 0, n = 0;
    unsigned char digest[DIGEST_BYTES];
    *out = (struct provenance_config){ 0 };
    int rc = file_read(path, CONFIG_LIMIT, &text, &bytes, err);
    if (rc != 0)
        return rc;
    char *said = memory_alloc(bytes + 2, 1);
    for (at = text; (line = strsep(&at, "\n"));) {
        if (!says_something(line))
            continue;
        if (strncmp(line, total, sizeof(total) - 1) == 0)
            out->total_steps = read_count(line + sizeof(total) - 1);
        else
            n += (size_t)snprintf(said + n, bytes + 2 - n, "%s\n", line);
    }
    digest_sha256(said, n, digest);
    memcpy(&out->digest, digest, sizeof(out->digest));
    free(said);
    free(text);
    return 0;
}
