#include "common/digest.h"

#include <sodium.h>
#include <zlib.h>

_Static_assert(DIGEST_BYTES == crypto_hash_sha256_BYTES, "SHA-256 has 32 bytes");

void digest_sha256(const void *data, size_t bytes, unsigned char out[DIGEST_BYTES])
{
    crypto_hash_sha256(out, data, bytes);
}

void digest_sha256_hex(const void *data, size_t bytes, char out[DIGEST_HEX_BYTES])
{
    unsigned char raw[DIGEST_BYTES];
    digest_sha256(data, bytes, raw);
    sodium_bin2hex(out, DIGEST_HEX_BYTES, raw, sizeof(raw));
}

uint32_t digest_crc32(const void *data, size_t bytes)
{
    return digest_crc32_add(0, data, bytes);
}

uint32_t digest_crc32_add(uint32_t before, const void *data, size_t bytes)
{
    return (uint32_t)crc32_z(before, data, bytes);
}

uint64_t digest_random_id(void)
{
    uint64_t id = 0;
    while (id == 0)
        randombytes_buf(&id, sizeof(id));
    return id;
}
