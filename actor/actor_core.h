/* The actor core: steps the streams it was given and turns them into fragments.
 *
 * A deterministic state machine: frames and the time come in, frames go out through callbacks. It
 * owns no socket, thread or clock. A living actor never drops a fragment: without credit it pauses. A
 * snapshot is adopted only when no stream is inside a fragment.
 *
 * In rounds (sync, pipelined) a fragment's number is its round's, and round k is acted with the version behind
 * k - lag rounds and no other one. Otherwise with the newest there is. In mode gradients the fragments that all
 * streams collected side by side go out as one gradient (gradients.h). */
#ifndef SHOAL_ACTOR_ACTOR_CORE_H
#define SHOAL_ACTOR_ACTOR_CORE_H

#include <stdbool.h>
#include <stdint.h>

#include "actor/env.h"
#include "actor/watch.h"
#include "common/algorithm.h"
#include "common/error.h"
#include "proto/frame.h"

struct actor_out {
    void *context;
    /* One reference passes. Fragments and gradients must arrive: wait for room; anything else is repeated in time and
     * may be dropped when the connection is down. */
    void (*send)(void *context, struct frame *f, bool must_arrive);
    /* Listen to the fast path: to every snapshot in turn, or only the newest there is. */
    void (*subscribe)(void *context, int snapshot_port, bool wants_every);
    void (*log)(void *context, const char *line);
    /* A line about an environment that misbehaves, for the run's log as well; NULL: as `log`. */
    void (*trouble)(void *context, const char *line);
};

struct actor_setup {
    uint64_t incarnation;
    const char *name, *program, *cpu;
    const char *models_dir, *env_path;
    struct watch *watch;        /* told where the actor is inside its environments; may be NULL */
    /* Mode gradients: the algorithm of a name, or NULL. May be NULL: there are none. */
    const struct algorithm *(*find_algorithm)(const char *name);
    /* Used in place of opening what WELCOME names, and shared by any number of actors of one process;
     * borrowed. NULL: opened and closed by the actor itself. */
    struct env_model *model;
};

enum actor_phase {
    ACTOR_JOINING,      /* says HELLO until WELCOME comes */
    ACTOR_ACTING,
    ACTOR_STOPPED       /* drained, stopped or refused: see actor_result */
};

struct actor;

struct actor *actor_create(const struct actor_setup *setup, struct actor_out out);
void actor_destroy(struct actor **a);

/* A frame from the learner; borrowed. */
void actor_receive(struct actor *a, int64_t now_us, const struct frame *f);

/* Everything that time does: HELLO, WANT, heartbeats, liveness. */
void actor_tick(struct actor *a, int64_t now_us);

/* One environment step of every stream that is inside a fragment or may begin one. Returns false
 * when there is nothing to do until a frame arrives or time passes. */
bool actor_step(struct actor *a, int64_t now_us);

/* When actor_tick has something to send next if no frame comes before; INT64_MAX when stopped. */
int64_t actor_due(const struct actor *a);

/* Whether fragments wait for a version that has not come yet. */
bool actor_awaits_version(const struct actor *a);

/* Say BYE and stop. */
void actor_stop(struct actor *a, const char *reason);

enum actor_phase actor_phase(const struct actor *a);

/* Whether a frame that has arrived would be acted on at once: no stream is inside a fragment, or fragments
 * are closed early when parameters get too old. */
bool actor_wants_frames(const struct actor *a);

/* How it ended: 0, or the error with its text in `err`. */
int actor_result(const struct actor *a, struct error *err);

/* Transitions collected, fragments or gradients sent, those the learner refused, episodes whose simulation
 * broke down, time waited for credit and for parameters; all 0 for one that never joined. */
struct actor_counts {
    int64_t steps, sent, refused, diverged;
    int64_t credit_us, parameters_us;
    bool has_joined;
};
void actor_count(const struct actor *a, struct actor_counts *out);

#endif
