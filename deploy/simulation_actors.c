#include "deploy/simulation_private.h"

#include <stdio.h>

#include "learner/algorithms.h"

enum { LOOK_STEPS = 16, LOOK_NS = 10000000, LEAST_WAIT_NS = 1000, LEAST_RESTART_NS = 1000000, LEAST_STEP_NS = 1 };

static int number_of(const struct simulated_actor *a)
{
    return (int)(a - a->simulation->actors);
}

static void schedule(struct simulated_actor *a, int64_t at_ns)
{
    struct simulation *s = a->simulation;
    agenda_set(s->agenda, simulation_actor_source(s, number_of(a)), at_ns < a->fail_ns ? at_ns : a->fail_ns);
}

/* ---- what the core says ---- */

static void on_send(void *context, struct frame *f, bool must_arrive)
{
    struct simulated_actor *a = context;
    (void)must_arrive;
    network_send_up(a->simulation, number_of(a), f, a->send_ns);
}

/* Whoever subscribes hears of what is published from now on. */
static void on_subscribe(void *context, int port, bool wants_every)
{
    struct simulated_actor *a = context;
    (void)port, (void)wants_every;
    a->seen = a->simulation->n_published;
}

static void on_log(void *context, const char *line)
{
    const struct simulated_actor *a = context;
    simulation_say(a->simulation, VOICE_ACTOR, "actor-%d: %s", number_of(a), line);
}

/* ---- coming and going ---- */

/* When the incarnation that begins now will fail. */
static int64_t draw_failure(const struct simulated_actor *a)
{
    const struct simulation *s = a->simulation;
    const int64_t every_ns = s->setup.kill_every_us * 1000, i = number_of(a);
    const double seconds = simulation_draw(s, &s->conditions.fail_s, (int)i, DRAW_FAIL, (uint64_t)a->n_incarnations);
    const int64_t ns = simulation_ns(seconds * 1e6);
    if (every_ns > 0)
        return every_ns * (i + 1 + s->n_actors * a->n_incarnations);
    return simulation_after(s, ns > LEAST_WAIT_NS ? ns : LEAST_WAIT_NS);
}

static void begin(struct simulated_actor *a)
{
    struct simulation *s = a->simulation;
    const int i = number_of(a);
    snprintf(a->name, sizeof(a->name), "actor-%d-%d", i, s->setup.are_nameless ? (int)a->n_incarnations : 0);
    const struct actor_setup setup = {
        .incarnation = (uint64_t)a->n_incarnations << 32 | (uint64_t)(i + 1), .name = a->name,
        .program = "shoal " SHOAL_VERSION, .cpu = "simulated", .model = s->setup.model, .find_algorithm = algorithm_find,
    };
    a->core = actor_create(&setup, (struct actor_out){ .context = a, .send = on_send, .subscribe = on_subscribe,
                                                       .log = on_log });
    a->fail_ns = draw_failure(a);
    a->peer = 1 + (uint64_t)i + (uint64_t)s->n_actors * (uint64_t)a->n_incarnations++;
}

static void end(struct simulated_actor *a)
{
    struct actor_counts counts;
    actor_count(a->core, &counts);
    a->env_steps += counts.steps;
    actor_destroy(&a->core);
    network_cut(a->simulation, &a->down);
}

static void fail(struct simulated_actor *a)
{
    struct simulation *s = a->simulation;
    const uint64_t n = (uint64_t)a->n_incarnations;
    int64_t pause_ns = simulation_ns(1e6 * simulation_draw(s, &s->conditions.restart_s, number_of(a), DRAW_RESTART, n));
    end(a);
    s->counts.failures++;
    a->fail_ns = AGENDA_NEVER;
    pause_ns = s->setup.kill_every_us ? 0 : pause_ns > LEAST_RESTART_NS ? pause_ns : LEAST_RESTART_NS;
    schedule(a, simulation_after(s, pause_ns));
}

/* It gave up by itself: its supervisor begins another one. */
static void give_up(struct simulated_actor *a)
{
    struct error err;
    if (actor_result(a->core, &err) == 0) {
        schedule(a, AGENDA_NEVER);
        return;
    }
    on_log(a, err.text);
    fail(a);
}

void simulated_actors_create(struct simulation *s)
{
    for (int i = 0; i < s->n_actors; i++) {
        struct simulated_actor *a = &s->actors[i];
        a->simulation = s;
        a->factor = simulation_draw(s, &s->conditions.speed, i, DRAW_SPEED, 0);
        a->fail_ns = AGENDA_NEVER;
        schedule(a, 0);
    }
}

