/* Recordings of any length through a network of a fixed one, the same samples as `python -m edge_runtime separate`, bit for bit.
 *
 * Samples are pushed as they come. Each segment of T samples is freed of its constant and brought to level by a power of two, run, and
 * brought back. It shares `overlap` samples with its predecessor: there its sources take the order in which they are most like the
 * predecessor's, unless those pause or the sources have places of their own, and the two are cross-faded. The last segment ends with
 * the recording. Integers alone, no allocation; the reasons are with edge_runtime/segments.py and edge_runtime/level.py.
 *
 *     static int16_t memory[FQ_SEPARATOR_VALUES(2, 1, 24000, 6000)];
 *     static struct fq_separator separator;
 *     fq_separator_start(&separator, &settings, memory);
 *     while (count > 0) {
 *         int32_t taken = fq_separator_push(&separator, samples, count, count);
 *         ... fq_separator_output(&separator, row), separator.ready samples of each row = source * channels + channel ...
 *         samples += taken, count -= taken;
 *     }
 *     fq_separator_finish(&separator); ... separator.ready samples as before ...
 */
#ifndef FQ_SEPARATOR_H
#define FQ_SEPARATOR_H

#include <stdint.h>

#define FQ_MOST_SOURCES 6

/* int16 values that a separator of S sources and A channels needs for segments of T samples. */
#define FQ_SEPARATOR_VALUES(S, A, T, overlap) ((A) * (2 * (T) - (overlap)) + 2 * (S) * (A) * (T))

struct fq_separator_settings {
    int32_t sample_rate; /* Hz */
    int32_t length;      /* T: samples of a segment */
    int32_t overlap;     /* 1..T / 2; edge_runtime takes a quarter of T, rounded */
    int32_t sources;     /* S, at most FQ_MOST_SOURCES */
    int32_t channels;    /* A */
    int32_t named;       /* not 0 where each source has its own place, as stems of music have and speakers do not */
    void (*run)(void *network);
    void *network;
    int16_t *input;        /* [A, T], where `run` finds a segment */
    const int16_t *output; /* [S, A, T], where it leaves the sources */
};

struct fq_separator {
    struct fq_separator_settings settings;
    int16_t *samples;  /* [A, 2 T - overlap]: what lies before the samples that wait, and those */
    int16_t *previous; /* [S, A, T]: result of the last segment */
    int16_t *current;
    int32_t waiting, first; /* samples; whether no segment was run yet */
    int64_t activity;       /* power of the results lately */
    int32_t start, ready;   /* samples that are final: from where in `previous`, and how many */
};

/* As new. `memory` has FQ_SEPARATOR_VALUES values. Gives 0 where the settings are out of range, and 1. */
int fq_separator_start(struct fq_separator *separator, const struct fq_separator_settings *settings, int16_t *memory);

/* Takes up to `count` samples of each channel, which lie `stride` apart, and gives how many: it stops where a segment is complete.
 * `ready` samples are final then, until the next call. */
int32_t fq_separator_push(struct fq_separator *separator, const int16_t *pcm, int32_t stride, int32_t count);

/* The end of the recording: `ready` are the samples that were still due. The separator is as new after it. */
void fq_separator_finish(struct fq_separator *separator);

/* The final samples of a row: of channel `row` % A of source `row` / A. */
const int16_t *fq_separator_output(const struct fq_separator *separator, int32_t row);

#endif
