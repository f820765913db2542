/* Vector pictures as SVG text: shapes, texts and how wide a text is.
 *
 * The same calls give the same bytes: coordinates have at most two decimals, and nothing depends on time,
 * place or language. Coordinates are in pixels from the upper left corner. Texts are UTF-8 and escaped
 * here; a byte that XML forbids becomes '?'. No element has an id, so that several pictures fit in one
 * page. A `struct svg` belongs to whoever draws. */
#ifndef SHOAL_DEPLOY_SVG_H
#define SHOAL_DEPLOY_SVG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

struct svg;

struct svg_style {
    const char *stroke, *fill;      /* "#0072B2"; NULL: none */
    double width;                   /* of the stroke */
    double opacity;                 /* 0: opaque */
    const char *dashes;             /* "6 3"; NULL: solid */
};

enum svg_anchor { SVG_LEFT, SVG_MIDDLE, SVG_RIGHT };

struct svg_text {
    double x, y;                    /* of the baseline, at its anchor */
    double size;
    enum svg_anchor anchor;
    bool is_bold, is_vertical;      /* vertical: reads upwards */
    const char *colour;             /* NULL: near black */
};

/* An empty picture on white. `title` says what it shows to whoever cannot see it; copied. */
struct svg *svg_create(double width, double height, const char *title);

/* The text, freed by the caller; the picture is gone. */
char *svg_finish(struct svg **s);

/* xy [n][2]: points one after the other. Fewer than two draw nothing. */
void svg_polyline(struct svg *s, int n, const double *xy, const struct svg_style *style);
void svg_polygon(struct svg *s, int n, const double *xy, const struct svg_style *style);
void svg_line(struct svg *s, const double from[2], const double to[2], const struct svg_style *style);
void svg_circle(struct svg *s, double x, double y, double radius, const struct svg_style *style);
void svg_write(struct svg *s, const struct svg_text *t, const char *text);

/* About how many pixels a text is wide in a font like Helvetica, a little more rather than less. */
double svg_text_width(const char *text, double size);

/* How many bytes of `text` make a line at most `width` wide, broken at a space where there is one; at
 * least one character of a text that is not empty. */
size_t svg_text_fit(const char *text, double size, double width);

/* Text for XML and HTML: & < > " ' are escaped, bytes that are no UTF-8 or not allowed become '?'. */
void svg_escape(FILE *out, const char *text);

#endif
