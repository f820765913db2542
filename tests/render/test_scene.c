#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "actor/render/classic_scene.h"
#include "actor/render/gl_context.h"
#include "actor/render/mujoco_scene.h"
#include "actor/render/scene.h"
#include "tests/render/decode.h"
#include "tests/support.h"

enum { SIDE = 240 };

static const double PI = 3.141592653589793;

struct picture {
    uint8_t rgb[SIDE * SIDE * 3];
};

static bool is_like(const uint8_t *p, int r, int g, int b, int tolerance)
{
    return abs(p[0] - r) <= tolerance && abs(p[1] - g) <= tolerance && abs(p[2] - b) <= tolerance;
}

/* Pixels of about that colour and their mean place, in parts of the picture. */
struct blob {
    int n;
    double x, y;
};

static struct blob find(const struct picture *p, int r, int g, int b, int tolerance)
{
    struct blob found = { 0 };
    for (int y = 0; y < SIDE; y++)
        for (int x = 0; x < SIDE; x++)
            if (is_like(p->rgb + 3 * (y * SIDE + x), r, g, b, tolerance)) {
                found.n++;
                found.x += (x + 0.5) / SIDE;
                found.y += (y + 0.5) / SIDE;
            }
    if (found.n > 0) {
        found.x /= found.n;
        found.y /= found.n;
    }
    return found;
}

/* The colours of classic_scene.c. */
static struct blob orange(const struct picture *p) { return find(p, 226, 122, 63, 8); }
static struct blob blue(const struct picture *p) { return find(p, 52, 108, 176, 8); }
static struct blob dark(const struct picture *p) { return find(p, 47, 54, 64, 8); }
static struct blob green(const struct picture *p) { return find(p, 72, 148, 98, 8); }

static double difference(const struct picture *a, const struct picture *b)
{
    double sum = 0;
    for (size_t i = 0; i < sizeof(a->rgb); i++)
        sum += abs(a->rgb[i] - b->rgb[i]);
    return sum / (double)sizeof(a->rgb);
}

/* ---- classic tasks ---- */

static struct picture classic(const char *name, double a, double b, double c, const float *action)
{
    const double state[4] = { a, b, c, 0 };
    struct picture p;
    struct canvas canvas = { SIDE, SIDE, p.rgb };
    memset(p.rgb, 0x55, sizeof(p.rgb));
    classic_scene_draw(name, state, action, &canvas);
    return p;
}

START_TEST(the_pendulum_points_up_at_zero_and_turns_counter_clockwise)
{
    static const struct {
        double theta, x, y;    /* where the bob is, from the pivot */
    } known[] = { { 0, 0, -1 }, { PI / 2, -1, 0 }, { PI, 0, 1 }, { -PI / 2, 1, 0 } };
    for (size_t i = 0; i < TEST_COUNT(known); i++) {
        const struct picture p = classic("Pendulum-v1", known[i].theta, 0, 0, NULL);
        const struct blob rod = orange(&p);
        ck_assert_int_gt(rod.n, 500);
        ck_assert_double_eq_tol(rod.x, 0.5 + known[i].x / 6, 0.02);
        ck_assert_double_eq_tol(rod.y, 0.5 + known[i].y / 6, 0.02);
        ck_assert_int_eq(green(&p).n, 0);
    }
}
END_TEST

START_TEST(the_torque_arrow_grows_with_the_torque_and_turns_its_way)
{
    const float small = 0.2f, large = 1, negative = -0.2f;
    const struct picture a = classic("Pendulum-v1", 0, 0, 0, &small);
    const struct picture b = classic("Pendulum-v1", 0, 0, 0, &large);
    const struct picture c = classic("Pendulum-v1", 0, 0, 0, &negative);
    ck_assert_int_gt(green(&a).n, 20);
    ck_assert_int_gt(green(&b).n, 2 * green(&a).n);
    ck_assert_double_gt(green(&a).x, 0.52);    /* below the pivot, counter-clockwise is to the right */
    ck_assert_double_gt(green(&a).y, 0.5);
    ck_assert_double_lt(green(&c).x, 0.48);
}
END_TEST

