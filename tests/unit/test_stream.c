/* Streams of Pendulum-v1 (episodes of 200 steps) beside a bare environment that is stepped with the
 * same actions: every row must say what happened there. */
#include "actor/stream.h"

#include <math.h>
#include <string.h>

#include "common/digest.h"
#include "tests/support.h"

enum { LIMIT = 200, STRIDE = 7, N_OBS = 3, MAX_HORIZON = 450 };
static const struct row_shape shape = { N_OBS, 1 };
static const uint64_t SEED = 42;

/* A stream, and what it should do. */
struct side {
    struct env_model *model;
    struct arena *arena;
    struct frame_pool *frames;
    struct stream stream;
    struct env *env;               /* the reference */
    struct rng reset_rng;
    float obs[N_OBS];              /* of the reference, where the next action is taken */
};

static void side_create(struct side *s, int horizon, int64_t number, int64_t life)
{
    struct error err;
    memset(s, 0, sizeof(*s));
    ck_assert_int_eq(env_open(&s->model, &(struct env_setup){ .name = "Pendulum-v1", .models_dir = NULL }, &err), 0);
    s->arena = arena_create(1 << 16);
    s->frames = frame_pool_create(stream_frame_bytes(s->model, horizon));
    stream_init(&s->stream, s->model, horizon, s->arena);
    stream_start(&s->stream, SEED, number, life);
    s->env = env_create(s->model);
    rng_init(&s->reset_rng, SEED, RNG_RESET, (uint32_t)number, (uint32_t)life);
    env_reset(s->env, &s->reset_rng, s->obs);
}

static void side_destroy(struct side *s)
{
    stream_fini(&s->stream);
    env_destroy(&s->env);
    frame_pool_destroy(&s->frames);
    env_close(&s->model);
    arena_destroy(&s->arena);
}

/* Act as the actor core does: from the stream's own sequence, log_prob beside the action. */
static void act(struct stream *s)
{
    float *row = stream_row(s);
    row[row_act(shape)] = (float)rng_uniform(&s->action_rng, -1.5, 1.5);
    row[row_log_prob(shape)] = -0.25f;
    ck_assert(!stream_step(s));
}

/* Collect a fragment; its description borrows from the stream until the next one. */
static struct fragment_header collect(struct side *s)
{
    struct fragment_header h = { 0 };
    stream_begin(&s->stream, frame_pool_take(s->frames), 7000000);
    while (!stream_is_complete(&s->stream)) {
        ck_assert(stream_is_open(&s->stream));
        act(&s->stream);
    }
    stream_describe(&s->stream, &h, 7123999);
    ck_assert_int_eq(stream_save(&s->stream, &h.state), 0);
    return h;
}

static void let_go(struct side *s)
{
    frame_release(stream_take(&s->stream));
    ck_assert(!stream_is_open(&s->stream) && !stream_is_complete(&s->stream));
}

static const float *row_of(const struct fragment_header *h, int i)
{
    return (const float *)(const void *)h->rows.data + (size_t)i * STRIDE;
}

/* Row i is CLOSE and carries this observation. */
static void expect_close(const struct fragment_header *h, int i, const float *obs)
{
    static const float rest[] = { 0, 0, 0, ROW_CLOSE };
    ck_assert_int_lt(i, h->n_rows);
    ck_assert_mem_eq(row_of(h, i), obs, N_OBS * sizeof(float));
    ck_assert_mem_eq(row_of(h, i) + N_OBS, rest, sizeof(rest));
}

