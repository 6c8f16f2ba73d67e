/* What a stream remembers of one tensor: its last bytes, in a ring. A window that comes back at the next step as it went out is a delay
 * line as long as itself. */
#ifndef FQ_DELAY_LINE_H
#define FQ_DELAY_LINE_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

struct fq_delay_line {
    int32_t next; /* where the next bytes go */
    unsigned char ring[];
};

/* The memory of a delay line, and what it holds when a stream begins. */
struct fq_delay_line_shape {
    int32_t length;  /* bytes of the ring */
    int32_t initial; /* the value of every element */
    int32_t element; /* bytes of an element: 1, 2 or 4 */
};

/* A delay line at `place` of an arena. */
struct fq_delay_line_place {
    int32_t place;
    struct fq_delay_line_shape shape;
};

/* As at the beginning of a stream. */
void fq_delay_line_reset(struct fq_delay_line *line, const struct fq_delay_line_shape *shape);

/* The `bytes` that were written first of the last `ago`; bytes <= ago <= length. */
void fq_delay_line_read(const struct fq_delay_line *line, int32_t length, int32_t ago, int32_t bytes, void *to);

/* The next bytes, which take the place of the oldest; bytes <= length. */
void fq_delay_line_write(struct fq_delay_line *line, int32_t length, const void *from, int32_t bytes);

#ifdef __cplusplus
}
#endif

#endif
