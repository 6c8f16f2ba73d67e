/* Kernels that move codes and compute none. */
#include "delay_line.h"
#include "fixed_point.h"
#include "kernels.h"

#include <stddef.h>
#include <string.h>

static void copy(const struct fq_copy *p, const char *x, char *y)
{
    const size_t block = (size_t)p->block;
    x += p->x_start;
    y += p->y_start;
    for (int32_t i = 0; i < p->size[0]; i++) {
        for (int32_t j = 0; j < p->size[1]; j++) {
            for (int32_t k = 0; k < p->size[2]; k++) {
                for (int32_t l = 0; l < p->size[3]; l++) {
                    const char *from = x + (ptrdiff_t)i * p->x_step[0] + (ptrdiff_t)j * p->x_step[1] + (ptrdiff_t)k * p->x_step[2]
                        + (ptrdiff_t)l * p->x_step[3];
                    char *to = y + (ptrdiff_t)i * p->y_step[0] + (ptrdiff_t)j * p->y_step[1] + (ptrdiff_t)k * p->y_step[2]
                        + (ptrdiff_t)l * p->y_step[3];
                    if (block == 1) {
                        for (int32_t m = 0; m < p->size[4]; m++) {
                            to[(ptrdiff_t)m * p->y_step[4]] = from[(ptrdiff_t)m * p->x_step[4]];
                        }
                    } else {
                        for (int32_t m = 0; m < p->size[4]; m++) {
                            memcpy(to + (ptrdiff_t)m * p->y_step[4], from + (ptrdiff_t)m * p->x_step[4], block);
                        }
                    }
                }
            }
        }
    }
}

void fq_copy(const void *parameters, const struct fq_operands *tensors)
{
    copy(parameters, tensors->a, tensors->y);
}

void fq_pad(const void *parameters, const struct fq_operands *tensors)
{
    const struct fq_pad *p = parameters;
    memset(tensors->y, p->value, (size_t)p->bytes);
    copy(&p->copy, tensors->a, tensors->y);
}

/* Where the part begins in the whole, in bytes. */
static ptrdiff_t place(const struct fq_part *p, const int32_t *indices)
{
    ptrdiff_t at = 0;
    for (int32_t axis = 0; axis < p->rank; axis++) {
        at += (ptrdiff_t)fq_clamp(indices[axis], 0, p->limit[axis]) * p->step[axis];
    }
    return at;
}

void fq_take_part(const void *parameters, const struct fq_operands *tensors)
{
    const struct fq_part *p = parameters;
    copy(&p->copy, (const char *)tensors->a + place(p, tensors->b), tensors->y);
}

void fq_put_part(const void *parameters, const struct fq_operands *tensors)
{
    const struct fq_part *p = parameters;
    if (tensors->y != tensors->a) {
        memcpy(tensors->y, tensors->a, (size_t)p->bytes);
    }
    copy(&p->copy, tensors->c, (char *)tensors->y + place(p, tensors->b));
}

void fq_recall(const void *parameters, const struct fq_operands *tensors)
{
    const struct fq_memory *p = parameters;
    fq_delay_line_read(tensors->a, p->length, p->ago, p->bytes, tensors->y);
}

void fq_remember(const void *parameters, const struct fq_operands *tensors)
{
    const struct fq_memory *p = parameters;
    fq_delay_line_write(tensors->y, p->length, tensors->a, p->bytes);
}

void fq_gather(const void *parameters, const struct fq_operands *tensors)
{
    const struct fq_gather *p = parameters;
    const char *table = tensors->a;
    const int32_t *index = tensors->b;
    char *y = tensors->y;
    const size_t block = (size_t)p->block;
    if (block == 1) {
        for (int32_t i = 0; i < p->count; i++) {
            y[i] = table[fq_clamp(index[i], 0, p->entries - 1)];
        }
        return;
    }
    for (int32_t i = 0; i < p->count; i++, y += block) {
        memcpy(y, table + (size_t)fq_clamp(index[i], 0, p->entries - 1) * block, block);
    }
}
