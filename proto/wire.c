#include "proto/wire.h"

#include <assert.h>
#include <msgpack.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* ---- writing ---- */

void wire_writer_init(struct wire_writer *w, unsigned char *data, size_t capacity)
{
    *w = (struct wire_writer){ .data = data, .capacity = capacity };
}

/* msgpack-c's callback. Never fails: what does not fit is counted, so that `size` tells. */
static int append(void *context, const char *data, size_t bytes)
{
    struct wire_writer *w = context;
    if (bytes > 0 && w->size <= w->capacity && bytes <= w->capacity - w->size)
        memcpy(w->data + w->size, data, bytes);
    w->size += bytes;
    return 0;
}

static msgpack_packer packer(struct wire_writer *w)
{
    msgpack_packer p;
    msgpack_packer_init(&p, w, append);
    return p;
}

void wire_write_map(struct wire_writer *w, size_t n_entries)
{
    msgpack_packer p = packer(w);
    msgpack_pack_map(&p, n_entries);
}

void wire_write_unsigned(struct wire_writer *w, uint64_t value)
{
    msgpack_packer p = packer(w);
    msgpack_pack_uint64(&p, value);
}

void wire_write_integer(struct wire_writer *w, int64_t value)
{
    msgpack_packer p = packer(w);
    msgpack_pack_int64(&p, value);
}

void wire_write_double(struct wire_writer *w, double value)
{
    msgpack_packer p = packer(w);
    msgpack_pack_double(&p, value);
}

void wire_write_bool(struct wire_writer *w, bool value)
{
    msgpack_packer p = packer(w);
    if (value)
        msgpack_pack_true(&p);
    else
        msgpack_pack_false(&p);
}

void wire_write_text(struct wire_writer *w, const char *text, size_t bytes)
{
    msgpack_packer p = packer(w);
    msgpack_pack_str(&p, bytes);
    msgpack_pack_str_body(&p, text, bytes);
}

void wire_write_bin(struct wire_writer *w, size_t bytes)
{
    assert(bytes <= UINT32_MAX);
    msgpack_packer p = packer(w);
    msgpack_pack_bin(&p, bytes);
}

void wire_write_body(struct wire_writer *w, const void *data, size_t bytes)
{
    append(w, data, bytes);
}

/* ---- reading ---- */

void wire_reader_init(struct wire_reader *r, const void *data, size_t bytes)
{
    r->at = data;
    r->end = r->at + bytes;
    r->problem[0] = '\0';
}

void wire_fail(struct wire_reader *r, const char *format, ...)
{
    if (wire_good(r)) {
        va_list args;
        va_start(args, format);
        vsnprintf(r->problem, sizeof(r->problem), format, args);
        va_end(args);
    }
    r->at = r->end;
}

/* What kind of value a first byte begins. */
static const char *kind_of(unsigned char head)
{
    static const char *const kinds[32] = {    /* 0xc0 ... 0xdf */
        "nil", "no MessagePack value (0xc1)", "a boolean", "a boolean", "a bin", "a bin", "a bin",
        "an ext", "an ext", "an ext", "a float", "a float", "an integer", "an integer",
        "an integer", "an integer", "an integer", "an integer", "an integer", "an integer",
        "an ext", "an ext", "an ext", "an ext", "an ext", "a text", "a text", "a text", "an array",
        "an array", "a map", "a map"
    };
    if (head <= 0x7f || head >= 0xe0)
        return "an integer";
    if (head <= 0x8f)
        return "a map";
    if (head <= 0x9f)
        return "an array";
    if (head <= 0xbf)
        return "a text";
    return kinds[head - 0xc0];
}

/* A big-endian number of n <= 8 bytes. */
static uint64_t take(struct wire_reader *r, size_t n)
{
    if (n > wire_left(r)) {
        wire_fail(r, "the message ends inside a number");
        return 0;
    }
    uint64_t value = 0;
    for (size_t i = 0; i < n; i++)
        value = value << 8 | *r->at++;
    return value;
}

/* The byte a value begins with. After a problem 0xc1, which begins none. */
static unsigned char take_head(struct wire_reader *r)
{
    if (wire_left(r) == 0) {
        wire_fail(r, "the message ends where a value should begin");
        return 0xc1;
    }
    return *r->at++;
}

size_t wire_read_map(struct wire_reader *r)
{
    unsigned char head = take_head(r);
    uint64_t n = 0;
    if ((head & 0xf0) == 0x80)
        n = head & 0x0f;
    else if (head == 0xde || head == 0xdf)
        n = take(r, head == 0xde ? 2 : 4);
    else
        wire_fail(r, "%s where a map belongs", kind_of(head));
    if (n * 2 > wire_left(r)) {
        wire_fail(r, "a map of %llu entries announced, %zu bytes left", (unsigned long long)n,
                  wire_left(r));
        return 0;
    }
    return (size_t)n;
}