START_TEST(the_cart_follows_its_position_and_the_pole_leans_clockwise)
{
    const struct picture middle = classic("CartPole-v1", 0, 0, 0.2, NULL);
    const struct picture left = classic("CartPole-v1", -2, 0, -0.2, NULL);
    ck_assert_int_gt(dark(&middle).n, 50);
    ck_assert_double_eq_tol(dark(&middle).x, 0.5, 0.01);
    ck_assert_double_eq_tol(dark(&left).x, 0.5 - 2 / 5.6, 0.01);
    ck_assert_double_gt(orange(&middle).x, dark(&middle).x + 0.01);
    ck_assert_double_lt(orange(&left).x, dark(&left).x - 0.01);
    ck_assert_double_lt(orange(&middle).y, dark(&middle).y);
}
END_TEST

START_TEST(the_car_is_low_in_the_valley_and_high_at_the_flag)
{
    const struct picture valley = classic("MountainCarContinuous-v0", -PI / 6, 0, 0, NULL);
    const struct picture goal = classic("MountainCarContinuous-v0", 0.45, 0, 0, NULL);
    ck_assert_int_gt(blue(&valley).n, 40);
    ck_assert_double_lt(blue(&valley).x, 0.5);
    ck_assert_double_gt(blue(&goal).x, 0.8);
    ck_assert_double_lt(blue(&goal).y, blue(&valley).y - 0.3);
    ck_assert_int_gt(green(&goal).n, 20);
}
END_TEST

START_TEST(the_acrobot_hangs_at_zero_and_its_second_angle_adds_to_the_first)
{
    const struct picture hanging = classic("Acrobot-v1", 0, 0, 0, NULL);
    const struct picture bent = classic("Acrobot-v1", PI / 2, PI / 2, 0, NULL);
    ck_assert_double_eq_tol(blue(&hanging).x, 0.5, 0.01);
    ck_assert_double_eq_tol(blue(&hanging).y, 0.5 + 0.5 / 4.6, 0.02);
    ck_assert_double_eq_tol(orange(&hanging).y, 0.5 + 1.5 / 4.6, 0.02);
    ck_assert_double_eq_tol(blue(&bent).x, 0.5 + 0.5 / 4.6, 0.02);
    ck_assert_double_eq_tol(orange(&bent).x, 0.5 + 1 / 4.6, 0.02);
    ck_assert_double_eq_tol(orange(&bent).y, 0.5 - 0.5 / 4.6, 0.02);
}
END_TEST

START_TEST(names_are_known_whatever_their_version)
{
    ck_assert(classic_scene_knows("CartPole-v0"));
    ck_assert(classic_scene_knows("Acrobot"));
    ck_assert(!classic_scene_knows("InvertedPendulum-v5"));
    ck_assert(!classic_scene_knows("Pendulumx-v1"));
    ck_assert(!classic_scene_knows("MountainCar-v0"));
    ck_assert_double_eq(classic_scene_step_s("CartPole-v1"), 0.02);
    ck_assert_double_eq(classic_scene_step_s("Hopper-v5"), 0);
}
END_TEST

/* ---- MuJoCo ---- */

static mjModel *load(const char *xml)
{
    char path[512], text[256] = "";
    snprintf(path, sizeof(path), "%s/%s", SHOAL_MODELS_DIR, xml);
    mjModel *m = mj_loadXML(path, NULL, text, sizeof(text));
    ck_assert_msg(m != NULL, "%s", text);
    return m;
}

static struct picture shoot(const mjModel *m, const mjData *d, const char *name, const char *camera)
{
    struct picture p;
    struct error err = { 0 };
    struct gl_context *gl;
    struct mujoco_scene *s;
    ck_assert_msg(gl_context_open(&gl, &err) == 0, "%s", err.text);
    ck_assert_msg(mujoco_scene_open(&s, m, d, name, camera, SIDE, SIDE, &err) == 0, "%s", err.text);
    ck_assert_msg(mujoco_scene_draw(s, d, p.rgb, &err) == 0, "%s", err.text);
    mujoco_scene_close(&s);
    gl_context_close(&gl);
    return p;
}

START_TEST(the_pole_stands_above_the_cart)
{
    mjModel *m = load("inverted_pendulum.xml");
    mjData *d = mj_makeData(m);
    struct picture p[2];
    for (int i = 0; i < 2; i++) {
        d->qpos[1] = i * 0.5;    /* clockwise */
        mj_forward(m, d);
        p[i] = shoot(m, d, "InvertedPendulum-v5", NULL);
    }
    const struct blob pole = find(&p[0], 0, 160, 160, 60), cart = find(&p[0], 190, 190, 0, 60);
    const struct blob leaning = find(&p[1], 0, 160, 160, 60);
    ck_assert_int_gt(pole.n, 200);
    ck_assert_int_gt(cart.n, 200);
    ck_assert_double_eq_tol(pole.x, 0.5, 0.03);
    ck_assert_double_lt(pole.y, cart.y - 0.05);
    ck_assert_double_gt(leaning.x, pole.x + 0.03);
    mj_deleteData(d);
    mj_deleteModel(m);
}
END_TEST

