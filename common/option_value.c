/* From the operator's text to a field, with an error that says what would have been right. */
#include "common/option_private.h"

#include <limits.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

static bool word_is(struct word w, const char *text)
{
    return w.bytes == strlen(text) && strncasecmp(w.text, text, w.bytes) == 0;
}

static int refuse(const char *expected, struct word w, const char *hint, struct error *err)
{
    char shown[OPTION_SHOWN_BYTES];
    option_shown(w, shown);
    if (w.bytes == 0 && w.style != WORD_QUOTED)
        return error_set(err, ERR_CONFIG, "expected %s, found nothing%s", expected, hint);
    return error_set(err, ERR_CONFIG, "expected %s, found \"%s\"%s", expected, shown, hint);
}

/* As refuse, for the types that quotes would turn into text. */
static int refuse_unquoted(const char *expected, struct word w, const char *hint,
                           struct error *err)
{
    return refuse(expected, w, w.style == WORD_QUOTED ? " in quotes; drop the quotes" : hint, err);
}

/* Copy a run of digits; '_' may stand between two of them. Returns how many were copied. */
static int scan_digits(const char **s, const char *end, char **out)
{
    int n = 0;
    for (; *s < end; (*s)++) {
        bool is_digit = **s >= '0' && **s <= '9';
        bool is_joint = **s == '_' && n > 0 && *s + 1 < end && (*s)[1] >= '0' && (*s)[1] <= '9';
        if (!is_digit && !is_joint)
            break;
        if (is_digit) {
            *(*out)++ = **s;
            n++;
        }
    }
    return n;
}

/* Copy `w` without its '_' when it is [+-] digits [. digits] [e [+-] digits]. YAML 1.1 reads 010
 * as eight and YAML 1.2 as ten, so a leading zero is none. */
static bool scan_decimal(struct word w, char out[OPTION_NUMBER_BYTES])
{
    if (w.bytes >= OPTION_NUMBER_BYTES)
        return false;
    const char *s = w.text, *end = w.text + w.bytes;
    if (s < end && (*s == '+' || *s == '-'))
        *out++ = *s++;
    const char *first = out;
    int n_whole = scan_digits(&s, end, &out), n_part = 0;
    if (n_whole > 1 && *first == '0')
        return false;
    if (s < end && *s == '.') {
        *out++ = *s++;
        n_part = scan_digits(&s, end, &out);
    }
    if (n_whole + n_part == 0)
        return false;
    if (s < end && (*s == 'e' || *s == 'E')) {
        *out++ = *s++;
        if (s < end && (*s == '+' || *s == '-'))
            *out++ = *s++;
        if (scan_digits(&s, end, &out) == 0)
            return false;
    }
    *out = '\0';
    return s == end;
}

/* The integer a scanned decimal denotes, exactly. False when it has a fraction or overflows. */
static bool decimal_integer(const char *s, int64_t *value)
{
    bool is_negative = *s == '-';
    s += *s == '-' || *s == '+';
    char digits[OPTION_NUMBER_BYTES];
    long n = 0, shift = 0;      /* value = digits * 10^shift */
    bool is_part = false;
    for (; *s && *s != 'e' && *s != 'E'; s++) {
        if (*s == '.') {
            is_part = true;
            continue;
        }
        shift -= is_part;
        if (n > 0 || *s != '0')
            digits[n++] = *s;
    }
    *value = 0;
    if (n == 0)
        return true;
    if (*s) {
        long exponent = strtol(s + 1, NULL, 10);
        shift += exponent > 1000 ? 1000 : exponent < -1000 ? -1000 : exponent;
    }
    for (; shift < 0 && digits[n - 1] == '0'; n--)
        shift++;
    if (shift < 0)
        return false;
    for (long i = 0; i < n + shift; i++) {
        int digit = i < n ? digits[i] - '0' : 0;
        if (__builtin_mul_overflow(*value, 10, value)
            || __builtin_add_overflow(*value, is_negative ? -digit : digit, value))
            return false;
    }
    return true;
}

static const char *number_hint(struct word w)
{
    size_t sign = w.bytes > 0 && (*w.text == '-' || *w.text == '+');
    bool is_other_base = w.bytes > sign + 1 && w.text[sign] == '0'
                      && strchr("xXoObB0123456789", w.text[sign + 1]);
    return is_other_base ? "; write it in decimal, without leading zeros" : "";
}

