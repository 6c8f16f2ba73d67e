/* Products of batches of int8 matrices, both with zero points: the sum of (a - za)(b - zb) is
 * sum a b - za sum b - zb sum a + depth za zb. */
#include "kernels.h"
#include "vectors.h"

#include <stddef.h>

/* Columns j.. of a row of the result. */
typedef void block(const struct fq_batch_matmul *p, const int8_t *row, const int8_t *b, const int32_t *of_column, int32_t j,
                   int32_t count, int32_t *sums);

static void as_it_is(const struct fq_batch_matmul *p, const int8_t *row, const int8_t *b, const int32_t *of_column, int32_t j,
                     int32_t count, int32_t *sums)
{
    (void)of_column;
    for (int32_t k = 0; k < p->depth; k++) {
        fq_accumulate_multiples(row[k] - p->a_zero_point, b + (ptrdiff_t)k * p->columns + j, count, sums);
    }
}

static void transposed(const struct fq_batch_matmul *p, const int8_t *row, const int8_t *b, const int32_t *of_column, int32_t j,
                       int32_t count, int32_t *sums)
{
    fq_dots(row, b + (ptrdiff_t)j * p->depth, p->depth, count, sums);
    for (int32_t c = 0; c < count; c++) {
        sums[c] -= of_column[j + c];
    }
}

static void one_batch(const struct fq_batch_matmul *p, const int8_t *a, const int8_t *b, const int32_t *of_column, block *columns, int8_t *y)
{
    for (int32_t i = 0; i < p->rows; i++, a += p->depth, y += p->columns) {
        const int32_t of_row = p->b_zero_point * (fq_sum(a, p->depth) - p->depth * p->a_zero_point);
        for (int32_t j = 0; j < p->columns; j += FQ_CHANNELS_AT_ONCE) {
            const int32_t count = p->columns - j < FQ_CHANNELS_AT_ONCE ? p->columns - j : FQ_CHANNELS_AT_ONCE;
            int32_t sums[FQ_CHANNELS_AT_ONCE];
            for (int32_t c = 0; c < count; c++) {
                sums[c] = -of_row;
            }
            columns(p, a, b, of_column, j, count, sums);
            fq_store_scaled(sums, count, p->multiplier, p->shift, &p->y, y + j);
        }
    }
}

void fq_batch_matmul_s8(const void *parameters, const struct fq_operands *tensors)
{
    const struct fq_batch_matmul *p = parameters;
    const int8_t *a = tensors->a, *b = tensors->b;
    int8_t *y = tensors->y;
    for (int32_t n = 0; n < p->batches; n++, a += p->a_batch_step, b += p->b_batch_step, y += (ptrdiff_t)p->rows * p->columns) {
        one_batch(p, a, b, 0, as_it_is, y);
    }
}

void fq_batch_matmul_transposed_s8(const void *parameters, const struct fq_operands *tensors)
{
    const struct fq_batch_matmul *p = parameters;
    const int8_t *a = tensors->a, *b = tensors->b;
    int8_t *y = tensors->y;
    int32_t *of_column = tensors->scratch;
    for (int32_t n = 0; n < p->batches; n++, a += p->a_batch_step, b += p->b_batch_step, y += (ptrdiff_t)p->rows * p->columns) {
        for (int32_t j = 0; j < p->columns; j++) {
            of_column[j] = p->a_zero_point * fq_sum(b + (ptrdiff_t)j * p->depth, p->depth);
        }
        one_batch(p, a, b, of_column, transposed, y);
    }
}