/* Step the reference through a fragment and compare everything. Returns how many episodes ended. */
static int check_against_reference(struct side *s, const struct fragment_header *h)
{
    int i = 0, n_episodes = 0;
    for (int t = 0; t < h->n_transitions; t++) {
        struct env_outcome outcome;
        const float *row = row_of(h, i++);
        ck_assert_mem_eq(row, s->obs, sizeof(s->obs));
        env_step(s->env, row + row_act(shape), s->obs, &outcome);
        ck_assert(row[row_reward(shape)] == (float)outcome.reward);
        ck_assert(row[row_log_prob(shape)] == -0.25f);
        ck_assert_int_eq(row_kind_of(shape, row), outcome.kind);
        if (outcome.kind == ROW_STEP)
            continue;
        ck_assert_double_eq(bytes_f64(h->returns, (size_t)n_episodes), outcome.episode_return);
        ck_assert_int_eq(bytes_u32(h->lengths, (size_t)n_episodes), outcome.episode_length);
        n_episodes++;
        expect_close(h, i++, s->obs);
        env_reset(s->env, &s->reset_rng, s->obs);
    }
    if (row_kind_of(shape, row_of(h, i - 1)) != ROW_CLOSE)
        expect_close(h, i++, s->obs);
    ck_assert_int_eq(i, h->n_rows);
    ck_assert_uint_eq(h->returns.size, (size_t)n_episodes * sizeof(double));
    ck_assert_uint_eq(h->lengths.size, (size_t)n_episodes * sizeof(uint32_t));
    return n_episodes;
}

/* One step, several fragments an episode, an end inside, one exactly at the end, several. */
static const int horizons[] = { 1, 7, 40, 199, LIMIT, 201, 2 * LIMIT, MAX_HORIZON };

START_TEST(rows_say_what_the_environment_did)
{
    for (size_t k = 0; k < TEST_COUNT(horizons); k++) {
        struct side s;
        int n_episodes = 0, T = horizons[k], n_fragments = 900 / T + 2;
        side_create(&s, T, 3, 1);
        for (int f = 0; f < n_fragments; f++) {
            struct fragment_header h = collect(&s);
            const char *wrong = row_check(shape, h.rows.data, (int)h.n_rows, T);
            ck_assert_msg(wrong == NULL, "T %d, fragment %d: %s", T, f, wrong);
            n_episodes += check_against_reference(&s, &h);
            let_go(&s);
        }
        ck_assert_int_eq(n_episodes, n_fragments * T / LIMIT);
        side_destroy(&s);
    }
}
END_TEST

START_TEST(a_time_limit_truncates_and_is_closed_once)
{
    struct side s;
    side_create(&s, LIMIT, 0, 0);
    for (int f = 0; f < 3; f++) {
        struct fragment_header h = collect(&s);
        ck_assert_int_eq(h.n_rows, LIMIT + 1);
        for (int i = 0; i < LIMIT; i++)
            ck_assert_int_eq(row_kind_of(shape, row_of(&h, i)),
                             i + 1 < LIMIT ? ROW_STEP : ROW_TRUNCATED);
        ck_assert_int_eq(row_kind_of(shape, row_of(&h, LIMIT)), ROW_CLOSE);
        ck_assert_int_eq(bytes_u32(h.lengths, 0), LIMIT);
        let_go(&s);
    }
    side_destroy(&s);
}
END_TEST

START_TEST(a_fragment_begins_where_the_one_before_it_ended)
{
    struct side s;
    float last[N_OBS];
    side_create(&s, 7, 0, 0);
    for (int f = 0; f < 20; f++) {
        struct fragment_header h = collect(&s);
        if (f)
            ck_assert_mem_eq(row_of(&h, 0), last, sizeof(last));
        memcpy(last, row_of(&h, (int)h.n_rows - 1), sizeof(last));
        let_go(&s);
    }
    side_destroy(&s);
}
END_TEST

START_TEST(returns_are_those_of_whole_episodes_across_fragments)
{
    struct side s;
    double sum = 0;
    int n = 0;
    side_create(&s, 7, 0, 0);
    for (int f = 0; f < 100; f++) {
        struct fragment_header h = collect(&s);
        for (int i = 0; i < h.n_rows; i++) {
            sum += (double)row_of(&h, i)[row_reward(shape)];
            if (row_kind_of(shape, row_of(&h, i)) != ROW_TRUNCATED)
                continue;
            ck_assert_double_eq_tol(bytes_f64(h.returns, 0), sum, 1e-3);
            sum = 0;
            n++;
        }
        let_go(&s);
    }
    ck_assert_int_eq(n, 3);
    side_destroy(&s);
}
END_TEST

