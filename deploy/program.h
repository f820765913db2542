/* What every process of shoal needs from its machine: time, signals, places. */
#ifndef SHOAL_DEPLOY_PROGRAM_H
#define SHOAL_DEPLOY_PROGRAM_H

#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/error.h"

/* Microseconds of the monotonic clock. */
int64_t program_now_us(void);

/* Sleep; signals end it early. */
void program_sleep_us(int64_t us);

/* From now on the first SIGINT, SIGTERM or SIGHUP is counted instead of killing, a second one ends the
 * process at once. SIGPIPE and SIGTTOU are ignored. Call before threads are made. */
void program_catch_signals(void);
int program_stop_requests(void);

/* Memory that could be used without swapping (MemAvailable); 0 where the system does not say. */
int64_t program_available_bytes(void);

/* Where the MJCF models are: $SHOAL_MODELS, ../share/shoal/models or ../deps/models beside the program,
 * or where the build was told they are. Borrowed. */
const char *program_models_dir(void);

/* Where tasks and plug-ins are: the directories of --env-path, then of $SHOAL_ENV_PATH, ':' between
 * them; "" without any. Borrowed until the next program_add_env_path. */
const char *program_env_path(void);

/* Put directories in front, for this process and those it starts. */
void program_add_env_path(const char *directories);

/* The running program's own path. */
int program_self(char *path, size_t bytes, struct error *err);

/* Die with the thread that started this process. */
void program_die_with_parent(void);

/* Processes below this one whose parent has died become its children. */
void program_adopt_orphans(void);

#endif
