/* The integer arithmetic of TFLite's reference kernels: a real factor is multiplier * 2^(shift - 31), and what it
 * multiplies is rounded twice, first by the product and then by the shift.
 *
 * Right shifts of negative numbers must be arithmetic, as every compiler for the supported machines has them. */
#ifndef FQ_FIXED_POINT_H
#define FQ_FIXED_POINT_H

#include <stdint.h>

/* value * multiplier / 2^31 to the nearest, ties upwards. */
static inline int32_t fq_high_product(int32_t value, int32_t multiplier)
{
    return (int32_t)(((int64_t)value * multiplier + (INT64_C(1) << 30)) >> 31);
}

/* value / 2^exponent to the nearest, ties away from 0; exponent 0..31. */
static inline int32_t fq_divide_by_power(int32_t value, int32_t exponent)
{
    const int32_t mask = (int32_t)((UINT32_C(1) << exponent) - 1);
    const int32_t threshold = (mask >> 1) + (value < 0);
    return (value >> exponent) + ((value & mask) > threshold);
}

/* value * 2^exponent modulo 2^32; exponent 0..30. */
static inline int32_t fq_shift_left(int32_t value, int32_t exponent)
{
    return (int32_t)((uint32_t)value << exponent);
}

/* value times the factor (multiplier, shift), rounded twice; shift -31..30. */
static inline int32_t fq_rescale(int32_t value, int32_t multiplier, int32_t shift)
{
    const int32_t left = shift > 0 ? shift : 0;
    return fq_divide_by_power(fq_high_product(fq_shift_left(value, left), multiplier), left - shift);
}

/* The same for sums of 64 bits, as the kernels on int16 have it: 16 bits of the multiplier, rounded once, ties upwards;
 * shift -31..7. */
static inline int32_t fq_rescale_wide(int64_t value, int32_t multiplier, int32_t shift)
{
    const int32_t reduced = multiplier < 0x7FFF0000 ? (multiplier + (1 << 15)) >> 16 : 0x7FFF;
    const int32_t right = 15 - shift;
    return (int32_t)((value * reduced + (INT64_C(1) << (right - 1))) >> right);
}

static inline int32_t fq_clamp(int32_t value, int32_t minimum, int32_t maximum)
{
    value = value < minimum ? minimum : value;
    return value > maximum ? maximum : value;
}

#endif
