#include "learner/schedule.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "common/arena.h"
#include "common/rng.h"
#include "tests/support.h"

enum { N = 2000, STREAMS = 6, HORIZON = 16 };

struct file {
    unsigned char data[SCHEDULE_HEADER_BYTES + N * SCHEDULE_MAX_RECORD_BYTES];
    size_t size, ends[N + 1];       /* ends[i]: behind the first i records */
};

static void write_file(struct file *f, const struct schedule_record *r, int n)
{
    struct schedule_codec *c = schedule_codec_create(STREAMS, HORIZON);
    f->size = f->ends[0] = schedule_encode_header(c, f->data);
    for (int i = 0; i < n; i++)
        f->ends[i + 1] = f->size += schedule_encode(c, &r[i], f->data + f->size);
    schedule_codec_destroy(&c);
}

static bool equal(const struct schedule_record *a, const struct schedule_record *b)
{
    return a->kind == b->kind && a->update == b->update && a->stream == b->stream && a->life == b->life
        && a->sequence == b->sequence && a->version == b->version && a->n_transitions == b->n_transitions
        && a->n_used == b->n_used;
}

/* Any records at all. */
static struct schedule_record any_record(struct rng *g)
{
    const bool is_wild = rng_below(g, 8) == 0;
    struct schedule_record r = {
        .kind = (enum schedule_kind)rng_below(g, 2), .update = rng_below(g, 100), .stream = (uint32_t)rng_below(g, STREAMS),
        .life = (uint32_t)rng_below(g, 3), .sequence = rng_below(g, 5), .version = rng_below(g, 100),
        .n_transitions = (uint32_t)rng_below(g, HORIZON + 1),
    };
    r.n_used = (uint32_t)rng_below(g, r.n_transitions + 1);
    if (is_wild) {
        r.update = rng_below(g, UINT64_MAX);
        r.life = (uint32_t)rng_below(g, UINT64_MAX);
        r.sequence = rng_below(g, UINT64_MAX);
        r.version = rng_below(g, UINT64_MAX);
    }
    if (rng_below(g, 5) == 0) {
        r.kind = (enum schedule_kind)(SCHEDULE_BEGIN + rng_below(g, 4));
        r.stream = r.n_transitions = 0;
    }
    return r;
}

/* As an async run has them: streams in disorder, updates that move on, versions some updates behind. */
static void usual_records(struct schedule_record *r, struct rng *g)
{
    uint64_t update = 0, sequence[STREAMS] = { 0 };
    for (int i = 0; i < N; i++) {
        const uint32_t stream = (uint32_t)rng_below(g, STREAMS);
        update += rng_below(g, 40);
        r[i] = (struct schedule_record){ .kind = SCHEDULE_FRAGMENT, .update = update, .stream = stream,
                                         .sequence = sequence[stream]++, .version = update > 300 ? update - rng_below(g, 300) : 0,
                                         .n_transitions = HORIZON, .n_used = HORIZON };
    }
}

START_TEST(whatever_is_written_is_read)
{
    struct rng g;
    struct schedule_record *r = memory_alloc(N, sizeof(*r)), found;
    struct file *f = memory_alloc(1, sizeof(*f));
    struct schedule_reader s;
    for (uint32_t run = 0; run < 20; run++) {
        rng_init(&g, 1, RNG_TEST, run, 0);
        for (int i = 0; i < N; i++)
            r[i] = any_record(&g);
        write_file(f, r, N);
        schedule_reader_init(&s, f->data, f->size);
        ck_assert_uint_eq(s.n_streams, STREAMS);
        ck_assert_uint_eq(s.horizon, HORIZON);
        for (int i = 0; i < N; i++) {
            ck_assert_msg(schedule_read(&s, &found), "record %d: %s", i, s.problem);
            ck_assert_msg(equal(&r[i], &found), "record %d is another one", i);
            ck_assert_uint_eq(s.at, f->ends[i + 1]);
        }
        ck_assert(!schedule_read(&s, &found));
        ck_assert(!s.problem && !s.is_torn);
        ck_assert_int_eq(s.n_records, N);
        schedule_reader_fini(&s);
    }
    free(f);
    free(r);
}
END_TEST

