/* Loops over arrays, compiled once per width of vectors and chosen by the CPU that runs them.
 *
 * A loop is written as an INLINE function name_loop() of plain C that returns nothing; DISPATCH makes of it
 * name(), which calls the widest of the three that the CPU has:
 *
 *     INLINE void halve_loop(float *x, size_t n) { for (size_t i = 0; i < n; i++) x[i] *= 0.5f; }
 *     DISPATCH(halve, (float *x, size_t n), (x, n))
 *
 * They are the same operations in the same order each time: nothing is reassociated, and -std=c17 keeps
 * multiplications and additions apart. So a number's result depends neither on the CPU nor on its place in
 * the array, and tests hold every width to that. */
#ifndef SHOAL_COMMON_DISPATCH_H
#define SHOAL_COMMON_DISPATCH_H

/* Bits of a vector that name() may use at most; 512 but in tests, which lower it. */
extern int dispatch_limit;

/* 512, 256, or 128 for whatever every CPU has; all threads. */
int dispatch_width(void);

#define INLINE static inline __attribute__((always_inline))

#if defined(__x86_64__)

#define DISPATCH(name, parameters, arguments) \
    static void name##_plain parameters { name##_loop arguments; } \
    __attribute__((target("avx2"))) static void name##_avx2 parameters { name##_loop arguments; } \
    __attribute__((target("avx512f,avx512dq,prefer-vector-width=512"))) \
    static void name##_avx512 parameters { name##_loop arguments; } \
    static void name parameters \
    { \
        const int width = dispatch_width(); \
        if (width == 512) \
            name##_avx512 arguments; \
        else if (width == 256) \
            name##_avx2 arguments; \
        else \
            name##_plain arguments; \
    }

#else

#define DISPATCH(name, parameters, arguments) static void name parameters { name##_loop arguments; }

#endif

#endif
