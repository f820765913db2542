/* Mutated messages: the decoder never crashes or reads outside the message, and whatever it
 * accepts has one encoding. SHOAL_FUZZ_SEED repeats a run, SHOAL_FUZZ_SECONDS sets its length. */
#include "proto/message.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "common/rng.h"
#include "tests/support.h"

enum { CAPACITY = 2048, N_SEEDS = N_MESSAGE_TYPES + 2, MAX_MUTATIONS = 5000000 };

struct input {
    unsigned char data[CAPACITY];
    size_t size;
};

/* ---- where mutations begin ---- */

static const uint32_t some_u32[2] = { 64, 65 };
static const int64_t some_i64[2] = { 3, 4 };
static const unsigned char some_saved[2] = { 1, 0 };
static const double some_f64[2] = { 1.5, -2.5 };
static const float some_rows[3][6] = {
    { 1, 2, 3, 4, 5, 0 }, { 6, 7, 8, 9, 10, 2 }, { 11, 12, 0, 0, 0, 3 } };

#define BYTES(array) (struct bytes){ (const unsigned char *)(array), sizeof(array) }

static struct message valid_message(enum message_type type)
{
    struct message m;
    message_init(&m, type);
    switch (type) {
    case MESSAGE_HELLO:
        m.hello = (struct hello){ 1, 1, "actor-1", "shoal 0.1.0", "x86-64", "0123456789abcdef" };
        break;
    case MESSAGE_WELCOME:
        m.welcome = (struct welcome){
            1, 2, 3, 4, 1, "sac", "sync", "Pendulum-v1", "0123456789abcdef", "frame_skip: 2", 3, 1, 0, 64,
            BYTES(some_u32), BYTES(some_u32), BYTES(some_i64), BYTES(some_saved), BYTES(some_f64), 1, 9, 2, 1000, 5000, 60000, 5555,
            "gaussian_of_state", "relu", BYTES(some_u32), true, "ornstein_uhlenbeck", 0.25, 0.15, 0.01, true,
            true, true, "gamma: 0.5, form: nstep", true, true };
        break;
    case MESSAGE_GRADIENT:
        m.gradient = (struct gradient_header){
            1, 2, 3, 4, 5, 6, 7, 20, 0xfeedface, 90, "", BYTES(some_f64), BYTES(some_u32), BYTES(some_f64),
            BYTES(some_f64), BYTES(some_rows) };
        break;
    case MESSAGE_REJECT:
        m.reject = (struct reject){ 7, "fragment", "gap", "4 where 3 belongs", true, 1, 4 };
        break;
    case MESSAGE_WANT:
        m.want = (struct want){ 1, 2, 3, -1, 4 };
        break;
    case MESSAGE_FRAGMENT:
        m.fragment = (struct fragment_header){
            1, 2, 3, 4, 5, 6, 7, 2, 1, 2, 3, 0xfeedface, 90, BYTES(some_f64), BYTES(some_u32),
            BYTES(some_i64), BYTES(some_rows) };
        break;
    case MESSAGE_ACK:
        m.ack = (struct ack){ 1, 2, 3, 4, 5, 7, 8, 6, BYTES(some_i64) };
        break;
    case MESSAGE_SNAPSHOT:
        m.snapshot = (struct snapshot){ 1, 2, 3, true, 4, BYTES(some_rows) };
        break;
    case MESSAGE_HEARTBEAT:
        m.heartbeat = (struct heartbeat){ 1, 2, 3, 4, 5, 6, 7, 8, BYTES(some_i64), -1, -1, -1, -1, -1, "" };
        break;
    case MESSAGE_DRAIN:
        m.drain = (struct drain){ 1, 2, "finished" };
        break;
    default:
        m.bye = (struct bye){ 1, 2, 3, "stopped" };
    }
    return m;
}

/* One of each type, an actor's HEARTBEAT, and a FRAGMENT without its optional fields. */
static void make_seeds(struct input seeds[N_SEEDS])
{
    for (int i = 0; i < N_SEEDS; i++) {
        bool actors = i == N_MESSAGE_TYPES, bare = i == N_MESSAGE_TYPES + 1;
        struct message m = valid_message(actors ? MESSAGE_HEARTBEAT : bare ? MESSAGE_FRAGMENT
                                         : (enum message_type)i);
        if (actors)
            m.heartbeat = (struct heartbeat){ 1, 2, 3, -1, -1, -1, -1, -1, { NULL, 0 }, 99, 7, 3, 80, 90, "acting" };
        if (bare) {
            m.fragment.age_ms = -1;
            m.fragment.returns = m.fragment.lengths = m.fragment.state = (struct bytes){ NULL, 0 };
        }
        seeds[i].size = message_encode(&m, seeds[i].data, CAPACITY);
        ck_assert_uint_gt(seeds[i].size, 0);
        ck_assert_ptr_null(message_decode(&m, seeds[i].data, seeds[i].size));
    }
}

/* ---- mutations ---- */

static size_t below(struct rng *rng, size_t n) { return rng_u32(rng) % n; }

/* Move what stands at `at + from` and behind to `at + to`. */
static void shift(struct input *in, size_t at, size_t from, size_t to)
{
    memmove(in->data + at + to, in->data + at + from, in->size - at - from);
    in->size = in->size - from + to;
}

