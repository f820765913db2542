/* A small antialiased rasteriser on an RGB picture.
 *
 * Coordinates are pixels, x to the right and y down; pixel (i, j) covers [i, i+1) x [j, j+1). A
 * shape covers a pixel by its share of the pixel's area and is mixed in by that share. Shapes may
 * leave the picture; a shape with a coordinate that is not finite is not drawn. */
#ifndef SHOAL_ACTOR_RENDER_CANVAS_H
#define SHOAL_ACTOR_RENDER_CANVAS_H

#include <stdint.h>

enum { CANVAS_MAX_CORNERS = 256 };

struct canvas {
    int width, height;
    uint8_t *rgb;    /* [height][width][3], rows from the top; the caller's */
};

struct colour {
    uint8_t r, g, b;
};

struct point {
    double x, y;
};

void canvas_clear(struct canvas *c, struct colour colour);

/* Fill a polygon by the even-odd rule.
 *   corners [n], 3 <= n <= CANVAS_MAX_CORNERS */
void canvas_polygon(struct canvas *c, const struct point *corners, int n, struct colour colour);

/* Fill a disc. */
void canvas_circle(struct canvas *c, struct point centre, double radius, struct colour colour);

/* A line with round ends. */
void canvas_line(struct canvas *c, struct point from, struct point to, double thickness,
                 struct colour colour);

#endif