/* Everything that can move becomes magenta. */
static void paint_bodies(mjModel *m)
{
    const float magenta[4] = { 1, 0, 1, 1 };
    for (int i = 0; i < m->ngeom; i++) {
        if (m->geom_bodyid[i] == 0)
            continue;
        m->geom_matid[i] = -1;
        memcpy(m->geom_rgba + 4 * i, magenta, sizeof(magenta));
    }
}

static struct blob magenta(const struct picture *p)
{
    struct blob found = { 0 };
    for (int y = 0; y < SIDE; y++)
        for (int x = 0; x < SIDE; x++) {
            const uint8_t *c = p->rgb + 3 * (y * SIDE + x);
            if (c[0] < 60 || c[1] > c[0] / 2 || abs(c[0] - c[2]) > c[0] / 3)
                continue;
            found.n++;
            found.x += (x + 0.5) / SIDE;
            found.y += (y + 0.5) / SIDE;
        }
    if (found.n > 0) {
        found.x /= found.n;
        found.y /= found.n;
    }
    return found;
}

START_TEST(the_usual_camera_follows_a_runner_that_leaves)
{
    static const char *const models[][2] = {
        { "half_cheetah.xml", "HalfCheetah-v5" }, { "hopper.xml", "Hopper-v5" },
        { "walker2d_v5.xml", "Walker2d-v5" }, { "ant.xml", "Ant-v5" },
        { "humanoid.xml", "Humanoid-v5" }, { "swimmer.xml", "Swimmer-v5" },
    };
    for (size_t i = 0; i < TEST_COUNT(models); i++) {
        mjModel *m = load(models[i][0]);
        mjData *d = mj_makeData(m);
        paint_bodies(m);
        for (int k = 0; k < 4; k++) {
            d->qpos[0] = k % 2 * 12;
            mj_forward(m, d);
            const struct picture p = shoot(m, d, models[i][1], k < 2 ? NULL : "free");
            const struct blob runner = magenta(&p);
            ck_assert_msg(runner.n > SIDE * SIDE / 150, "%s: %d", models[i][1], runner.n);
            ck_assert_msg(fabs(runner.x - 0.5) < 0.1, "%s: %g", models[i][1], runner.x);
            ck_assert_msg(fabs(runner.y - 0.6) < 0.2, "%s: %g", models[i][1], runner.y);
        }
        mj_deleteData(d);
        mj_deleteModel(m);
    }
}
END_TEST

START_TEST(every_model_gives_a_lit_picture_that_moves)
{
    static const char *const models[] = {
        "ant.xml", "half_cheetah.xml", "hopper.xml", "humanoid.xml", "humanoidstandup.xml",
        "inverted_double_pendulum.xml", "inverted_pendulum.xml", "pusher_v5.xml", "reacher.xml",
        "swimmer.xml", "walker2d_v5.xml",
    };
    for (size_t i = 0; i < TEST_COUNT(models); i++) {
        mjModel *m = load(models[i]);
        mjData *d = mj_makeData(m);
        mj_forward(m, d);
        const struct picture before = shoot(m, d, "Unheard-v0", NULL);
        for (int k = 0; k < m->nu; k++)
            d->ctrl[k] = m->actuator_ctrlrange[2 * k + 1];
        for (int k = 0; k < 60; k++)
            mj_step(m, d);
        const struct picture after = shoot(m, d, "Unheard-v0", NULL);
        int bright = 0;
        for (int k = 0; k < SIDE * SIDE; k++)
            bright += before.rgb[3 * k + 1] > 90;
        ck_assert_msg(bright > SIDE * SIDE / 1000, "%s: %d", models[i], bright);
        ck_assert_msg(difference(&before, &after) > 0.05, "%s", models[i]);
        mj_deleteData(d);
        mj_deleteModel(m);
    }
}
END_TEST