START_TEST(a_description_holds_the_books_of_the_fragment)
{
    struct side s;
    side_create(&s, 16, 5, 2);
    s.stream.sequence = 9;
    for (int64_t sequence = 9; sequence < 12; sequence++) {
        struct fragment_header h = collect(&s);
        ck_assert(h.stream == 5 && h.life == 2 && h.sequence == sequence);
        ck_assert(h.n_obs == N_OBS && h.n_act == 1 && h.n_transitions == 16 && h.age_ms == 123);
        ck_assert_uint_eq(h.rows.size, (size_t)h.n_rows * STRIDE * sizeof(float));
        ck_assert_int_eq(h.checksum, digest_crc32(h.rows.data, h.rows.size));
        ck_assert_uint_eq(h.state.size, stream_state_bytes(s.model));
        let_go(&s);
    }
    side_destroy(&s);
}
END_TEST

/* The longest message: every transition ends an episode, as far as sizes go. */
START_TEST(a_frame_has_room_for_the_header_in_front_of_the_rows)
{
    struct side s;
    struct message m, read;
    side_create(&s, MAX_HORIZON, 0, 0);
    struct fragment_header h = collect(&s);
    message_init(&m, MESSAGE_FRAGMENT);
    m.fragment = h;
    m.fragment.run = UINT64_MAX;
    m.fragment.incarnation = UINT64_MAX;
    m.fragment.epoch = m.fragment.sequence = m.fragment.version = (int64_t)1 << 53;
    m.fragment.returns.size = MAX_HORIZON * sizeof(double);
    m.fragment.lengths.size = MAX_HORIZON * sizeof(uint32_t);
    for (int i = 0; i < MAX_HORIZON; i++)
        s.stream.lengths[i] = LIMIT;
    unsigned char *buffer = frame_buffer(s.stream.frame), *rows = buffer + s.stream.room;
    ck_assert_ptr_eq(rows, h.rows.data);
    unsigned char *begin = message_encode_before(&m, rows);
    ck_assert(begin >= buffer);
    ck_assert_uint_le(s.stream.room + 2 * MAX_HORIZON * STRIDE * sizeof(float),
                      frame_capacity(s.stream.frame));
    const char *wrong = message_decode(&read, begin, (size_t)(rows - begin) + h.rows.size);
    ck_assert_msg(wrong == NULL, "%s", wrong);
    ck_assert_mem_eq(read.fragment.rows.data, h.rows.data, h.rows.size);
    let_go(&s);
    side_destroy(&s);
}
END_TEST

/* ---- fragments that end where episodes end ---- */

START_TEST(whole_episodes_end_fragments_where_they_end)
{
    for (size_t k = 0; k < TEST_COUNT(horizons); k++) {
        struct side s;
        int T = horizons[k], n_episodes = 0, elapsed = 0;
        side_create(&s, T, 3, 1);
        s.stream.whole_episodes = true;
        for (int f = 0; f < 900 / T + 6; f++) {
            struct fragment_header h = collect(&s);
            int left = LIMIT - elapsed, expected = T < left ? T : left;
            ck_assert_int_eq(h.n_transitions, expected);
            ck_assert_int_eq(h.n_rows, expected + 1);
            ck_assert_ptr_null(row_check(shape, h.rows.data, (int)h.n_rows, expected));
            n_episodes += check_against_reference(&s, &h);
            elapsed = (elapsed + expected) % LIMIT;
            ck_assert_int_eq(h.returns.size == sizeof(double), elapsed == 0);
            let_go(&s);
        }
        ck_assert_int_gt(n_episodes, 2);
        side_destroy(&s);
    }
}
END_TEST

/* ---- streams that are stepped together ---- */

enum { N_TOGETHER = 37 };

/* As `act`, of all streams that have not completed their fragment. */
static void act_together(struct side *sides)
{
    struct stream *open[N_TOGETHER], *broken[N_TOGETHER];
    int n = 0;
    for (int i = 0; i < N_TOGETHER; i++) {
        struct stream *s = &sides[i].stream;
        if (stream_is_complete(s))
            continue;
        float *row = stream_row(s);
        row[row_act(shape)] = (float)rng_uniform(&s->action_rng, -1.5, 1.5);
        row[row_log_prob(shape)] = -0.25f;
        open[n++] = s;
    }
    ck_assert_int_eq(streams_step(open, n, broken), 0);
}

