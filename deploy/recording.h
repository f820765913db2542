/* A file of transitions, one row per step: NumPy's .npz or CSV, by the ending of its name.
 *
 * Both hold the same columns in the same order; a field with several numbers is one array [N][width]
 * in the one and columns name_0, name_1, ... in the other. Numbers are doubles and keep every
 * bit. The file appears whole, under its name, by recording_finish. */
#ifndef SHOAL_DEPLOY_RECORDING_H
#define SHOAL_DEPLOY_RECORDING_H

#include "common/error.h"

/* name, whether it is one truth value */
#define RECORDING_FIELDS(X) \
    X(OBS, "obs", false) X(ACTION, "action", false) X(REWARD, "reward", false) \
    X(TERMINATED, "terminated", true) X(TRUNCATED, "truncated", true) \
    X(NEXT_OBS, "next_obs", false) X(QPOS, "qpos", false) X(QVEL, "qvel", false) \
    X(NEXT_QPOS, "next_qpos", false) X(NEXT_QVEL, "next_qvel", false) \
    X(STATE, "state", false) X(NEXT_STATE, "next_state", false)

enum recording_field {
#define X(symbol, name, is_bool) RECORD_##symbol,
    RECORDING_FIELDS(X)
#undef X
    RECORD_FIELDS
};

enum { RECORD_SCALAR = -1 };

struct recording;

/* Begin; what cannot be written is found here.
 *   widths  per field: numbers in it, RECORD_SCALAR for one without a dimension of its own, 0 to
 *           leave it out
 * ERR_USAGE for another ending, ERR_IO when the directory cannot be written. */
int recording_open(struct recording **r, const char *path, const int widths[RECORD_FIELDS],
                   struct error *err);

/* The field's numbers in the next row, to be filled; [width], NULL where it was left out. */
double *recording_field(const struct recording *r, enum recording_field field);

int recording_append(struct recording *r, struct error *err);
int recording_finish(struct recording *r, struct error *err);

/* Without recording_finish nothing is left behind. */
void recording_destroy(struct recording **r);

#endif
