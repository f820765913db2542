/* shoal-render: an environment, played by a run's policy or by none, as a video.
 *
 * Every state of the simulation lasts one step, and a frame shows the state at its time, so that a
 * video plays as fast as what it shows. The default rate is one frame per step, or one every few
 * steps where that would be more than the format plays. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "actor/env.h"
#include "actor/render/scene.h"
#include "actor/render/video.h"
#include "common/arena.h"
#include "common/policy.h"
#include "deploy/args.h"
#include "deploy/commands.h"
#include "deploy/experiment.h"
#include "deploy/program.h"
#include "deploy/run.h"

#define COUNT(a) ((int)(sizeof(a) / sizeof(*(a))))

/* What to play and what to write. */
struct order {
    const char *subject;      /* an environment or a run directory */
    const char *out, *camera;
    char **overrides;         /* [n_overrides] "env.option=value", of either */
    int n_overrides;
    bool best, is_random;
    long long width, height, seed;
    long long episodes, steps;    /* whichever is reached first; 0: no limit */
    double seconds, fps;          /* likewise; fps 0: follows from the step */
};

struct player {
    struct env_model *model;
    struct env *env;
    struct arena *arena;
    struct policy *policy;    /* NULL: random or zero actions */
    struct rng actions;
    float *row;               /* [stride] */
    double step_s;
};

struct film {
    struct scene *scene;
    struct video *video;
    uint8_t *rgb;             /* [height][width][3] */
    double fps;
    long long n_frames, n_steps;    /* written; states shown so far */
};

/* ---- whom to play ---- */

/* The environment and the policy of a run. */
static int open_run(struct player *p, const struct order *o, struct error *err)
{
    char path[RUN_PATH_BYTES + 64];
    struct experiment e = { 0 };
    struct policy_shape shape;
    float *params = NULL;
    run_config_path(o->subject, path, sizeof(path));
    int rc = experiment_load(&e, path, o->overrides, o->n_overrides, err);
    if (rc == 0)
        rc = env_open(&p->model, &e.env, err);
    if (rc == 0)
        rc = run_load_policy(o->subject, o->best, env_spec(p->model), &shape, &params, err);
    if (rc == 0) {
        p->policy = policy_create(&shape, 1, p->arena);
        policy_set(p->policy, params);
    }
    experiment_fini(&e);
    free(params);
    return rc;
}

/* An environment by its name, or by the path of its task file. */
static int open_environment(struct player *p, const struct order *o, struct error *err)
{
    struct experiment e = { 0 };
    int rc = run_refuse_place(o->subject, err);
    if (rc == 0)
        rc = experiment_load_environment(&e, o->subject, o->overrides, o->n_overrides, err);
    if (rc == 0)
        rc = env_open(&p->model, &e.env, err);
    experiment_fini(&e);
    return rc;
}

static int player_open(struct player *p, const struct order *o, struct error *err)
{
    p->arena = arena_create(1 << 16);
    const int rc = run_exists(o->subject) ? open_run(p, o, err) : open_environment(p, o, err);
    if (rc != 0)
        return rc;
    const struct env_spec *spec = env_spec(p->model);
    p->env = env_create(p->model);
    p->row = arena_alloc(p->arena, (size_t)row_stride(spec->shape), sizeof(float));
    p->step_s = scene_step_s(spec);
    rng_init(&p->actions, (uint64_t)o->seed, RNG_ACTION, 0, 0);
    return 0;
}

static void player_close(struct player *p)
{
    env_destroy(&p->env);
    env_close(&p->model);
    arena_destroy(&p->arena);
}

/* The next action, into the row: of the policy its mean or the most probable choice. */
static void choose(struct player *p, bool is_random)
{
    const struct env_spec *spec = env_spec(p->model);
    float *action = p->row + row_act(spec->shape);
    if (p->policy) {
        policy_act(p->policy, 1, &p->row, NULL);
        return;
    }
    for (int i = 0; i < spec->shape.n_act; i++) {
        if (!is_random)
            action[i] = 0;
        else if (spec->n_choices > 0)
            action[i] = (float)rng_below(&p->actions, (uint64_t)spec->n_choices);
        else
            action[i] = (float)rng_uniform(&p->actions, -1, 1);
    }
}

/* ---- the video ---- */

