#include "actor/render/palette.h"

#include <math.h>
#include <stdlib.h>

#include "common/arena.h"

/* Pixels are told apart by the upper 6 bits of each channel. */
enum { CELLS = 1 << 18, UNKNOWN = -1 };

/* All pixels of one cell. */
struct cell {
    double n, sum[3];
    double weight;     /* sqrt(n): small things in the picture keep their colours */
    double mean[3];
};

/* A box is a stretch of the list of used cells. */
struct box {
    int first, n;
    double mean[3], error;    /* weighted squares about the mean, over all channels */
    int widest;               /* the channel with the largest share of the error */
};

struct palette {
    struct cell *cells;       /* [CELLS] */
    int16_t *nearest;         /* [CELLS] index of the nearest colour; UNKNOWN: not looked for yet */
    uint8_t colours[PALETTE_COLOURS][3];
    int n_colours;
};

struct palette *palette_create(void)
{
    struct palette *p = memory_alloc(1, sizeof(*p));
    p->cells = memory_alloc(CELLS, sizeof(*p->cells));
    p->nearest = memory_alloc(CELLS, sizeof(*p->nearest));
    return p;
}

void palette_destroy(struct palette **p)
{
    if (!*p)
        return;
    free((*p)->cells);
    free((*p)->nearest);
    free(*p);
    *p = NULL;
}

static size_t cell_of(const uint8_t *rgb)
{
    return (size_t)(rgb[0] >> 2) << 12 | (size_t)(rgb[1] >> 2) << 6 | (size_t)(rgb[2] >> 2);
}

void palette_count(struct palette *p, const uint8_t *rgb, size_t n_pixels)
{
    for (size_t i = 0; i < n_pixels; i++, rgb += 3) {
        struct cell *c = &p->cells[cell_of(rgb)];
        c->n++;
        for (int k = 0; k < 3; k++)
            c->sum[k] += rgb[k];
    }
}

/* ---- choosing ---- */

static void measure(struct box *b, struct cell *const *used)
{
    double weight = 0, sum[3] = { 0 }, largest = -1;
    for (int i = b->first; i < b->first + b->n; i++) {
        weight += used[i]->weight;
        for (int k = 0; k < 3; k++)
            sum[k] += used[i]->weight * used[i]->mean[k];
    }
    b->error = 0;
    for (int k = 0; k < 3; k++) {
        double squares = 0;
        b->mean[k] = sum[k] / weight;
        for (int i = b->first; i < b->first + b->n; i++) {
            const double off = used[i]->mean[k] - b->mean[k];
            squares += used[i]->weight * off * off;
        }
        b->error += squares;
        if (squares > largest) {
            largest = squares;
            b->widest = k;
        }
    }
}

/* Move the upper part of a box, along its widest channel, into another. */
static void split(struct box *b, struct box *upper, struct cell **used)
{
    const int k = b->widest, end = b->first + b->n;
    int low = b->first;
    for (int i = b->first; i < end; i++) {
        if (used[i]->mean[k] > b->mean[k])
            continue;
        struct cell *c = used[i];
        used[i] = used[low];
        used[low++] = c;
    }
    *upper = (struct box){ .first = low, .n = end - low };
    b->n = low - b->first;
    measure(b, used);
    measure(upper, used);
}

/* The cells that were met, with their means. Returns their number.
 *   used [CELLS] */
static int collect(struct palette *p, struct cell **used)
{
    int n = 0;
    for (size_t i = 0; i < CELLS; i++) {
        struct cell *c = &p->cells[i];
        if (c->n <= 0)
            continue;
        c->weight = sqrt(c->n);
        for (int k = 0; k < 3; k++)
            c->mean[k] = c->sum[k] / c->n;
        used[n++] = c;
    }
    return n;
}

int palette_make(struct palette *p, uint8_t (*colours)[3])
{
    struct box boxes[PALETTE_COLOURS];
    struct cell **used = memory_alloc(CELLS, sizeof(struct cell *));
    int n = 1;
    boxes[0] = (struct box){ .n = collect(p, used) };
    if (boxes[0].n == 0)
        n = 0;
    else
        measure(&boxes[0], used);
    while (n > 0 && n < PALETTE_COLOURS) {
        int worst = 0;
        for (int i = 1; i < n; i++)
            if (boxes[i].error > boxes[worst].error)
                worst = i;
        if (boxes[worst].n < 2 || boxes[worst].error < 1e-6)
            break;
        split(&boxes[worst], &boxes[n++], used);
    }
    for (int i = 0; i < n; i++)
        for (int k = 0; k < 3; k++)
            p->colours[i][k] = colours[i][k] = (uint8_t)lround(boxes[i].mean[k]);
    p->n_colours = n;
    for (size_t i = 0; i < CELLS; i++)
        p->nearest[i] = UNKNOWN;
    free(used);
    return n;
}

/* ---- translating ---- */

static int16_t find_nearest(const struct palette *p, const double *mean)
{
    int16_t best = 0;
    double least = INFINITY;
    for (int i = 0; i < p->n_colours; i++) {
        double squares = 0;
        for (int k = 0; k < 3; k++)
            squares += (mean[k] - p->colours[i][k]) * (mean[k] - p->colours[i][k]);
        if (squares < least) {
            least = squares;
            best = (int16_t)i;
        }
    }
    return best;
}

void palette_translate(struct palette *p, const uint8_t *rgb, size_t n_pixels, uint8_t *index)
{
    for (size_t i = 0; i < n_pixels; i++, rgb += 3) {
        const size_t cell = cell_of(rgb);
        if (p->nearest[cell] == UNKNOWN)
            p->nearest[cell] = find_nearest(p, p->cells[cell].mean);
        index[i] = (uint8_t)p->nearest[cell];
    }
}
