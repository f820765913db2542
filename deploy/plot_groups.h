/* Which runs belong together: arms by what their configurations differ in, tasks by their environment. */
#ifndef SHOAL_DEPLOY_PLOT_GROUPS_H
#define SHOAL_DEPLOY_PLOT_GROUPS_H

#include "deploy/comparison.h"

/* Group runs, the runs of a group differing in nothing but their seed.
 *   by   a key of the configuration ("mode", "ppo.clip"), "run" for each run by itself; NULL: by the fewest
 *        keys that tell apart all runs of a task that differ in more than the seed
 * `c` and its arrays belong to the arena; the runs [n] are borrowed. Returns 0; ERR_USAGE when no run has the
 * key, or when only some runs' times are virtual. */
int plot_group(struct comparison *c, const struct results *runs, int n, const char *by, struct arena *arena,
               struct error *err);

#endif
