/* What the decoder of messages refuses, and what it says of it. */
#include <math.h>
#include <string.h>
#include <sys/resource.h>

#include "tests/support.h"
#include "tests/unit/message_desk.h"

START_TEST(every_proper_prefix_is_rejected)
{
    for EACH_TYPE(t) {
        struct message m = example(t, true), back;
        unsigned char data[CAPACITY];
        size_t size = message_encode(&m, data, sizeof(data));
        for (size_t n = 0; n < size; n++)
            ck_assert_msg(decode(&back, data, n) != NULL, "%s, %zu bytes", message_name(t), n);
        ck_assert_ptr_null(decode(&back, data, size));
    }
}
END_TEST

START_TEST(a_byte_behind_the_message_is_rejected)
{
    for EACH_TYPE(t) {
        struct message m = example(t, true), back;
        unsigned char data[CAPACITY];
        size_t size = message_encode(&m, data, sizeof(data));
        data[size] = 0xc0;
        check_says(decode(&back, data, size + 1), "1 bytes follow");
        ck_assert_int_eq(back.type, t);
    }
}
END_TEST

START_TEST(keys_that_are_missing_or_double_are_rejected)
{
    for EACH_TYPE(t) {
        struct message m = example(t, true);
        struct entries all = take_apart(&m);
        for (size_t i = 1; i < all.n; i++) {
            char word[40], sentence[80];
            struct entries changed = all;
            changed.e[i] = all.e[i == 1 ? 2 : 1];
            check_says(decode_entries(&changed), "twice");
            changed = all;
            changed.e[changed.n++] = all.e[i];
            ck_assert_ptr_nonnull(decode_entries(&changed));
            snprintf(word, sizeof(word), " %s ", all.e[i].key);
            if (optional_keys[t] && strstr(optional_keys[t], word))
                continue;
            changed = all;
            changed.e[i] = all.e[--changed.n];
            snprintf(sentence, sizeof(sentence), "%s: key \"%s\" is missing", message_name(t),
                     all.e[i].key);
            check_says(decode_entries(&changed), sentence);
        }
    }
}
END_TEST

START_TEST(keys_that_are_unknown_are_rejected)
{
    for EACH_TYPE(t) {
        struct message m = example(t, false);
        struct entries all = take_apart(&m);
        snprintf(all.e[all.n - 1].key, sizeof(all.e[0].key), "sudo");
        check_says(decode_entries(&all), "unknown key \"sudo\"");
        snprintf(all.e[all.n - 1].key, sizeof(all.e[0].key), "su\033[2Jdo");
        check_says(decode_entries(&all), "unknown key \"...\"");
    }
    struct message m = example(MESSAGE_WANT, true);
    struct entries all = take_apart(&m);
    all.e[all.n++] = (struct entry){ "surplus", { 1 }, 1 };
    check_says(decode_entries(&all), "WANT: 7 entries where at most 6 belong");
}
END_TEST

START_TEST(values_of_another_kind_are_rejected)
{
    static const struct { const char *word, *raw; size_t size; } others[] = {
#define V(word, literal) { word, literal, sizeof(literal) - 1 }
        V("nil", "\xc0"), V("0xc1", "\xc1"),
        V("a boolean", "\xc3"), V("an integer", "\x01"),
        V("a float", "\xca\x3f\x80\x00\x00"),
        V("a float", "\xcb\x3f\xf0\x00\x00\x00\x00\x00\x00"),
        V("a text", "\xa1" "a"), V("a text", "\xd9\x01" "a"),
        V("a bin", "\xc4\x01" "a"), V("an array", "\x91\x01"),
        V("an array", "\xdc\x00\x01\x01"), V("a map", "\x81\xa1" "a\x01"),
        V("an ext", "\xd4\x01\x01"), V("an ext", "\xc7\x01\x01\x01"),
#undef V
    };
    for EACH_TYPE(t) {
        struct message m = example(t, true);
        struct entries all = take_apart(&m);
        for (size_t i = 1; i < all.n; i++) {
            unsigned char head = all.e[i].value[0];
            bool is_text = (head & 0xe0) == 0xa0 || head == 0xd9;
            const char *own = is_text ? "a text" : head == 0xc4 ? "a bin"
                            : head == 0xc2 || head == 0xc3 ? "a boolean"
                            : head == 0xcb ? "a float" : "an integer";
            for (size_t j = 0; j < TEST_COUNT(others); j++) {
                if (strcmp(others[j].word, own) == 0)
                    continue;
                const char *problem = with_value(t, all.e[i].key, others[j].raw, others[j].size);
                check_says(problem, others[j].word);
                check_says(problem, own);
                check_says(problem, all.e[i].key);
            }
        }
    }
}
END_TEST

