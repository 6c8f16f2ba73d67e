/* Of the test programs: a checksum and a clock. */
#ifndef CHECKING_H
#define CHECKING_H

#include <stdint.h>
#include <stdio.h>

#ifdef FQ_TICKS
uint64_t fq_ticks(void); /* of a clock that counts up */
#else
static uint64_t fq_ticks(void)
{
    return 0;
}
#endif

/* The CRC32 of what `crc` is of and `count` further bytes; of nothing it is 0. */
static uint32_t crc32(uint32_t crc, const void *further, int32_t count)
{
    static uint32_t table[256];
    const unsigned char *bytes = further;
    if (!table[1]) {
        for (uint32_t byte = 0; byte < 256; byte++) {
            table[byte] = byte;
            for (int bit = 0; bit < 8; bit++) {
                table[byte] = table[byte] >> 1 ^ (table[byte] & 1 ? 0xEDB88320u : 0);
            }
        }
    }
    crc = ~crc;
    for (int32_t i = 0; i < count; i++) {
        crc = crc >> 8 ^ table[(crc ^ bytes[i]) & 0xFF];
    }
    return ~crc;
}

/* Where there is a clock: how many of its ticks a second of audio takes. */
static void print_ticks(uint64_t ticks)
{
    if (ticks) {
        printf(", %lu.%02lu M ticks a second of audio", (unsigned long)(ticks / 1000000u), (unsigned long)(ticks / 10000u % 100u));
    }
}

#endif
