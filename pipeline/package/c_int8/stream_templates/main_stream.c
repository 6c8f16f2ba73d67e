/* Runs a golden clip hop by hop and says whether every sample, and after the first steps everything that is remembered, is what TFLite's
 * reference kernels give; then whether a second stream in the same memory begins as the first. */
#include "checking.h"
#include "golden_stream.h"
#include "model_stream.h"

#include <stdio.h>
#include <string.h>

enum { SEPARATED = @UPPER@_SOURCES * @UPPER@_HOP };

static struct @PREFIX@ stream;

/* Of a delay line, its oldest byte first. */
static uint32_t crc32_of_line(const struct fq_delay_line_place *kept)
{
    const struct fq_delay_line *line = (const void *)(stream.arena.bytes + kept->place);
    const uint32_t old = crc32(0, line->ring + line->next, kept->shape.length - line->next);
    return crc32(old, line->ring, line->next);
}

static int step_passes(int32_t step, const int16_t *separated)
{
    for (int32_t i = 0; i < @UPPER@_KEPT; i++) {
        if (crc32_of_line(&@PREFIX@_kept[i]) != golden_steps[step].kept[i]) {
            printf("stream: FAIL, after step %ld the first that is remembered otherwise is '%s'\n", (long)step, golden_names[i]);
            return 0;
        }
    }
    if (crc32(0, separated, SEPARATED * (int32_t)sizeof *separated) != golden_steps[step].separated) {
        printf("stream: FAIL, the samples of step %ld differ\n", (long)step);
        return 0;
    }
    return 1;
}

/* The first `steps` of the clip as a new stream; what is left in the memory must not matter. */
static int stream_passes(int32_t steps, uint32_t *crc, uint64_t *ticks)
{
    static int16_t separated[SEPARATED];
    @PREFIX@_reset(&stream);
    for (int32_t step = 0; step < steps; step++) {
        const uint64_t before = fq_ticks();
        @PREFIX@_push(&stream, golden_pcm + step * @UPPER@_HOP, separated);
        *ticks += fq_ticks() - before;
        *crc = crc32(*crc, separated, sizeof separated);
        if (step < GOLDEN_STEPS && !step_passes(step, separated)) {
            return 0;
        }
    }
    return 1;
}

int main(void)
{
    const int32_t steps = (int32_t)(sizeof golden_pcm / sizeof *golden_pcm) / @UPPER@_HOP;
    uint32_t crc = 0, crc_again = 0;
    uint64_t ticks = 0, ticks_again = 0;
    memset(&stream, 0xA5, sizeof stream);
    if (!stream_passes(steps, &crc, &ticks)) {
        return 1;
    }
    if (crc != golden_crc) {
        printf("stream: FAIL, samples after step %d differ\n", GOLDEN_STEPS);
        return 1;
    }
    if (!stream_passes(GOLDEN_STEPS, &crc_again, &ticks_again)) {
        printf("stream: FAIL, it does not begin anew after a reset\n");
        return 1;
    }
    printf("stream: pass, %ld steps, %lu bytes of RAM", (long)steps, (unsigned long)sizeof stream);
    print_ticks(ticks * @UPPER@_SAMPLE_RATE / ((uint64_t)steps * @UPPER@_HOP));
    printf("\nPASS: 0 of %ld samples differ\n", (long)steps * SEPARATED);
    return 0;
}
