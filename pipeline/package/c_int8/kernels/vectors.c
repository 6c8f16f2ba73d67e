/* Compilers vectorize the portable loops for NEON and for x86. For MVE (Helium), where GCC 12 does not, whole vectors are computed with the
 * intrinsics of arm_mve.h, which give the same codes, and the loops do the rest; and for the DSP extension of Cortex-M4, M7 and M33, words
 * of four codes. */
#include "vectors.h"

#include <string.h>

#if defined(__ARM_FEATURE_MVE) && (__ARM_FEATURE_MVE & 1)
#include <arm_mve.h>
#define MVE 1

/* fq_divide_by_power of four values; `left` is minus the exponent. */
static inline int32x4_t divide_4(int32x4_t value, int32x4_t left)
{
    return vrshlq_s32(vqaddq_s32(value, vshrq_n_s32(vandq_s32(value, left), 31)), left);
}

static inline int32x4_t rescale_4(int32x4_t value, int32x4_t multiplier, int32x4_t shift)
{
    const int32x4_t zero = vdupq_n_s32(0);
    return divide_4(vqrdmulhq_s32(vshlq_s32(value, vmaxq_s32(shift, zero)), multiplier), vminq_s32(shift, zero));
}

static inline void store_4(int8_t *y, int32x4_t value, const struct fq_grid *grid)
{
    const int32x4_t code = vmaxq_s32(vaddq_n_s32(value, grid->zero_point), vdupq_n_s32(grid->minimum));
    vstrbq_s32(y, vminq_s32(code, vdupq_n_s32(grid->maximum)));
}
#else
#define MVE 0
#endif

#if !MVE && defined(__GNUC__) && defined(__ARM_FEATURE_SIMD32) && __ARM_ARCH_PROFILE == 'M'
#include <arm_acle.h>
#define DSP 1

/* Codes 0 and 2, and 1 and 3, of four. */
struct four {
    int16x2_t even, odd;
};

static inline struct four load_4(const int8_t *x)
{
    int8x4_t word;
    struct four codes;
    memcpy(&word, x, sizeof word);
    codes.even = __sxtb16(word);
    __asm__("sxtb16 %0, %1, ror #8" : "=r"(codes.odd) : "r"(word));
    return codes;
}

static inline int32_t dot_of_4(struct four x, struct four w, int32_t sum)
{
    return __smlad(x.odd, w.odd, __smlad(x.even, w.even, sum));
}
#else
#define DSP 0
#endif

static void dot_4(const int8_t *restrict x, const int8_t *restrict w, int32_t length, int32_t *restrict sums)
{
    const int8_t *restrict w0 = w, *restrict w1 = w + length, *restrict w2 = w1 + length, *restrict w3 = w2 + length;
    int32_t s0 = sums[0], s1 = sums[1], s2 = sums[2], s3 = sums[3], i = 0;
#if MVE
    for (; i + 16 <= length; i += 16) {
        const int8x16_t v = vldrbq_s8(x + i);
        s0 = vmladavaq_s8(s0, v, vldrbq_s8(w0 + i));
        s1 = vmladavaq_s8(s1, v, vldrbq_s8(w1 + i));
        s2 = vmladavaq_s8(s2, v, vldrbq_s8(w2 + i));
        s3 = vmladavaq_s8(s3, v, vldrbq_s8(w3 + i));
    }
#elif DSP
    for (; i + 4 <= length; i += 4) {
        const struct four v = load_4(x + i);
        s0 = dot_of_4(v, load_4(w0 + i), s0);
        s1 = dot_of_4(v, load_4(w1 + i), s1);
        s2 = dot_of_4(v, load_4(w2 + i), s2);
        s3 = dot_of_4(v, load_4(w3 + i), s3);
    }
#endif
    for (; i < length; i++) {
        const int32_t v = x[i];
        s0 += v * w0[i];
        s1 += v * w1[i];
        s2 += v * w2[i];
        s3 += v * w3[i];
    }
    sums[0] = s0;
    sums[1] = s1;
    sums[2] = s2;
    sums[3] = s3;
}

static int32_t dot(const int8_t *restrict x, const int8_t *restrict w, int32_t length)
{
    int32_t sum = 0, i = 0;
#if MVE
    for (; i + 16 <= length; i += 16) {
        sum = vmladavaq_s8(sum, vldrbq_s8(x + i), vldrbq_s8(w + i));
    }
#elif DSP
    for (; i + 4 <= length; i += 4) {
        sum = dot_of_4(load_4(x + i), load_4(w + i), sum);
    }
#endif
    for (; i < length; i++) {
        sum += x[i] * w[i];
    }
    return sum;
}

