#include "actor/render/mujoco_scene.h"

#include <ctype.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "actor/env/mujoco_guard.h"
#include "common/arena.h"

enum {
    MAX_GEOMS = 1000,      /* as in Gymnasium */
    SAMPLES = 4,           /* of a pixel, so that edges are smooth */
    SHADOW_SIDE = 1024     /* of the shadow's own picture; MuJoCo's 4096 looks the same here and takes a
                              software rasteriser twice as long per frame */
};

struct mujoco_scene {
    mjModel *m;    /* a copy: the picture's size stands in the model */
    mjData *d;
    int width, height;
    bool has_scene, has_context;
    mjvCamera camera;
    mjvOption option;
    mjvScene scene;
    mjrContext context;
    uint8_t *rows;    /* [height][width][3] from the bottom, as OpenGL has them */
};

/* ---- the camera ---- */

/* Gymnasium takes the model's camera "track" where there is one, else a free camera at the median
 * of the geoms' positions, as far away as the model is large, with these exceptions. What is
 * given to tasks with a track camera serves `--camera free`, which then follows the body. */
struct view {
    const char *task;    /* the environment's name without its version */
    double distance;     /* 0: the model's extent */
    int body;            /* to follow; -1: none */
    double elevation;    /* 0: MuJoCo's default */
};

/* Source: Gymnasium 1.2.3, envs/mujoco, DEFAULT_CAMERA_CONFIG of each task. */
static const struct view views[] = {
    { "InvertedPendulum", 2.04, -1, 0 },
    { "InvertedDoublePendulum", 4.1225, -1, 0 },    /* defined there, though not applied */
    { "Pusher", 4.0, -1, 0 },
    { "Hopper", 3.0, 2, -20 },
    { "Walker2d", 4.0, 2, -20 },
    { "HalfCheetah", 4.0, 1, -20 },
    { "Ant", 4.0, 1, -20 },
    { "Swimmer", 0, 1, 0 },
    { "Humanoid", 4.0, 1, -20 },
    { "HumanoidStandup", 4.0, 1, -20 },
};

static const struct view *find_view(const char *name)
{
    const char *version = strstr(name, "-v");
    const size_t length = version ? (size_t)(version - name) : strlen(name);
    for (size_t i = 0; i < sizeof(views) / sizeof(*views); i++)
        if (strlen(views[i].task) == length && strncmp(views[i].task, name, length) == 0)
            return &views[i];
    return NULL;
}