START_TEST(streams_write_together_what_they_write_alone)
{
    static struct side alone[N_TOGETHER], together[N_TOGETHER];
    static struct stream *all[N_TOGETHER];
    for (int i = 0; i < N_TOGETHER; i++) {
        side_create(&alone[i], 3 + i, i, 0);
        side_create(&together[i], 3 + i, i, 0);
        alone[i].stream.whole_episodes = together[i].stream.whole_episodes = i % 2;
        all[i] = &together[i].stream;
    }
    /* One model, as streams of an actor have. */
    for (int i = 1; i < N_TOGETHER; i++) {
        env_destroy(&all[i]->env);
        all[i]->env = env_create(together[0].model);
        stream_start(all[i], SEED, i, 0);
    }
    for (int f = 0; f < 80; f++) {
        for (int i = 0; i < N_TOGETHER; i++)
            stream_begin(all[i], frame_pool_take(together[i].frames), 7000000);
        for (int t = 0; t < 2 + N_TOGETHER; t++)
            act_together(together);
        for (int i = 0; i < N_TOGETHER; i++) {
            struct fragment_header x = collect(&alone[i]), y = { 0 };
            stream_describe(all[i], &y, 7123999);
            ck_assert_int_eq(stream_save(all[i], &y.state), 0);
            ck_assert_int_eq(x.n_rows, y.n_rows);
            ck_assert_mem_eq(x.rows.data, y.rows.data, x.rows.size);
            ck_assert_mem_eq(x.state.data, y.state.data, x.state.size);
            ck_assert_uint_eq(x.returns.size, y.returns.size);
            let_go(&alone[i]);
            let_go(&together[i]);
        }
    }
    for (int i = N_TOGETHER; i-- > 0;) {
        side_destroy(&alone[i]);
        side_destroy(&together[i]);
    }
}
END_TEST

START_TEST(streams_that_break_down_together_are_named)
{
    static struct side side;
    static struct stream others[N_TOGETHER];
    struct stream *s[N_TOGETHER], *broken[N_TOGETHER];
    side_create(&side, 5, 0, 0);
    for (int i = 0; i < N_TOGETHER; i++) {
        s[i] = &others[i];
        stream_init(s[i], side.model, 5, side.arena);
        stream_start(s[i], SEED, i, 0);
        stream_begin(s[i], frame_pool_take(side.frames), 0);
        stream_row(s[i])[row_act(shape)] = i == 1 || i == 30 || i == 35 ? NAN : 0;
    }
    ck_assert_int_eq(streams_step(s, N_TOGETHER, broken), 3);
    ck_assert(broken[0] == s[1] && broken[1] == s[30] && broken[2] == s[35]);
    for (int i = 0; i < N_TOGETHER; i++) {
        ck_assert_int_eq(s[i]->n_episodes, i == 1 || i == 30 || i == 35);
        stream_fini(s[i]);
    }
    side_destroy(&side);
}
END_TEST

/* ---- saved states ---- */

START_TEST(the_noise_process_is_saved_and_restarts_with_every_episode)
{
    struct side a, b;
    unsigned char state[256];
    side_create(&a, 40, 3, 1);
    side_create(&b, 40, 3, 1);
    ck_assert_uint_eq(stream_state_bytes(a.model), 2 * sizeof(uint64_t)
                      + ((size_t)env_state_size(a.model) + 1) * sizeof(double));
    for (int f = 0; f < 12; f++) {
        struct fragment_header h = { 0 };
        stream_begin(&a.stream, frame_pool_take(a.frames), 0);
        while (!stream_is_complete(&a.stream)) {
            a.stream.process[0] += 0.125;
            act(&a.stream);
        }
        ck_assert(a.stream.process[0] == 0.125 * ((f + 1) * 40 % LIMIT));
        ck_assert_int_eq(stream_save(&a.stream, &h.state), 0);
        memcpy(state, h.state.data, h.state.size);
        let_go(&a);
        b.stream.process[0] = 77;
        ck_assert_int_eq(stream_restore(&b.stream, SEED, 3, 1, state), 0);
        ck_assert(b.stream.process[0] == a.stream.process[0]);
    }
    a.stream.process[0] = 77;
    stream_start(&a.stream, SEED, 3, 2);
    ck_assert(a.stream.process[0] == 0);
    side_destroy(&a);
    side_destroy(&b);
}
END_TEST