START_TEST(numbers_out_of_range_are_rejected)
{
    const int64_t count = (int64_t)1 << 53, u32 = UINT32_MAX;
    const struct { enum message_type type; const char *key; int64_t min, max; } ranges[] = {
        { MESSAGE_HELLO, "protocol", 0, 1000000 }, { MESSAGE_WELCOME, "epoch", 0, count },
        { MESSAGE_WELCOME, "n_obs", 1, 4096 }, { MESSAGE_WELCOME, "n_act", 1, 64 },
        { MESSAGE_WELCOME, "n_choices", 0, 4096 },
        { MESSAGE_WELCOME, "horizon", 1, MESSAGE_MAX_HORIZON },
        { MESSAGE_WELCOME, "lag", 0, 1 }, { MESSAGE_WELCOME, "max_staleness", 1, count },
        { MESSAGE_WANT, "wanted", 0, count }, { MESSAGE_ACK, "round", 0, count }, { MESSAGE_ACK, "previous", 0, count },
        { MESSAGE_HEARTBEAT, "round", 0, count }, { MESSAGE_HEARTBEAT, "previous", 0, count },
        { MESSAGE_HEARTBEAT, "credit_ms", 0, count }, { MESSAGE_HEARTBEAT, "parameters_ms", 0, count },
        { MESSAGE_WELCOME, "credit", 1, 4096 },
        { MESSAGE_WELCOME, "heartbeat_ms", 1, 10000000 },
        { MESSAGE_WELCOME, "liveness_ms", 1, 10000000 },
        { MESSAGE_WELCOME, "step_timeout_ms", 1, 10000000 }, { MESSAGE_HEARTBEAT, "diverged", 0, count },
        { MESSAGE_WELCOME, "snapshot_port", 0, 65535 }, { MESSAGE_REJECT, "stream", 0, 1000000 },
        { MESSAGE_REJECT, "sequence", 0, count }, { MESSAGE_WANT, "version", -1, count },
        { MESSAGE_FRAGMENT, "epoch", 0, count }, { MESSAGE_FRAGMENT, "stream", 0, 1000000 },
        { MESSAGE_FRAGMENT, "life", 0, u32 }, { MESSAGE_FRAGMENT, "sequence", 0, count },
        { MESSAGE_FRAGMENT, "version", 0, count }, { MESSAGE_FRAGMENT, "checksum", 0, u32 },
        { MESSAGE_FRAGMENT, "age_ms", 0, count }, { MESSAGE_ACK, "newest", 0, count },
        { MESSAGE_ACK, "start_version", 0, count }, { MESSAGE_ACK, "credit", 1, 4096 },
        { MESSAGE_SNAPSHOT, "version", 0, count }, { MESSAGE_SNAPSHOT, "checksum", 0, u32 },
        { MESSAGE_HEARTBEAT, "steps", 0, count }, { MESSAGE_HEARTBEAT, "version", -1, count },
        { MESSAGE_HEARTBEAT, "credit", 1, 4096 }, { MESSAGE_DRAIN, "epoch", 0, count },
        { MESSAGE_BYE, "epoch", 0, count },
    };
    for (size_t i = 0; i < TEST_COUNT(ranges); i++) {
        enum message_type t = ranges[i].type;
        const char *key = ranges[i].key;
        ck_assert_ptr_null(with_integer(t, key, ranges[i].min));
        ck_assert_ptr_null(with_integer(t, key, ranges[i].max));
        check_says(with_integer(t, key, ranges[i].min - 1), "is not within");
        check_says(with_integer(t, key, ranges[i].max + 1), "is not within");
        check_says(with_integer(t, key, INT64_MIN), "is not within");
        check_says(WITH(t, key, "\xcf\xff\xff\xff\xff\xff\xff\xff\xff"), "is too large");
    }
    /* those that other checks see as well */
    static const char *const counts[] = { "n_obs", "n_act", "n_transitions", "n_rows" };
    for (size_t i = 0; i < TEST_COUNT(counts); i++) {
        check_says(with_integer(MESSAGE_FRAGMENT, counts[i], 0), "is not within");
        check_says(with_integer(MESSAGE_FRAGMENT, counts[i], 1 << 20), "is not within");
        check_says(with_integer(MESSAGE_FRAGMENT, counts[i], INT64_MAX), "is not within");
    }
    check_says(with_integer(MESSAGE_FRAGMENT, "n_rows", 1), "is not within 2 and 32768");
    /* identities use all 64 bits */
    ck_assert_ptr_null(WITH(MESSAGE_WANT, "run", "\xcf\xff\xff\xff\xff\xff\xff\xff\xff"));
    check_says(WITH(MESSAGE_WANT, "run", "\xff"), "-1 is negative");
    check_says(WITH(MESSAGE_WANT, "incarnation", "\x00"), "0 is too small");
}
END_TEST

