#include "deploy/actor.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "actor/actor_core.h"
#include "actor/env/mujoco_guard.h"
#include "common/digest.h"
#include "common/matrix.h"
#include "common/rng.h"
#include "common/text.h"
#include "deploy/console.h"
#include "deploy/guard.h"
#include "deploy/notes.h"
#include "deploy/program.h"
#include "learner/algorithms.h"
#include "proto/link.h"

enum { WAIT_MS = 20, RECEIVE_EVERY = 16, RECEIVE_US = 10000, MAX_MESSAGE = 1 << 30, QUEUE = 64, SILENCE_US = 4000000,
       CONNECTING_US = 200000 };

struct shell {
    struct link *link;
    struct actor *core;
    const struct actor_options *options;
    const char *name;
    bool has_sent;              /* a fragment */
};

/* Where lines of the guard and about misbehaving environments go; the guard has no context. */
static int notes_fd = -1;

static void tell(const char *line, size_t n)
{
    if (notes_fd >= 0)
        notes_write(notes_fd, NOTE_TROUBLE, line, n);
    else
        notes_write(STDERR_FILENO, 0, line, n);
}

static void on_log(void *context, const char *line)
{
    const struct shell *s = context;
    if (!s->options->is_quiet)
        console_say("%s: %s", s->name, line);
}

static void on_trouble(void *context, const char *line)
{
    const struct shell *s = context;
    char text[480];
    int n = snprintf(text, sizeof(text), "%s: %.400s", s->name, line);
    tell(text, (size_t)n);
}

static void on_send(void *context, struct frame *f, bool must_arrive)
{
    struct shell *s = context;
    if (must_arrive && !s->has_sent && notes_fd >= 0)
        notes_write(notes_fd, NOTE_PROGRESS, s->name, strlen(s->name));
    s->has_sent |= must_arrive;
    int64_t began_us = program_now_us();
    bool was_told = false;
    /* Credit bounds what is under way, so a full queue means a connection that is down: wait. What
     * will be repeated waits only as long as connecting takes. */
    while (link_send(s->link, 0, frame_retain(f)) == ERR_AGAIN && program_stop_requests() == 0) {
        int64_t waited_us = program_now_us() - began_us;
        if (!must_arrive && waited_us > CONNECTING_US)
            break;
        program_sleep_us(1000);
        if (!was_told && waited_us > SILENCE_US) {
            on_log(s, "the connection to the learner is down; waiting for it");
            was_told = true;
        }
    }
    frame_release(f);
}

static void on_subscribe(void *context, int port, bool wants_every)
{
    struct shell *s = context;
    struct error err;
    if (zmq_actor_subscribe(s->link, port, wants_every, &err) != 0)
        console_say("%s: no fast path for parameters: %s", s->name, err.text);
}

static void default_name(char *out, size_t bytes)
{
    char host[48] = "actor";
    gethostname(host, sizeof(host) - 1);
    for (char *c = host; *c; c++)
        if (!((*c >= 'a' && *c <= 'z') || (*c >= 'A' && *c <= 'Z') || (*c >= '0' && *c <= '9')
              || *c == '.' || *c == '-'))
            *c = '_';
    snprintf(out, bytes, "%s-%d", host, (int)getpid());
}

static void act(struct shell *s)
{
    struct rng delays;
    int64_t received_us = 0;
    rng_init(&delays, digest_random_id(), RNG_TEST, 0, 0);
    for (int steps = 0; actor_phase(s->core) != ACTOR_STOPPED; steps++) {
        struct frame *f;
        uint64_t peer;
        int64_t now_us = program_now_us();
        /* Inside a fragment what arrives rarely matters at once, but heartbeats fall due. */
        if (steps % RECEIVE_EVERY == 0 || now_us - received_us > RECEIVE_US
            || actor_wants_frames(s->core)) {
            received_us = now_us;
            while ((f = link_receive(s->link, &peer))) {
                actor_receive(s->core, now_us, f);
                frame_release(f);
            }
            actor_tick(s->core, now_us);
        }
        if (program_stop_requests() > 0)
            actor_stop(s->core, "the actor was stopped");
        if (s->options->delay_ms > 0)
            program_sleep_us((int64_t)rng_uniform(&delays, 0, s->options->delay_ms * 1000));
        if (!actor_step(s->core, now_us) && actor_phase(s->core) != ACTOR_STOPPED)
            link_wait(s->link, WAIT_MS);
    }
}

/* What it did, if it came to do anything. */
static void say_counts(struct shell *s)
{
    char line[200], warnings[48] = "";
    struct actor_counts counts;
    actor_count(s->core, &counts);
    if (!counts.has_joined)
        return;
    if (mujoco_warnings() > 0)
        snprintf(warnings, sizeof(warnings), ", %lu warning%s from MuJoCo", mujoco_warnings(),
                 text_plural((int64_t)mujoco_warnings()));
    snprintf(line, sizeof(line), "%" PRId64 " transition%s, %" PRId64 " message%s sent, %" PRId64
             " refused, %" PRId64 " episode%s broke down%s", counts.steps, text_plural(counts.steps),
             counts.sent, text_plural(counts.sent), counts.refused, counts.diverged,
             text_plural(counts.diverged), warnings);
    on_log(s, line);
}

int actor_run(const struct actor_options *o, struct error *err)
{
    char name[64], cpu[32];
    const struct zmq_limits limits = { MAX_MESSAGE, QUEUE, LINK_ROUND_SNAPSHOTS };
    default_name(name, sizeof(name));
    matrix_cpu_class(cpu, sizeof(cpu));
    struct shell s = { .options = o, .name = o->name ? o->name : name };
    static struct watch watch;
    const struct guard guard = { .who = s.name, .place = "stream", .watch = &watch, .tell = tell };
    notes_fd = o->notes_fd;
    s.link = zmq_actor_create(o->learner, &limits, err);
    if (!s.link)
        return err->code;
    int rc = guard_begin(&guard, err);
    if (rc != 0) {
        link_destroy(&s.link);
        return rc;
    }
    struct actor_setup setup = {
        .incarnation = digest_random_id(), .name = s.name, .program = "shoal " SHOAL_VERSION,
        .cpu = cpu, .models_dir = program_models_dir(), .env_path = program_env_path(),
        .watch = &watch, .find_algorithm = algorithm_find,
    };
    s.core = actor_create(&setup, (struct actor_out){
        .context = &s, .send = on_send, .subscribe = on_subscribe, .log = on_log,
        .trouble = on_trouble });
    act(&s);
    rc = actor_result(s.core, err);
    if (rc == 0 && program_stop_requests() > 0)
        rc = error_set(err, ERR_INTERRUPTED, "interrupted");
    else if (rc == 0)
        on_log(&s, err->text);
    say_counts(&s);
    actor_destroy(&s.core);
    guard_end();
    link_destroy(&s.link);
    return rc;
}
