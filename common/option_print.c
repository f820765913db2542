/* What people read: values as YAML, what a table row allows, and foreign text made harmless. */
#include "common/option_private.h"

#include <assert.h>
#include <inttypes.h>
#include <limits.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* ---- foreign text ---- */

/* Bytes of the UTF-8 character at `text`, 0 when malformed. */
static size_t decode_utf8(const char *text, size_t bytes, uint32_t *c)
{
    static const uint32_t smallest[] = { 0, 0, 0x80, 0x800, 0x10000 };
    const unsigned char *s = (const unsigned char *)text;
    size_t n = s[0] < 0x80 ? 1 : s[0] >> 5 == 6 ? 2 : s[0] >> 4 == 14 ? 3 : s[0] >> 3 == 30 ? 4 : 0;
    if (n == 0 || n > bytes)
        return 0;
    *c = n == 1 ? s[0] : s[0] & (0x7Fu >> n);
    for (size_t i = 1; i < n; i++) {
        if ((s[i] & 0xC0) != 0x80)
            return 0;
        *c = *c << 6 | (s[i] & 0x3F);
    }
    return *c >= smallest[n] ? n : 0;
}

size_t option_printable(const char *text, size_t bytes)
{
    uint32_t c = 0;
    size_t n = decode_utf8(text, bytes, &c);
    bool is_control = c < 0x20 || (c >= 0x7F && c < 0xA0);
    bool is_separator = c == 0x2028 || c == 0x2029;
    bool is_no_character = (c >= 0xD800 && c < 0xE000) || c == 0xFEFF || (c & 0xFFFE) == 0xFFFE
                         || c > 0x10FFFF;
    return is_control || is_separator || is_no_character ? 0 : n;
}

const char *option_shown(struct word w, char out[OPTION_SHOWN_BYTES])
{
    static const char more[] = "...";
    size_t used = 0;
    for (size_t i = 0; i < w.bytes;) {
        size_t n = option_printable(w.text + i, w.bytes - i);
        size_t step = n ? n : 1;
        if (used + step + sizeof(more) > OPTION_SHOWN_BYTES) {
            memcpy(out + used, more, sizeof(more));
            return out;
        }
        memcpy(out + used, n ? w.text + i : "?", step);
        used += step;
        i += step;
    }
    out[used] = '\0';
    return out;
}

/* ---- what is allowed ---- */

void option_choices(const struct option *o, struct option_choices *c)
{
    assert(strlen(o->choices) < sizeof(c->text));
    snprintf(c->text, sizeof(c->text), "%s", o->choices);
    c->n = 0;
    for (char *rest = c->text, *name; (name = strsep(&rest, "|"));) {
        assert(c->n < OPTION_MAX_CHOICES);
        c->names[c->n++] = name;
    }
}

void option_choice_name(const struct option *o, int index, char *out, size_t bytes)
{
    struct option_choices c;
    option_choices(o, &c);
    assert(index >= 0 && index < c.n);
    snprintf(out, bytes, "%s", c.names[index]);
}

/* The fewest digits that strtod reads back to the same number; no exponent for 300 or 20000. */
static void format_shortest(double x, char out[OPTION_NUMBER_BYTES])
{
    for (int precision = fabs(x) < 1e6 ? 6 : 1; precision <= 17; precision++) {
        snprintf(out, OPTION_NUMBER_BYTES, "%.*g", precision, x);
        if (strtod(out, NULL) == x)
            return;
    }
}

/* For people: 1e-8 and 1e9 instead of 1e-08 and 1e+09. */
static void format_bound(double x, char out[OPTION_NUMBER_BYTES])
{
    format_shortest(x, out);
    char *e = strchr(out, 'e');
    if (e)
        snprintf(e, (size_t)(out + OPTION_NUMBER_BYTES - e), "e%ld", strtol(e + 1, NULL, 10));
}

/* "0 to 1", "at least 0", "at most 1", or "" for a range as wide as the type. */
static void format_range(const struct option *o, const char *from, char out[OPTION_WORDS_BYTES])
{
    double widest = o->type == OPTION_INT ? 0x1p63 : o->type == OPTION_INTS ? INT_MAX : HUGE_VAL;
    bool has_min = !option_is_unbounded(o) && o->min > -widest;
    bool has_max = !option_is_unbounded(o) && o->max < widest;
    char min[OPTION_NUMBER_BYTES], max[OPTION_NUMBER_BYTES];
    format_bound(o->min, min);
    format_bound(o->max, max);
    if (has_min && has_max)
        snprintf(out, OPTION_WORDS_BYTES, "%s%s to %s", from, min, max);
    else if (has_min)
        snprintf(out, OPTION_WORDS_BYTES, "at least %s", min);
    else if (has_max)
        snprintf(out, OPTION_WORDS_BYTES, "at most %s", max);
    else
        out[0] = '\0';
}

