#include "program.h"

static void *at(unsigned char *arena, fq_place place)
{
    return place == FQ_NONE ? 0 : arena + place;
}

static const void *value(const struct fq_program *program, unsigned char *arena, fq_place place)
{
    return place != FQ_NONE && place < 0 ? program->constants[-1 - place] : at(arena, place);
}

static void run_until(const struct fq_program *program, unsigned char *arena, int32_t index, int32_t end)
{
    while (index < end) {
        index = fq_run_step(program, arena, index);
    }
}

static int32_t run_loop(const struct fq_program *program, unsigned char *arena, int32_t index)
{
    const struct fq_loop *loop = program->steps[index].parameters;
    for (;;) {
        run_until(program, arena, index + 1, loop->body);
        if (!*(const uint8_t *)value(program, arena, loop->more)) {
            return loop->end;
        }
        run_until(program, arena, loop->body, loop->end);
    }
}

int32_t fq_run_step(const struct fq_program *program, unsigned char *arena, int32_t index)
{
    const struct fq_step *step = &program->steps[index];
    if (!step->kernel) {
        return run_loop(program, arena, index);
    }
    const struct fq_operands tensors = {
        value(program, arena, step->a),
        value(program, arena, step->b),
        value(program, arena, step->c),
        at(arena, step->y),
        at(arena, step->scratch),
    };
    step->kernel(step->parameters, &tensors);
    return index + 1;
}

void fq_run(const struct fq_program *program, unsigned char *arena)
{
    run_until(program, arena, 0, program->count);
}