static int read_bool(const struct option *o, bool *value, struct word w, struct error *err)
{
    static const char *const yes[] = { "true", "yes", "on", "y", "1" };
    static const char *const no[] = { "false", "no", "off", "n", "0" };
    if (w.style != WORD_QUOTED && w.bytes == 4 && memcmp(w.text, "true", 4) == 0) {
        *value = true;
        return 0;
    }
    if (w.style != WORD_QUOTED && w.bytes == 5 && memcmp(w.text, "false", 5) == 0) {
        *value = false;
        return 0;
    }
    const char *hint = "";
    for (int i = 0; i < 5; i++)
        hint = word_is(w, yes[i]) ? "; write true" : word_is(w, no[i]) ? "; write false" : hint;
    char expected[OPTION_WORDS_BYTES];
    return refuse_unquoted(option_expected(o, expected), w, hint, err);
}

/* Exactly, also beyond 2^53 where (double)v is rounded. */
static bool is_within(int64_t v, double min, double max)
{
    return (min <= -0x1p63 || v >= (int64_t)ceil(min))
        && (max >= 0x1p63 || v <= (int64_t)floor(max));
}

static int read_integer(const struct option *o, const char *expected, int64_t *value,
                        struct word w, struct error *err)
{
    char number[OPTION_NUMBER_BYTES];
    int64_t v;
    if (w.style == WORD_QUOTED || !scan_decimal(w, number) || !decimal_integer(number, &v)
        || !is_within(v, o->min, o->max))
        return refuse_unquoted(expected, w, number_hint(w), err);
    *value = v;
    return 0;
}

/* .inf as in YAML, or inf, with or without a sign. */
static bool scan_infinity(struct word w, double *value)
{
    bool is_negative = w.bytes > 0 && *w.text == '-';
    size_t sign = is_negative || (w.bytes > 0 && *w.text == '+');
    struct word rest = { w.text + sign, w.bytes - sign, w.style };
    *value = is_negative ? -HUGE_VAL : HUGE_VAL;
    return word_is(rest, ".inf") || word_is(rest, "inf");
}

/* Only the ends of a range may be infinite. */
static bool scan_real(const struct option *o, struct word w, double *value)
{
    char number[OPTION_NUMBER_BYTES];
    if (o->type == OPTION_RANGE && scan_infinity(w, value))
        return true;
    if (!scan_decimal(w, number))
        return false;
    *value = strtod(number, NULL);
    return isfinite(*value);
}

static int read_real(const struct option *o, const char *expected, double *value, struct word w,
                     struct error *err)
{
    double v;
    if (w.style == WORD_QUOTED || !scan_real(o, w, &v)
        || (!option_is_unbounded(o) && (v < o->min || v > o->max)))
        return refuse_unquoted(expected, w, number_hint(w), err);
    *value = v;
    return 0;
}

static int read_text(const struct option *o, char value[OPTION_TEXT_BYTES], struct word w,
                     struct error *err)
{
    char expected[OPTION_WORDS_BYTES];
    option_expected(o, expected);
    /* To YAML these are null; to a person they may be a home directory or a name. */
    if (w.style == WORD_PLAIN && (w.bytes == 0 || word_is(w, "~") || word_is(w, "null")))
        return refuse(expected, w, "; put it in quotes (\"\" is the empty text)", err);
    if (w.bytes == 0 && !o->value)
        return refuse(expected, w, "; it is required", err);
    size_t i = 0;
    for (size_t n = 1; n && i < w.bytes && i < OPTION_TEXT_BYTES; i += n)
        n = option_printable(w.text + i, w.bytes - i);
    if (i < w.bytes || w.bytes >= OPTION_TEXT_BYTES)
        return refuse(expected, w, "", err);
    memset(value, 0, OPTION_TEXT_BYTES);
    memcpy(value, w.text, w.bytes);
    return 0;
}

static int read_choice(const struct option *o, int *value, struct word w, struct error *err)
{
    struct option_choices c;
    option_choices(o, &c);
    for (int i = 0; i < c.n; i++) {
        if (w.bytes == strlen(c.names[i]) && memcmp(w.text, c.names[i], w.bytes) == 0) {
            *value = i;
            return 0;
        }
    }
    char shown[OPTION_SHOWN_BYTES], expected[OPTION_WORDS_BYTES], hint[OPTION_WORDS_BYTES] = "";
    const char *near = nearest_word(option_shown(w, shown), c.names, c.n);
    if (near)
        snprintf(hint, sizeof(hint), "; did you mean \"%.64s\"?", near);
    return refuse(option_expected(o, expected), w, hint, err);
}

/* ---- lists ---- */

const char *option_element(const struct option *o)
{
    return o->type == OPTION_INTS ? "an integer" : "a number";
}

