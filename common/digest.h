/* Digests: SHA-256 (identity of parameters, configurations, specifications) and CRC-32 (damage in
 * transit). */
#ifndef SHOAL_COMMON_DIGEST_H
#define SHOAL_COMMON_DIGEST_H

#include <stddef.h>
#include <stdint.h>

enum { DIGEST_BYTES = 32, DIGEST_HEX_BYTES = 65 };

void digest_sha256(const void *data, size_t bytes, unsigned char out[DIGEST_BYTES]);

/* As lower-case hexadecimal digits and a NUL. */
void digest_sha256_hex(const void *data, size_t bytes, char out[DIGEST_HEX_BYTES]);

uint32_t digest_crc32(const void *data, size_t bytes);

/* The CRC-32 of what has the CRC-32 `before` (0: nothing), followed by `data`. */
uint32_t digest_crc32_add(uint32_t before, const void *data, size_t bytes);

/* 64 random bits from the system, never 0; for identities, never for seeding. */
uint64_t digest_random_id(void);

#endif
