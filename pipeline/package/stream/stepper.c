#include "stepper.h"

#include <string.h>

static struct fq_delay_line *line_of(const struct fq_stepper *s, int32_t index)
{
    return (struct fq_delay_line *)(void *)((unsigned char *)s->memory + s->network->remembered[index].line.place);
}

void fq_stepper_reset(void *stepper)
{
    const struct fq_stepper *s = stepper;
    for (int32_t i = 0; i < s->network->remembered_count; i++) {
        fq_delay_line_reset(line_of(s, i), &s->network->remembered[i].line.shape);
    }
}

void fq_stepper_push(void *stepper, const int16_t *pcm_hop, int16_t *separated)
{
    const struct fq_stepper *s = stepper;
    const struct fq_stepped *n = s->network;
    for (int32_t i = 0; i < n->recalled_count; i++) {
        const struct fq_recalled *row = &n->recalled[i];
        const int32_t length = n->remembered[row->line].line.shape.length;
        fq_delay_line_read(line_of(s, row->line), length, row->ago, row->bytes, s->input(s->interpreter, row->input));
    }
    memcpy(s->input(s->interpreter, n->pcm), pcm_hop, (size_t)n->pcm_bytes);
    s->invoke(s->interpreter);
    for (int32_t i = 0; i < n->remembered_count; i++) {
        const struct fq_remembered *row = &n->remembered[i];
        fq_delay_line_write(line_of(s, i), row->line.shape.length, s->output(s->interpreter, row->output), row->bytes);
    }
    memcpy(separated, s->output(s->interpreter, n->separated), (size_t)n->separated_bytes);
}