/* Both sides collect the same, bit for bit. */
static void expect_equal_fragments(struct side *a, struct side *b, int n)
{
    for (int f = 0; f < n; f++) {
        struct fragment_header x = collect(a), y = collect(b);
        ck_assert_int_eq(x.n_rows, y.n_rows);
        ck_assert_mem_eq(x.rows.data, y.rows.data, x.rows.size);
        ck_assert_uint_eq(x.returns.size, y.returns.size);
        if (x.returns.size) {
            ck_assert_mem_eq(x.returns.data, y.returns.data, x.returns.size);
            ck_assert_mem_eq(x.lengths.data, y.lengths.data, x.lengths.size);
        }
        ck_assert_mem_eq(x.state.data, y.state.data, x.state.size);
        let_go(a);
        let_go(b);
    }
}

START_TEST(a_restored_stream_goes_on_bit_for_bit)
{
    static const int short_horizons[] = { 7, 40, LIMIT };
    for (size_t k = 0; k < TEST_COUNT(short_horizons); k++) {
        int T = short_horizons[k];
        for (int before = 1; before <= 3 * LIMIT / T; before += 1 + 40 / T) {
            struct side a, b;
            unsigned char state[256];
            side_create(&a, T, 3, 1);
            side_create(&b, T, 0, 0);
            for (int f = 0; f < before; f++) {
                struct fragment_header h = collect(&a);
                memcpy(state + 1, h.state.data, h.state.size);
                let_go(&a);
            }
            /* From an address as odd as a frame's. */
            ck_assert_int_eq(stream_restore(&b.stream, SEED, 3, 1, state + 1), 0);
            ck_assert(b.stream.number == 3 && b.stream.life == 1);
            ck_assert_mem_eq(b.stream.obs, a.stream.obs, N_OBS * sizeof(float));
            expect_equal_fragments(&a, &b, LIMIT / T + 2);
            side_destroy(&a);
            side_destroy(&b);
        }
    }
}
END_TEST

START_TEST(streams_and_lives_differ_and_repeat)
{
    static const struct { int64_t number, life; } others[] = { { 0, 0 }, { 1, 0 }, { 0, 1 } };
    for (size_t k = 0; k < TEST_COUNT(others); k++) {
        struct side a, b;
        side_create(&a, 16, 0, 0);
        side_create(&b, 16, others[k].number, others[k].life);
        if (k == 0) {
            expect_equal_fragments(&a, &b, 20);
        } else {
            struct fragment_header x = collect(&a), y = collect(&b);
            ck_assert_mem_ne(row_of(&x, 0), row_of(&y, 0), N_OBS * sizeof(float));
            ck_assert(row_of(&x, 0)[row_act(shape)] != row_of(&y, 0)[row_act(shape)]);
        }
        side_destroy(&a);
        side_destroy(&b);
    }
}
END_TEST

START_TEST(a_state_that_cannot_be_is_refused)
{
    struct side a, b;
    unsigned char state[256], spoilt[256];
    double bad[] = { NAN, INFINITY, -1, LIMIT, 0.5 };
    side_create(&a, 16, 0, 0);
    side_create(&b, 16, 0, 0);
    struct fragment_header h = collect(&a);
    memcpy(state, h.state.data, h.state.size);
    let_go(&a);
    for (size_t k = 0; k < TEST_COUNT(bad); k++) {
        memcpy(spoilt, state, sizeof(state));
        memcpy(spoilt + 2 * sizeof(uint64_t), &bad[k], sizeof(bad[k]));    /* elapsed steps */
        ck_assert_int_eq(stream_restore(&b.stream, SEED, 0, 0, spoilt), ERR_FORMAT);
    }
    for (size_t k = 0; k < 2; k++) {
        memcpy(spoilt, state, sizeof(state));
        memcpy(spoilt + stream_state_bytes(a.model) - sizeof(double), &bad[k], sizeof(bad[k]));    /* noise */
        ck_assert_int_eq(stream_restore(&b.stream, SEED, 0, 0, spoilt), ERR_FORMAT);
        ck_assert(b.stream.process[0] == 0);
    }
    ck_assert_int_eq(stream_restore(&b.stream, SEED, 0, 0, state), 0);
    side_destroy(&a);
    side_destroy(&b);
}
END_TEST

