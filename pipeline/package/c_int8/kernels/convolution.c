/* Convolutions: sums of products in int32 (int64 on int16), one factor a channel. */
#include "kernels.h"
#include "vectors.h"

#include <stddef.h>
#include <string.h>

/* The window of x at (top, left) as one row of h * w * C values, with the zero point where it leaves the input. */
static const void *window(const struct fq_conv_2d *p, const char *x, int32_t top, int32_t left, size_t bytes, char *row)
{
    const struct fq_window *s = p->window;
    const size_t pixel = (size_t)s->input_channels * bytes, line = (size_t)s->kernel_width * pixel;
    const int dense_width = s->dilation_width == 1 && left >= 0 && left + s->kernel_width <= s->input_width;
    const int dense_height = s->dilation_height == 1 && top >= 0 && top + s->kernel_height <= s->input_height;
    const char *start = x + ((ptrdiff_t)top * s->input_width + left) * (ptrdiff_t)pixel;
    if (dense_width && (s->kernel_height == 1 || s->kernel_width == s->input_width) && dense_height) {
        return start;
    }
    for (int32_t i = 0; i < s->kernel_height; i++) {
        const int32_t height = top + i * s->dilation_height;
        char *to = row + (size_t)i * line;
        if (height < 0 || height >= s->input_height) {
            memset(to, p->input_zero_point, line);
        } else if (dense_width) {
            memcpy(to, start + (ptrdiff_t)i * s->dilation_height * s->input_width * (ptrdiff_t)pixel, line);
        } else {
            for (int32_t j = 0; j < s->kernel_width; j++) {
                const int32_t width = left + j * s->dilation_width;
                if (width < 0 || width >= s->input_width) {
                    memset(to + (size_t)j * pixel, p->input_zero_point, pixel);
                } else {
                    memcpy(to + (size_t)j * pixel, x + ((size_t)height * (size_t)s->input_width + (size_t)width) * pixel, pixel);
                }
            }
        }
    }
    return row;
}

/* All channels of one or two pixels of the output. */
static void filters_s8(const struct fq_conv_2d *p, const void *const rows[2], int32_t pixels, const struct fq_operands *o, void *result)
{
    const int32_t depth = p->depth;
    const int8_t *w = o->b;
    const int32_t *bias = o->c;
    int8_t *y = result;
    const int32_t channels = p->window->output_channels;
    for (int32_t k = 0; k < channels; k += FQ_CHANNELS_AT_ONCE, w += (ptrdiff_t)FQ_CHANNELS_AT_ONCE * depth) {
        const int32_t count = channels - k < FQ_CHANNELS_AT_ONCE ? channels - k : FQ_CHANNELS_AT_ONCE;
        int32_t sums[2][FQ_CHANNELS_AT_ONCE];
        memcpy(sums[0], bias + k, (size_t)count * sizeof **sums);
        if (pixels == 2) {
            memcpy(sums[1], bias + k, (size_t)count * sizeof **sums);
            fq_dots_of_two(rows[0], rows[1], w, depth, count, sums[0], sums[1], o->scratch);
        } else {
            fq_dots(rows[0], w, depth, count, sums[0]);
        }
        for (int32_t i = 0; i < pixels; i++) {
            fq_store_codes(sums[i], count, p->multipliers + k, p->shifts + k, &p->y, y + (ptrdiff_t)i * channels + k);
        }
    }
}

/* Blocks are short enough for sums of products of 16 by 8 bits to fit int32. */
static int64_t dot_s16(const int16_t *restrict x, const int8_t *restrict w, int32_t length)
{
    enum { BLOCK = 256 };
    int64_t total = 0;
    for (int32_t i = 0; i < length; i += BLOCK) {
        const int32_t end = i + BLOCK < length ? i + BLOCK : length;
        int32_t sum = 0;
        for (int32_t j = i; j < end; j++) {
            sum += x[j] * w[j];
        }
        total += sum;
    }
    return total;
}

static void filters_s16(const struct fq_conv_2d *p, const void *const rows[2], int32_t pixels, const struct fq_operands *o, void *result)
{
    const int8_t *w = o->b;
    const int64_t *bias = o->c;
    int16_t *y = result;
    for (int32_t i = 0; i < pixels; i++) {
        for (int32_t k = 0; k < p->window->output_channels; k++) {
            const int64_t sum = bias[k] + dot_s16(rows[i], w + (ptrdiff_t)k * p->depth, p->depth);
            const int32_t code = fq_rescale_wide(sum, p->multipliers[k], p->shifts[k]) + p->y.zero_point;
            *y++ = (int16_t)fq_clamp(code, p->y.minimum, p->y.maximum);
        }
    }
}

typedef void filters(const struct fq_conv_2d *p, const void *const rows[2], int32_t pixels, const struct fq_operands *o, void *result);

