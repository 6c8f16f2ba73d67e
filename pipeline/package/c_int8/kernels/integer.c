/* Arithmetic on integers as they are, changes of type, and changes of grid. */
#include "broadcast.h"
#include "fixed_point.h"

/* A loop over memory that a result may share with an operand, place by place. */
#if defined(__GNUC__) && !defined(__clang__)
#define INDEPENDENT _Pragma("GCC ivdep")
#else
#define INDEPENDENT
#endif

#define BROADCAST(name, x_type, y_type, expression)                                          \
    FQ_ROW(name##_row, struct fq_broadcast, x_type, y_type, expression)                      \
    void name(const void *parameters, const struct fq_operands *tensors)                     \
    {                                                                                        \
        fq_for_rows(0, parameters, tensors, name##_row, (ptrdiff_t)sizeof(x_type), (ptrdiff_t)sizeof(y_type)); \
    }

/* Of large tensors: operands that are not repeated get a loop that compilers vectorize. */
#define EXTREMUM(name, chosen)                                                                                                   \
    FQ_ROW(name##_repeated, struct fq_broadcast, int8_t, int8_t, chosen)                                                         \
    static void name##_row(const void *parameters, const void *a_, int32_t a_step, const void *b_, int32_t b_step, void *y_,     \
                           int32_t count)                                                                                        \
    {                                                                                                                            \
        const int8_t *a = a_, *b = b_;                                                                                           \
        int8_t *y = y_;                                                                                                          \
        if (!a_step || !b_step) {                                                                                                \
            name##_repeated(parameters, a, a_step, b, b_step, y, count);                                                         \
            return;                                                                                                              \
        }                                                                                                                        \
        INDEPENDENT for (int32_t i = 0; i < count; i++)                                                                          \
        {                                                                                                                        \
            const int8_t va = a[i], vb = b[i];                                                                                   \
            y[i] = chosen;                                                                                                       \
        }                                                                                                                        \
    }                                                                                                                            \
    void name(const void *parameters, const struct fq_operands *tensors)                                                         \
    {                                                                                                                            \
        fq_for_rows(0, parameters, tensors, name##_row, 1, 1);                                                                   \
    }

EXTREMUM(fq_maximum_s8, va > vb ? va : vb)
EXTREMUM(fq_minimum_s8, va < vb ? va : vb)

/* Of two values the one with the larger complement is the smaller: maximum and minimum share a row function. */
static const int32_t of_values = 0, of_complements = -1;

#define EXTREMA(suffix, type)                                                                                      \
    FQ_ROW(extremum_##suffix, int32_t, type, type, (va ^ *p) > (vb ^ *p) ? va : vb)                                \
    void fq_maximum_##suffix(const void *parameters, const struct fq_operands *tensors)                            \
    {                                                                                                              \
        fq_for_rows(&of_values, parameters, tensors, extremum_##suffix, (ptrdiff_t)sizeof(type), (ptrdiff_t)sizeof(type)); \
    }                                                                                                              \
    void fq_minimum_##suffix(const void *parameters, const struct fq_operands *tensors)                            \
    {                                                                                                              \
        fq_for_rows(&of_complements, parameters, tensors, extremum_##suffix, (ptrdiff_t)sizeof(type), (ptrdiff_t)sizeof(type)); \
    }

EXTREMA(s16, int16_t)
EXTREMA(s32, int32_t)
BROADCAST(fq_add_s32, int32_t, int32_t, (uint32_t)va + (uint32_t)vb)
BROADCAST(fq_sub_s32, int32_t, int32_t, (uint32_t)va - (uint32_t)vb)
BROADCAST(fq_sub_relu_s32, int32_t, int32_t, (int32_t)((uint32_t)va - (uint32_t)vb) > 0 ? (uint32_t)va - (uint32_t)vb : 0)
BROADCAST(fq_mul_s32, int32_t, int32_t, (uint32_t)va * (uint32_t)vb)
/* -2^31 / -1 is 2^31, which is -2^31 modulo 2^32 */
BROADCAST(fq_div_s32, int32_t, int32_t, vb == 0 ? 0 : vb == -1 ? (int32_t)(0 - (uint32_t)va) : va / vb)
BROADCAST(fq_less_s32, int32_t, uint8_t, va < vb)

#define CAST(name, x_type, y_type)                                       \
    void name(const void *parameters, const struct fq_operands *tensors) \
    {                                                                    \
        const struct fq_count *p = parameters;                           \
        const x_type *restrict x = tensors->a;                           \
        y_type *restrict y = tensors->y;                                 \
        for (int32_t i = 0; i < p->count; i++) {                         \
            y[i] = (y_type)x[i];                                         \
        }                                                                \
    }

CAST(fq_cast_s8_s16, int8_t, int16_t)
CAST(fq_cast_s8_s32, int8_t, int32_t)
CAST(fq_cast_s16_s8, int16_t, int8_t)
CAST(fq_cast_s16_s32, int16_t, int32_t)
CAST(fq_cast_s32_s8, int32_t, int8_t)
CAST(fq_cast_s32_s16, int32_t, int16_t)

#define REQUANTIZE(name, x_type, y_type, minimum, maximum)                                                   \
    void name(const void *parameters, const struct fq_operands *tensors)                                     \
    {                                                                                                        \
        const struct fq_requantize *p = parameters;                                                          \
        const x_type *x = tensors->a;                                                                        \
        y_type *y = tensors->y;                                                                              \
        for (int32_t i = 0; i < p->count; i++) {                                                             \
            const int32_t code = fq_rescale(x[i] - p->x_zero_point, p->multiplier, p->shift) + p->y_zero_point; \
            y[i] = (y_type)fq_clamp(code, minimum, maximum);                                                 \
        }                                                                                                    \
    }

REQUANTIZE(fq_requantize_s8_s16, int8_t, int16_t, -32768, 32767)
REQUANTIZE(fq_requantize_s16_s8, int16_t, int8_t, -128, 127)
REQUANTIZE(fq_requantize_s16_s16, int16_t, int16_t, -32768, 32767)
REQUANTIZE(fq_requantize_s32_s8, int32_t, int8_t, -128, 127)
REQUANTIZE(fq_requantize_s32_s16, int32_t, int16_t, -32768, 32767)
