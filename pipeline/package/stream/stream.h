/* A stream through a network that takes a hop of samples at a time, the same samples as edge_runtime's StreamSeparator, bit for bit.
 *
 * Samples are pushed as they come. What comes out begins with the stream's first sample: the n-th belongs to the n-th that went in. The
 * constant is taken off, and one gain of a power of two follows the level slowly; it is undone sample by sample. Every hop is run, silence
 * too. Integers alone, no allocation; the reasons are with edge_runtime/stream.py and edge_runtime/stream_level.py.
 *
 *     static int16_t memory[FQ_STREAM_VALUES(2, 64, 16)];
 *     static struct fq_stream stream;
 *     fq_stream_start(&stream, &settings, memory);
 *     while (count > 0) {
 *         int32_t taken = fq_stream_push(&stream, samples, count);
 *         ... fq_stream_output(&stream, source), stream.ready samples of each source ...
 *         samples += taken, count -= taken;
 *     }
 *     while (fq_stream_finish(&stream)) { ... stream.ready samples as before ... }
 */
#ifndef FQ_STREAM_H
#define FQ_STREAM_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* int16 values that a stream of S sources needs for hops of H samples and results that are L samples late. */
#define FQ_STREAM_VALUES(S, H, L) ((H) * (2 + (S)) + (L))

struct fq_stream_settings {
    int32_t sample_rate; /* Hz */
    int32_t hop;         /* H: samples of a step */
    int32_t late;        /* L: by how many samples what comes out of a step is later than what went in */
    int32_t sources;     /* S */
    int32_t shift;       /* the gain to begin with, 2^shift, 0 to 8 */
    void (*reset)(void *network);                                                /* a stream begins */
    void (*push)(void *network, const int16_t *pcm_hop, int16_t *separated);     /* [H] to [S, H] */
    void *network;
};

struct fq_stream {
    struct fq_stream_settings settings;
    int16_t *hop;       /* [H]: samples that wait */
    int16_t *separated; /* [S, H]: of the last step */
    int16_t *shifts;    /* [L + H]: gains of samples whose results are still to come */
    int32_t waiting, early; /* samples; those that will come out and belong to none */
    int64_t due, heard;     /* samples that are to come out; that were heard */
    int64_t constant, peak; /* in codes * 2^16 */
    int64_t raised;         /* when the gain was raised last */
    int32_t shift;
    int32_t start, ready; /* samples that are final: from where in `separated`, and how many */
};

/* As new. `memory` has FQ_STREAM_VALUES values. Gives 0 where the settings are out of range, and 1. */
int fq_stream_start(struct fq_stream *stream, const struct fq_stream_settings *settings, int16_t *memory);

/* Takes up to `count` samples and gives how many: it stops where a hop is full. `ready` samples are final then, until the next call. */
int32_t fq_stream_push(struct fq_stream *stream, const int16_t *pcm, int32_t count);

/* After the last sample, again and again until it gives 0: `ready` of the samples that were still due. The stream is as new then. */
int fq_stream_finish(struct fq_stream *stream);

/* The final samples of a source. */
const int16_t *fq_stream_output(const struct fq_stream *stream, int32_t source);

#ifdef __cplusplus
}
#endif

#endif