static void conv_2d(const struct fq_conv_2d *p, const struct fq_operands *o, size_t bytes, filters *apply)
{
    const struct fq_window *s = p->window;
    const size_t row = (size_t)s->kernel_height * (size_t)s->kernel_width * (size_t)s->input_channels * bytes;
    const size_t batch = (size_t)s->input_height * (size_t)s->input_width * (size_t)s->input_channels * bytes;
    const char *x = o->a;
    char *y = o->y, *windows = (char *)o->scratch + 4 * (size_t)p->depth;
    const void *rows[2];
    int32_t pixels = 0;
    for (int32_t n = 0; n < s->batches; n++, x += batch) {
        for (int32_t i = 0; i < s->output_height; i++) {
            for (int32_t j = 0; j < s->output_width; j++) {
                const int32_t top = i * s->stride_height - s->pad_top, left = j * s->stride_width - s->pad_left;
                rows[pixels] = window(p, x, top, left, bytes, windows + (size_t)pixels * row);
                if (++pixels == 2) {
                    apply(p, rows, 2, o, y);
                    y += 2 * (size_t)s->output_channels * bytes;
                    pixels = 0;
                }
            }
        }
    }
    if (pixels) {
        apply(p, rows, 1, o, y);
    }
}

void fq_conv_2d_s8(const void *parameters, const struct fq_operands *tensors)
{
    conv_2d(parameters, tensors, 1, filters_s8);
}

void fq_conv_2d_s16(const void *parameters, const struct fq_operands *tensors)
{
    conv_2d(parameters, tensors, 2, filters_s16);
}

/* Channels k.. of one pixel: for each tap all channels, so that the loops run over memory. */
static void depthwise_block(const struct fq_conv_2d *p, const struct fq_operands *o, const int8_t *x, int32_t top, int32_t left,
                            int32_t k, int32_t count, int8_t *y)
{
    const struct fq_window *s = p->window;
    const int8_t *tap = (const int8_t *)o->b + k;
    int32_t sums[FQ_CHANNELS_AT_ONCE];
    memcpy(sums, (const int32_t *)o->c + k, (size_t)count * sizeof *sums);
    for (int32_t i = 0; i < s->kernel_height; i++) {
        const int32_t height = top + i * s->dilation_height;
        for (int32_t j = 0; j < s->kernel_width; j++, tap += s->input_channels) {
            const int32_t width = left + j * s->dilation_width;
            if (height >= 0 && height < s->input_height && width >= 0 && width < s->input_width) {
                const int8_t *pixel = x + ((ptrdiff_t)height * s->input_width + width) * s->input_channels;
                fq_accumulate_products(pixel + k, p->input_zero_point, tap, count, sums);
            }
        }
    }
    fq_store_codes(sums, count, p->multipliers + k, p->shifts + k, &p->y, y);
}

void fq_depthwise_conv_2d_s8(const void *parameters, const struct fq_operands *tensors)
{
    const struct fq_conv_2d *p = parameters;
    const struct fq_window *s = p->window;
    const int8_t *x = tensors->a;
    int8_t *y = tensors->y;
    const int32_t channels = s->input_channels;
    for (int32_t n = 0; n < s->batches; n++, x += (ptrdiff_t)s->input_height * s->input_width * channels) {
        for (int32_t i = 0; i < s->output_height; i++) {
            for (int32_t j = 0; j < s->output_width; j++, y += channels) {
                const int32_t top = i * s->stride_height - s->pad_top, left = j * s->stride_width - s->pad_left;
                for (int32_t k = 0; k < channels; k += FQ_CHANNELS_AT_ONCE) {
                    const int32_t count = channels - k < FQ_CHANNELS_AT_ONCE ? channels - k : FQ_CHANNELS_AT_ONCE;
                    depthwise_block(p, tensors, x, top, left, k, count, y + k);
                }
            }
        }
    }
}

/* The sum of one channel of one pixel: the taps of the input's pixels that reach it. */
static int32_t transposed_sum(const struct fq_conv_2d *p, const int8_t *x, const int8_t *w, int32_t row, int32_t column)
{
    const struct fq_window *s = p->window;
    const int32_t channels = s->input_channels;
    int32_t sum = 0;
    for (int32_t i = 0; i < s->kernel_height; i++) {
        const int32_t height = row + s->pad_top - i;
        if (height < 0 || height % s->stride_height || height / s->stride_height >= s->input_height) {
            continue;
        }
        for (int32_t j = 0; j < s->kernel_width; j++) {
            const int32_t width = column + s->pad_left - j;
            if (width < 0 || width % s->stride_width || width / s->stride_width >= s->input_width) {
                continue;
            }
            const ptrdiff_t place = (ptrdiff_t)(height / s->stride_height) * s->input_width + width / s->stride_width;
            const int8_t *tap = w + ((ptrdiff_t)i * s->kernel_width + j) * channels;
            sum -= p->input_zero_point * fq_sum(tap, channels);
            fq_dots(x + place * channels, tap, channels, 1, &sum);
        }
    }
    return sum;
}

void fq_transpose_conv_s8(const void *parameters, const struct fq_operands *tensors)
{
    const struct fq_conv_2d *p = parameters;
    const struct fq_window *s = p->window;
    const int8_t *x = tensors->a, *w = tensors->b;
    const int32_t *bias = tensors->c;
    int8_t *y = tensors->y;
    const ptrdiff_t filter = (ptrdiff_t)s->kernel_height * s->kernel_width * s->input_channels;
    for (int32_t n = 0; n < s->batches; n++, x += (ptrdiff_t)s->input_height * s->input_width * s->input_channels) {
        for (int32_t i = 0; i < s->output_height; i++) {
            for (int32_t j = 0; j < s->output_width; j++) {
                for (int32_t k = 0; k < s->output_channels; k++) {
                    const int32_t sum = bias[k] + transposed_sum(p, x, w + k * filter, i, j);
                    fq_store_codes(&sum, 1, p->multipliers + k, p->shifts + k, &p->y, y++);
                }
            }
        }
    }
}
