/* A video file as frames, decoded by libav. */
#ifndef SHOAL_TESTS_RENDER_DECODE_H
#define SHOAL_TESTS_RENDER_DECODE_H

#include <stddef.h>
#include <stdint.h>

struct film {
    int width, height, n_frames;
    double fps, duration_s;    /* as the file says */
    uint8_t *rgb;              /* [n_frames][height][width][3] */
};

/* Fails the running test when the file cannot be decoded to its end. */
struct film decode(const char *path);
void film_free(struct film *f);

const uint8_t *film_pixel(const struct film *f, int frame, int x, int y);

#endif
