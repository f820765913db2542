#include "deploy/svg.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "common/arena.h"

#define FONTS "Helvetica, Arial, 'Liberation Sans', 'DejaVu Sans', sans-serif"
#define INK "#222222"

struct svg {
    FILE *out;
    char *text;
    size_t bytes;
};

/* ---- texts ---- */

/* Bytes of the UTF-8 character at `text` that XML allows, or 0. */
static size_t character_bytes(const char *text)
{
    const unsigned char *p = (const unsigned char *)text;
    const size_t n = p[0] < 0x80 ? 1 : p[0] >= 0xC2 && p[0] < 0xE0 ? 2 : p[0] >= 0xE0 && p[0] < 0xF0 ? 3
                   : p[0] >= 0xF0 && p[0] < 0xF5 ? 4 : 0;
    for (size_t i = 1; i < n; i++)
        if ((p[i] & 0xC0) != 0x80)
            return 0;
    if (n == 1 && p[0] < 0x20 && p[0] != '\t' && p[0] != '\n')
        return 0;
    /* Overlong forms, surrogates, what lies behind U+10FFFF, and the two that are no characters. */
    if ((p[0] == 0xE0 && p[1] < 0xA0) || (p[0] == 0xED && p[1] > 0x9F) || (p[0] == 0xF0 && p[1] < 0x90)
        || (p[0] == 0xF4 && p[1] > 0x8F) || (p[0] == 0xEF && p[1] == 0xBF && p[2] > 0xBD))
        return 0;
    return n;
}

void svg_escape(FILE *out, const char *text)
{
    while (*text) {
        const size_t n = character_bytes(text);
        switch (n == 0 ? '?' : *text) {
        case '?': fputc('?', out); break;
        case '&': fputs("&amp;", out); break;
        case '<': fputs("&lt;", out); break;
        case '>': fputs("&gt;", out); break;
        case '"': fputs("&quot;", out); break;
        case '\'': fputs("&#39;", out); break;
        default: fwrite(text, 1, n, out); break;
        }
        text += n ? n : 1;
    }
}

/* Helvetica's advance widths from the space to '~', in thousandths of the size.
 * Source: Adobe Font Metrics of Helvetica. */
static const short ADVANCES[95] = {
    278, 278, 355, 556, 556, 889, 667, 191, 333, 333, 389, 584, 278, 333, 278, 278, 556, 556, 556, 556,
    556, 556, 556, 556, 556, 556, 278, 278, 584, 584, 584, 556, 1015, 667, 667, 722, 722, 667, 611, 778,
    722, 278, 500, 667, 556, 833, 722, 778, 667, 778, 722, 667, 611, 722, 667, 944, 667, 667, 611, 278,
    278, 278, 469, 556, 333, 556, 556, 500, 556, 556, 278, 556, 556, 222, 222, 500, 222, 833, 556, 556,
    556, 556, 333, 500, 278, 556, 500, 722, 500, 500, 500, 334, 260, 334, 584
};

/* Other fonts are up to a tenth wider. */
static const double SLACK = 1.06;

static double advance(const char *character, double size)
{
    const unsigned char c = (unsigned char)*character;
    return SLACK * size * (c >= ' ' && c <= '~' ? ADVANCES[c - ' '] : 600) / 1000;
}

double svg_text_width(const char *text, double size)
{
    double width = 0;
    while (*text) {
        const size_t n = character_bytes(text);
        width += advance(text, size);
        text += n ? n : 1;
    }
    return width;
}

size_t svg_text_fit(const char *text, double size, double width)
{
    size_t at = 0, space = 0;
    double used = 0;
    while (text[at]) {
        const size_t n = character_bytes(text + at);
        used += advance(text + at, size);
        if (text[at] == ' ')
            space = at;
        else if (used > width && at > 0)
            return space ? space : at;
        at += n ? n : 1;
    }
    return at;
}

/* ---- shapes ---- */

struct svg *svg_create(double width, double height, const char *title)
{
    struct svg *s = memory_alloc(1, sizeof(*s));
    s->out = open_memstream(&s->text, &s->bytes);
    if (!s->out)
        abort();    /* out of memory */
    fprintf(s->out, "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%.0f\" height=\"%.0f\" "
            "viewBox=\"0 0 %.0f %.0f\" role=\"img\" font-family=\"%s\">\n<title>", width, height, width,
            height, FONTS);
    svg_escape(s->out, title);
    fprintf(s->out, "</title>\n<rect width=\"%.0f\" height=\"%.0f\" fill=\"#ffffff\"/>\n", width, height);
    return s;
}