static const char *with_double(const char *key, double value)
{
    unsigned char raw[9] = { 0xcb };
    uint64_t bits;
    memcpy(&bits, &value, sizeof(bits));
    for (int i = 0; i < 8; i++)
        raw[1 + i] = (unsigned char)(bits >> (56 - 8 * i));
    return with_value(MESSAGE_WELCOME, key, raw, sizeof(raw));
}

START_TEST(floats_are_finite_and_in_range)
{
    static const char *const keys[] = { "sigma", "theta", "dt" };
    for (size_t i = 0; i < TEST_COUNT(keys); i++) {
        static const double good[] = { 0, 1e-308, 0.2, 1e6 }, bad[] = { -1e-9, 1000001, 1e300 };
        for (size_t k = 0; k < TEST_COUNT(good); k++)
            ck_assert_ptr_null(with_double(keys[i], good[k]));
        for (size_t k = 0; k < TEST_COUNT(bad); k++)
            check_says(with_double(keys[i], bad[k]), "is not within 0 and 1000000");
        check_says(with_double(keys[i], (double)NAN), "is not within");
        check_says(with_double(keys[i], (double)INFINITY), "is not within");
        check_says(with_double(keys[i], -(double)INFINITY), "is not within");
        check_says(WITH(MESSAGE_WELCOME, keys[i], "\xca\x3f\x80\x00\x00"), "32 bits where one of 64");
        check_says(WITH(MESSAGE_WELCOME, keys[i], "\x01"), "an integer where a float belongs");
    }
    struct message m = example(MESSAGE_WELCOME, true);
    static const unsigned char expected[] = { 0xcb, 0x3f, 0xd0, 0, 0, 0, 0, 0, 0 };    /* 0.25 */
    struct entries all = take_apart(&m);
    ck_assert_uint_eq(find(&all, "sigma")->size, sizeof(expected));
    ck_assert_mem_eq(find(&all, "sigma")->value, expected, sizeof(expected));
}
END_TEST