START_TEST(an_abandoned_fragment_gives_its_frame_back)
{
    struct side s;
    side_create(&s, 16, 0, 0);
    struct frame *f = frame_pool_take(s.frames);
    stream_begin(&s.stream, frame_retain(f), 0);
    act(&s.stream);
    stream_abandon(&s.stream);
    ck_assert_int_eq(atomic_load(&f->references), 1);
    ck_assert(!stream_is_open(&s.stream));
    ck_assert_int_eq(s.stream.sequence, 0);
    stream_abandon(&s.stream);
    ck_assert_int_eq(atomic_load(&f->references), 1);
    frame_release(f);
    side_destroy(&s);
}
END_TEST

/* Also where an episode has just ended: then its CLOSE row is the last. */
START_TEST(a_fragment_that_is_closed_early_is_whole_and_its_stream_goes_on)
{
    static const int lengths[] = { 1, 7, LIMIT - 1, LIMIT, LIMIT + 1 };
    for (size_t k = 0; k < TEST_COUNT(lengths); k++) {
        const int n = lengths[k];
        struct side a, b;
        struct fragment_header h = { 0 };
        unsigned char state[256];
        side_create(&a, LIMIT + 50, 3, 1);
        side_create(&b, LIMIT + 50, 0, 0);
        stream_begin(&a.stream, frame_pool_take(a.frames), 0);
        for (int i = 0; i < n; i++)
            act(&a.stream);
        ck_assert(!stream_is_complete(&a.stream));
        stream_close(&a.stream);
        ck_assert(stream_is_complete(&a.stream));
        stream_close(&a.stream);    /* already is */
        stream_describe(&a.stream, &h, 0);
        ck_assert_int_eq(stream_save(&a.stream, &h.state), 0);
        const bool is_past_end = n > LIMIT;
        ck_assert(h.n_transitions == n && h.n_rows == n + 1 + is_past_end);
        ck_assert_uint_eq(h.returns.size, (n >= LIMIT) * sizeof(double));
        ck_assert_int_eq(check_against_reference(&a, &h), n >= LIMIT);
        memcpy(state, h.state.data, h.state.size);
        let_go(&a);
        ck_assert_int_eq(a.stream.sequence, 1);
        ck_assert_int_eq(stream_restore(&b.stream, SEED, 3, 1, state), 0);
        ck_assert_mem_eq(b.stream.obs, a.stream.obs, N_OBS * sizeof(float));
        expect_equal_fragments(&a, &b, 2);
        side_destroy(&a);
        side_destroy(&b);
    }
}
END_TEST

START_TEST(a_fragment_that_is_closed_before_its_first_step_is_thrown_away)
{
    struct side s;
    side_create(&s, 16, 0, 0);
    stream_begin(&s.stream, frame_pool_take(s.frames), 0);
    stream_close(&s.stream);
    ck_assert(!stream_is_open(&s.stream) && s.stream.sequence == 0);
    const struct fragment_header h = collect(&s);
    ck_assert_int_eq(h.n_transitions, 16);
    let_go(&s);
    side_destroy(&s);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        rows_say_what_the_environment_did,
        a_time_limit_truncates_and_is_closed_once,
        a_fragment_begins_where_the_one_before_it_ended,
        returns_are_those_of_whole_episodes_across_fragments,
        a_description_holds_the_books_of_the_fragment,
        a_frame_has_room_for_the_header_in_front_of_the_rows,
        whole_episodes_end_fragments_where_they_end,
        streams_write_together_what_they_write_alone,
        streams_that_break_down_together_are_named,
        the_noise_process_is_saved_and_restarts_with_every_episode,
        a_restored_stream_goes_on_bit_for_bit,
        streams_and_lives_differ_and_repeat,
        a_state_that_cannot_be_is_refused,
        an_abandoned_fragment_gives_its_frame_back,
        a_fragment_that_is_closed_early_is_whole_and_its_stream_goes_on,
        a_fragment_that_is_closed_before_its_first_step_is_thrown_away,
    };
    return suite_run("stream", tests, TEST_COUNT(tests), 60);
}