void fq_dots(const int8_t *x, const int8_t *w, int32_t length, int32_t count, int32_t *sums)
{
    int32_t k = 0;
    for (; k + 4 <= count; k += 4, w += 4 * length) {
        dot_4(x, w, length, sums + k);
    }
    for (; k < count; k++, w += length) {
        sums[k] += dot(x, w, length);
    }
}

#if DSP
/* Two vectors, four codes of the one and four of the other by turns. */
static const struct four *interleaved(const int8_t *x0, const int8_t *x1, int32_t length, struct four *scratch)
{
    for (int32_t i = 0; i + 4 <= length; i += 4) {
        scratch[i / 2] = load_4(x0 + i);
        scratch[i / 2 + 1] = load_4(x1 + i);
    }
    return scratch;
}

/* sums[0] and sums[1] of the one with w0 and w1, sums[2] and sums[3] of the other; what is loaded is used twice. */
static inline void dots_2_by_2(const struct four *x, const int8_t *w0, const int8_t *w1, int32_t length, int32_t sums[4])
{
    int32_t s00 = sums[0], s01 = sums[1], s10 = sums[2], s11 = sums[3];
    const struct four *const end = x + length / 4 * 2;
    for (; x != end; x += 2, w0 += 4, w1 += 4) {
        const struct four v = load_4(w0), w = load_4(w1);
        s00 = dot_of_4(x[0], v, s00);
        s01 = dot_of_4(x[0], w, s01);
        s10 = dot_of_4(x[1], v, s10);
        s11 = dot_of_4(x[1], w, s11);
    }
    sums[0] = s00, sums[1] = s01, sums[2] = s10, sums[3] = s11;
}
#endif

void fq_dots_of_two(const int8_t *x0, const int8_t *x1, const int8_t *w, int32_t length, int32_t count, int32_t *sums0, int32_t *sums1,
                    void *scratch)
{
    int32_t k = 0;
#if DSP
    const struct four *x = interleaved(x0, x1, length, scratch);
    for (; length % 4 == 0 && k + 2 <= count; k += 2, w += 2 * length) {
        int32_t sums[4] = {sums0[k], sums0[k + 1], sums1[k], sums1[k + 1]};
        dots_2_by_2(x, w, w + length, length, sums);
        sums0[k] = sums[0], sums0[k + 1] = sums[1], sums1[k] = sums[2], sums1[k + 1] = sums[3];
    }
#else
    (void)scratch;
#endif
    fq_dots(x0, w, length, count - k, sums0 + k);
    fq_dots(x1, w, length, count - k, sums1 + k);
}

int32_t fq_sum(const int8_t *x, int32_t length)
{
    int32_t sum = 0, i = 0;
#if MVE
    for (; i + 16 <= length; i += 16) {
        sum = vaddvaq_s8(sum, vldrbq_s8(x + i));
    }
#elif DSP
    const struct four ones = {0x10001, 0x10001};
    for (; i + 4 <= length; i += 4) {
        sum = dot_of_4(load_4(x + i), ones, sum);
    }
#endif
    for (; i < length; i++) {
        sum += x[i];
    }
    return sum;
}

void fq_accumulate(const int8_t *restrict x, int32_t count, int32_t *restrict sums)
{
    int32_t i = 0;
#if MVE
    for (; i + 4 <= count; i += 4) {
        vstrwq_s32(sums + i, vaddq_s32(vldrwq_s32(sums + i), vldrbq_s32(x + i)));
    }
#endif
    for (; i < count; i++) {
        sums[i] += x[i];
    }
}

void fq_accumulate_products(const int8_t *restrict x, int32_t zero_point, const int8_t *restrict w, int32_t count, int32_t *restrict sums)
{
    int32_t i = 0;
#if MVE
    for (; i + 4 <= count; i += 4) {
        const int32x4_t product = vmulq_s32(vsubq_n_s32(vldrbq_s32(x + i), zero_point), vldrbq_s32(w + i));
        vstrwq_s32(sums + i, vaddq_s32(vldrwq_s32(sums + i), product));
    }
#endif
    for (; i < count; i++) {
        sums[i] += (x[i] - zero_point) * w[i];
    }
}

void fq_accumulate_multiples(int32_t factor, const int8_t *restrict w, int32_t count, int32_t *restrict sums)
{
    int32_t i = 0;
#if MVE
    for (; i + 4 <= count; i += 4) {
        vstrwq_s32(sums + i, vmlaq_n_s32(vldrwq_s32(sums + i), vldrbq_s32(w + i), factor));
    }
#endif
    for (; i < count; i++) {
        sums[i] += factor * w[i];
    }
}

