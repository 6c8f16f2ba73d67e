/* Makes of an interpreter that runs one step of a network a network that remembers: delay lines between its outputs and its inputs.
 *
 * An interpreter may hold inputs and outputs in the same memory, as TFLite Micro does. So every output is put into its delay line before
 * any input is filled. `fq_stepper_reset` and `fq_stepper_push` are what fq_stream_settings asks for (stream.h).
 */
#ifndef FQ_STEPPER_H
#define FQ_STEPPER_H

#include "delay_line.h"

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Output number `output` of `bytes` goes into a delay line. */
struct fq_remembered {
    int32_t output, bytes;
    struct fq_delay_line_place line;
};

/* Input number `input` of `bytes` is what began `ago` bytes ago in a delay line of the table. */
struct fq_recalled {
    int32_t input, bytes, ago, line;
};

/* A network, as `stream_table.h` describes it. */
struct fq_stepped {
    const struct fq_remembered *remembered;
    const struct fq_recalled *recalled;
    int32_t remembered_count, recalled_count;
    int32_t pcm, pcm_bytes, separated, separated_bytes; /* numbers of the input and of the output that are samples */
};

struct fq_stepper {
    const struct fq_stepped *network;
    void *(*input)(void *interpreter, int32_t index); /* where it is to be written before a run */
    const void *(*output)(void *interpreter, int32_t index); /* where it is after a run */
    void (*invoke)(void *interpreter);
    void *interpreter;
    void *memory; /* of all delay lines, at a multiple of 4 */
};

/* A stream begins. */
void fq_stepper_reset(void *stepper);

/* The next hop of samples; gives a hop of each source. */
void fq_stepper_push(void *stepper, const int16_t *pcm_hop, int16_t *separated);

#ifdef __cplusplus
}
#endif

#endif