START_TEST(elements_out_of_range_are_rejected)
{
    check_says(WITH(MESSAGE_WELCOME, "hidden", "\xc4\x05" "12345"), "not a multiple of 4");
    check_says(WITH(MESSAGE_WELCOME, "hidden", "\xc4\x04\0\0\0\0"), "0 is not within 1 and 65536");
    check_says(WITH(MESSAGE_WELCOME, "hidden", "\xc4\x04\1\0\1\0"), "65537 is not within");
    ck_assert_ptr_null(WITH(MESSAGE_WELCOME, "hidden", "\xc4\x00"));
    check_says(WITH(MESSAGE_WELCOME, "streams", "\xc4\x10\x41\x42\x0f\0\0\0\0\0\0\0\0\0\0\0\0\0"),
               "1000001 is not within");
    check_says(WITH(MESSAGE_ACK, "acked", "\xc4\x08\xff\xff\xff\xff\xff\xff\xff\xff"),
               "-1 is not within");
    check_says(WITH(MESSAGE_ACK, "acked", "\xc4\x07" "1234567"), "not a multiple of 8");
    check_says(WITH(MESSAGE_FRAGMENT, "lengths", "\xc4\x08\1\0\0\0\0\0\0\0"), "0 is not within");
    check_says(WITH(MESSAGE_FRAGMENT, "returns", "\xc4\x08\0\0\0\0\0\0\xf0\x7f"), "NaN");
    check_says(WITH(MESSAGE_FRAGMENT, "returns", "\xc4\x08\0\0\0\0\0\0\xf8\x7f"), "NaN");

    struct message m = example(MESSAGE_WELCOME, true), back;
    uint32_t wide[MESSAGE_MAX_HIDDEN + 1];
    for (size_t i = 0; i < TEST_COUNT(wide); i++)
        wide[i] = 65536;
    m.welcome.hidden = BYTES(wide);
    unsigned char data[CAPACITY];
    size_t size = message_encode(&m, data, sizeof(data));
    check_says(decode(&back, data, size), "WELCOME: key \"hidden\": 9 elements where at most 8");
    m.welcome.hidden.size -= sizeof(uint32_t);
    size = message_encode(&m, data, sizeof(data));
    ck_assert_ptr_null(decode(&back, data, size));
}
END_TEST

START_TEST(texts_are_bounded_and_printable)
{
    char text[256];
    memset(text, 'x', sizeof(text));
    text[64] = '\0';
    check_says(with_text(MESSAGE_HELLO, "name", text), "64 bytes where 1 to 63 belong");
    text[63] = '\0';
    ck_assert_ptr_null(with_text(MESSAGE_HELLO, "name", text));
    static const char *const bad_names[] = { ".", "..", ".hidden", "a/b", "a b", "\xc3\xa9" };
    for (size_t i = 0; i < TEST_COUNT(bad_names); i++)
        check_says(with_text(MESSAGE_HELLO, "name", bad_names[i]), "HELLO: key \"name\": only");
    check_says(with_text(MESSAGE_HELLO, "name", ""), "0 bytes where 1");
    check_says(with_text(MESSAGE_WELCOME, "environment", ""), "0 bytes where 1");
    ck_assert_ptr_null(with_text(MESSAGE_BYE, "reason", ""));
    ck_assert_ptr_null(with_text(MESSAGE_BYE, "reason", "na\xc3\xafve \xf0\x9f\x90\x9f"));
    check_says(with_text(MESSAGE_BYE, "reason", "\033[2J"), "BYE: key \"reason\": not printable");
    check_says(with_text(MESSAGE_BYE, "reason", "cut \xc3"), "not printable");
    check_says(WITH(MESSAGE_BYE, "reason", "\xa3" "a\0b"), "not printable");
}
END_TEST