static void mutate(struct rng *rng, struct input *in, const struct input *other)
{
    static const unsigned char heads[] = {
        0x00, 0x7f, 0x80, 0x8f, 0x90, 0x9f, 0xa0, 0xbf, 0xc0, 0xc1, 0xc2, 0xc3, 0xc4, 0xc5, 0xc6,
        0xc7, 0xca, 0xcb, 0xcc, 0xcd, 0xce, 0xcf, 0xd0, 0xd1, 0xd2, 0xd3, 0xd4, 0xd9, 0xda, 0xdb,
        0xdc, 0xdd, 0xde, 0xdf, 0xe0, 0xff };
    if (in->size == 0)
        return;
    size_t at = below(rng, in->size), n = 1 + below(rng, 12), from = below(rng, other->size);
    if (n > in->size - at)
        n = in->size - at;
    switch (below(rng, 9)) {
    case 0: in->data[at] ^= (unsigned char)(1u << below(rng, 8)); break;
    case 1: in->data[at] = (unsigned char)rng_u32(rng); break;
    case 2: in->data[at] = heads[below(rng, sizeof(heads))]; break;
    case 3: in->data[at]++; break;
    case 4: memset(in->data + at, below(rng, 2) ? 0xff : 0, n); break;
    case 5: shift(in, at, n, 0); break;     /* cut out */
    case 6:                                 /* double */
        if (in->size + n <= CAPACITY)
            shift(in, at, 0, n);
        break;
    case 7:                                 /* overwrite with a piece of another message */
        if (n > other->size - from)
            n = other->size - from;
        memcpy(in->data + at, other->data + from, n);
        break;
    default:
        if (below(rng, 8) == 0)
            in->size = at;
    }
}

/* ---- the property ---- */

static bool one_encoding(const struct message *m, size_t size)
{
    static unsigned char once[CAPACITY], twice[CAPACITY];
    struct message back;
    size_t n = message_encode(m, once, sizeof(once));
    return n > 0 && n <= size    /* msgpack-c takes the shortest forms */
        && message_decode(&back, once, n) == NULL && back.type == m->type
        && message_encode(&back, twice, sizeof(twice)) == n && memcmp(once, twice, n) == 0;
}

/* Decode at the end of a block, so that a sanitizer sees reads behind it. Whether all is well. */
static bool try_input(unsigned char *block, const struct input *in, long *n_accepted)
{
    struct message m;
    unsigned char *data = block + CAPACITY - in->size;
    memcpy(data, in->data, in->size);
    const char *problem = message_decode(&m, data, in->size);
    if (problem)
        return problem[0] != '\0' && strlen(problem) < 256;
    ++*n_accepted;
    return one_encoding(&m, in->size);
}

static void fail_with(const struct input *in, uint64_t seed, long i)
{
    printf("seed %llu, mutation %ld:", (unsigned long long)seed, i);
    for (size_t j = 0; j < in->size; j++)
        printf(" %02x", in->data[j]);
    printf("\n");
    fflush(stdout);
    ck_abort_msg("accepted without having one encoding");
}

START_TEST(mutated_messages_are_refused_or_have_one_encoding)
{
    const char *wish = getenv("SHOAL_FUZZ_SEED"), *seconds = getenv("SHOAL_FUZZ_SECONDS");
    uint64_t seed = wish ? strtoull(wish, NULL, 10) : (uint64_t)time(NULL);
    double limit_s = seconds ? strtod(seconds, NULL) : 3.0;
    printf("SHOAL_FUZZ_SEED=%llu\n", (unsigned long long)seed);
    fflush(stdout);

    static struct input seeds[N_SEEDS];
    make_seeds(seeds);
    struct rng rng;
    rng_init(&rng, seed, RNG_TEST, 0, 0);
    unsigned char *block = malloc(CAPACITY);
    long n_accepted = 0, i = 0;
    clock_t begin = clock();
    for (; seconds || i < MAX_MUTATIONS; i++) {
        if (i % 4096 == 0 && (double)(clock() - begin) > limit_s * CLOCKS_PER_SEC)
            break;
        struct input in = seeds[below(&rng, N_SEEDS)];
        size_t n_mutations = 1 + below(&rng, 1 + below(&rng, 8));    /* few, mostly */
        for (size_t k = 0; k < n_mutations; k++)
            mutate(&rng, &in, &seeds[below(&rng, N_SEEDS)]);
        if (!try_input(block, &in, &n_accepted))
            fail_with(&in, seed, i);
    }
    free(block);
    printf("%ld mutations, %ld accepted\n", i, n_accepted);
    ck_assert_int_gt(n_accepted, i / 100);    /* else the mutations are too wild to tell much */
}
END_TEST

START_TEST(random_bytes_are_refused)
{
    struct rng rng;
    rng_init(&rng, 1, RNG_TEST, 0, 0);
    unsigned char *block = malloc(CAPACITY);
    bool is_refused = true;
    for (int i = 0; i < 200000; i++) {
        size_t size = below(&rng, 64);
        unsigned char *data = block + CAPACITY - size;
        for (size_t j = 0; j < size; j++)
            data[j] = (unsigned char)rng_u32(&rng);
        if (size > 0 && below(&rng, 2))
            data[0] = (unsigned char)(0x80 | below(&rng, 16));
        struct message m;
        is_refused &= message_decode(&m, data, size) != NULL;
    }
    free(block);
    ck_assert(is_refused);
}
END_TEST

int main(void)
{
    const TTest *tests[] = {
        mutated_messages_are_refused_or_have_one_encoding, random_bytes_are_refused,
    };
    return suite_run("message_fuzz", tests, TEST_COUNT(tests), 600);
}
