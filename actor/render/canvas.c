#include "actor/render/canvas.h"

#include <assert.h>
#include <math.h>
#include <stdbool.h>
#include <stdlib.h>

#include "common/arena.h"

enum { SUBROWS = 16 };    /* scanlines per row of pixels */

void canvas_clear(struct canvas *c, struct colour colour)
{
    const size_t n = (size_t)c->width * (size_t)c->height;
    for (size_t i = 0; i < n; i++) {
        c->rgb[3 * i] = colour.r;
        c->rgb[3 * i + 1] = colour.g;
        c->rgb[3 * i + 2] = colour.b;
    }
}

static uint8_t mix(uint8_t below, uint8_t above, double share)
{
    return (uint8_t)lround((double)below + ((double)above - (double)below) * share);
}

/* Mix the colour into one pixel.
 *   share  of its area, limited to [0, 1] here */
static void blend(struct canvas *c, int x, int y, struct colour colour, double share)
{
    if (share <= 0)
        return;
    uint8_t *p = c->rgb + 3 * ((size_t)y * (size_t)c->width + (size_t)x);
    share = fmin(share, 1);
    p[0] = mix(p[0], colour.r, share);
    p[1] = mix(p[1], colour.g, share);
    p[2] = mix(p[2], colour.b, share);
}

/* The pixels that [low, high) touches, within 0 .. n-1; first > last where there are none. */
static void pixels_of(double low, double high, int n, int *first, int *last)
{
    *first = (int)fmax(0, fmin(n, floor(low)));
    *last = (int)fmax(-1, fmin(n - 1, ceil(high) - 1));
}

/* ---- polygons: exact along a scanline, sampled across ---- */

/* Where the outline crosses height y, sorted.
 *   crossings [n]
 * Returns their number, which is even. */
static int cross(const struct point *corners, int n, double y, double *crossings)
{
    int found = 0;
    for (int i = 0; i < n; i++) {
        const struct point a = corners[i], b = corners[(i + 1) % n];
        if ((a.y <= y) == (b.y <= y))
            continue;
        const double x = a.x + (y - a.y) / (b.y - a.y) * (b.x - a.x);
        int k = found++;
        for (; k > 0 && crossings[k - 1] > x; k--)
            crossings[k] = crossings[k - 1];
        crossings[k] = x;
    }
    return found;
}

/* Add the span [from, to) of one scanline to the shares of its row. */
static void add_span(double from, double to, int width, double *shares)
{
    int first, last;
    pixels_of(from, to, width, &first, &last);
    for (int x = first; x <= last; x++)
        shares[x] += (fmin(to, x + 1) - fmax(from, x)) / SUBROWS;
}

void canvas_polygon(struct canvas *c, const struct point *corners, int n, struct colour colour)
{
    double top = INFINITY, bottom = -INFINITY, crossings[CANVAS_MAX_CORNERS];
    assert(n >= 3 && n <= CANVAS_MAX_CORNERS);
    for (int i = 0; i < n; i++) {
        if (!isfinite(corners[i].x) || !isfinite(corners[i].y))
            return;
        top = fmin(top, corners[i].y);
        bottom = fmax(bottom, corners[i].y);
    }

    int first, last;
    pixels_of(top, bottom, c->height, &first, &last);
    double *shares = memory_alloc((size_t)c->width, sizeof(*shares));
    for (int y = first; y <= last; y++) {
        for (int x = 0; x < c->width; x++)
            shares[x] = 0;
        for (int k = 0; k < SUBROWS; k++) {
            const int found = cross(corners, n, y + (k + 0.5) / SUBROWS, crossings);
            for (int i = 0; i + 1 < found; i += 2)
                add_span(crossings[i], crossings[i + 1], c->width, shares);
        }
        for (int x = 0; x < c->width; x++)
            blend(c, x, y, colour, shares[x]);
    }
    free(shares);
}

/* ---- round shapes: all that is within `radius` of a segment ---- */

static double distance(struct point p, struct point from, struct point to)
{
    const double dx = to.x - from.x, dy = to.y - from.y;
    const double length2 = dx * dx + dy * dy;
    double t = 0;
    if (length2 > 0)
        t = fmin(fmax(((p.x - from.x) * dx + (p.y - from.y) * dy) / length2, 0), 1);
    return hypot(p.x - from.x - t * dx, p.y - from.y - t * dy);
}

/* A pixel's share follows from the distance of its middle to the edge, which is exact for
 * straight edges along the axes and within a few hundredths elsewhere. Shapes thinner than a
 * pixel are drawn one pixel thick and paler. */
static void capsule(struct canvas *c, struct point from, struct point to, double radius,
                    struct colour colour)
{
    if (!isfinite(from.x + from.y + to.x + to.y + radius) || radius <= 0)
        return;
    const double drawn = fmax(radius, 0.5), strength = radius / drawn, reach = drawn + 1;
    int left, right, top, bottom;
    pixels_of(fmin(from.x, to.x) - reach, fmax(from.x, to.x) + reach, c->width, &left, &right);
    pixels_of(fmin(from.y, to.y) - reach, fmax(from.y, to.y) + reach, c->height, &top, &bottom);
    for (int y = top; y <= bottom; y++)
        for (int x = left; x <= right; x++) {
            const struct point middle = { x + 0.5, y + 0.5 };
            const double share = drawn + 0.5 - distance(middle, from, to);
            blend(c, x, y, colour, strength * fmin(share, 1));
        }
}

void canvas_circle(struct canvas *c, struct point centre, double radius, struct colour colour)
{
    capsule(c, centre, centre, radius, colour);
}

void canvas_line(struct canvas *c, struct point from, struct point to, double thickness,
                 struct colour colour)
{
    capsule(c, from, to, thickness / 2, colour);
}