/* By hand, from the format in schedule.c. */
START_TEST(bytes_are_as_the_format_says)
{
    const struct schedule_record r[] = {
        { SCHEDULE_BEGIN, .life = 1, .sequence = 300 },
        { SCHEDULE_FRAGMENT, .n_transitions = 16, .n_used = 16 },
        { SCHEDULE_FRAGMENT, .stream = 1, .n_transitions = 16, .n_used = 16 },
        { SCHEDULE_FRAGMENT, 200, 0, 0, 1, 150, 16, 16 },
        { SCHEDULE_FRAGMENT, 200, 5, 2, 0, 149, 7, 0 },
        { SCHEDULE_GRADIENT, 200, 0, 0, 2, 149, 16, 16 },
        { SCHEDULE_SAVE, .update = 201 },
        { SCHEDULE_RETURN, .update = 202, .version = 201, .n_used = 1 },
        { SCHEDULE_BEGIN, .update = 201, .life = 2, .sequence = 5, .version = 1 },
        { SCHEDULE_END, .update = 201, .n_used = 1 },
    };
    const unsigned char expected[] = {
        0x82, 0, 1, 0xac, 0x02, 0, 0,
        0x00,
        0x00,
        0x0b, 0xc8, 0x01, 0, 0xac, 0x02,              /* stream 2 would have been next; version + 150 */
        0x3e, 5, 4, 0, 0x01, 7, 0,                    /* life + 2, version - 1, 7 transitions, none used */
        0x40,                                         /* stream 0, behind the last one */
        0x83, 2, 0, 0, 0, 0,
        0x84, 2, 0, 0, 0xc9, 0x01, 1,
        0x82, 1, 2, 5, 1, 0,
        0x85, 0, 0, 0, 0, 1,
    };
    struct file *f = memory_alloc(1, sizeof(*f));
    write_file(f, r, TEST_COUNT(r));
    ck_assert_mem_eq(f->data, "shoal-schedule-2\6\0\0\0\20\0\0\0", SCHEDULE_HEADER_BYTES);
    ck_assert_uint_eq(f->size, SCHEDULE_HEADER_BYTES + sizeof(expected));
    ck_assert_mem_eq(f->data + SCHEDULE_HEADER_BYTES, expected, sizeof(expected));
    free(f);
}
END_TEST

START_TEST(a_usual_record_takes_at_most_six_bytes)
{
    struct rng g;
    struct schedule_record *r = memory_alloc(N, sizeof(*r));
    struct file *f = memory_alloc(1, sizeof(*f));
    rng_init(&g, 2, RNG_TEST, 0, 0);
    usual_records(r, &g);
    write_file(f, r, N);
    ck_assert_msg(f->size <= 6 * N, "%.2f bytes a record", (double)f->size / N);
    free(f);
    free(r);
}
END_TEST

START_TEST(a_tail_cut_anywhere_costs_its_record_alone)
{
    struct rng g;
    struct schedule_record r[60], found;
    struct file *f = memory_alloc(1, sizeof(*f));
    struct schedule_reader s;
    rng_init(&g, 3, RNG_TEST, 0, 0);
    for (size_t i = 0; i < TEST_COUNT(r); i++)
        r[i] = any_record(&g);
    write_file(f, r, TEST_COUNT(r));
    int whole = 0;
    for (size_t size = SCHEDULE_HEADER_BYTES; size <= f->size; size++) {
        /* A block of its own, for the sanitizer. */
        unsigned char *data = memory_alloc(size, 1);
        memcpy(data, f->data, size);
        whole += f->ends[whole + 1] == size && size > SCHEDULE_HEADER_BYTES;
        schedule_reader_init(&s, data, size);
        while (schedule_read(&s, &found))
            ck_assert(equal(&found, &r[s.n_records - 1]));
        ck_assert_int_eq(s.n_records, whole);
        ck_assert(!s.problem);
        ck_assert_int_eq(s.is_torn, size != f->ends[whole]);
        ck_assert_uint_eq(s.at, f->ends[whole]);
        schedule_reader_fini(&s);
        free(data);
    }
    ck_assert_int_eq(whole, TEST_COUNT(r));
    free(f);
}
END_TEST

/* What was read leaves the codec where writing goes on, wherever it was cut. */
START_TEST(a_file_cut_back_goes_on_consistently)
{
    struct rng g;
    struct schedule_record *r = memory_alloc(N, sizeof(*r)), found;
    struct file *f = memory_alloc(1, sizeof(*f)), *cut = memory_alloc(1, sizeof(*cut));
    struct schedule_reader s;
    rng_init(&g, 4, RNG_TEST, 0, 0);
    for (int i = 0; i < N; i++)
        r[i] = any_record(&g);
    write_file(f, r, N);
    for (int kept = 0; kept < N; kept += 97) {
        memcpy(cut->data, f->data, f->ends[kept]);
        cut->size = f->ends[kept];
        schedule_reader_init(&s, cut->data, cut->size);
        while (schedule_read(&s, &found))
            ;
        for (int i = 0; i < 5; i++)
            cut->size += schedule_encode(s.codec, &r[N - 1 - i], cut->data + cut->size);
        schedule_reader_fini(&s);
        schedule_reader_init(&s, cut->data, cut->size);
        for (int i = 0; i < kept + 5; i++) {
            ck_assert(schedule_read(&s, &found));
            ck_assert(equal(&found, i < kept ? &r[i] : &r[N - 1 - (i - kept)]));
        }
        ck_assert(!schedule_read(&s, &found) && !s.problem && !s.is_torn);
        schedule_reader_fini(&s);
    }
    free(cut);
    free(f);
    free(r);
}
END_TEST

