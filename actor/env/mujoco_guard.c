#include "actor/env/mujoco_guard.h"

#include <setjmp.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

#include <mujoco/mujoco.h>

#include "common/text.h"

static _Thread_local jmp_buf *guard_exit;    /* where the running guarded call ends on an error */
static _Thread_local char guard_text[256];
static atomic_ulong n_warnings;

/* Called by MuJoCo, which continues undefined when this returns. */
static void on_error(const char *text)
{
    if (!guard_exit)
        abort();    /* our bug: a call into MuJoCo that may fail stood outside mujoco_guarded */
    snprintf(guard_text, sizeof(guard_text), "%s", text);
    longjmp(*guard_exit, 1);
}

static void on_warning(const char *text)
{
    (void)text;
    atomic_fetch_add_explicit(&n_warnings, 1, memory_order_relaxed);
}

int mujoco_guard_install(struct error *err)
{
    mju_user_error = on_error;
    mju_user_warning = on_warning;
    if (mj_version() == mjVERSION_HEADER)
        return 0;
    return error_set(err, ERR_CONFIG,
                     "MuJoCo's library is version %d, but this program was built with the headers "
                     "of version %d; rebuild it, or check LD_LIBRARY_PATH",
                     mj_version(), mjVERSION_HEADER);
}

const char *mujoco_guard_version(void)
{
    return mj_versionString();
}

bool mujoco_guarded(void (*call)(void *), void *argument)
{
    jmp_buf here;
    bool is_done = false;    /* changes only where no jump can follow */
    guard_exit = &here;
    if (setjmp(here) == 0) {
        call(argument);
        is_done = true;
    }
    guard_exit = NULL;
    return is_done;
}

const char *mujoco_guard_text(void)
{
    text_join_lines(guard_text);
    return guard_text;
}

unsigned long mujoco_warnings(void)
{
    return atomic_load_explicit(&n_warnings, memory_order_relaxed);
}
