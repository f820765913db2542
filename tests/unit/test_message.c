/* Every message, in both directions. */
#include <stdlib.h>
#include <string.h>

#include "tests/support.h"
#include "tests/unit/allocations.h"
#include "tests/unit/message_desk.h"

/* ---- both directions ---- */

START_TEST(every_type_survives_a_round_trip)
{
    for EACH_TYPE(t) {
        for (int full = 0; full < 2; full++) {
            struct message m = example(t, full), back;
            unsigned char data[CAPACITY];
            size_t size = message_encode(&m, data, sizeof(data));
            ck_assert_uint_gt(size, 0);
            ck_assert_ptr_null(message_decode(&back, data, size));
            check_equal(m, back);
        }
    }
}
END_TEST

START_TEST(a_want_has_the_bytes_of_the_specification)
{
    struct message m = example(MESSAGE_WANT, false);
    m.want.run = 0xfedcba9876543210u, m.want.incarnation = 200, m.want.epoch = 70000;
    unsigned char data[CAPACITY];
    size_t size = message_encode(&m, data, sizeof(data));
    static const char expected[] =
        "\x85\xa4type\xa4WANT\xa3run\xcf\xfe\xdc\xba\x98\x76\x54\x32\x10\xab" "incarnation\xcc\xc8"
        "\xa5" "epoch\xce\x00\x01\x11\x70\xa7version\xff";
    ck_assert_uint_eq(size, sizeof(expected) - 1);
    ck_assert_mem_eq(data, expected, size);
}
END_TEST

START_TEST(absent_optional_fields_are_not_written)
{
    for EACH_TYPE(t) {
        struct message m = example(t, false);
        struct entries all = take_apart(&m);
        for (size_t i = 0; i < all.n; i++) {
            char word[40];
            snprintf(word, sizeof(word), " %s ", all.e[i].key);
            ck_assert_msg(!optional_keys[t] || !strstr(optional_keys[t], word), "%s: %s",
                          message_name(t), all.e[i].key);
        }
    }
}
END_TEST

START_TEST(keys_may_stand_in_any_order_behind_type)
{
    for EACH_TYPE(t) {
        struct message m = example(t, true), back;
        struct entries all = take_apart(&m), turned = all;
        for (size_t i = 1; i < all.n; i++)
            turned.e[i] = all.e[all.n - i];
        struct raw r = put_together(&turned);
        ck_assert_ptr_null(message_decode(&back, r.data, r.size));
        check_equal(m, back);
    }
}
END_TEST

START_TEST(decoding_and_encoding_allocate_nothing)
{
    unsigned char data[CAPACITY];
    long before = n_allocations;
    void *volatile block = malloc(1);    /* volatile: else the pair may be optimised away */
    free(block);
    ck_assert_int_eq(n_allocations, before + COUNTS_ALLOCATIONS);
    before = n_allocations;
    bool good = true;
    for EACH_TYPE(t) {
        struct message m = example(t, true), back;
        size_t size = message_encode(&m, data, sizeof(data));
        for (size_t n = 0; n <= size; n++)
            good &= (message_decode(&back, data, n) == NULL) == (n == size);
    }
    ck_assert_int_eq(n_allocations, before);
    ck_assert(good);
}
END_TEST

/* ---- room ---- */

START_TEST(encoding_into_too_little_room_returns_0)
{
    for EACH_TYPE(t) {
        struct message m = example(t, true);
        unsigned char data[CAPACITY], whole[CAPACITY];
        size_t size = message_encode(&m, whole, sizeof(whole));
        for (size_t capacity = 0; capacity <= size; capacity++) {
            memset(data, 0xee, sizeof(data));
            size_t n = message_encode(&m, data, capacity);
            ck_assert_uint_eq(n, capacity < size ? 0 : size);
            for (size_t i = capacity; i < size + 16; i++)
                ck_assert_uint_eq(data[i], 0xee);
        }
        ck_assert_mem_eq(data, whole, size);
    }
}
END_TEST

START_TEST(a_header_is_placed_right_before_the_rows)
{
    for (int full = 0; full < 2; full++) {
        struct message m = example(MESSAGE_FRAGMENT, full), back;
        unsigned char whole[CAPACITY], buffer[CAPACITY];
        size_t size = message_encode(&m, whole, sizeof(whole));
        memset(buffer, 0xee, sizeof(buffer));
        unsigned char *rows = buffer + 4096 + 3;
        memcpy(rows, some_rows, sizeof(some_rows));
        m.fragment.rows.data = NULL;    /* only the size may be read */
        unsigned char *begin = message_encode_before(&m, rows);
        ck_assert_ptr_eq(begin + size, rows + sizeof(some_rows));
        ck_assert_mem_eq(begin, whole, size);
        ck_assert_uint_eq(begin[-1], 0xee);
        ck_assert_uint_eq(rows[sizeof(some_rows)], 0xee);
        ck_assert_ptr_null(message_decode(&back, begin, size));
        ck_assert_ptr_eq(back.fragment.rows.data, rows);
    }
}
END_TEST

