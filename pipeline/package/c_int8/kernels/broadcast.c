#include "broadcast.h"

static ptrdiff_t offset(const int32_t step[5], int32_t i, int32_t j, int32_t k, int32_t l)
{
    return (ptrdiff_t)i * step[0] + (ptrdiff_t)j * step[1] + (ptrdiff_t)k * step[2] + (ptrdiff_t)l * step[3];
}

void fq_for_rows(const void *parameters, const struct fq_broadcast *shape, const struct fq_operands *tensors, fq_row *row, ptrdiff_t bytes,
                 ptrdiff_t y_bytes)
{
    const char *a = tensors->a, *b = tensors->b;
    char *y = tensors->y;
    for (int32_t i = 0; i < shape->size[0]; i++) {
        for (int32_t j = 0; j < shape->size[1]; j++) {
            for (int32_t k = 0; k < shape->size[2]; k++) {
                for (int32_t l = 0; l < shape->size[3]; l++, y += shape->size[4] * y_bytes) {
                    row(parameters, a + offset(shape->a_step, i, j, k, l) * bytes, shape->a_step[4],
                        b + offset(shape->b_step, i, j, k, l) * bytes, shape->b_step[4], y, shape->size[4]);
                }
            }
        }
    }
}
