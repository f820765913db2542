#include "common/row.h"

#include <math.h>
#include <string.h>

/* Float number `j` of a row that lies unaligned in a received frame. */
static inline float load(const unsigned char *row, int j)
{
    float value;
    memcpy(&value, row + (size_t)j * sizeof(value), sizeof(value));
    return value;
}

const char *row_check(struct row_shape s, const void *rows, int n_rows, int n_transitions)
{
    int stride = row_stride(s);
    int transitions = 0;
    enum row_kind previous = ROW_CLOSE;
    for (int i = 0; i < n_rows; i++) {
        const unsigned char *row = (const unsigned char *)rows
                                 + (size_t)i * (size_t)stride * sizeof(float);
        bool is_finite = true;
        for (int j = 0; j < stride; j++)
            is_finite &= isfinite(load(row, j)) != 0;
        if (!is_finite)
            return "a number is NaN or infinite";
        float kind = load(row, row_kind(s));
        if (!(kind == 0.0f || kind == 1.0f || kind == 2.0f || kind == 3.0f))
            return "a row's kind is none of 0, 1, 2, 3";
        enum row_kind k = (enum row_kind)(int)kind;
        if (i == 0 && k == ROW_CLOSE)
            return "the first row is CLOSE";
        if (i > 0 && k == ROW_CLOSE && previous == ROW_CLOSE)
            return "two CLOSE rows follow each other";
        if (k != ROW_CLOSE && (previous == ROW_TERMINATED || previous == ROW_TRUNCATED))
            return "a row that ends an episode is not followed by CLOSE";
        if (k == ROW_CLOSE)
            for (int j = s.n_obs; j < s.n_obs + s.n_act + 2; j++)
                if (load(row, j) != 0.0f)
                    return "a CLOSE row carries more than an observation";
        transitions += k != ROW_CLOSE;
        previous = k;
    }
    if (n_rows == 0 || previous != ROW_CLOSE)
        return "the last row is not CLOSE";
    if (transitions != n_transitions)
        return "the number of transitions differs from what the header says";
    return NULL;
}
