/* Runs the golden clips and says whether every tensor is the one that TFLite's reference kernels give; names the first that differs. */
#include "checking.h"
#include "golden.h"
#include "model.h"

#include <stdio.h>
#include <string.h>

static struct @PREFIX@ network;
static const int32_t input_values[] = {@INPUT_VALUES@};

static void feed(int clip)
{
    for (int index = 0; index < @UPPER@_INPUTS; index++) {
        memcpy(@PREFIX@_input(&network, index), golden_inputs[clip][index], (size_t)input_values[index] * sizeof(int16_t));
    }
}

/* Checks the tensors from `checked` on that are complete after `step`; gives how many are checked then, or -1 - k where k differs. */
static int32_t check(int clip, int32_t step, int32_t checked)
{
    const int32_t count = (int32_t)(sizeof golden_tensors / sizeof golden_tensors[0]);
    for (; checked < count && golden_tensors[checked].step <= step; checked++) {
        const struct golden_tensor *tensor = &golden_tensors[checked];
        if (crc32(0, network.arena.bytes + tensor->offset, tensor->bytes) != tensor->crc[clip]) {
            return -1 - checked;
        }
    }
    return checked;
}

static int clip_passes(int clip)
{
    int32_t checked = 0;
    feed(clip);
    for (int32_t step = 0; step < @UPPER@_STEPS;) {
        const int32_t next = @PREFIX@_run_step(&network, step);
        checked = check(clip, step, checked);
        if (checked < 0) {
            printf("clip %d: FAIL, the first tensor that differs is '%s'\n", clip, golden_tensors[-1 - checked].name);
            return 0;
        }
        step = next;
    }
    feed(clip);
    const uint64_t before = fq_ticks();
    @PREFIX@_run(&network);
    const uint64_t ticks = fq_ticks() - before;
    printf("clip %d: pass, %ld tensors", clip, (long)checked);
    print_ticks(ticks * @RATE@u / @SAMPLES@u);
    printf("\n");
    return 1;
}

int main(void)
{
    int failed = 0;
    for (int clip = 0; clip < GOLDEN_CLIPS; clip++) {
        failed += !clip_passes(clip);
    }
    printf(failed ? "FAIL: %d of %d clips\n" : "PASS: %d of %d clips differ\n", failed, GOLDEN_CLIPS);
    return failed ? 1 : 0;
}