START_TEST(a_gradient_lies_behind_its_header_or_says_why_it_is_none)
{
    struct message m = example(MESSAGE_GRADIENT, true), back;
    unsigned char buffer[CAPACITY], *bulk = buffer + 5000;
    memcpy(bulk, some_rows, sizeof(some_rows));
    unsigned char *begin = message_encode_before(&m, bulk);
    ck_assert_ptr_null(message_decode(&back, begin, (size_t)(bulk - begin) + sizeof(some_rows)));
    ck_assert_ptr_eq(back.gradient.gradient.data, bulk);
    check_equal(m, back);

    m.gradient.gradient.size = 0;
    SET(m.gradient.failure, "the value loss is not finite");
    begin = message_encode_before(&m, bulk);
    ck_assert_ptr_null(message_decode(&back, begin, (size_t)(bulk - begin)));
    ck_assert_str_eq(back.gradient.failure, m.gradient.failure);
    m.gradient.gradient.size = sizeof(some_rows);
    begin = message_encode_before(&m, bulk);
    check_says(message_decode(&back, begin, (size_t)(bulk - begin) + sizeof(some_rows)), "and only then");
}
END_TEST

START_TEST(a_state_of_any_size_fits_before_the_rows)
{
    enum { STATE = 100000 };
    struct message m = example(MESSAGE_FRAGMENT, true), back;
    unsigned char *buffer = calloc(1, STATE + MESSAGE_HEADER_BYTES + 100 + sizeof(some_rows));
    unsigned char *rows = buffer + STATE + MESSAGE_HEADER_BYTES + 100;
    unsigned char *state = calloc(1, STATE);
    memset(state, 0x5a, STATE);
    memcpy(rows, some_rows, sizeof(some_rows));
    m.fragment.state = (struct bytes){ state, STATE };
    unsigned char *begin = message_encode_before(&m, rows);
    ck_assert(begin >= buffer);
    ck_assert_ptr_null(message_decode(&back, begin, (size_t)(rows - begin) + sizeof(some_rows)));
    check_equal(m, back);
    free(state);
    free(buffer);
}
END_TEST

START_TEST(a_header_never_needs_more_than_its_bound)
{
    for EACH_TYPE(t) {
        struct message m;
        memset(&m, 'x', sizeof(m));    /* long texts, wide numbers */
        m.type = t;
        struct bytes *fields[MAX_BYTES_FIELDS];
        size_t n = bytes_fields(&m, fields);
        for (size_t i = 0; i < n; i++)
            *fields[i] = (struct bytes){ NULL, 0 };
        bool *flags[] = { &m.welcome.critic_layer_norm, &m.welcome.scales_rewards, &m.welcome.wants_state, &m.welcome.normalises, &m.welcome.layer_norm,
                          &m.welcome.whole_episodes, &m.reject.retry, &m.snapshot.random };
        const enum message_type owners[] = { MESSAGE_WELCOME, MESSAGE_WELCOME, MESSAGE_WELCOME, MESSAGE_WELCOME, MESSAGE_WELCOME,
                                             MESSAGE_WELCOME, MESSAGE_REJECT, MESSAGE_SNAPSHOT };
        for (size_t i = 0; i < TEST_COUNT(flags); i++)
            if (owners[i] == t)
                *flags[i] = true;
        unsigned char data[CAPACITY];
        size_t size = message_encode(&m, data, sizeof(data));
        ck_assert_uint_gt(size, 0);
        ck_assert_uint_le(size + 4 * 5, MESSAGE_HEADER_BYTES);
    }
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        every_type_survives_a_round_trip,
        a_want_has_the_bytes_of_the_specification,
        absent_optional_fields_are_not_written,
        keys_may_stand_in_any_order_behind_type,
        decoding_and_encoding_allocate_nothing,
        encoding_into_too_little_room_returns_0,
        a_header_is_placed_right_before_the_rows,
        a_gradient_lies_behind_its_header_or_says_why_it_is_none,
        a_state_of_any_size_fits_before_the_rows,
        a_header_never_needs_more_than_its_bound,
    };
    return suite_run("message", tests, TEST_COUNT(tests), 30);
}
