#include "delay_line.h"

#include <string.h>

void fq_delay_line_reset(struct fq_delay_line *line, const struct fq_delay_line_shape *shape)
{
    line->next = 0;
    for (int32_t i = 0; i < shape->length; i++) { /* little-endian, as the tensors are on all supported machines */
        line->ring[i] = (unsigned char)((uint32_t)shape->initial >> 8 * (i % shape->element));
    }
}

void fq_delay_line_read(const struct fq_delay_line *line, int32_t length, int32_t ago, int32_t bytes, void *to)
{
    const int32_t start = line->next >= ago ? line->next - ago : line->next - ago + length;
    const int32_t first = bytes < length - start ? bytes : length - start;
    memcpy(to, line->ring + start, (size_t)first);
    memcpy((unsigned char *)to + first, line->ring, (size_t)(bytes - first));
}

void fq_delay_line_write(struct fq_delay_line *line, int32_t length, const void *from, int32_t bytes)
{
    const int32_t first = bytes < length - line->next ? bytes : length - line->next;
    memcpy(line->ring + line->next, from, (size_t)first);
    memcpy(line->ring, (const unsigned char *)from + first, (size_t)(bytes - first));
    line->next += bytes;
    line->next -= line->next >= length ? length : 0;
}