static int read_list_integer(const struct option *o, int *value, struct word w, struct error *err)
{
    char expected[OPTION_WORDS_BYTES];
    struct option each = *o;
    each.min = fmax(o->min, INT_MIN);
    each.max = fmin(o->max, INT_MAX);
    int64_t v = 0;
    int rc = read_integer(&each, option_expected_number(o, "an integer", expected), &v, w, err);
    *value = (int)v;
    return rc;
}

int option_read_element(const struct option *o, struct option_list *list, struct word w,
                        struct error *err)
{
    char expected[OPTION_WORDS_BYTES];
    bool is_ints = o->type == OPTION_INTS;
    int most = is_ints ? OPTION_MAX_INTS : 2, rc;
    if (list->n == most)
        return error_set(err, ERR_CONFIG, "expected at most %d %s, found more", most,
                         is_ints ? "integers" : "numbers");
    if (is_ints)
        rc = read_list_integer(o, &list->ints[list->n], w, err);
    else
        rc = read_real(o, option_expected_number(o, "a number", expected), &list->ends[list->n],
                       w, err);
    list->n += rc == 0;
    return rc;
}

int option_end_list(const struct option *o, const struct option_list *list, void *field,
                    struct error *err)
{
    char expected[OPTION_WORDS_BYTES];
    if (o->type == OPTION_INTS) {
        struct option_ints *ints = field;
        *ints = (struct option_ints){ .n = list->n };
        memcpy(ints->v, list->ints, (size_t)list->n * sizeof(*ints->v));
        return 0;
    }
    if (list->n != 2)
        return error_set(err, ERR_CONFIG, "expected %s, found %s", option_expected(o, expected),
                         list->n ? "one number" : "none");
    struct option_range range = { list->ends[0], list->ends[1] };
    if (range.low > range.high) {
        char shown[OPTION_FORMAT_BYTES];
        option_format(o, &range, shown);
        return error_set(err, ERR_CONFIG, "expected the lower end first, found %.100s", shown);
    }
    *(struct option_range *)field = range;
    return 0;
}

/* 256,256 or [256, 256] */
static int read_bare_list(const struct option *o, void *field, struct word w, struct error *err)
{
    const char *s = w.text, *end = w.text + w.bytes;
    bool has_brackets = w.bytes >= 2 && *s == '[' && end[-1] == ']';
    s += has_brackets;
    end -= has_brackets;
    char expected[OPTION_WORDS_BYTES];
    if (w.style != WORD_BARE || (s == end && !has_brackets))
        return refuse(option_expected(o, expected), w, "", err);
    struct option_list list = { 0 };
    while (s < end) {
        const char *comma = memchr(s, ',', (size_t)(end - s));
        const char *first = s, *last = comma ? comma : end;
        while (first < last && *first == ' ')
            first++;
        while (first < last && last[-1] == ' ')
            last--;
        struct word element = { first, (size_t)(last - first), WORD_BARE };
        if (option_read_element(o, &list, element, err) != 0)
            return error_prefix(err, "element %d", list.n + 1);
        s = comma ? comma + 1 : end;
    }
    return option_end_list(o, &list, field, err);
}

int option_read(const struct option *o, void *field, struct word w, struct error *err)
{
    char expected[OPTION_WORDS_BYTES];
    switch (o->type) {
    case OPTION_BOOL: return read_bool(o, field, w, err);
    case OPTION_INT: return read_integer(o, option_expected(o, expected), field, w, err);
    case OPTION_REAL: return read_real(o, option_expected(o, expected), field, w, err);
    case OPTION_TEXT: return read_text(o, field, w, err);
    case OPTION_CHOICE: return read_choice(o, field, w, err);
    case OPTION_INTS:
    case OPTION_RANGE: return read_bare_list(o, field, w, err);
    }
    return 0;
}

void option_default(const struct option *o, void *field)
{
    static const size_t bytes[] = {
        [OPTION_BOOL] = sizeof(bool),
        [OPTION_INT] = sizeof(int64_t),
        [OPTION_REAL] = sizeof(double),
        [OPTION_TEXT] = OPTION_TEXT_BYTES,
        [OPTION_CHOICE] = sizeof(int),
        [OPTION_INTS] = sizeof(struct option_ints),
        [OPTION_RANGE] = sizeof(struct option_range),
    };
    memset(field, 0, bytes[o->type]);
    if (!o->value)
        return;
    struct error err;
    struct word w = { o->value, strlen(o->value), WORD_BARE };
    if (option_read(o, field, w, &err) != 0) {
        fprintf(stderr, "shoal: the default of option %s: %s\n", o->name, err.text);
        abort();
    }
}
