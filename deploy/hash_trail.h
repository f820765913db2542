/* The digests that a run left in hashes.csv, and those that somebody reaches who repeats it: compared line by line,
 * in order. */
#ifndef SHOAL_DEPLOY_HASH_TRAIL_H
#define SHOAL_DEPLOY_HASH_TRAIL_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "common/digest.h"
#include "common/error.h"

struct hash_line {
    int64_t update, env_steps;
    char sha256[DIGEST_HEX_BYTES];
};

struct hash_trail {
    char *text;                     /* of hashes.csv; lines that are not whole are none */
    const char *at;                 /* behind `recorded` */
    struct hash_line recorded;      /* the one that comes next */
    bool has_recorded;
    FILE *out;                      /* where reached ones go, or NULL */
    const char *out_path;
    int64_t n_equal;
    bool has_differed;              /* sticky: then nothing is compared any more */
    struct hash_line reached;       /* the last one */
    struct hash_line last_equal;    /* where n_equal > 0 */
};

/*   path  of hashes.csv
 *   out   of a file for the reached ones, borrowed; NULL: none. Written by hash_trail_finish at the latest */
int hash_trail_open(struct hash_trail *t, const char *path, const char *out, struct error *err);
void hash_trail_fini(struct hash_trail *t);

/* A digest was reached. Returns whether it is the next one of the run. */
bool hash_trail_reach(struct hash_trail *t, int64_t update, int64_t env_steps, const char *sha256);

/* How many recorded ones are still to come, up to and including an update, and behind it. */
void hash_trail_left(const struct hash_trail *t, int64_t update, int64_t *until, int64_t *behind);

/* The output is complete, or ERR_IO. */
int hash_trail_finish(struct hash_trail *t, struct error *err);

#endif
