/* Tiles of AMX: eight registers of 16 lines of 64 bytes, which are 16 words of pairs of bfloat16 or 16 floats.
 * Between tiles_begin and tiles_end the calling thread has them, and they hold anything.
 *
 *   tile_zero(t)             t = 0
 *   tile_load(t, p, bytes)   t = 16 lines from p, `bytes` apart
 *   tile_store(t, p, bytes)  the other way
 *   tile_dp(c, a, b)         c[m][n] += sum over k of a[m][k] b[k][n], k over words; both products of a word
 *
 * Registers are digits: instructions name them. With SHOAL_AMX_EMULATED all of it is plain C and gives the same
 * bits, on every CPU. */
#ifndef SHOAL_COMMON_AMX_TILES_H
#define SHOAL_COMMON_AMX_TILES_H

#include <stdint.h>

enum { TILE = 16, TILE_BYTES = 64 };

#ifndef SHOAL_AMX_EMULATED

#include <immintrin.h>

/* What ldtilecfg reads. Source: Intel, Software Developer's Manual, "Tile configuration". */
struct tiles_shape {
    uint8_t palette, start_row, reserved[14];
    uint16_t line_bytes[16];
    uint8_t lines[16];
};

/* gcc does not say of loads and of the configuration that they read memory. */
#define TILE_BARRIER() __asm__ volatile("" ::: "memory")

TARGET static inline __attribute__((always_inline)) void tiles_begin(void)
{
    static const struct tiles_shape whole = {
        .palette = 1,
        .line_bytes = { TILE_BYTES, TILE_BYTES, TILE_BYTES, TILE_BYTES, TILE_BYTES, TILE_BYTES, TILE_BYTES, TILE_BYTES },
        .lines = { TILE, TILE, TILE, TILE, TILE, TILE, TILE, TILE },
    };
    TILE_BARRIER();
    _tile_loadconfig(&whole);
}

/* Without tiles a thread has less for the system to save when it switches to another. */
TARGET static inline __attribute__((always_inline)) void tiles_end(void)
{
    _tile_release();
}

#define tile_zero(t) _tile_zero(t)
#define tile_load(t, p, bytes) \
    do { \
        TILE_BARRIER(); \
        _tile_loadd(t, p, bytes); \
    } while (0)
#define tile_store(t, p, bytes) \
    do { \
        _tile_stored(t, p, bytes); \
        TILE_BARRIER(); \
    } while (0)
#define tile_dp(c, a, b) _tile_dpbf16ps(c, a, b)

#else

#include <assert.h>
#include <float.h>
#include <math.h>
#include <stdbool.h>
#include <string.h>

union tile {
    uint32_t words[TILE][TILE];
    float sums[TILE][TILE];
};

static _Thread_local union tile tiles[8];
static _Thread_local bool has_tiles;

static inline void tiles_begin(void)
{
    assert(!has_tiles);
    has_tiles = true;
    memset(tiles, 0xFF, sizeof(tiles));
}

static inline void tiles_end(void)
{
    assert(has_tiles);
    has_tiles = false;
}

static inline void tile_zero(int t)
{
    assert(has_tiles);
    memset(&tiles[t], 0, sizeof(tiles[t]));
}

static inline void tile_load(int t, const void *p, size_t bytes)
{
    assert(has_tiles);
    for (size_t i = 0; i < TILE; i++)
        memcpy(tiles[t].words[i], (const char *)p + i * bytes, TILE_BYTES);
}

static inline void tile_store(int t, void *p, size_t bytes)
{
    assert(has_tiles);
    for (size_t i = 0; i < TILE; i++)
        memcpy((char *)p + i * bytes, tiles[t].words[i], TILE_BYTES);
}

/* The bfloat16 in the upper half of `bits`; denormals are read as 0. */
static inline double tile_number(uint32_t bits)
{
    float x;
    bits &= 0xFFFF0000;
    if ((bits & 0x7F800000) == 0)
        bits &= 0x80000000;
    memcpy(&x, &bits, sizeof(x));
    return (double)x;
}

/* a b + c rounded once, denormals flushed to 0. The product is exact in double, and rounding the sum there
 * first changes nothing: 53 bits are more than twice 24 and two. */
static inline float tile_multiply_add(double a, double b, float c)
{
    const float sum = (float)(a * b + (double)c);
    return fabsf(sum) < FLT_MIN ? copysignf(0, sum) : sum;
}

/* Source: Intel, Software Developer's Manual, TDPBF16PS: sums of the first and of the second numbers of the
 * words over all k, then c += first + second. */
static inline void tile_dp(int c, int a, int b)
{
    assert(has_tiles);
    for (int m = 0; m < TILE; m++) {
        float first[TILE] = { 0 }, second[TILE] = { 0 };
        for (int k = 0; k < TILE; k++) {
            const uint32_t pair = tiles[a].words[m][k], *with = tiles[b].words[k];
            for (int n = 0; n < TILE; n++) {
                first[n] = tile_multiply_add(tile_number(pair << 16), tile_number(with[n] << 16), first[n]);
                second[n] = tile_multiply_add(tile_number(pair), tile_number(with[n]), second[n]);
            }
        }
        for (int n = 0; n < TILE; n++) {
            const float sum = tile_multiply_add(1, (double)first[n], second[n]);
            tiles[c].sums[m][n] = tile_multiply_add(1, (double)sum, tiles[c].sums[m][n]);
        }
    }
}

#endif
#endif