START_TEST(counts_must_agree_with_sizes)
{
    const struct { const char *key; int64_t value; const char *sentence; } fragments[] = {
        { "n_rows", 2, "FRAGMENT: 2 rows cannot hold 2 transitions" },
        { "n_rows", 5, "5 rows cannot hold 2 transitions" },
        { "n_rows", 4, "\"rows\" has 72 bytes where 4 rows of 24 bytes belong" },
        { "n_obs", 3, "3 rows of 28 bytes" }, { "n_obs", 1, "3 rows of 20 bytes" },
        { "n_act", 2, "3 rows of 28 bytes" },
        { "n_transitions", 1, "3 rows cannot hold 1 transitions" },
    };
    for (size_t i = 0; i < TEST_COUNT(fragments); i++)
        check_says(with_integer(MESSAGE_FRAGMENT, fragments[i].key, fragments[i].value),
                   fragments[i].sentence);
    check_says(WITH(MESSAGE_FRAGMENT, "lengths", "\xc4\x04\1\0\0\0"), "different numbers of");
    check_says(WITH(MESSAGE_WELCOME, "lives", "\xc4\x04\1\0\0\0"), "not as long as the 4 streams");
    check_says(WITH(MESSAGE_WELCOME, "sequences", "\xc4\x08\1\0\0\0\0\0\0\0"), "not as long as");
    check_says(WITH(MESSAGE_WELCOME, "streams", "\xc4\x00"), "\"streams\" is empty");
    check_says(WITH(MESSAGE_WELCOME, "streams", "\xc4\x04\1\0\0\0"), "not as long as the 1 streams");
    check_says(WITH(MESSAGE_WELCOME, "states", "\xc4\x07" "1234567"), "7 bytes of \"states\"");
    check_says(WITH(MESSAGE_WELCOME, "states", "\xc4\x00"), "4 bytes beside 0 bytes of \"states\"");
    check_says(WITH(MESSAGE_WELCOME, "streams", "\xc4\x10\1\0\0\0\2\0\0\0\1\0\0\0\3\0\0\0"), "stands there twice");
    check_says(WITH(MESSAGE_WELCOME, "saved", "\xc4\x00"), "0 bytes beside 8 bytes of \"states\"");
    check_says(WITH(MESSAGE_WELCOME, "saved", "\xc4\x03" "\1\0\1"), "3 bytes beside");

    struct message m = example(MESSAGE_FRAGMENT, true);
    const double returns[3] = { 1, 2, 3 };
    const uint32_t lengths[3] = { 1, 1, 1 };
    m.fragment.returns = BYTES(returns);
    m.fragment.lengths = BYTES(lengths);
    struct entries all = take_apart(&m);
    check_says(decode_entries(&all), "more episodes than transitions");

    check_says(WITH(MESSAGE_GRADIENT, "lengths", "\xc4\x04\1\0\0\0"), "GRADIENT: \"returns\" and \"lengths\"");
    check_says(with_integer(MESSAGE_GRADIENT, "n_transitions", 1), "more episodes than transitions");
    check_says(WITH(MESSAGE_GRADIENT, "gradient", "\xc4\x00"), "\"failure\" says why \"gradient\" is empty");
    check_says(WITH(MESSAGE_GRADIENT, "metrics", "\xc4\x08\0\0\0\0\0\0\xf0\x7f"), "NaN or infinite");
}
END_TEST

START_TEST(what_the_learner_says_in_a_heartbeat_goes_together)
{
    static const char *const keys[] = { "newest", "start_version", "credit", "acked" };
    struct message m = example(MESSAGE_HEARTBEAT, true);
    for (size_t i = 0; i < TEST_COUNT(keys); i++) {
        struct entries all = take_apart(&m);
        *find(&all, keys[i]) = all.e[all.n - 1];
        all.n--;
        check_says(decode_entries(&all), "go together");
    }
}
END_TEST

START_TEST(a_round_and_the_version_before_go_together)
{
    static const enum message_type types[] = { MESSAGE_ACK, MESSAGE_HEARTBEAT };
    static const char *const keys[] = { "round", "previous" };
    for (size_t t = 0; t < TEST_COUNT(types); t++)
        for (size_t i = 0; i < TEST_COUNT(keys); i++) {
            struct message m = example(types[t], true);
            struct entries all = take_apart(&m);
            *find(&all, keys[i]) = all.e[all.n - 1];
            all.n--;
            check_says(decode_entries(&all), "\"round\" and \"previous\" go together");
        }
}
END_TEST

START_TEST(the_first_key_is_type)
{
    struct message m = example(MESSAGE_WANT, true), back;
    struct entries all = take_apart(&m), turned = all;
    turned.e[0] = all.e[1], turned.e[1] = all.e[0];
    struct raw r = put_together(&turned);
    check_says(decode(&back, r.data, r.size), "message: the first key is not \"type\"");
    ck_assert_int_eq(back.type, N_MESSAGE_TYPES);
    static const char *const names[] = { "\xa4want", "\xa3WAN", "\xa5WANTS", "\xa0", "\x03" };
    for (size_t i = 0; i < TEST_COUNT(names); i++) {
        turned = all;
        turned.e[0].size = strlen(names[i]);
        memcpy(turned.e[0].value, names[i], strlen(names[i]));
        ck_assert_ptr_nonnull(decode_entries(&turned));
    }
    turned = all;
    turned.e[1] = all.e[0];    /* again in the middle */
    check_says(decode_entries(&turned), "unknown key \"type\"");
}
END_TEST