char *svg_finish(struct svg **s)
{
    fprintf((*s)->out, "</svg>\n");
    if (fclose((*s)->out) != 0)
        abort();    /* out of memory */
    char *text = (*s)->text;
    free(*s);
    *s = NULL;
    return text;
}

/* At most two decimals, no trailing zeros, no "-0". */
static void put_number(FILE *out, double value)
{
    char text[64];
    const double rounded = round(value * 100) / 100;
    int n = snprintf(text, sizeof(text), "%.2f", rounded + 0.0);
    while (text[n - 1] == '0')
        n--;
    if (text[n - 1] == '.')
        n--;
    text[n] = '\0';
    fputs(strcmp(text, "-0") == 0 ? "0" : text, out);
}

static void put_attribute(FILE *out, const char *name, double value)
{
    fprintf(out, " %s=\"", name);
    put_number(out, value);
    fputc('"', out);
}

static void put_style(FILE *out, const struct svg_style *style)
{
    fprintf(out, " fill=\"%s\"", style->fill ? style->fill : "none");
    if (style->stroke) {
        fprintf(out, " stroke=\"%s\"", style->stroke);
        put_attribute(out, "stroke-width", style->width);
        fprintf(out, " stroke-linejoin=\"round\"");
    }
    if (style->stroke && style->dashes)
        fprintf(out, " stroke-dasharray=\"%s\"", style->dashes);
    if (style->opacity > 0)
        put_attribute(out, "opacity", style->opacity);
    fprintf(out, "/>\n");
}

static void put_points(struct svg *s, const char *shape, int n, const double *xy,
                       const struct svg_style *style)
{
    if (n < 2)
        return;
    fprintf(s->out, "<%s points=\"", shape);
    for (int i = 0; i < n; i++) {
        if (i > 0)
            fputc(' ', s->out);
        put_number(s->out, xy[2 * i]);
        fputc(',', s->out);
        put_number(s->out, xy[2 * i + 1]);
    }
    fputc('"', s->out);
    put_style(s->out, style);
}

void svg_polyline(struct svg *s, int n, const double *xy, const struct svg_style *style)
{
    put_points(s, "polyline", n, xy, style);
}

void svg_polygon(struct svg *s, int n, const double *xy, const struct svg_style *style)
{
    put_points(s, "polygon", n, xy, style);
}

void svg_line(struct svg *s, const double from[2], const double to[2], const struct svg_style *style)
{
    fprintf(s->out, "<line");
    put_attribute(s->out, "x1", from[0]);
    put_attribute(s->out, "y1", from[1]);
    put_attribute(s->out, "x2", to[0]);
    put_attribute(s->out, "y2", to[1]);
    put_style(s->out, style);
}

void svg_circle(struct svg *s, double x, double y, double radius, const struct svg_style *style)
{
    fprintf(s->out, "<circle");
    put_attribute(s->out, "cx", x);
    put_attribute(s->out, "cy", y);
    put_attribute(s->out, "r", radius);
    put_style(s->out, style);
}

void svg_write(struct svg *s, const struct svg_text *t, const char *text)
{
    static const char *const anchors[] = { "start", "middle", "end" };
    fprintf(s->out, "<text");
    if (t->is_vertical) {
        fprintf(s->out, " transform=\"translate(");
        put_number(s->out, t->x);
        fputc(' ', s->out);
        put_number(s->out, t->y);
        fprintf(s->out, ") rotate(-90)\"");
    } else {
        put_attribute(s->out, "x", t->x);
        put_attribute(s->out, "y", t->y);
    }
    put_attribute(s->out, "font-size", t->size);
    fprintf(s->out, " text-anchor=\"%s\" fill=\"%s\"%s>", anchors[t->anchor], t->colour ? t->colour : INK,
            t->is_bold ? " font-weight=\"bold\"" : "");
    svg_escape(s->out, text);
    fprintf(s->out, "</text>\n");
}
