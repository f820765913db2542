/* CRC-32 against the definition and against zlib's, at every length and address that takes another way. */
#include "common/digest.h"

#include <string.h>
#include <zlib.h>

#include "common/rng.h"
#include "tests/support.h"

enum { MOST = 1500 };

static void fill(unsigned char *out, size_t n)
{
    struct rng rng;
    rng_init(&rng, 1, RNG_TEST, 0, 0);
    for (size_t i = 0; i < n; i++)
        out[i] = (unsigned char)rng_u32(&rng);
}

/* Bit by bit: the reflected polynomial 0xEDB88320. */
static uint32_t by_definition(const unsigned char *data, size_t n)
{
    uint32_t crc = 0xFFFFFFFFu;
    for (size_t i = 0; i < n; i++) {
        crc ^= data[i];
        for (int bit = 0; bit < 8; bit++)
            crc = crc >> 1 ^ (crc & 1 ? 0xEDB88320u : 0);
    }
    return ~crc;
}

START_TEST(crc32_is_that_of_the_definition)
{
    unsigned char data[MOST];
    fill(data, sizeof(data));
    ck_assert_uint_eq(digest_crc32("123456789", 9), 0xCBF43926u);    /* the published check value */
    for (size_t n = 0; n <= MOST; n++)
        ck_assert_uint_eq(digest_crc32(data, n), by_definition(data, n));
}
END_TEST

START_TEST(crc32_goes_on_from_any_number_at_any_address)
{
    unsigned char data[MOST + 16];
    fill(data, sizeof(data));
    for (size_t n = 0; n <= MOST; n += 7)
        for (size_t first = 0; first < 16; first++) {
            uint32_t before = (uint32_t)(n * 2654435761u);
            ck_assert_uint_eq(digest_crc32_add(before, data + first, n),
                              (uint32_t)crc32_z(before, data + first, n));
        }
}
END_TEST

START_TEST(crc32_of_pieces_is_that_of_the_whole)
{
    unsigned char data[MOST];
    fill(data, sizeof(data));
    for (size_t n = 0; n <= MOST; n += 11)
        ck_assert_uint_eq(digest_crc32_add(digest_crc32(data, n), data + n, MOST - n), digest_crc32(data, MOST));
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        crc32_is_that_of_the_definition,
        crc32_goes_on_from_any_number_at_any_address,
        crc32_of_pieces_is_that_of_the_whole,
    };
    return suite_run("digest", tests, TEST_COUNT(tests), 20);
}
