#include "actor/render/classic_scene.h"

#include <assert.h>
#include <math.h>
#include <stddef.h>
#include <string.h>

static const double PI = 3.141592653589793;

static const struct colour PAPER = { 247, 248, 250 }, RULE = { 208, 213, 221 },
                           GROUND = { 92, 101, 115 }, DARK = { 47, 54, 64 },
                           BLUE = { 52, 108, 176 }, ORANGE = { 226, 122, 63 },
                           RED = { 205, 66, 70 }, GREEN = { 72, 148, 98 },
                           HILL = { 219, 226, 218 };

/* World units to pixels: y upwards in the world, downwards in the picture. */
struct view {
    struct canvas *c;
    double scale;              /* pixels per unit */
    struct point origin;       /* where the world's (0, 0) is */
    double left, right, bottom, top;    /* what is visible, in world units */
};

/* Show at least [-half_width, half_width] x [low, high] around x = middle. */
static struct view look(struct canvas *c, double middle, double half_width, double low,
                        double high)
{
    struct view v = { .c = c };
    v.scale = fmin(c->width / (2 * half_width), c->height / (high - low));
    v.origin.x = c->width / 2.0 - middle * v.scale;
    v.origin.y = c->height / 2.0 + (low + high) / 2 * v.scale;
    v.left = -v.origin.x / v.scale;
    v.right = (c->width - v.origin.x) / v.scale;
    v.top = v.origin.y / v.scale;
    v.bottom = (v.origin.y - c->height) / v.scale;
    return v;
}

static struct point at(const struct view *v, double x, double y)
{
    return (struct point){ v->origin.x + x * v->scale, v->origin.y - y * v->scale };
}

static void line(const struct view *v, double x0, double y0, double x1, double y1,
                 double thickness, struct colour colour)
{
    canvas_line(v->c, at(v, x0, y0), at(v, x1, y1), thickness * v->scale, colour);
}

static void disc(const struct view *v, double x, double y, double radius, struct colour colour)
{
    canvas_circle(v->c, at(v, x, y), radius * v->scale, colour);
}

/* A polygon whose corners are given around (x, y) and turned counter-clockwise.
 *   shape [n], n <= 8 */
static void figure(const struct view *v, double x, double y, double angle,
                   const struct point *shape, int n, struct colour colour)
{
    struct point corners[8];
    assert(n <= 8);
    for (int i = 0; i < n; i++)
        corners[i] = at(v, x + shape[i].x * cos(angle) - shape[i].y * sin(angle),
                        y + shape[i].x * sin(angle) + shape[i].y * cos(angle));
    canvas_polygon(v->c, corners, n, colour);
}

/* A rule at `step` intervals along the horizontal line y. */
static void ticks(const struct view *v, double from, double to, double step, double y,
                  double length, struct colour colour)
{
    for (int i = 0; from + i * step <= to + 1e-9; i++)
        line(v, from + i * step, y, from + i * step, y - length, 0.012, colour);
}

/* ---- CartPole: track of 2.4 on either side, pole of length 1 ---- */

static void draw_cart_pole(const double *state, const float *action, struct canvas *c)
{
    static const struct point body[] = {
        { -0.27, 0.10 }, { 0.27, 0.10 }, { 0.27, 0.27 }, { 0.23, 0.31 }, { -0.23, 0.31 },
        { -0.27, 0.27 },
    };
    const double x = state[0], angle = state[2], pivot = 0.31;
    const struct view v = look(c, 0, 2.8, -0.9, 1.9);
    (void)action;

    ticks(&v, -2, 2, 1, 0, 0.12, GROUND);
    ticks(&v, -2, 2, 0.5, 0, 0.07, GROUND);
    line(&v, v.left, 0, v.right, 0, 0.025, GROUND);
    for (int side = -1; side <= 1; side += 2)
        line(&v, side * 2.4, -0.16, side * 2.4, 0.16, 0.035, RED);

    figure(&v, x, 0, 0, body, 6, DARK);
    for (int side = -1; side <= 1; side += 2) {
        disc(&v, x + side * 0.16, 0.09, 0.085, GROUND);
        disc(&v, x + side * 0.16, 0.09, 0.035, PAPER);
    }
    line(&v, x, pivot, x + sin(angle), pivot + cos(angle), 0.1, ORANGE);
    disc(&v, x, pivot, 0.065, BLUE);
    disc(&v, x, pivot, 0.025, PAPER);
}

/* ---- Pendulum: rod of length 1 ---- */

/* An arc about the pivot with a head, as long as the torque is large; counter-clockwise when it is
 * positive. */
static void torque_arrow(const struct view *v, double torque)
{
    static const struct point head[] = { { -0.09, 0 }, { 0.09, 0 }, { 0, 0.17 } };
    enum { PIECES = 40 };
    const double radius = 0.42, sign = torque < 0 ? -1 : 1;
    const double sweep = 0.2 + 1.3 * PI * fmin(fabs(torque), 1);
    if (!(fabs(torque) > 0.01))
        return;

    /* It begins below the pivot, a little to the side it turns to. */
    const double begin = -PI / 2 + sign * 0.2;
    for (int i = 0; i < PIECES; i++) {
        const double a = begin + sign * sweep * i / PIECES;
        const double b = begin + sign * sweep * (i + 1) / PIECES;
        line(v, radius * cos(a), radius * sin(a), radius * cos(b), radius * sin(b), 0.045, GREEN);
    }
    const double end = begin + sign * sweep;
    figure(v, radius * cos(end), radius * sin(end), sign > 0 ? end : end + PI, head, 3, GREEN);
}