/* An integer of any width: its low 64 bits in two's complement, and whether it is negative. */
static uint64_t read_any_integer(struct wire_reader *r, bool *negative)
{
    unsigned char head = take_head(r);
    *negative = false;
    if (head <= 0x7f)
        return head;
    if (head >= 0xcc && head <= 0xcf)
        return take(r, (size_t)1 << (head - 0xcc));
    if (head < 0xe0 && !(head >= 0xd0 && head <= 0xd3)) {
        wire_fail(r, "%s where an integer belongs", kind_of(head));
        return 0;
    }
    /* signed: fixint is its own byte; wider ones are extended from their top bit */
    size_t bytes = head >= 0xe0 ? 1 : (size_t)1 << (head - 0xd0);
    uint64_t value = head >= 0xe0 ? head : take(r, bytes);
    uint64_t sign = (uint64_t)1 << (8 * bytes - 1);
    *negative = (value & sign) != 0;
    return (value ^ sign) - sign;
}

uint64_t wire_read_unsigned(struct wire_reader *r)
{
    bool negative;
    uint64_t value = read_any_integer(r, &negative);
    if (negative) {
        wire_fail(r, "%lld is negative", (long long)value);
        return 0;
    }
    return value;
}

int64_t wire_read_integer(struct wire_reader *r)
{
    bool negative;
    uint64_t value = read_any_integer(r, &negative);
    if (!negative && value > INT64_MAX) {
        wire_fail(r, "%llu is too large", (unsigned long long)value);
        return 0;
    }
    return (int64_t)value;
}

double wire_read_double(struct wire_reader *r)
{
    unsigned char head = take_head(r);
    double value = 0;
    if (head == 0xca)
        wire_fail(r, "a float of 32 bits where one of 64 belongs");
    else if (head != 0xcb)
        wire_fail(r, "%s where a float belongs", kind_of(head));
    const uint64_t bits = wire_good(r) ? take(r, sizeof(value)) : 0;
    memcpy(&value, &bits, sizeof(value));
    return value;
}

bool wire_read_bool(struct wire_reader *r)
{
    unsigned char head = take_head(r);
    if (head != 0xc2 && head != 0xc3)
        wire_fail(r, "%s where a boolean belongs", kind_of(head));
    return head == 0xc3;
}

/* The `bytes` that were announced, or NULL. */
static const unsigned char *read_body(struct wire_reader *r, uint64_t announced, size_t *bytes)
{
    *bytes = 0;
    if (announced > wire_left(r))
        wire_fail(r, "%llu bytes announced, %zu left", (unsigned long long)announced,
                  wire_left(r));
    if (!wire_good(r))
        return NULL;
    const unsigned char *body = r->at;
    *bytes = (size_t)announced;
    r->at += announced;
    return body;
}

const char *wire_read_text(struct wire_reader *r, size_t *bytes)
{
    unsigned char head = take_head(r);
    uint64_t n = 0;
    if ((head & 0xe0) == 0xa0)
        n = head & 0x1f;
    else if (head >= 0xd9 && head <= 0xdb)
        n = take(r, (size_t)1 << (head - 0xd9));
    else
        wire_fail(r, "%s where a text belongs", kind_of(head));
    return (const char *)read_body(r, n, bytes);
}

const unsigned char *wire_read_bin(struct wire_reader *r, size_t *bytes)
{
    unsigned char head = take_head(r);
    uint64_t n = 0;
    if (head >= 0xc4 && head <= 0xc6)
        n = take(r, (size_t)1 << (head - 0xc4));
    else
        wire_fail(r, "%s where a bin belongs", kind_of(head));
    return read_body(r, n, bytes);
}

bool wire_text_is_printable(const char *text, size_t bytes)
{
    const unsigned char *s = (const unsigned char *)text;
    static const uint32_t smallest[5] = { 0, 0x20, 0xa0, 0x800, 0x10000 };    /* by length */
    for (size_t i = 0; i < bytes;) {
        unsigned char lead = s[i];
        size_t n = lead < 0x80 ? 1 : lead >= 0xc2 && lead <= 0xdf ? 2 : (lead & 0xf0) == 0xe0 ? 3
                 : lead >= 0xf0 && lead <= 0xf4 ? 4 : 0;
        if (n == 0 || n > bytes - i)
            return false;
        uint32_t code = n == 1 ? lead : lead & (0x7fu >> n);
        for (size_t j = 1; j < n; j++) {
            if ((s[i + j] & 0xc0) != 0x80)
                return false;
            code = code << 6 | (s[i + j] & 0x3fu);
        }
        if (code < smallest[n] || code == 0x7f || code > 0x10ffff
            || (code >= 0xd800 && code <= 0xdfff))
            return false;
        i += n;
    }
    return true;
}