START_TEST(hostile_counts_are_rejected_at_once)
{
    static const struct { const char *raw; size_t size; const char *sentence; } hostile[] = {
#define H(literal, sentence) { literal, sizeof(literal) - 1, sentence }
        H("", "ends where a value should begin"), H("\x80", "ends where a value should begin"),
        H("\xdd\xff\xff\xff\xff", "an array where a map belongs"),
        H("\xdc\xff\xff", "an array where a map belongs"),
        H("\xdf\xff\xff\xff\xff", "a map of 4294967295 entries announced, 0 bytes left"),
        H("\xdf\xff\xff\xff\xff\xa4type\xa4WANT", "a map of 4294967295 entries announced"),
        H("\xde\xff\xff", "a map of 65535 entries announced, 0 bytes left"),
        H("\x8f\xa4type", "a map of 15 entries announced, 5 bytes left"),
        H("\xde\xff", "ends inside a number"), H("\xdf\xff\xff\xff", "ends inside a number"),
        H("\xdb\xff\xff\xff\xff", "a text where a map belongs"), H("\xc1", "no MessagePack value"),
        H("\x81\xdb\xff\xff\xff\xff", "4294967295 bytes announced, 0 left"),
        H("\x81\xc6\xff\xff\xff\xff", "a bin where a text belongs"),
        H("\x82\xa4type\xa4WANT\xdd\xff\xff\xff\xff", "an array where a text belongs"),
        H("\x82\xa4type\xa4WANT\xa3run\xdd\xff\xff\xff\xff", "WANT: key \"run\": an array where"),
        H("\x82\xa4type\xa8" "FRAGMENT\xa4rows\xc6\xff\xff\xff\xff" "1234",
          "FRAGMENT: key \"rows\": 4294967295 bytes announced, 4 left"),
        H("\x82\xa4type\xa8" "FRAGMENT\xa4rows\xc5\x00\x60" "1234",
          "FRAGMENT: key \"rows\": 96 bytes announced, 4 left"),
        H("\x82\xa4type\xa3" "BYE\xa6reason\xdb\x7f\xff\xff\xff", "2147483647 bytes announced"),
#undef H
    };
    struct rusage before, after;
    struct message m;
    getrusage(RUSAGE_SELF, &before);
    bool all_refused = true;
    for (int repeat = 0; repeat < 1000; repeat++)
        for (size_t i = 0; i < TEST_COUNT(hostile); i++)
            all_refused &= message_decode(&m, (const unsigned char *)hostile[i].raw,
                                          hostile[i].size) != NULL;
    unsigned char deep[CAPACITY];
    memset(deep, 0x91, sizeof(deep));
    all_refused &= message_decode(&m, deep, sizeof(deep)) != NULL;
    memset(deep, 0x81, sizeof(deep));
    all_refused &= message_decode(&m, deep, sizeof(deep)) != NULL;
    getrusage(RUSAGE_SELF, &after);
    ck_assert(all_refused);
    ck_assert_int_le(after.ru_maxrss - before.ru_maxrss, 1024);    /* KiB */
    for (size_t i = 0; i < TEST_COUNT(hostile); i++)
        check_says(decode(&m, hostile[i].raw, hostile[i].size), hostile[i].sentence);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        every_proper_prefix_is_rejected,
        a_byte_behind_the_message_is_rejected,
        keys_that_are_missing_or_double_are_rejected,
        keys_that_are_unknown_are_rejected,
        values_of_another_kind_are_rejected,
        numbers_out_of_range_are_rejected,
        floats_are_finite_and_in_range,
        elements_out_of_range_are_rejected,
        texts_are_bounded_and_printable,
        counts_must_agree_with_sizes,
        what_the_learner_says_in_a_heartbeat_goes_together,
        a_round_and_the_version_before_go_together,
        the_first_key_is_type,
        hostile_counts_are_rejected_at_once,
    };
    return suite_run("message_refusals", tests, TEST_COUNT(tests), 30);
}
