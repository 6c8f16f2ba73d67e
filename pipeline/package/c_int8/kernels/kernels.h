/* Kernels on int8, int16 and int32 tensors that give the codes of TFLite's reference kernels, bit for bit.
 *
 * A kernel is called with its parameters (a structure of this file, named by the comment at the kernel) and its tensors. Nothing
 * is allocated, nothing is kept between calls, and no constant is changed, so any number of networks may run side by side.
 * Tensors are dense, channels last. Names end in the types of input and output. */
#ifndef FQ_KERNELS_H
#define FQ_KERNELS_H

#include <stdint.h>

struct fq_operands {
    const void *a;
    const void *b;
    const void *c;
    void *y;
    void *scratch;
};

typedef void fq_kernel(const void *parameters, const struct fq_operands *tensors);

/* The grid of a result. */
struct fq_grid {
    int32_t zero_point, minimum, maximum;
};

/* ---- convolution.c ---------------------------------------------------------------------------------------------------- */

/* A window of h x w places over [N, H, W, C]. */
struct fq_window {
    int32_t batches, input_height, input_width, input_channels;
    int32_t output_height, output_width, output_channels;
    int32_t kernel_height, kernel_width, stride_height, stride_width, dilation_height, dilation_width, pad_top, pad_left;
};

/* Weights are symmetric; channel k's sums are scaled by multipliers[k] and shifts[k]. Pixels outside the input are real 0. */
struct fq_conv_2d {
    const struct fq_window *window;
    int32_t depth; /* weights of an output channel; those that are 0 in all channels may be left out at the end of the h * w * C */
    const int32_t *multipliers;
    const int8_t *shifts;
    int32_t input_zero_point;
    struct fq_grid y;
};

/* fq_conv_2d. a: x [N, H, W, C]; b: weights [O, depth]; c: int32 [O], the biases less what the input's zero point adds to the
 * sums; scratch: 4 * depth bytes, and two windows of h * w * C values. */
fq_kernel fq_conv_2d_s8;
/* fq_conv_2d. As above with int16 x at zero point 0; c: int64 biases. */
fq_kernel fq_conv_2d_s16;
/* fq_conv_2d. b: weights [1, h, w, C] of int8; c: int32 biases, as the file has them. Both may be computed at run time. */
fq_kernel fq_depthwise_conv_2d_s8;
/* fq_conv_2d, without dilation. b: weights [O, h, w, C]; c: int32 biases, as the file has them. */
fq_kernel fq_transpose_conv_s8;

/* ---- matmul.c --------------------------------------------------------------------------------------------------------- */

/* y[n] = a[n] b[n] for matrices a [rows, depth] and b [depth, columns], or b [columns, depth] of the transposed kernel. */
struct fq_batch_matmul {
    int32_t batches, rows, columns, depth, a_batch_step, b_batch_step;
    int32_t a_zero_point, b_zero_point, multiplier, shift;
    struct fq_grid y;
};

fq_kernel fq_batch_matmul_s8;
/* scratch: columns * 4 bytes */
fq_kernel fq_batch_matmul_transposed_s8;

/* ---- elementwise.c, integer.c ----------------------------------------------------------------------------------------- */

/* Steps in elements from one value to the next along each axis, the last axis innermost: 0 where an operand is repeated. */
struct fq_broadcast {
    int32_t size[5], a_step[5], b_step[5];
};

struct fq_summand {
    int32_t zero_point, multiplier, shift;
};

/* a and b, shifted left and scaled to a common grid; y is a + sign * b, scaled. */
struct fq_add {
    const struct fq_broadcast *shape;
    int32_t left_shift, sign;
    struct fq_summand a, b;
    int32_t multiplier, shift;
    struct fq_grid y;
};

fq_kernel fq_add_s8;
/* As fq_add_s8, by tables, for large tensors; scratch: 2048 bytes. */
fq_kernel fq_add_tables_s8;
/* As fq_add_s8 for one value of b; the shape is size[4] alone. */
fq_kernel fq_add_scalar_s8;
fq_kernel fq_add_s16;

struct fq_mul {
    const struct fq_broadcast *shape;
    int32_t a_zero_point, b_zero_point, multiplier, shift;
    struct fq_grid y;
};

