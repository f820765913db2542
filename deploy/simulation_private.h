/* What the files of the simulation share. Nothing else includes it.
 *
 *   simulation.c             the world: sources of events, draws, beginning and end
 *   simulation_conditions.c  section `simulate` of the settings
 *   simulation_network.c     what is under way
 *   simulation_actors.c      actors: looking, acting, failing
 *   simulation_learner.c     session and training core, and the time that learning takes
 *   simulation_agenda.c      which source is due next */
#ifndef SHOAL_DEPLOY_SIMULATION_PRIVATE_H
#define SHOAL_DEPLOY_SIMULATION_PRIVATE_H

#include "actor/actor_core.h"
#include "deploy/exchange.h"
#include "deploy/simulation.h"
#include "deploy/simulation_agenda.h"

/* What is drawn, each from a sequence of its own. */
enum draw {
    DRAW_STEP, DRAW_SPEED, DRAW_UP, DRAW_UP_LOSS, DRAW_DOWN, DRAW_DOWN_LOSS, DRAW_SNAPSHOT, DRAW_SNAPSHOT_LOSS,
    DRAW_FAIL, DRAW_RESTART, DRAW_UPDATE
};

/* Sources of events; behind them what arrives from every actor, then every actor itself. */
enum source { SOURCE_LEARNER, SOURCE_SESSION, SOURCE_ACTORS };

/* A frame under way. */
struct parcel {
    struct parcel *next;
    struct frame *frame;
    uint64_t peer;
    int64_t at_ns;          /* arrives */
};

/* One direction between an actor and the learner, in order. */
struct channel {
    struct parcel *head, *tail;
    int64_t last_ns;        /* arrival of the last one */
    uint64_t n_sent;
};

struct publication {
    struct frame *frame;    /* NULL: none is kept */
    int64_t at_ns;          /* sent */
};

struct simulated_actor {
    struct simulation *simulation;
    struct actor *core;             /* NULL: it has failed */
    char name[32];                  /* that the core goes by; borrowed by it */
    uint64_t peer;                  /* of this connection */
    int64_t send_ns;                /* when what it says now leaves */
    int64_t fail_ns;
    int64_t n_incarnations;
    uint64_t n_steps;               /* vectorised, of all incarnations */
    int64_t env_steps;              /* of former incarnations */
    uint64_t seen;                  /* publications before this one are of no interest */
    double factor;                  /* of the time its steps take */
    bool is_idle;                   /* nothing to do until a frame comes or time passes */
    struct channel up, down;
};

struct simulation {
    struct simulation_setup setup;
    struct simulation_out out;
    struct conditions conditions;           /* borrows */
    int n_actors;
    int64_t now_ns;
    enum training_status status;
    struct agenda *agenda;
    struct simulation_counts counts;

    struct algorithm_traits traits;
    struct session *session;
    struct training *training;
    struct fragment_pool *fragments;
    struct frame_pool *snapshots;
    struct evaluator *evaluator;
    struct notices notices;                 /* of the training core for the session, when its work is done */
    int64_t session_ns;                     /* last tick of the session */

    struct simulated_actor *actors;         /* [n_actors] */
    struct parcel *unused;
    struct publication *publications;       /* [n_kept] ring, by number */
    uint64_t n_published, n_kept;
};

/* ---- simulation.c ---- */

/* Value number `i` of what is drawn for `actor`. */
double simulation_draw(const struct simulation *s, const struct distribution *d, int actor, enum draw purpose,
                       uint64_t i);

/* Whether chance of probability p strikes, and how often in a row. */
bool simulation_strikes(const struct simulation *s, double p, int actor, enum draw purpose, uint64_t i);
double simulation_strikes_in_a_row(const struct simulation *s, double p, int actor, enum draw purpose,
                                   uint64_t i);

/* A drawn duration; AGENDA_NEVER for what takes for ever. */
int64_t simulation_ns(double us);

/* `ns` from now. */
int64_t simulation_after(const struct simulation *s, int64_t ns);

/* Monotonic seconds of this machine. */
double simulation_clock_s(void);

void simulation_say(const struct simulation *s, enum simulation_voice voice, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* ---- simulation_network.c ---- */

void network_create(struct simulation *s, size_t snapshot_bytes);
void network_destroy(struct simulation *s);

/* Send; one reference passes. What is for a connection that is no more is dropped. */
void network_send_up(struct simulation *s, int actor, struct frame *f, int64_t sent_ns);
void network_send_down(struct simulation *s, uint64_t peer, struct frame *f);
void network_publish(struct simulation *s, struct frame *f);

/* The oldest frame that has arrived, owned by the caller, or NULL. */
struct frame *network_receive(struct simulation *s, struct channel *c, uint64_t *peer);

/* Throw away what is under way. */
void network_cut(struct simulation *s, struct channel *c);

/* The newest snapshot that `actor` has not seen and that has arrived, borrowed, or NULL; and when the first of
 * those that are still under way does. */
struct frame *network_snapshot(struct simulation *s, int actor);
int64_t network_next_snapshot(const struct simulation *s, int actor);

/* ---- simulation_actors.c ---- */

static inline int simulation_up_source(int actor)
{
    return SOURCE_ACTORS + actor;
}

static inline int simulation_actor_source(const struct simulation *s, int actor)
{
    return SOURCE_ACTORS + s->n_actors + actor;
}

void simulated_actors_create(struct simulation *s);
void simulated_actors_destroy(struct simulation *s);

/* The event of an actor. */
void simulated_actor_run(struct simulation *s, int actor);

/* A frame for an actor will arrive, or a snapshot was published. */
void simulated_actor_expect(struct simulation *s, int actor, int64_t at_ns);
void simulated_actors_expect_snapshot(struct simulation *s);

/* ---- simulation_learner.c ---- */

int simulated_learner_create(struct simulation *s, struct error *err);
void simulated_learner_destroy(struct simulation *s);

/* The events of the learner: a frame from an actor, its work, the session's clock. */
void simulated_learner_receive(struct simulation *s, int actor);
void simulated_learner_work(struct simulation *s);
void simulated_learner_tick(struct simulation *s);

#endif
