/* Sums and products of quantized tensors. */
#include "broadcast.h"
#include "vectors.h"

static inline int32_t sum(const struct fq_add *p, int32_t a, int32_t b)
{
    return fq_aligned(a, &p->a, p->left_shift) + p->sign * fq_aligned(b, &p->b, p->left_shift);
}

static inline int32_t product(const struct fq_mul *p, int32_t a, int32_t b)
{
    return (a - p->a_zero_point) * (b - p->b_zero_point);
}

static inline int32_t code(int32_t value, int32_t multiplier, int32_t shift, const struct fq_grid *grid)
{
    return fq_clamp(fq_rescale(value, multiplier, shift) + grid->zero_point, grid->minimum, grid->maximum);
}

/* The summands of all 256 codes; the tables are entered at code 0. */
struct summands {
    const struct fq_add *parameters;
    const int32_t *a, *b;
};

FQ_ROW(sums_by_tables, struct summands, int8_t, int32_t, p->a[va] + p->parameters->sign * p->b[vb])
FQ_ROW(products, struct fq_mul, int8_t, int32_t, product(p, va, vb))
FQ_ROW(add_row_s16, struct fq_add, int16_t, int16_t, code(sum(p, va, vb), p->multiplier, p->shift, &p->y))
FQ_ROW(mul_row_s16, struct fq_mul, int16_t, int16_t, code(product(p, va, vb), p->multiplier, p->shift, &p->y))

/* A row in blocks: what `values` gives, scaled. */
static void scaled_row(fq_row *values, const void *parameters, const int8_t *a, int32_t a_step, const int8_t *b, int32_t b_step, int8_t *y,
                       int32_t count, int32_t multiplier, int32_t shift, const struct fq_grid *grid)
{
    int32_t sums[FQ_CHANNELS_AT_ONCE];
    for (int32_t i = 0; i < count; i += FQ_CHANNELS_AT_ONCE) {
        const int32_t block = count - i < FQ_CHANNELS_AT_ONCE ? count - i : FQ_CHANNELS_AT_ONCE;
        values(parameters, a + (ptrdiff_t)i * a_step, a_step, b + (ptrdiff_t)i * b_step, b_step, sums, block);
        fq_store_scaled(sums, block, multiplier, shift, grid, y + i);
    }
}

static void add_row_s8(const void *parameters, const void *a, int32_t a_step, const void *b, int32_t b_step, void *y, int32_t count)
{
    const struct fq_add *p = parameters;
    for (int32_t i = 0; i < count; i += FQ_CHANNELS_AT_ONCE) {
        const int32_t block = count - i < FQ_CHANNELS_AT_ONCE ? count - i : FQ_CHANNELS_AT_ONCE;
        int32_t sums[FQ_CHANNELS_AT_ONCE] = {0};
        fq_accumulate_summands((const int8_t *)a + (ptrdiff_t)i * a_step, a_step, &p->a, p->left_shift, 1, block, sums);
        fq_accumulate_summands((const int8_t *)b + (ptrdiff_t)i * b_step, b_step, &p->b, p->left_shift, p->sign, block, sums);
        fq_store_scaled(sums, block, p->multiplier, p->shift, &p->y, (int8_t *)y + i);
    }
}

static void add_row_by_tables(const void *parameters, const void *a, int32_t a_step, const void *b, int32_t b_step, void *y, int32_t count)
{
    const struct summands *s = parameters;
    const struct fq_add *p = s->parameters;
    scaled_row(sums_by_tables, s, a, a_step, b, b_step, y, count, p->multiplier, p->shift, &p->y);
}

/* `products` where a lies side by side and b is one value for the whole row. */
static void products_with_one_b(const void *parameters, const void *a, int32_t a_step, const void *b, int32_t b_step, void *y, int32_t count)
{
    const struct fq_mul *p = parameters;
    const int32_t factor = *(const int8_t *)b - p->b_zero_point, of_zero = -p->a_zero_point * factor;
    int32_t *values = y;
    (void)a_step, (void)b_step;
    for (int32_t i = 0; i < count; i++) {
        values[i] = of_zero;
    }
    fq_accumulate_multiples(factor, a, count, values);
}

static void mul_row_s8(const void *parameters, const void *a, int32_t a_step, const void *b, int32_t b_step, void *y, int32_t count)
{
    const struct fq_mul *p = parameters;
    scaled_row(a_step == 1 && b_step == 0 ? products_with_one_b : products, p, a, a_step, b, b_step, y, count, p->multiplier, p->shift, &p->y);
}

void fq_add_s8(const void *parameters, const struct fq_operands *tensors)
{
    const struct fq_add *p = parameters;
    fq_for_rows(p, p->shape, tensors, add_row_s8, 1, 1);
}

void fq_add_s16(const void *parameters, const struct fq_operands *tensors)
{
    const struct fq_add *p = parameters;
    fq_for_rows(p, p->shape, tensors, add_row_s16, 2, 2);
}

void fq_mul_s8(const void *parameters, const struct fq_operands *tensors)
{
    const struct fq_mul *p = parameters;
    fq_for_rows(p, p->shape, tensors, mul_row_s8, 1, 1);
}

void fq_mul_s16(const void *parameters, const struct fq_operands *tensors)
{
    const struct fq_mul *p = parameters;
    fq_for_rows(p, p->shape, tensors, mul_row_s16, 2, 2);
}

void fq_add_tables_s8(const void *parameters, const struct fq_operands *tensors)
{
    const struct fq_add *p = parameters;
    int32_t *tables = tensors->scratch;
    const struct summands all = {p, tables + 128, tables + 256 + 128};
    for (int32_t x = -128; x < 128; x++) {
        tables[128 + x] = fq_aligned(x, &p->a, p->left_shift);
        tables[256 + 128 + x] = fq_aligned(x, &p->b, p->left_shift);
    }
    fq_for_rows(&all, p->shape, tensors, add_row_by_tables, 1, 1);
}

void fq_add_scalar_s8(const void *parameters, const struct fq_operands *tensors)
{
    const struct fq_add *p = parameters;
    const int32_t b = *(const int8_t *)tensors->b;
    int8_t table[256];
    for (int32_t x = -128; x < 128; x++) {
        table[x + 128] = (int8_t)code(sum(p, x, b), p->multiplier, p->shift, &p->y);
    }
    fq_look_up(tensors->a, table, p->shape->size[4], tensors->y);
}

void fq_mul_scalar_s8(const void *parameters, const struct fq_operands *tensors)
{
    const struct fq_mul *p = parameters;
    const int32_t b = *(const int8_t *)tensors->b;
    int8_t table[256];
    for (int32_t x = -128; x < 128; x++) {
        table[x + 128] = (int8_t)code(product(p, x, b), p->multiplier, p->shift, &p->y);
    }
    fq_look_up(tensors->a, table, p->shape->size[4], tensors->y);
}

void fq_map_s8(const void *parameters, const struct fq_operands *tensors)
{
    const struct fq_count *p = parameters;
    fq_look_up(tensors->a, tensors->b, p->count, tensors->y);
}
