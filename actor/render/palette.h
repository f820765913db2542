/* A palette of up to 255 colours for a whole video, as GIF needs.
 *
 * Count the pixels of every frame, make the palette once, then translate the frames. */
#ifndef SHOAL_ACTOR_RENDER_PALETTE_H
#define SHOAL_ACTOR_RENDER_PALETTE_H

#include <stddef.h>
#include <stdint.h>

enum { PALETTE_COLOURS = 255 };    /* GIF's 256, less one that means "as before" */

struct palette;

struct palette *palette_create(void);
void palette_destroy(struct palette **p);

/*   rgb [n_pixels][3] */
void palette_count(struct palette *p, const uint8_t *rgb, size_t n_pixels);

/* Choose the colours from what was counted: split the box of colours with the largest error at its
 * mean, until there are enough. Returns how many there are.
 *   colours [PALETTE_COLOURS][3] */
int palette_make(struct palette *p, uint8_t (*colours)[3]);

/* Replace each pixel by the index of its nearest colour. After palette_make.
 *   index [n_pixels] */
void palette_translate(struct palette *p, const uint8_t *rgb, size_t n_pixels, uint8_t *index);

#endif