void simulated_actors_destroy(struct simulation *s)
{
    for (int i = 0; i < s->n_actors; i++)
        actor_destroy(&s->actors[i].core);
}

/* ---- looking and acting ---- */

static void look(struct simulated_actor *a)
{
    struct simulation *s = a->simulation;
    const int64_t now_us = s->now_ns / 1000;
    struct frame *f;
    a->send_ns = s->now_ns;
    while ((f = network_receive(s, &a->down, NULL))) {
        actor_receive(a->core, now_us, f);
        frame_release(f);
    }
    if ((f = network_snapshot(s, number_of(a))))
        actor_receive(a->core, now_us, f);
    actor_tick(a->core, now_us);
}

static int64_t step_ns(const struct simulated_actor *a)
{
    const struct simulation *s = a->simulation;
    const int64_t ns = simulation_ns(a->factor * simulation_draw(s, &s->conditions.step_us, number_of(a), DRAW_STEP,
                                                                 a->n_steps));
    return ns > LEAST_STEP_NS ? ns : LEAST_STEP_NS;
}

/* Act until it is time to look again. Returns when that is; `is_idle` says whether there was nothing to do. A
 * step whose end it would not see is not begun. */
static int64_t act(struct simulated_actor *a)
{
    const struct simulation *s = a->simulation;
    int64_t at_ns = s->now_ns;
    a->is_idle = false;
    for (int k = 0; k < LOOK_STEPS && at_ns - s->now_ns < LOOK_NS; k++) {
        const int64_t takes_ns = step_ns(a);
        if (takes_ns >= a->fail_ns - at_ns)
            return a->fail_ns;
        a->send_ns = at_ns + takes_ns;
        if (!actor_step(a->core, at_ns / 1000)) {
            a->is_idle = true;
            break;
        }
        at_ns += takes_ns;
        a->n_steps++;
        if (actor_wants_frames(a->core) || actor_phase(a->core) == ACTOR_STOPPED)
            break;
    }
    return at_ns;
}

/* When an idle actor has something to do. */
static int64_t wake_ns(const struct simulated_actor *a)
{
    const struct simulation *s = a->simulation;
    const int64_t least_ns = s->now_ns + LEAST_WAIT_NS, due_us = actor_due(a->core);
    int64_t at_ns = due_us < AGENDA_NEVER / 1000 ? due_us * 1000 : AGENDA_NEVER;
    at_ns = at_ns > least_ns ? at_ns : least_ns;
    if (a->down.head && a->down.head->at_ns < at_ns)
        at_ns = a->down.head->at_ns;
    const int64_t snapshot_ns = actor_awaits_version(a->core) ? network_next_snapshot(s, number_of(a)) : AGENDA_NEVER;
    return snapshot_ns < at_ns ? snapshot_ns : at_ns;
}

void simulated_actor_run(struct simulation *s, int actor)
{
    struct simulated_actor *a = &s->actors[actor];
    if (!a->core) {
        begin(a);
    } else if (s->now_ns >= a->fail_ns) {
        fail(a);
        return;
    }
    /* Whoever joins makes its environments and plays their resets. */
    const bool is_joining = actor_phase(a->core) == ACTOR_JOINING;
    double began_s = is_joining ? simulation_clock_s() : 0;
    look(a);
    if (!is_joining)
        began_s = simulation_clock_s();
    const int64_t until_ns = act(a);
    s->counts.acting_s += simulation_clock_s() - began_s;
    if (actor_phase(a->core) == ACTOR_STOPPED)
        give_up(a);
    else
        schedule(a, a->is_idle ? wake_ns(a) : until_ns);
}

void simulated_actor_expect(struct simulation *s, int actor, int64_t at_ns)
{
    const int source = simulation_actor_source(s, actor);
    if (s->actors[actor].is_idle && at_ns < agenda_at(s->agenda, source))
        agenda_set(s->agenda, source, at_ns);
}

void simulated_actors_expect_snapshot(struct simulation *s)
{
    for (int i = 0; i < s->n_actors; i++) {
        const struct simulated_actor *a = &s->actors[i];
        if (!a->core || !a->is_idle || !actor_awaits_version(a->core))
            continue;
        simulated_actor_expect(s, i, s->conditions.staleness > 0 ? s->now_ns : network_next_snapshot(s, i));
    }
}