static void format_choices(const struct option *o, char out[OPTION_WORDS_BYTES])
{
    struct option_choices c;
    option_choices(o, &c);
    size_t used = 0;
    for (int i = 0; i < c.n && used < OPTION_WORDS_BYTES; i++) {
        const char *joint = i == 0 ? "" : i == c.n - 1 ? " or " : ", ";
        used += (size_t)snprintf(out + used, OPTION_WORDS_BYTES - used, "%s%s", joint, c.names[i]);
    }
}

const char *option_expected_number(const struct option *o, const char *what,
                                   char out[OPTION_WORDS_BYTES])
{
    char range[OPTION_WORDS_BYTES];
    format_range(o, "from ", range);
    snprintf(out, OPTION_WORDS_BYTES, "%s%s%.150s", what, *range ? " " : "", range);
    return out;
}

const char *option_expected(const struct option *o, char out[OPTION_WORDS_BYTES])
{
    switch (o->type) {
    case OPTION_BOOL: snprintf(out, OPTION_WORDS_BYTES, "true or false"); break;
    case OPTION_INT: option_expected_number(o, "an integer", out); break;
    case OPTION_REAL: option_expected_number(o, "a number", out); break;
    case OPTION_INTS: option_expected_number(o, "a list like [8, 8] of integers", out); break;
    case OPTION_RANGE: option_expected_number(o, "a range like [0, 1] of numbers", out); break;
    case OPTION_CHOICE: format_choices(o, out); break;
    case OPTION_TEXT:
        snprintf(out, OPTION_WORDS_BYTES, "printable text of at most %d bytes",
                 OPTION_TEXT_BYTES - 1);
        break;
    }
    return out;
}

/* ---- values as YAML ---- */