static int by_size(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* Look at the middle of things.
 *   lookat [3] median of the geoms' positions along each axis */
static void find_middle(const mjModel *m, const mjData *d, mjtNum *lookat)
{
    const size_t n = (size_t)m->ngeom;
    double *along = memory_alloc(n + 1, sizeof(*along));
    for (int axis = 0; axis < 3; axis++) {
        for (size_t i = 0; i < n; i++)
            along[i] = d->geom_xpos[3 * i + (size_t)axis];
        qsort(along, n, sizeof(*along), by_size);
        lookat[axis] = n == 0 ? 0 : (along[(n - 1) / 2] + along[n / 2]) / 2;
    }
    free(along);
}

static void use_free_camera(struct mujoco_scene *s, const char *name)
{
    const struct view *view = find_view(name);
    s->camera.type = mjCAMERA_FREE;
    find_middle(s->m, s->d, s->camera.lookat);
    s->camera.distance = view && view->distance > 0 ? view->distance : s->m->stat.extent;
    if (view && view->elevation < 0)
        s->camera.elevation = view->elevation;
    if (view && view->body > 0 && view->body < s->m->nbody) {
        s->camera.type = mjCAMERA_TRACKING;
        s->camera.trackbodyid = view->body;
    }
}

static void use_fixed_camera(struct mujoco_scene *s, int number)
{
    s->camera.type = mjCAMERA_FIXED;
    s->camera.fixedcamid = number;
}

static int unknown_camera(const mjModel *m, const char *camera, struct error *err)
{
    char known[256] = "\"free\"";
    for (int i = 0; i < (int)m->ncam; i++) {
        const char *name = mj_id2name(m, mjOBJ_CAMERA, i);
        const size_t n = strlen(known);
        snprintf(known + n, sizeof(known) - n, name ? ", \"%s\" (%d)" : "%s, %d", name ? name : "", i);
    }
    return error_set(err, ERR_CONFIG, "there is no camera \"%s\" in this model: it has %s", camera,
                     known);
}

static int choose_camera(struct mujoco_scene *s, const char *name, const char *camera,
                         struct error *err)
{
    mjv_defaultCamera(&s->camera);
    int number = mj_name2id(s->m, mjOBJ_CAMERA, camera ? camera : "track");
    if (number < 0 && camera && isdigit((unsigned char)camera[0])) {
        char *end;
        const long given = strtol(camera, &end, 10);
        if (*end == '\0' && given < s->m->ncam)
            number = (int)given;
    }
    if (number >= 0)
        use_fixed_camera(s, number);
    else if (!camera || strcmp(camera, "free") == 0)
        use_free_camera(s, name);
    else
        return unknown_camera(s->m, camera, err);
    return 0;
}

/* ---- opening ---- */

/* The scene's own model, in the size of the picture. */
struct copy_call {
    struct mujoco_scene *s;
    const mjModel *m;
    const mjData *d;
};

/* A model without lights has only the lamp at the camera, which MuJoCo keeps dim. */
static void light_up(mjModel *m)
{
    for (int k = 0; k < 3 && m->nlight == 0; k++) {
        m->vis.headlight.ambient[k] = 0.35f;
        m->vis.headlight.diffuse[k] = 0.75f;
    }
}

static void copy(void *argument)
{
    struct copy_call *c = argument;
    struct mujoco_scene *s = c->s;
    s->m = mj_copyModel(NULL, c->m);
    if (!s->m)
        mju_error("out of memory");
    s->m->vis.global.offwidth = s->width;
    s->m->vis.global.offheight = s->height;
    s->m->vis.quality.offsamples = SAMPLES;
    if (s->m->vis.quality.shadowsize > SHADOW_SIDE)
        s->m->vis.quality.shadowsize = SHADOW_SIDE;
    light_up(s->m);
    s->d = mj_copyData(NULL, c->m, c->d);
    if (!s->d)
        mju_error("out of memory");
}

static void make_context(void *argument)
{
    struct mujoco_scene *s = argument;
    mjr_makeContext(s->m, &s->context, mjFONTSCALE_150);
    s->has_context = true;
    mjr_setBuffer(mjFB_OFFSCREEN, &s->context);
}

static int prepare(struct mujoco_scene *s, struct error *err)
{
    mjv_defaultOption(&s->option);
    mjv_defaultScene(&s->scene);
    mjr_defaultContext(&s->context);
    mjv_makeScene(s->m, &s->scene, MAX_GEOMS);
    s->has_scene = true;
    bool works = mujoco_guarded(make_context, s);
    if (!works) {    /* some drivers cannot smooth edges */
        s->m->vis.quality.offsamples = 0;
        works = mujoco_guarded(make_context, s);
    }
    if (!works)
        return error_set(err, ERR_MISSING, "MuJoCo cannot draw with this OpenGL: %s",
                         mujoco_guard_text());

    const mjrRect most = mjr_maxViewport(&s->context);
    if (s->context.currentBuffer != mjFB_OFFSCREEN || most.width < s->width
        || most.height < s->height)
        return error_set(err, ERR_MISSING,
                         "this OpenGL has no picture of %d x %d to draw into; try a smaller one",
                         s->width, s->height);
    return 0;
}

int mujoco_scene_open(struct mujoco_scene **s, const mjModel *m, const mjData *d,
                      const char *name, const char *camera, int width, int height,
                      struct error *err)
{
    struct mujoco_scene *made = memory_alloc(1, sizeof(*made));
    made->width = width;
    made->height = height;
    made->rows = memory_alloc((size_t)width * (size_t)height, 3);
    int rc = mujoco_guard_install(err);
    if (rc == 0 && !mujoco_guarded(copy, &(struct copy_call){ made, m, d }))
        rc = error_set(err, ERR_CONFIG, "MuJoCo cannot copy the model of %s: %s", name,
                       mujoco_guard_text());
    if (rc == 0)
        rc = choose_camera(made, name, camera, err);
    if (rc == 0)
        rc = prepare(made, err);
    if (rc != 0)
        mujoco_scene_close(&made);
    *s = made;
    return rc;
}

void mujoco_scene_close(struct mujoco_scene **s)
{
    struct mujoco_scene *old = *s;
    if (!old)
        return;
    if (old->has_context)
        mjr_freeContext(&old->context);
    if (old->has_scene)
        mjv_freeScene(&old->scene);
    mj_deleteData(old->d);
    mj_deleteModel(old->m);
    free(old->rows);
    free(old);
    *s = NULL;
}

/* ---- drawing ---- */

struct draw_call {
    struct mujoco_scene *s;
    const mjData *d;
};

static void draw(void *argument)
{
    struct draw_call *c = argument;
    struct mujoco_scene *s = c->s;
    const mjrRect whole = { 0, 0, s->width, s->height };
    mj_copyData(s->d, s->m, c->d);
    mjv_updateScene(s->m, s->d, &s->option, NULL, &s->camera, mjCAT_ALL, &s->scene);
    mjr_render(whole, &s->scene, &s->context);
    mjr_readPixels(s->rows, NULL, whole, &s->context);
}

int mujoco_scene_draw(struct mujoco_scene *s, const mjData *d, uint8_t *rgb, struct error *err)
{
    if (!mujoco_guarded(draw, &(struct draw_call){ s, d }))
        return error_set(err, ERR_NUMERIC, "MuJoCo cannot draw this state: %s", mujoco_guard_text());

    const size_t row = (size_t)s->width * 3, height = (size_t)s->height;
    for (size_t y = 0; y < height; y++)
        memcpy(rgb + y * row, s->rows + (height - 1 - y) * row, row);
    return 0;
}