static void draw_pendulum(const double *state, const float *action, struct canvas *c)
{
    enum { MARKS = 12 };
    const double x = -sin(state[0]), y = cos(state[0]);
    const struct view v = look(c, 0, 1.5, -1.5, 1.5);

    for (int i = 0; i < MARKS; i++) {
        const double a = 2 * PI * i / MARKS, inner = i % 3 == 0 ? 1.22 : 1.27;
        line(&v, inner * sin(a), inner * cos(a), 1.32 * sin(a), 1.32 * cos(a), 0.014,
             i == 0 ? RED : RULE);
    }
    line(&v, 0, 0, x, y, 0.17, ORANGE);
    disc(&v, x, y, 0.12, DARK);
    if (action)
        torque_arrow(&v, (double)action[0]);
    disc(&v, 0, 0, 0.07, DARK);
    disc(&v, 0, 0, 0.028, PAPER);
}

/* ---- MountainCarContinuous: the hill is 0.45 sin 3x + 0.55, the goal at 0.45 ---- */

static double hill(double x)
{
    return 0.45 * sin(3 * x) + 0.55;
}

static void draw_hill(const struct view *v)
{
    enum { PIECES = 160 };
    struct point area[PIECES + 3];
    for (int i = 0; i <= PIECES; i++) {
        const double x = v->left + (v->right - v->left) * i / PIECES;
        area[i] = at(v, x, hill(x));
    }
    area[PIECES + 1] = at(v, v->right, v->bottom - 1);
    area[PIECES + 2] = at(v, v->left, v->bottom - 1);
    canvas_polygon(v->c, area, PIECES + 3, HILL);
    for (int i = 0; i < PIECES; i++)
        canvas_line(v->c, area[i], area[i + 1], 0.012 * v->scale, GROUND);
}

static void draw_mountain_car(const double *state, const float *action, struct canvas *c)
{
    static const struct point body[] = {
        { -0.085, 0.03 }, { 0.085, 0.03 }, { 0.085, 0.065 }, { 0.045, 0.072 }, { 0.02, 0.105 },
        { -0.05, 0.105 }, { -0.07, 0.07 }, { -0.085, 0.065 },
    };
    static const struct point flag[] = { { 0, 0.26 }, { 0.11, 0.225 }, { 0, 0.19 } };
    const double x = state[0], goal = 0.45;
    const double slope = atan(1.35 * cos(3 * x));    /* the derivative of the hill */
    const struct view v = look(c, -0.3, 0.98, 0.03, 1.35);
    (void)action;

    draw_hill(&v);
    line(&v, -1.2, hill(-1.2), -1.2, hill(-1.2) + 0.12, 0.02, RED);
    line(&v, goal, hill(goal), goal, hill(goal) + 0.26, 0.014, DARK);
    figure(&v, goal, hill(goal), 0, flag, 3, GREEN);

    figure(&v, x, hill(x), slope, body, 8, BLUE);
    for (int side = -1; side <= 1; side += 2) {
        const double along = side * 0.048, above = 0.028;
        const double wx = x + along * cos(slope) - above * sin(slope);
        const double wy = hill(x) + along * sin(slope) + above * cos(slope);
        disc(&v, wx, wy, 0.026, DARK);
        disc(&v, wx, wy, 0.010, PAPER);
    }
}

/* ---- Acrobot: two links of length 1; the tip must rise above 1 ---- */

static void draw_acrobot(const double *state, const float *action, struct canvas *c)
{
    const double elbow_x = sin(state[0]), elbow_y = -cos(state[0]);
    const double tip_x = elbow_x + sin(state[0] + state[1]);
    const double tip_y = elbow_y - cos(state[0] + state[1]);
    const struct view v = look(c, 0, 2.3, -2.3, 2.3);
    (void)action;

    for (double x = -2.2; x < 2.2; x += 0.2)
        line(&v, x, 1, x + 0.1, 1, 0.025, GREEN);
    line(&v, -0.45, 0, 0.45, 0, 0.03, GROUND);
    line(&v, 0, 0, elbow_x, elbow_y, 0.2, BLUE);
    line(&v, elbow_x, elbow_y, tip_x, tip_y, 0.2, ORANGE);
    disc(&v, 0, 0, 0.07, PAPER);
    disc(&v, elbow_x, elbow_y, 0.07, PAPER);
    disc(&v, tip_x, tip_y, 0.07, DARK);
}

/* ---- all of them ---- */

struct picture {
    const char *task;    /* the environment's name without its version */
    double step_s;
    int n_state;
    void (*draw)(const double *state, const float *action, struct canvas *c);
};

static const struct picture pictures[] = {
    { "CartPole", 0.02, 4, draw_cart_pole },
    { "Pendulum", 0.05, 2, draw_pendulum },
    { "MountainCarContinuous", 1.0 / 30, 2, draw_mountain_car },
    { "Acrobot", 1.0 / 15, 4, draw_acrobot },
};

static const struct picture *find(const char *name)
{
    const char *version = strstr(name, "-v");
    const size_t length = version ? (size_t)(version - name) : strlen(name);
    for (size_t i = 0; i < sizeof(pictures) / sizeof(*pictures); i++)
        if (strlen(pictures[i].task) == length && strncmp(pictures[i].task, name, length) == 0)
            return &pictures[i];
    return NULL;
}

bool classic_scene_knows(const char *name)
{
    return find(name) != NULL;
}

double classic_scene_step_s(const char *name)
{
    const struct picture *p = find(name);
    return p ? p->step_s : 0;
}

int classic_scene_n_state(const char *name)
{
    const struct picture *p = find(name);
    return p ? p->n_state : 0;
}

void classic_scene_draw(const char *name, const double *state, const float *action,
                        struct canvas *c)
{
    const struct picture *p = find(name);
    assert(p);
    canvas_clear(c, PAPER);
    p->draw(state, action, c);
}
