/* Means over windows and over axes. */
#include "kernels.h"
#include "vectors.h"

#include <stddef.h>

static void accumulate_s16(const int16_t *x, int32_t count, int32_t *sums)
{
    for (int32_t i = 0; i < count; i++) {
        sums[i] += x[i];
    }
}

#define AVERAGE_POOL(name, type, accumulate)                                                                              \
    static void name##_block(const struct fq_average_pool *p, const type *x, int32_t top, int32_t left, int32_t channels, \
                             type *y)                                                                                     \
    {                                                                                                                     \
        const struct fq_window *s = p->window;                                                                            \
        const int32_t bottom = top + s->kernel_height < s->input_height ? top + s->kernel_height : s->input_height;       \
        const int32_t right = left + s->kernel_width < s->input_width ? left + s->kernel_width : s->input_width;          \
        const int32_t first_row = top > 0 ? top : 0, first_column = left > 0 ? left : 0;                                  \
        const int32_t count = (bottom - first_row) * (right - first_column);                                              \
        int32_t sums[FQ_CHANNELS_AT_ONCE] = {0};                                                                          \
        for (int32_t i = first_row; i < bottom; i++) {                                                                    \
            for (int32_t j = first_column; j < right; j++) {                                                              \
                accumulate(x + ((ptrdiff_t)i * s->input_width + j) * s->input_channels, channels, sums);                  \
            }                                                                                                             \
        }                                                                                                                 \
        for (int32_t c = 0; c < channels; c++) {                                                                          \
            const int32_t mean = (sums[c] + (sums[c] > 0 ? count / 2 : -(count / 2))) / count;                            \
            y[c] = (type)fq_clamp(mean, p->y.minimum, p->y.maximum);                                                      \
        }                                                                                                                 \
    }                                                                                                                     \
                                                                                                                          \
    void name(const void *parameters, const struct fq_operands *tensors)                                                  \
    {                                                                                                                     \
        const struct fq_average_pool *p = parameters;                                                                     \
        const struct fq_window *s = p->window;                                                                            \
        const type *x = tensors->a;                                                                                       \
        type *y = tensors->y;                                                                                             \
        const int32_t channels = s->input_channels;                                                                       \
        for (int32_t n = 0; n < s->batches; n++, x += (ptrdiff_t)s->input_height * s->input_width * channels) {           \
            for (int32_t i = 0; i < s->output_height; i++) {                                                              \
                for (int32_t j = 0; j < s->output_width; j++, y += channels) {                                            \
                    const int32_t top = i * s->stride_height - s->pad_top, left = j * s->stride_width - s->pad_left;      \
                    for (int32_t k = 0; k < channels; k += FQ_CHANNELS_AT_ONCE) {                                         \
                        const int32_t rest = channels - k;                                                                \
                        name##_block(p, x + k, top, left, rest < FQ_CHANNELS_AT_ONCE ? rest : FQ_CHANNELS_AT_ONCE, y + k); \
                    }                                                                                                     \
                }                                                                                                         \
            }                                                                                                             \
        }                                                                                                                 \
    }

AVERAGE_POOL(fq_average_pool_s8, int8_t, fq_accumulate)
AVERAGE_POOL(fq_average_pool_s16, int16_t, accumulate_s16)

#define MEAN(name, type, lowest, highest)                                                                              \
    static int32_t name##_sum(const struct fq_mean *p, const type *x)                                                  \
    {                                                                                                                  \
        int32_t sum = 0;                                                                                               \
        for (int32_t i = 0; i < p->reduced[0]; i++) {                                                                  \
            for (int32_t j = 0; j < p->reduced[1]; j++) {                                                              \
                const type *from = x + (ptrdiff_t)i * p->reduced_step[0] + (ptrdiff_t)j * p->reduced_step[1];          \
                for (int32_t k = 0; k < p->reduced[2]; k++) {                                                          \
                    sum += from[(ptrdiff_t)k * p->reduced_step[2]];                                                    \
                }                                                                                                      \
            }                                                                                                          \
        }                                                                                                              \
        return sum - p->reduced[0] * p->reduced[1] * p->reduced[2] * p->x_zero_point;                                  \
    }                                                                                                                  \
                                                                                                                       \
    void name(const void *parameters, const struct fq_operands *tensors)                                               \
    {                                                                                                                  \
        const struct fq_mean *p = parameters;                                                                          \
        const type *x = tensors->a;                                                                                    \
        type *y = tensors->y;                                                                                          \
        for (int32_t i = 0; i < p->kept[0]; i++) {                                                                     \
            for (int32_t j = 0; j < p->kept[1]; j++) {                                                                 \
                for (int32_t k = 0; k < p->kept[2]; k++) {                                                             \
                    const ptrdiff_t at = (ptrdiff_t)i * p->kept_step[0] + (ptrdiff_t)j * p->kept_step[1]               \
                        + (ptrdiff_t)k * p->kept_step[2];                                                              \
                    const int32_t code = fq_rescale(name##_sum(p, x + at), p->multiplier, p->shift) + p->y_zero_point; \
                    *y++ = (type)fq_clamp(code, lowest, highest);                                                      \
                }                                                                                                      \
            }                                                                                                          \
        }                                                                                                              \
    }

MEAN(fq_mean_s8, int8_t, -128, 127)
MEAN(fq_mean_s16, int16_t, -32768, 32767)
