/* Softmax on int8, and the logistic function and tanh on int16. Their tables come with the parameters. */
#include "fixed_point.h"
#include "kernels.h"

#include <stddef.h>

enum { SUM_BITS = 12 }; /* integer bits of a sum of exponentials */

/* value * 2^exponent, saturated. */
static int32_t saturated_shift(int32_t value, int32_t exponent)
{
    const int32_t limit = INT32_MAX >> exponent;
    return value > limit ? INT32_MAX : value < -limit - 1 ? INT32_MIN : fq_shift_left(value, exponent);
}

/* 2^29 / x in units of 2^-29 for x in [2^30, 2^31) of units 2^-31, that is 1 / (2 x): three steps of Newton's method from
 * 48/17 - 32/17 x. Products are of units 2^-31 and rounded. */
static int32_t reciprocal(int32_t x)
{
    const int32_t a = 1515870810, b = -1010580540; /* 48/17 and -32/17 in units of 2^-29 */
    int32_t y = a + fq_high_product(x, b);
    for (int32_t step = 0; step < 3; step++) {
        const int32_t rest = (INT32_C(1) << 29) - fq_high_product(x, y);
        y += saturated_shift(fq_high_product(y, rest), 2);
    }
    return y;
}

static int32_t leading_zeros(uint32_t value)
{
    int32_t count = 0;
    for (; !(value >> 31) && count < 32; count++) {
        value <<= 1;
    }
    return count;
}

/* Gives of a row the factor of its exponentials, units of 2^-31, and by `shift` how far the product is to be shifted right. */
static int32_t row_factor(const struct fq_softmax *p, const int8_t *x, int32_t highest, int32_t *shift)
{
    int32_t sum = 0;
    for (int32_t i = 0; i < p->depth; i++) {
        sum += fq_divide_by_power(p->exponentials[highest - x[i]], SUM_BITS);
    }
    const int32_t headroom = leading_zeros((uint32_t)sum);
    const int32_t fraction = (int32_t)(((uint32_t)sum << headroom) - (UINT32_C(1) << 31)); /* sum is 1 + fraction */
    const int32_t half = (int32_t)(((int64_t)fraction + INT32_MAX + 1) / 2);               /* (1 + fraction) / 2, rounded */
    *shift = SUM_BITS - headroom;
    return saturated_shift(reciprocal(half), 1);
}

#define SOFTMAX(name, y_type, bits)                                                                                    \
    void name(const void *parameters, const struct fq_operands *tensors)                                               \
    {                                                                                                                  \
        const struct fq_softmax *p = parameters;                                                                       \
        const int8_t *x = tensors->a;                                                                                  \
        y_type *y = tensors->y;                                                                                        \
        const int32_t lowest = -(INT32_C(1) << ((bits) - 1));                                                          \
        for (int32_t row = 0; row < p->rows; row++, x += p->depth, y += p->depth) {                                    \
            int32_t highest = -128, shift;                                                                             \
            for (int32_t i = 0; i < p->depth; i++) {                                                                   \
                highest = x[i] > highest ? x[i] : highest;                                                             \
            }                                                                                                          \
            const int32_t factor = row_factor(p, x, highest, &shift);                                                  \
            for (int32_t i = 0; i < p->depth; i++) {                                                                   \
                const int32_t product = fq_high_product(factor, p->exponentials[highest - x[i]]);                      \
                const int32_t code = fq_divide_by_power(product, shift + 31 - (bits)) + lowest;                        \
                y[i] = (y_type)fq_clamp(code, lowest, -lowest - 1);                                                    \
            }                                                                                                          \
        }                                                                                                              \
    }

SOFTMAX(fq_softmax_s8_s8, int8_t, 8)
SOFTMAX(fq_softmax_s8_s16, int16_t, 16)

/* The input in steps of the table: 2^9 to an entry of the logistic function, whose argument is scaled by 2 for tanh. */
static int32_t scaled(const struct fq_sigmoid *p, int32_t code)
{
    const int32_t round = p->shift > 0 ? INT32_C(1) << (p->shift - 1) : 0;
    return (code * p->multiplier + round) >> p->shift;
}

/* The table at |x| / 2^bits, interpolated: units of 2^-(16 + bits). */
static int32_t interpolated(const uint16_t *table, uint32_t magnitude, int32_t bits, int32_t beyond)
{
    const uint32_t entry = magnitude >> bits;
    if (entry >= 255) {
        return beyond;
    }
    const uint32_t low = table[entry], high = table[entry + 1];
    return (int32_t)((low << bits) + (magnitude & ((UINT32_C(1) << bits) - 1)) * (high - low));
}

void fq_logistic_s16(const void *parameters, const struct fq_operands *tensors)
{
    const struct fq_sigmoid *p = parameters;
    const int16_t *x = tensors->a;
    int16_t *y = tensors->y;
    for (int32_t i = 0; i < p->count; i++) {
        const int32_t at = scaled(p, x[i]);
        const int32_t value = interpolated(p->table, (uint32_t)(at < 0 ? -at : at), 9, 0x7FFF << 10);
        y[i] = (int16_t)((at >= 0 ? value + (1 << 9) : (1 << 25) - value + (1 << 9) - 1) >> 10);
    }
}

void fq_tanh_s16(const void *parameters, const struct fq_operands *tensors)
{
    const struct fq_sigmoid *p = parameters;
    const int16_t *x = tensors->a;
    int16_t *y = tensors->y;
    for (int32_t i = 0; i < p->count; i++) {
        const int32_t at = scaled(p, x[i]);
        const int32_t value = interpolated(p->table, (uint32_t)(at < 0 ? -at : at), 8, 0xFFFF << 8);
        y[i] = (int16_t)((at >= 0 ? value - (1 << 23) + (1 << 7) : (1 << 23) - value + (1 << 7) - 1) >> 8);
    }
}
