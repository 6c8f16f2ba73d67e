/* Element-wise kernels: a walk over all axes but the last, and loops over the last. An operand may lie where the result does: each
 * result depends on the values at its own place alone. */
#ifndef FQ_BROADCAST_H
#define FQ_BROADCAST_H

#include "kernels.h"

#include <stddef.h>

typedef void fq_row(const void *parameters, const void *a, int32_t a_step, const void *b, int32_t b_step, void *y, int32_t count);

/* Calls `row` for every row of the result; `bytes` and `y_bytes` are the sizes of an element of the operands and of the result. */
void fq_for_rows(const void *parameters, const struct fq_broadcast *shape, const struct fq_operands *tensors, fq_row *row, ptrdiff_t bytes,
                 ptrdiff_t y_bytes);

/* A row function of this name: `expression` of the parameters p and the values va and vb. */
#define FQ_ROW(name, structure, x_type, y_type, expression)                                                            \
    static void name(const void *parameters, const void *a_, int32_t a_step, const void *b_, int32_t b_step, void *y_, \
                     int32_t count)                                                                                    \
    {                                                                                                                  \
        const structure *p = parameters;                                                                               \
        const x_type *a = a_, *b = b_;                                                                                 \
        y_type *y = y_;                                                                                                \
        (void)p;                                                                                                       \
        for (int32_t i = 0; i < count; i++) {                                                                          \
            const x_type va = a[i * a_step], vb = b[i * b_step];                                                       \
            y[i] = (y_type)(expression);                                                                               \
        }                                                                                                              \
    }

#endif
