/* Where results come from beside seed and schedule: the machine, the libraries and the configuration. For people
 * who compare two runs, and for runs that do not repeat. */
#ifndef SHOAL_DEPLOY_PROVENANCE_H
#define SHOAL_DEPLOY_PROVENANCE_H

#include <stddef.h>
#include <stdint.h>

#include "common/error.h"
#include "common/kernels.h"

enum { PROVENANCE_BYTES = 512 };

/* This program on this machine: "key value; key value; ...".
 *   kernels   those that the run's updates are computed with */
void provenance_describe(const struct kernels *kernels, char *out, size_t bytes);

/* How two descriptions differ, "key: theirs there, ours here; ..."; empty where they do not.
 *   theirs  may be from another version of the program, or damaged */
void provenance_compare(const char *ours, const char *theirs, char *out, size_t bytes);

/* A configuration file as experiment_print writes it: what it says apart from comments and total_steps, and
 * total_steps. */
struct provenance_config {
    uint64_t digest, total_steps;
};
int provenance_read_config(const char *path, struct provenance_config *out, struct error *err);

#endif