static int film_open(struct film *f, const struct player *p, const struct order *o,
                     struct error *err)
{
    double most;
    int rc = video_max_fps(o->out, &most, err);
    if (rc == 0)
        rc = scene_open(&f->scene, p->model, p->env, o->camera, (int)o->width, (int)o->height, err);
    if (rc != 0)
        return rc;
    f->fps = o->fps > 0 ? o->fps : 1 / (p->step_s * ceil(1 / (p->step_s * most) - 1e-6));
    f->rgb = memory_alloc((size_t)o->width * (size_t)o->height, 3);
    return video_open(&f->video, o->out, (int)o->width, (int)o->height, f->fps, err);
}

static void film_close(struct film *f)
{
    scene_close(&f->scene);
    video_discard(&f->video);
    free(f->rgb);
}

/* Write the frames whose time falls into the state of the environment as it is now. */
static int show(struct film *f, const struct player *p, const float *action, struct error *err)
{
    const double end_s = (double)++f->n_steps * p->step_s;
    bool is_drawn = false;
    int rc = 0;
    while (rc == 0 && (double)f->n_frames / f->fps < end_s - 1e-6 * p->step_s) {
        if (!is_drawn)
            rc = scene_draw(f->scene, p->env, action, f->rgb, err);
        if (rc == ERR_NUMERIC && f->n_frames > 0)
            rc = 0;    /* the simulation broke down: the last picture stands */
        is_drawn = true;
        if (rc == 0)
            rc = video_write(f->video, f->rgb, err);
        f->n_frames++;
    }
    return rc;
}

static bool is_enough(const struct order *o, const struct film *f, const struct player *p)
{
    return (o->steps > 0 && f->n_steps > o->steps)
           || (o->seconds > 0 && (double)f->n_steps * p->step_s >= o->seconds - 1e-6 * p->step_s);
}

static void begin(struct player *p, const struct order *o, long long episode)
{
    struct rng rng;
    rng_init(&rng, (uint64_t)o->seed, RNG_EVAL, (uint32_t)episode, 0);
    env_reset(p->env, &rng, p->row);
}

/* Play and film; the first episode has begun. Prints the return of each that ends. */
static int play(struct player *p, struct film *f, const struct order *o, struct error *err)
{
    const struct row_shape shape = env_spec(p->model)->shape;
    long long episode = 0;
    int rc = show(f, p, NULL, err);
    while (rc == 0 && !is_enough(o, f, p)) {
        struct env_outcome outcome;
        if (program_stop_requests())
            return error_set(err, ERR_INTERRUPTED, "interrupted: %s was not written", o->out);
        choose(p, o->is_random);
        env_step(p->env, p->row + row_act(shape), p->row, &outcome);
        rc = show(f, p, p->row + row_act(shape), err);
        if (rc != 0 || outcome.kind == ROW_STEP)
            continue;
        printf("episode %lld: return %.2f in %d steps\n", ++episode, outcome.episode_return,
               outcome.episode_length);
        if (episode == o->episodes)
            break;
        if (is_enough(o, f, p))
            break;
        begin(p, o, episode);
        rc = show(f, p, NULL, err);
    }
    return rc;
}

static int render(const struct order *o, struct error *err)
{
    struct player p = { 0 };
    struct film f = { 0 };
    int rc = player_open(&p, o, err);
    if (rc == 0) {
        begin(&p, o, 0);
        rc = film_open(&f, &p, o, err);
    }
    if (rc == 0)
        rc = play(&p, &f, o, err);
    if (rc == 0)
        rc = video_finish(&f.video, err);
    if (rc == 0)
        printf("%s: %s, %lld frames of %lld x %lld, %.4g a second, %.4g s (%s)\n", o->out,
               env_spec(p.model)->name, f.n_frames, o->width, o->height, f.fps,
               (double)f.n_frames / f.fps, scene_kind(f.scene));
    film_close(&f);
    player_close(&p);
    return rc;
}

/* ---- the command line ---- */

struct texts {
    const char *episodes, *seconds, *steps, *width, *height, *fps, *seed, *policy;
};

static int read_numbers(const struct texts *t, struct order *o, struct error *err)
{
    int rc = args_int("--width", t->width, 16, 8192, &o->width, err);
    if (rc == 0)
        rc = args_int("--height", t->height, 16, 8192, &o->height, err);
    if (rc == 0)
        rc = args_int("--seed", t->seed, 0, INT64_MAX, &o->seed, err);
    if (rc == 0 && t->fps)
        rc = args_real("--fps", t->fps, 0.1, 1000, &o->fps, err);
    if (rc == 0 && t->episodes)
        rc = args_int("--episodes", t->episodes, 1, 1000000, &o->episodes, err);
    if (rc == 0 && t->seconds)
        rc = args_real("--seconds", t->seconds, 0.001, 1e6, &o->seconds, err);
    if (rc == 0 && t->steps)
        rc = args_int("--steps", t->steps, 1, 1000000000, &o->steps, err);
    if (rc == 0 && (t->episodes != NULL) + (t->seconds != NULL) + (t->steps != NULL) > 1)
        rc = error_set(err, ERR_USAGE, "shoal render: only one of --episodes, --seconds and --steps");
    if (!t->seconds && !t->steps && !t->episodes)
        o->episodes = 1;
    return rc;
}