START_TEST(drawing_leaves_the_simulation_alone)
{
    mjModel *m = load("half_cheetah.xml");
    mjData *d = mj_makeData(m), *twin = mj_makeData(m);
    const int width = m->vis.global.offwidth;
    for (int i = 0; i < 20; i++) {
        mj_step(m, d);
        mj_step(m, twin);
        if (i % 5 == 0)
            shoot(m, d, "HalfCheetah-v5", NULL);
    }
    ck_assert_mem_eq(d->qpos, twin->qpos, (size_t)m->nq * sizeof(*d->qpos));
    ck_assert_mem_eq(d->qvel, twin->qvel, (size_t)m->nv * sizeof(*d->qvel));
    ck_assert_int_eq(m->vis.global.offwidth, width);
    mj_deleteData(d);
    mj_deleteData(twin);
    mj_deleteModel(m);
}
END_TEST

START_TEST(cameras_go_by_name_number_and_free_and_others_are_refused)
{
    mjModel *m = load("half_cheetah.xml");
    mjData *d = mj_makeData(m);
    mj_forward(m, d);
    const struct picture usual = shoot(m, d, "HalfCheetah-v5", NULL);
    const struct picture named = shoot(m, d, "HalfCheetah-v5", "track");
    const struct picture numbered = shoot(m, d, "HalfCheetah-v5", "0");
    const struct picture loose = shoot(m, d, "HalfCheetah-v5", "free");
    ck_assert_mem_eq(usual.rgb, named.rgb, sizeof(usual.rgb));
    ck_assert_mem_eq(usual.rgb, numbered.rgb, sizeof(usual.rgb));
    ck_assert_double_gt(difference(&usual, &loose), 1);

    static const char *const unknown[] = { "side", "1", "-1", "", "0x" };
    struct error err = { 0 };
    struct gl_context *gl;
    ck_assert_int_eq(gl_context_open(&gl, &err), 0);
    for (size_t i = 0; i < TEST_COUNT(unknown); i++) {
        struct mujoco_scene *s;
        ck_assert_int_eq(mujoco_scene_open(&s, m, d, "HalfCheetah-v5", unknown[i], SIDE, SIDE, &err),
                         ERR_CONFIG);
        ck_assert_ptr_null(s);
        ck_assert_ptr_nonnull(strstr(err.text, "\"track\" (0)"));
    }
    gl_context_close(&gl);
    mj_deleteData(d);
    mj_deleteModel(m);
}
END_TEST

/* ---- environments and the command ---- */

START_TEST(environments_say_how_long_a_step_lasts)
{
    static const struct {
        const char *name;
        double step_s;
    } known[] = { { "InvertedPendulum-v5", 0.04 }, { "Pendulum-v1", 0.05 } };
    for (size_t i = 0; i < TEST_COUNT(known); i++) {
        const struct env_setup setup = { .name = known[i].name, .models_dir = SHOAL_MODELS_DIR };
        struct env_model *m;
        struct error err = { 0 };
        ck_assert_int_eq(env_open(&m, &setup, &err), 0);
        ck_assert_double_eq_tol(scene_step_s(env_spec(m)), known[i].step_s, 1e-9);
        env_close(&m);
    }
}
END_TEST

/* Run `shoal render ...`; its exit status. `%s` in the arguments is the directory. */
static int shoal_render(const char *arguments, const char *directory)
{
    char self[400], call[2048], filled[1024];
    const ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);
    ck_assert_int_gt(n, 0);
    self[n] = '\0';
    char *build = strstr(self, "/tests/render/");
    ck_assert_ptr_nonnull(build);
    *build = '\0';
    const char *hole = strstr(arguments, "%s");
    snprintf(filled, sizeof(filled), "%.*s%s%s", hole ? (int)(hole - arguments) : 0, arguments,
             hole ? directory : "", hole ? hole + 2 : arguments);
    snprintf(call, sizeof(call), "env -u DISPLAY %s/shoal render %s >%s/said 2>&1", self, filled,
             directory);
    const int status = system(call);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

