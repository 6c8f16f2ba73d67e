/* The inner loops, over values that lie side by side. */
#ifndef FQ_VECTORS_H
#define FQ_VECTORS_H

#include "fixed_point.h"
#include "kernels.h"

#include <stdint.h>

enum { FQ_CHANNELS_AT_ONCE = 64 }; /* sums that a kernel keeps on the stack */

/* A summand on the common grid. */
static inline int32_t fq_aligned(int32_t code, const struct fq_summand *s, int32_t left_shift)
{
    return fq_rescale(fq_shift_left(code - s->zero_point, left_shift), s->multiplier, s->shift);
}

/* sums[k] += x . w[k], for `count` vectors w[k] that lie one after the other. */
void fq_dots(const int8_t *x, const int8_t *w, int32_t length, int32_t count, int32_t *sums);

/* The same of two vectors; scratch: 4 * length bytes, at a multiple of 4. */
void fq_dots_of_two(const int8_t *x0, const int8_t *x1, const int8_t *w, int32_t length, int32_t count, int32_t *sums0, int32_t *sums1,
                    void *scratch);

/* The sum of x. */
int32_t fq_sum(const int8_t *x, int32_t length);

/* sums[i] += x[i] */
void fq_accumulate(const int8_t *x, int32_t count, int32_t *sums);

/* sums[i] += (x[i] - zero_point) * w[i] */
void fq_accumulate_products(const int8_t *x, int32_t zero_point, const int8_t *w, int32_t count, int32_t *sums);

/* sums[i] += factor * w[i] */
void fq_accumulate_multiples(int32_t factor, const int8_t *w, int32_t count, int32_t *sums);

/* sums[i] += sign * the summand of x[i * step] */
void fq_accumulate_summands(const int8_t *x, int32_t step, const struct fq_summand *summand, int32_t left_shift, int32_t sign, int32_t count,
                            int32_t *sums);

/* The codes of sums, each with a factor of its own. */
void fq_store_codes(const int32_t *sums, int32_t count, const int32_t *multipliers, const int8_t *shifts, const struct fq_grid *grid,
                    int8_t *y);

/* The codes of sums with one factor. */
void fq_store_scaled(const int32_t *sums, int32_t count, int32_t multiplier, int32_t shift, const struct fq_grid *grid, int8_t *y);

/* y = table[x + 128] */
void fq_look_up(const int8_t *x, const int8_t *table, int32_t count, int8_t *y);

#endif