/* One value for all is computed once; and where the factor is 1/2, as that of the coarser grid is, nothing is rounded. */
void fq_accumulate_summands(const int8_t *restrict x, int32_t step, const struct fq_summand *summand, int32_t left_shift, int32_t sign,
                            int32_t count, int32_t *restrict sums)
{
    const struct fq_summand own = *summand; /* the compiler knows that no sum changes it */
    int32_t i = 0;
    if (step == 0) {
        const int32_t value = sign * fq_aligned(*x, &own, left_shift);
        for (; i < count; i++) {
            sums[i] += value;
        }
        return;
    }
#if MVE
    for (; step == 1 && i + 4 <= count; i += 4) {
        const int32x4_t shifted = vshlq_s32(vsubq_n_s32(vldrbq_s32(x + i), own.zero_point), vdupq_n_s32(left_shift));
        const int32x4_t value = rescale_4(shifted, vdupq_n_s32(own.multiplier), vdupq_n_s32(own.shift));
        vstrwq_s32(sums + i, vmlaq_n_s32(vldrwq_s32(sums + i), value, sign));
    }
#endif
    if (own.multiplier == INT32_C(1) << 30 && own.shift == 0) {
        for (; i < count; i++) {
            sums[i] += sign * fq_shift_left(x[i * step] - own.zero_point, left_shift - 1);
        }
    }
    for (; i < count; i++) {
        sums[i] += sign * fq_aligned(x[i * step], &own, left_shift);
    }
}

#if DSP
/* A sum whose factor is below 1, as a code of the full range; `right` is minus the shift and `odd` twice the zero point and 1. In
 * fq_rescale's second rounding, a negative value is lessened and then ties go upwards. */
static inline int8_t code_by_shift(int32_t sum, int32_t multiplier, int32_t right, int32_t odd)
{
    const int32_t product = fq_high_product(sum, multiplier);
    const int32_t twice = (product + (product >> 31)) >> (right - 1);
    return (int8_t)fq_clamp((twice + odd) >> 1, -128, 127);
}

static int is_full(const struct fq_grid *grid)
{
    return grid->minimum == -128 && grid->maximum == 127;
}
#endif

void fq_store_codes(const int32_t *restrict sums, int32_t count, const int32_t *restrict multipliers, const int8_t *restrict shifts,
                    const struct fq_grid *grid, int8_t *restrict y)
{
    int32_t i = 0;
#if MVE
    for (; i + 4 <= count; i += 4) {
        store_4(y + i, rescale_4(vldrwq_s32(sums + i), vldrwq_s32(multipliers + i), vldrbq_s32(shifts + i)), grid);
    }
#elif DSP
    const int32_t odd = 2 * grid->zero_point + 1;
    for (; is_full(grid) && i < count && shifts[i] < 0; i++) {
        y[i] = code_by_shift(sums[i], multipliers[i], -shifts[i], odd);
    }
#endif
    for (; i < count; i++) {
        const int32_t code = fq_rescale(sums[i], multipliers[i], shifts[i]) + grid->zero_point;
        y[i] = (int8_t)fq_clamp(code, grid->minimum, grid->maximum);
    }
}

void fq_store_scaled(const int32_t *restrict sums, int32_t count, int32_t multiplier, int32_t shift, const struct fq_grid *grid,
                     int8_t *restrict y)
{
    int32_t i = 0;
#if MVE
    for (; i + 4 <= count; i += 4) {
        store_4(y + i, rescale_4(vldrwq_s32(sums + i), vdupq_n_s32(multiplier), vdupq_n_s32(shift)), grid);
    }
#elif DSP
    const int32_t odd = 2 * grid->zero_point + 1;
    for (; is_full(grid) && shift < 0 && i < count; i++) {
        y[i] = code_by_shift(sums[i], multiplier, -shift, odd);
    }
#endif
    for (; i < count; i++) {
        const int32_t code = fq_rescale(sums[i], multiplier, shift) + grid->zero_point;
        y[i] = (int8_t)fq_clamp(code, grid->minimum, grid->maximum);
    }
}

void fq_look_up(const int8_t *x, const int8_t *table, int32_t count, int8_t *y)
{
    int32_t i = 0;
#if MVE
    for (; i + 16 <= count; i += 16) {
        const uint8x16_t index = veorq_u8(vldrbq_u8((const uint8_t *)x + i), vdupq_n_u8(128));
        vstrbq_s8(y + i, vldrbq_gather_offset_s8(table, index));
    }
#endif
    for (; i < count; i++) {
        y[i] = table[x[i] + 128];
    }
}