START_TEST(what_cannot_be_is_said_and_ends_the_reading)
{
    static const struct { const char *bytes; size_t n; const char *says; } cases[] = {
        { "\x02\x06", 2, "stream" },                                         /* of 0 to 5 */
        { "\x10\x11", 2, "horizon" },
        { "\x30\x03\x04", 3, "more of a fragment" },
        { "\x04\x01\x00", 3, "life" },                                       /* life -1 */
        { "\x86", 1, "known kind" }, { "\x80", 1, "known kind" }, { "\xff", 1, "known kind" },
        { "\x01\xff\xff\xff\xff\xff\xff\xff\xff\xff\x02", 11, "64 bits" },
        { "\x01\xff\xff\xff\xff\xff\xff\xff\xff\xff\x80\x00", 12, "64 bits" },
        { "\x82\x00\x80\x80\x80\x80\x10\x00\x00\x00", 10, "epoch" },
    };
    for (size_t i = 0; i < TEST_COUNT(cases); i++) {
        unsigned char data[SCHEDULE_HEADER_BYTES + 16] = "shoal-schedule-2\6\0\0\0\20\0\0\0";
        struct schedule_reader s;
        struct schedule_record r;
        memcpy(data + SCHEDULE_HEADER_BYTES + 1, cases[i].bytes, cases[i].n);    /* behind a whole record */
        schedule_reader_init(&s, data, SCHEDULE_HEADER_BYTES + 1 + cases[i].n);
        ck_assert(schedule_read(&s, &r));
        ck_assert_msg(!schedule_read(&s, &r) && s.problem && strstr(s.problem, cases[i].says), "case %zu: %s", i, s.problem);
        ck_assert_uint_eq(s.at, SCHEDULE_HEADER_BYTES + 1);
        ck_assert(!schedule_read(&s, &r) && !s.is_torn);
        schedule_reader_fini(&s);
    }
}
END_TEST

START_TEST(a_header_that_is_none_is_refused)
{
    static const char *const headers[] = {
        "shoal-schedule-1\6\0\0\0\20\0\0\0", "shoal-schedule-2\0\0\0\0\20\0\0\0", "shoal-schedule-2\6\0\0\0\0\0\0\0",
        "shoal-schedule-2\1\0\20\0\20\0\0\0",    /* a stream more than there can be */
    };
    struct schedule_reader s;
    struct schedule_record r;
    for (size_t i = 0; i < TEST_COUNT(headers); i++) {
        schedule_reader_init(&s, headers[i], SCHEDULE_HEADER_BYTES);
        ck_assert_msg(s.problem && !schedule_read(&s, &r), "header %zu", i);
        schedule_reader_fini(&s);
    }
    schedule_reader_init(&s, "shoal-schedule-2\6\0\0\0\20\0\0", SCHEDULE_HEADER_BYTES - 1);
    ck_assert(s.problem);
    schedule_reader_fini(&s);
}
END_TEST

/* SHOAL_FUZZ_SECONDS sets its length. */
START_TEST(damaged_files_are_read_within_their_bounds_and_the_same_every_time)
{
    const char *asked = getenv("SHOAL_FUZZ_SECONDS");
    const time_t until = time(NULL) + (asked ? strtol(asked, NULL, 10) : 1);
    struct rng g;
    struct schedule_record r[40], found;
    struct file *f = memory_alloc(1, sizeof(*f));
    rng_init(&g, 5, RNG_TEST, 0, 0);
    for (int64_t round = 0; time(NULL) < until || round < 1000; round++) {
        for (size_t i = 0; i < TEST_COUNT(r); i++)
            r[i] = any_record(&g);
        write_file(f, r, TEST_COUNT(r));
        const size_t size = 1 + rng_below(&g, f->size);
        unsigned char *data = memory_alloc(size, 1);
        memcpy(data, f->data, size);
        for (uint64_t k = rng_below(&g, 6); k > 0; k--)
            data[rng_below(&g, size)] = (unsigned char)rng_below(&g, 256);
        uint64_t sums[2] = { 0, 0 };
        for (int again = 0; again < 2; again++) {
            struct schedule_reader s;
            schedule_reader_init(&s, data, size);
            while (schedule_read(&s, &found)) {
                ck_assert_uint_lt(found.stream, s.n_streams);
                ck_assert_uint_le(found.n_transitions, s.horizon);
                ck_assert_uint_le(found.n_used, found.kind <= SCHEDULE_GRADIENT ? found.n_transitions : UINT32_MAX);
                ck_assert_int_lt(found.kind, SCHEDULE_KINDS);
                sums[again] = sums[again] * 31 + found.update + found.stream + found.life + found.sequence + found.version;
            }
            ck_assert_uint_le(s.at, s.size);
            schedule_reader_fini(&s);
        }
        ck_assert_uint_eq(sums[0], sums[1]);
        free(data);
    }
    free(f);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        whatever_is_written_is_read,
        bytes_are_as_the_format_says,
        a_usual_record_takes_at_most_six_bytes,
        a_tail_cut_anywhere_costs_its_record_alone,
        a_file_cut_back_goes_on_consistently,
        what_cannot_be_is_said_and_ends_the_reading,
        a_header_that_is_none_is_refused,
        damaged_files_are_read_within_their_bounds_and_the_same_every_time,
    };
    return suite_run("schedule", tests, TEST_COUNT(tests), 60);
}
