/* A network as a list of kernel calls, and what runs it. Tensors lie in one arena at places fixed beforehand. */
#ifndef FQ_PROGRAM_H
#define FQ_PROGRAM_H

#include "kernels.h"

#define FQ_NONE INT32_MIN

/* A tensor: its offset in the arena in bytes, or -1 - k for constant k, or FQ_NONE. */
typedef int32_t fq_place;

struct fq_step {
    fq_kernel *kernel; /* 0 for a loop */
    const void *parameters;
    fq_place a, b, c, y, scratch;
};

/* Parameters of a loop: the steps after it, up to `body`, compute the byte `more`; while it is not 0, those up to `end` run. */
struct fq_loop {
    int32_t body, end;
    fq_place more;
};

struct fq_program {
    const struct fq_step *steps;
    int32_t count;
    const void *const *constants;
};

/* Runs one step, a loop with all its turns, and gives the index of the next. */
int32_t fq_run_step(const struct fq_program *program, unsigned char *arena, int32_t index);

/* Runs all steps. */
void fq_run(const struct fq_program *program, unsigned char *arena);

#endif
