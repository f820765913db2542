/* Frames to a video file. The name decides: .mp4 (H.264), .gif (a palette of its own) or .png (one
 * file per frame, numbered by a %04d in the name).
 *
 * An .mp4 or .gif appears under its name when it is complete and not before. The same frames give
 * the same bytes, with the same libav. While a .gif is written its frames wait unpacked in a nameless
 * file in the same directory. */
#ifndef SHOAL_ACTOR_RENDER_VIDEO_H
#define SHOAL_ACTOR_RENDER_VIDEO_H

#include <stdint.h>

#include "common/error.h"

struct video;

/* The most frames a second that files of that name play faithfully: 50 for .gif, which viewers slow
 * down beyond that, 60 otherwise. ERR_USAGE when the name says no format. */
int video_max_fps(const char *path, double *fps, struct error *err);

/* Begin a file. Errors: ERR_USAGE for a name, size or rate this format cannot have, ERR_IO,
 * ERR_MISSING without a needed encoder. */
int video_open(struct video **v, const char *path, int width, int height, double fps,
               struct error *err);

/* Add a frame.
 *   rgb [height][width][3], rows from the top; copied */
int video_write(struct video *v, const uint8_t *rgb, struct error *err);

/* Complete the file and put it in place; at least one frame was written. Frees `v` in any case. */
int video_finish(struct video **v, struct error *err);

/* Give up, leaving what was at the name before (numbered files stay). NULL is fine. */
void video_discard(struct video **v);

#endif
