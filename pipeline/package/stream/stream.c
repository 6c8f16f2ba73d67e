#include "stream.h"

#include <stddef.h>
#include <string.h>

/* The level: edge_runtime/stream_level.py. */
enum {
    LARGEST_SHIFT = 8,
    FRACTION = 16,      /* bits below one code of what is followed */
    LATER_CONSTANT = 2, /* seconds over which the constant is a mean; a quarter at the beginning */
    PEAK = 5,           /* seconds in which the peak is forgotten, but for 1/e */
    RAISE = 1           /* seconds between two raises */
};

/* value / divisor, rounded down; divisor > 0. */
static int64_t floored(int64_t value, int64_t divisor)
{
    return value / divisor - (value % divisor < 0);
}

static int16_t saturated(int64_t value)
{
    return (int16_t)(value < -32768 ? -32768 : value > 32767 ? 32767 : value);
}

/* Less a mean that forgets exponentially, which goes from its value before these samples to the new one in a straight line. */
static void remove_constant(struct fq_stream *s, int16_t *pcm, int32_t count)
{
    const int64_t rate = s->settings.sample_rate, before = s->constant;
    int64_t sum = 0, over = s->heard > rate / 4 ? s->heard : rate / 4;
    over = over < LATER_CONSTANT * rate ? over : LATER_CONSTANT * rate;
    for (int32_t i = 0; i < count; i++) {
        sum += pcm[i];
    }
    s->constant += floored(sum * (1 << FRACTION) - count * before, over);
    for (int32_t i = 0; i < count; i++) {
        const int64_t line = floored(before * count + (s->constant - before) * (i + 1), count);
        pcm[i] = saturated(pcm[i] - ((line + (1 << (FRACTION - 1))) >> FRACTION));
    }
}

/* Lowers the gain at once where these samples would leave int16; raises it, by one doubling a second, where half the scale is empty even
 * then. */
static void follow(struct fq_stream *s, const int16_t *centred, int32_t count)
{
    const int64_t rate = s->settings.sample_rate;
    int64_t largest = 0;
    for (int32_t i = 0; i < count; i++) {
        const int64_t magnitude = centred[i] < 0 ? -(int64_t)centred[i] : centred[i];
        largest = magnitude > largest ? magnitude : largest;
    }
    s->peak -= s->peak * count / (PEAK * rate);
    s->peak = largest << FRACTION > s->peak ? largest << FRACTION : s->peak;
    const int64_t peak = s->peak >> FRACTION;
    while (s->shift && peak << s->shift > 32767) {
        s->shift--;
    }
    if (s->heard - s->raised >= RAISE * rate && peak && s->shift < LARGEST_SHIFT && peak << (s->shift + 2) <= 32767) {
        s->shift++;
        s->raised = s->heard;
    }
}

/* value / 2^shift to the nearest, ties away from 0. */
static int16_t undone(int16_t value, int32_t shift)
{
    const int32_t magnitude = ((value < 0 ? -(int32_t)value : value) + (1 << shift >> 1)) >> shift;
    return (int16_t)(value < 0 ? -magnitude : magnitude);
}

/* Runs the samples that wait, and silence after them up to a hop. */
static void step(struct fq_stream *s)
{
    const struct fq_stream_settings *p = &s->settings;
    s->heard += s->waiting;
    if (s->waiting) {
        remove_constant(s, s->hop, s->waiting);
    }
    follow(s, s->hop, s->waiting);
    for (int32_t i = 0; i < p->hop; i++) {
        s->hop[i] = i < s->waiting ? saturated((int64_t)s->hop[i] * (1 << s->shift)) : 0;
        s->shifts[p->late + i] = (int16_t)s->shift;
    }
    p->push(p->network, s->hop, s->separated);
    for (int32_t i = 0; i < p->sources * p->hop; i++) {
        s->separated[i] = undone(s->separated[i], s->shifts[i % p->hop]);
    }
    memmove(s->shifts, s->shifts + p->hop, (size_t)p->late * sizeof *s->shifts);
    s->waiting = 0;
    s->start = s->early < p->hop ? s->early : p->hop;
    s->early -= s->start;
    s->ready = s->due < p->hop - s->start ? (int32_t)s->due : p->hop - s->start;
    s->due -= s->ready;
}

static void renew(struct fq_stream *s)
{
    const struct fq_stream_settings *p = &s->settings;
    memset(s->shifts, 0, (size_t)p->late * sizeof *s->shifts);
    s->waiting = s->start = s->ready = 0;
    s->early = p->late;
    s->due = s->heard = s->constant = s->peak = s->raised = 0;
    s->shift = p->shift;
    p->reset(p->network);
}

int fq_stream_start(struct fq_stream *s, const struct fq_stream_settings *settings, int16_t *memory)
{
    const struct fq_stream_settings *p = settings;
    if (p->sample_rate < 4 || p->hop < 1 || p->late < 0 || p->sources < 1 || p->shift < 0 || p->shift > LARGEST_SHIFT) {
        return 0;
    }
    s->settings = *settings;
    s->hop = memory;
    s->separated = s->hop + p->hop;
    s->shifts = s->separated + (ptrdiff_t)p->sources * p->hop;
    renew(s);
    return 1;
}

int32_t fq_stream_push(struct fq_stream *s, const int16_t *pcm, int32_t count)
{
    const int32_t room = s->settings.hop - s->waiting, taken = count < room ? count : room;
    s->start = s->ready = 0;
    memcpy(s->hop + s->waiting, pcm, (size_t)taken * sizeof *pcm);
    s->waiting += taken;
    s->due += taken;
    if (s->waiting == s->settings.hop) {
        step(s);
    }
    return taken;
}

int fq_stream_finish(struct fq_stream *s)
{
    if (!s->due) {
        renew(s);
        return 0;
    }
    step(s);
    return 1;
}

const int16_t *fq_stream_output(const struct fq_stream *s, int32_t source)
{
    return s->separated + (ptrdiff_t)source * s->settings.hop + s->start;
}