START_TEST(the_command_films_as_many_steps_as_it_is_told_in_real_time)
{
    static const struct {
        const char *arguments, *file;
        int n_frames;
        double fps;
    } known[] = {
        { "Pendulum-v1 --steps 10 --out %s/a.mp4", "a.mp4", 11, 20 },
        { "Pendulum-v1 --out %s/b.gif --width 64 --height 48", "b.gif", 201, 20 },
        { "Pendulum-v1 --seconds 2 --fps 60 --out %s/c.mp4", "c.mp4", 120, 60 },
        { "Pendulum-v1 --seconds 2 --fps 5 --out %s/d.mp4", "d.mp4", 10, 5 },
        { "InvertedPendulum-v5 --policy zero --seconds 1 --out %s/e.mp4", "e.mp4", 25, 25 },
        { "Pendulum-v1 env.max_episode_steps=7 --out %s/g.gif", "g.gif", 8, 20 },
        { "Pendulum-v1 --episodes 2 --fps 1 --out %s/f.mp4", "f.mp4", 21, 1 },
    };
    char directory[512], path[600];
    test_directory("render", directory, sizeof(directory));
    for (size_t i = 0; i < TEST_COUNT(known); i++) {
        ck_assert_msg(shoal_render(known[i].arguments, directory) == 0, "%s", known[i].arguments);
        snprintf(path, sizeof(path), "%s/%s", directory, known[i].file);
        struct film f = decode(path);
        ck_assert_msg(f.n_frames == known[i].n_frames, "%s: %d frames", known[i].arguments,
                      f.n_frames);
        ck_assert_double_eq_tol(f.fps, known[i].fps, 1e-3);
        film_free(&f);
    }
}
END_TEST

START_TEST(the_command_refuses_what_it_cannot_do_and_leaves_no_file)
{
    static const struct {
        const char *arguments, *said;
        int status;
    } bad[] = {
        { "Pendulum-v1", "--out FILE", 64 },
        { "--out %s/a.mp4", "--out FILE", 64 },
        { "Pendulum-v9 --out %s/a.mp4", "Pendulum-v1", 78 },
        { "Pendulum-v1 --out %s/a.avi", ".mp4, .gif or .png", 64 },
        { "Pendulum-v1 --out %s/a.mp4 --width 33", "even", 64 },
        { "Pendulum-v1 --out %s/a.mp4 --steps 3 --seconds 1", "only one", 64 },
        { "Pendulum-v1 --out %s/a.mp4 --best", "--best", 64 },
        { "Pendulum-v1 --out %s/a.mp4 --camera 0", "--camera", 64 },
        { "Pendulum-v1 --out %s/a.mp4 --policy good", "random or zero", 64 },
        { "/ --out %s/a.mp4", "holds no run", 78 },
        { "Pendulum-v1 --out %s/a.mp4 env.mass=1", "unknown key \"mass\"", 78 },
        { "Pendulum-v1 --out %s/a.mp4 seed=1", "env.option=value", 64 },
        { "Pendulum-v1 --out %s/a.mp4 --env-path /nowhere", "no directory \"/nowhere\"", 78 },
        { "Pendulum-v1 --out %s/a.mp4 --env-path /tmp:nowhere", "no directory \"nowhere\"", 78 },
        { "InvertedPendulum-v5 --out %s/a.mp4 --camera 0", "\"free\"", 78 },
    };
    char directory[512], path[600];
    test_directory("render", directory, sizeof(directory));
    for (size_t i = 0; i < TEST_COUNT(bad); i++) {
        ck_assert_msg(shoal_render(bad[i].arguments, directory) == bad[i].status, "%s",
                      bad[i].arguments);
        snprintf(path, sizeof(path), "%s/said", directory);
        char *said = test_read(path, NULL);
        ck_assert_msg(strstr(said, bad[i].said) != NULL, "%s: %s", bad[i].arguments, said);
        free(said);
        snprintf(path, sizeof(path), "%s/a.mp4", directory);
        ck_assert_int_ne(access(path, F_OK), 0);
        snprintf(path, sizeof(path), "%s/a.mp4.tmp", directory);
        ck_assert_int_ne(access(path, F_OK), 0);
    }
}
END_TEST

int main(void)
{
    const TTest *tests[] = {
        the_pendulum_points_up_at_zero_and_turns_counter_clockwise,
        the_torque_arrow_grows_with_the_torque_and_turns_its_way,
        the_cart_follows_its_position_and_the_pole_leans_clockwise,
        the_car_is_low_in_the_valley_and_high_at_the_flag,
        the_acrobot_hangs_at_zero_and_its_second_angle_adds_to_the_first,
        names_are_known_whatever_their_version,
        the_pole_stands_above_the_cart,
        the_usual_camera_follows_a_runner_that_leaves,
        every_model_gives_a_lit_picture_that_moves,
        drawing_leaves_the_simulation_alone,
        cameras_go_by_name_number_and_free_and_others_are_refused,
        environments_say_how_long_a_step_lasts,
        the_command_films_as_many_steps_as_it_is_told_in_real_time,
        the_command_refuses_what_it_cannot_do_and_leaves_no_file,
    };
    return suite_run("scene", tests, TEST_COUNT(tests), 120);
}