fq_kernel fq_mul_s8;
/* As fq_mul_s8 for one value of b; the shape is size[4] alone. */
fq_kernel fq_mul_scalar_s8;
fq_kernel fq_mul_s16;

/* fq_broadcast. On codes as they are. */
fq_kernel fq_maximum_s8, fq_minimum_s8, fq_maximum_s16, fq_minimum_s16, fq_maximum_s32, fq_minimum_s32;
/* fq_broadcast. Modulo 2^32; division rounds to 0, and gives 0 where b is 0. */
fq_kernel fq_add_s32, fq_sub_s32, fq_sub_relu_s32, fq_mul_s32, fq_div_s32;
/* fq_broadcast. a < b as uint8. */
fq_kernel fq_less_s32;

struct fq_count {
    int32_t count;
};

/* fq_count. y = b[a + 128]: any function of a code, b a table of 256 codes. */
fq_kernel fq_map_s8;
/* fq_count. Modulo 2^n. */
fq_kernel fq_cast_s8_s16, fq_cast_s8_s32, fq_cast_s16_s8, fq_cast_s16_s32, fq_cast_s32_s8, fq_cast_s32_s16;

struct fq_requantize {
    int32_t count, x_zero_point, y_zero_point, multiplier, shift;
};

fq_kernel fq_requantize_s8_s16, fq_requantize_s16_s8, fq_requantize_s16_s16, fq_requantize_s32_s8, fq_requantize_s32_s16;

/* ---- activation.c ----------------------------------------------------------------------------------------------------- */

struct fq_softmax {
    int32_t rows, depth;
    const int32_t *exponentials; /* [256]: exp(-k * scale) in units of 2^-31; 0 where it does not count */
};

fq_kernel fq_softmax_s8_s8, fq_softmax_s8_s16;

/* Of 16 bits: interpolation in a table of 256 values of the logistic function over [0, 32/3), units of 2^-16. */
struct fq_sigmoid {
    int32_t count, multiplier, shift;
    const uint16_t *table;
};

fq_kernel fq_logistic_s16, fq_tanh_s16;

/* ---- reduction.c ------------------------------------------------------------------------------------------------------ */

/* Means over the part of the window that lies in the input, on one grid. */
struct fq_average_pool {
    const struct fq_window *window;
    struct fq_grid y;
};

fq_kernel fq_average_pool_s8, fq_average_pool_s16;

/* Means over some axes of a tensor; steps in elements. Unused axes have size 1. */
struct fq_mean {
    int32_t kept[3], kept_step[3], reduced[3], reduced_step[3];
    int32_t x_zero_point, y_zero_point, multiplier, shift; /* the factor holds 1 / the number of values */
};

fq_kernel fq_mean_s8, fq_mean_s16;

/* ---- movement.c ------------------------------------------------------------------------------------------------------- */

/* Copies blocks of bytes; steps and starts in bytes. Steps of x may be 0 (repetition) or negative (reversal). */
struct fq_copy {
    int32_t size[5], x_step[5], y_step[5];
    int32_t x_start, y_start, block;
};

fq_kernel fq_copy;

/* Fills y with one code, and copies x into its midst. */
struct fq_pad {
    struct fq_copy copy;
    int32_t bytes, value;
};

fq_kernel fq_pad;

/* Where a part begins is told at run time by int32 indices, one for each axis, held within 0..limit. */
struct fq_part {
    struct fq_copy copy;
    int32_t rank, limit[5], step[5]; /* steps in bytes */
    int32_t bytes;                   /* of the whole tensor */
};

/* fq_part. a: the whole; b: the indices; y: the part. */
fq_kernel fq_take_part;
/* fq_part. a: the whole, which y becomes (and may be already); b: the indices; c: the part. */
fq_kernel fq_put_part;

/* What a stream remembers; bytes of the ring, of the tensor, and how many bytes ago the tensor began (delay_line.h). */
struct fq_memory {
    int32_t length, bytes, ago;
};

/* fq_memory. a: struct fq_delay_line; y: a tensor of earlier. */
fq_kernel fq_recall;
/* fq_memory. a: a tensor; y: struct fq_delay_line. */
fq_kernel fq_remember;

struct fq_gather {
    int32_t count, entries, block; /* bytes of an entry */
};

/* fq_gather. a: table; b: int32 indices, held within the table. */
fq_kernel fq_gather;

#endif