static int read_policy(const struct texts *t, struct order *o, struct error *err)
{
    const bool has_policy = run_exists(o->subject);
    o->is_random = !t->policy || strcmp(t->policy, "random") == 0;
    if (t->policy && !o->is_random && strcmp(t->policy, "zero") != 0)
        return error_set(err, ERR_USAGE, "--policy: expected random or zero, found \"%s\"", t->policy);
    if (has_policy && t->policy)
        return error_set(err, ERR_USAGE, "shoal render: %s is a run and has a policy of its own; leave "
                         "--policy out", o->subject);
    if (!has_policy && o->best)
        return error_set(err, ERR_USAGE, "shoal render: --best is for a run, and %s is none", o->subject);
    return 0;
}

static int run_command(int argc, char **argv, struct error *err)
{
    struct texts t = { .width = "480", .height = "480", .seed = "0" };
    struct order o = { 0 };
    const char *env_path = NULL;
    bool wants_help;
    const struct flag flags[] = {
        { "--out", "FILE", &o.out, NULL, "what to write: .mp4, .gif, or numbered .png (frame%04d.png)" },
        { "--episodes", "N", &t.episodes, NULL, "stop after N episodes (default 1)" },
        { "--seconds", "S", &t.seconds, NULL, "stop after S seconds of video instead" },
        { "--steps", "N", &t.steps, NULL, "stop after N steps instead" },
        { "--width", "W", &t.width, NULL, "pixels (default 480)" },
        { "--height", "H", &t.height, NULL, "pixels (default 480)" },
        { "--fps", "F", &t.fps, NULL, "frames a second (default: one per step, at most 60, .gif 50)" },
        { "--seed", "S", &t.seed, NULL, "which starts and random actions (default 0)" },
        { "--policy", "NAME", &t.policy, NULL, "random or zero actions, without a run (default random)" },
        { "--best", NULL, NULL, &o.best, "the best evaluated policy instead of the last" },
        ENV_PATH_FLAG(env_path),
        { "--camera", "NAME", &o.camera, NULL, "a camera of the model, by name or number, or free" },
    };
    const struct command command = {
        "render", "ENV|RUN --out FILE [flags] [env.option=value ...]", NULL,
        "Draw an environment as a video, played by a run's policy (its mean or most probable action) or at random. "
        "Needs no display.",
        "shoal render runs/inverted_pendulum-1-20260101-120000 --best --out pole.mp4", flags,
        COUNT(flags)
    };
    int n = args_parse(&command, argc, argv, &wants_help, err);
    if (n < 0 || wants_help)
        return n < 0 ? n : 0;
    if (n < 1 || !o.out)
        return error_set(err, ERR_USAGE, "shoal render needs one environment or run directory, and --out "
                         "FILE; see shoal render --help");
    o.subject = argv[0];
    o.overrides = argv + 1;
    o.n_overrides = n - 1;
    program_catch_signals();
    int rc = check_env_overrides("shoal render", o.overrides, o.n_overrides, err);
    if (rc == 0)
        rc = use_env_path(env_path, err);
    if (rc == 0)
        rc = read_numbers(&t, &o, err);
    if (rc == 0)
        rc = read_policy(&t, &o, err);
    return rc == 0 ? render(&o, err) : rc;
}

int main(int argc, char **argv)
{
    struct error err = { 0 };
    int rc = run_command(argc - 1, argv + 1, &err);
    if (rc == 0 && (fflush(stdout) != 0 || ferror(stdout)))
        rc = error_set(&err, ERR_IO, "standard output could not be written");
    if (rc == 0)
        return 0;
    /* Errors about arguments name the command themselves. */
    const bool is_named = strncmp(err.text, "shoal ", strlen("shoal ")) == 0;
    fprintf(stderr, "%s%s\n", is_named ? "" : "shoal: ", err.text[0] ? err.text : error_text(rc));
    return error_exit_status(rc);
}
