/* MuJoCo's two hooks, which are global to the process, made harmless.
 *
 * Left alone, an error inside MuJoCo ends the process (older versions wait for a key first) and a
 * warning goes to a file in the working directory. Here an error leaves the guarded call at once, and
 * warnings are counted and printed nowhere. */
#ifndef SHOAL_ACTOR_ENV_MUJOCO_GUARD_H
#define SHOAL_ACTOR_ENV_MUJOCO_GUARD_H

#include <stdbool.h>

#include "common/error.h"

/* Take over the hooks, and see that the library is the one the headers belong to (ERR_CONFIG). Before
 * any other call into MuJoCo; again does no harm. */
int mujoco_guard_install(struct error *err);

/* The library's version, for example "3.3.7". */
const char *mujoco_guard_version(void);

/* Run call(argument), inside which MuJoCo may be called. Returns false when it raised an error, which
 * skips the rest of `call`: nothing in there may hold a resource. */
bool mujoco_guarded(void (*call)(void *), void *argument);

/* What the last error of this thread said, on one line. */
const char *mujoco_guard_text(void);

/* Warnings MuJoCo raised in this process so far. */
unsigned long mujoco_warnings(void);

#endif