/* Whether other YAML readers, too, take the bare text for text. */
static bool is_plain_text(const char *text)
{
    static const char *const special[] = { "true", "false", "yes", "no", "on", "off", "y", "n",
                                           "null" };
    static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";
    static const char rest[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_/.-";
    for (size_t i = 0; i < sizeof(special) / sizeof(*special); i++)
        if (strcasecmp(text, special[i]) == 0)
            return false;
    return *text && strchr(letters, *text) && text[strspn(text, rest)] == '\0';
}

static void format_text(const char *text, char out[OPTION_FORMAT_BYTES])
{
    if (is_plain_text(text)) {
        snprintf(out, OPTION_FORMAT_BYTES, "%s", text);
        return;
    }
    *out++ = '"';
    for (; *text; text++) {
        if (*text == '"' || *text == '\\')
            *out++ = '\\';
        *out++ = *text;
    }
    *out++ = '"';
    *out = '\0';
}

/* YAML 1.1 takes 1e-08 for text and 1.0e-08 for a number. Returns `out`. */
static const char *format_real(double x, char out[OPTION_NUMBER_BYTES])
{
    char number[OPTION_NUMBER_BYTES];
    if (isinf(x)) {
        snprintf(out, OPTION_NUMBER_BYTES, x < 0 ? "-.inf" : ".inf");
        return out;
    }
    format_shortest(x, number);
    char *e = strchr(number, 'e');
    int n_mantissa = (int)(e ? e - number : (long)strlen(number));
    bool needs_point = e && !strchr(number, '.');
    snprintf(out, OPTION_NUMBER_BYTES, "%.*s%s%.16s", n_mantissa, number, needs_point ? ".0" : "",
             e ? e : "");
    return out;
}

static void format_ints(const struct option_ints *ints, char out[OPTION_FORMAT_BYTES])
{
    size_t used = (size_t)snprintf(out, OPTION_FORMAT_BYTES, "[");
    for (int i = 0; i < ints->n; i++)
        used += (size_t)snprintf(out + used, OPTION_FORMAT_BYTES - used, "%s%d", i ? ", " : "",
                                 ints->v[i]);
    snprintf(out + used, OPTION_FORMAT_BYTES - used, "]");
}

void option_format(const struct option *o, const void *field, char out[OPTION_FORMAT_BYTES])
{
    char name[OPTION_TEXT_BYTES], low[OPTION_NUMBER_BYTES], high[OPTION_NUMBER_BYTES];
    const struct option_range *range = field;
    switch (o->type) {
    case OPTION_BOOL:
        snprintf(out, OPTION_FORMAT_BYTES, "%s", *(const bool *)field ? "true" : "false");
        break;
    case OPTION_INT:
        snprintf(out, OPTION_FORMAT_BYTES, "%" PRId64, *(const int64_t *)field);
        break;
    case OPTION_REAL:
        snprintf(out, OPTION_FORMAT_BYTES, "%s", format_real(*(const double *)field, low));
        break;
    case OPTION_TEXT: format_text(field, out); break;
    case OPTION_CHOICE:
        option_choice_name(o, *(const int *)field, name, sizeof(name));
        format_text(name, out);
        break;
    case OPTION_INTS: format_ints(field, out); break;
    case OPTION_RANGE:
        snprintf(out, OPTION_FORMAT_BYTES, "[%s, %s]", format_real(range->low, low),
                 format_real(range->high, high));
        break;
    }
}

/* ---- the whole configuration ---- */

/* The default as text. Returns `out`. */
static const char *format_default(const struct option *o, char out[OPTION_FORMAT_BYTES])
{
    union option_value standard;
    option_default(o, &standard);
    option_format(o, &standard, out);
    return out;
}

/* What the option has in `other`, a struct like its section's; NULL: the table's default. */
static const char *format_other(const struct option *o, const void *other, char out[OPTION_FORMAT_BYTES])
{
    if (!other)
        return format_default(o, out);
    option_format(o, (const char *)other + o->offset, out);
    return out;
}

/* (preset 0.9; default 0.99), (preset; default 0.99) where the value is the preset's, (default 0.99) */
static void print_origin(const struct option_section *s, const struct option *o, const char *value,
                         FILE *out)
{
    char usual[OPTION_FORMAT_BYTES], preset[OPTION_FORMAT_BYTES];
    format_other(o, s->usual, usual);
    format_other(o, s->preset ? s->preset : s->usual, preset);
    const bool is_usual = strcmp(usual, value) == 0, is_preset = strcmp(preset, value) == 0;
    if (strcmp(preset, usual) == 0) {
        if (!is_usual)
            fprintf(out, " (default %s)", usual);
        return;
    }
    fprintf(out, " (preset%s%s%s%s)", is_preset ? "" : " ", is_preset ? "" : preset,
            is_usual ? "" : "; default ", is_usual ? "" : usual);
}

/* help [0 to 1] (default 0.99) */
static void print_comment(const struct option_section *s, const struct option *o, const char *value,
                          FILE *out)
{
    const double any = 1e300;    /* a bound that keeps out infinities only tells people nothing */
    const bool is_any = o->type == OPTION_REAL && o->max >= any;
    char range[OPTION_WORDS_BYTES] = "";
    if (o->type == OPTION_CHOICE)
        format_choices(o, range);
    else if (is_any && o->min > -any)
        snprintf(range, sizeof(range), "at least %.6g", o->min);
    else if (!is_any && (o->type == OPTION_INT || o->type == OPTION_REAL || option_is_list(o)))
        format_range(o, "", range);
    fprintf(out, "# %s", o->help);
    if (*range)
        fprintf(out, " [%s]", range);
    if (!o->value) {
        fputs(" (required)", out);
        return;
    }
    print_origin(s, o, value, out);
}

static void print_section(const struct option_section *s, bool with_comments, FILE *out)
{
    enum { COMMENT_COLUMN = 40 };   /* a longer value pushes its own comment only */
    int indent = *s->name ? 2 : 0, width = 0;
    char value[OPTION_FORMAT_BYTES];
    for (int i = 0; i < s->n_options; i++) {
        option_format(&s->options[i], option_field(s, &s->options[i]), value);
        int w = indent + (int)(strlen(s->options[i].name) + strlen(": ") + strlen(value));
        width = w > width && w <= COMMENT_COLUMN ? w : width;
    }
    if (with_comments && s->help)
        fprintf(out, "# %s\n", s->help);
    if (*s->name)
        fprintf(out, "%s:\n", s->name);
    for (int i = 0; i < s->n_options; i++) {
        const struct option *o = &s->options[i];
        option_format(o, option_field(s, o), value);
        int used = fprintf(out, "%*s%s: %s", indent, "", o->name, value);
        if (with_comments && o->help) {
            fprintf(out, "%*s", used < width ? width - used + 2 : 2, "");
            print_comment(s, o, value, out);
        }
        fputc('\n', out);
    }
}

void options_print(const struct option_section *sections, int n_sections, bool with_comments,
                   FILE *out)
{
    bool is_first = true;
    for (int i = 0; i < n_sections; i++) {
        if (sections[i].is_hidden || sections[i].n_options == 0)
            continue;
        if (!is_first)
            fputc('\n', out);
        print_section(&sections[i], with_comments, out);
        is_first = false;
    }
}

/* ---- one section on a line ---- */

int options_print_line(const struct option_section *section, bool only_changed, char *out,
                       size_t bytes)
{
    assert(bytes > 0);
    out[0] = '\0';
    size_t used = 0;
    for (int i = 0; i < section->n_options; i++) {
        const struct option *o = &section->options[i];
        char value[OPTION_FORMAT_BYTES], standard[OPTION_FORMAT_BYTES];
        option_format(o, option_field(section, o), value);
        if (only_changed && o->value && strcmp(value, format_default(o, standard)) == 0)
            continue;
        used += (size_t)snprintf(out + used, bytes - used, "%s%s: %s", used ? ", " : "", o->name,
                                 value);
        if (used >= bytes) {
            out[0] = '\0';
            return -1;
        }
    }
    return (int)used;
}
