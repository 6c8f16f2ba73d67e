#include "separator.h"

#include <stddef.h>
#include <string.h>

enum {
    HIGHEST_SHIFT = 14,
    CLICKS = 4096, /* one in so many samples may leave int16 */
    PAUSE = 1000   /* a pause has so many times less power: 30 dB */
};

static int64_t magnitude(int64_t value)
{
    return value < 0 ? -value : value;
}

/* value / (2 * half) to the nearest, ties away from 0. */
static int64_t rounded(int64_t value, int64_t half)
{
    const int64_t quotient = (magnitude(value) + half) / (2 * half);
    return value < 0 ? -quotient : quotient;
}

static int16_t saturated(int32_t value)
{
    return (int16_t)(value < -32768 ? -32768 : value > 32767 ? 32767 : value);
}

/* Less its mean; what is shorter than a quarter of a second stays as it is. */
static void remove_constant(int16_t *pcm, int32_t count, int32_t sample_rate)
{
    int64_t sum = 0;
    if (4 * (int64_t)count < sample_rate) {
        return;
    }
    for (int32_t i = 0; i < count; i++) {
        sum += pcm[i];
    }
    const int32_t constant = (int32_t)rounded(2 * sum, count);
    for (int32_t i = 0; i < count; i++) {
        pcm[i] = saturated(pcm[i] - constant);
    }
}

/* The largest power of two by which at most one sample in CLICKS leaves int16; -1 for silence. */
static int32_t choose_shift(const int16_t *pcm, int32_t count)
{
    int32_t of_bits[17] = {0}, leaving = 0, shift = HIGHEST_SHIFT;
    for (int32_t i = 0; i < count; i++) {
        int32_t rest = pcm[i] < 0 ? -(int32_t)pcm[i] : pcm[i], bits = 0;
        for (; rest; rest >>= 1) {
            bits++;
        }
        of_bits[bits]++;
    }
    if (of_bits[0] == count) {
        return -1;
    }
    for (int32_t bits = 16; bits > 16 - HIGHEST_SHIFT - 1; bits--) {
        leaving += of_bits[bits];
        if ((int64_t)leaving * CLICKS > count) {
            shift = 16 - bits - 1; /* by 16 - bits they would leave */
            break;
        }
    }
    return shift < 0 ? 0 : shift;
}

/* Mean square, rounded down, of samples first.. of each row. */
static int64_t power(const int16_t *rows, int32_t row_count, int32_t length, int32_t first)
{
    int64_t sum = 0;
    for (int32_t row = 0; row < row_count; row++) {
        for (int32_t i = first; i < length; i++) {
            sum += (int32_t)rows[(ptrdiff_t)row * length + i] * rows[(ptrdiff_t)row * length + i];
        }
    }
    return sum / ((int64_t)row_count * (length - first));
}

/* The network's result on its input, at the input's own level, in `current`. */
static void run_at_level(struct fq_separator *s)
{
    const struct fq_separator_settings *p = &s->settings;
    const int32_t count = p->channels * p->length, results = p->sources * count;
    const int32_t shift = choose_shift(p->input, count);
    if (shift < 0) {
        memset(s->current, 0, (size_t)results * sizeof *s->current);
        return;
    }
    for (int32_t i = 0; i < count; i++) {
        p->input[i] = saturated((int32_t)p->input[i] * (INT32_C(1) << shift));
    }
    p->run(p->network);
    for (int32_t i = 0; i < results; i++) {
        s->current[i] = shift ? (int16_t)rounded(p->output[i], INT32_C(1) << (shift - 1)) : p->output[i];
    }
}

/* The next order in the order of the alphabet; 0 after the last. */
static int next_order(int32_t *order, int32_t count)
{
    int32_t pivot = count - 2, last = count - 1;
    while (pivot >= 0 && order[pivot] > order[pivot + 1]) {
        pivot--;
    }
    if (pivot < 0) {
        return 0;
    }
    while (order[last] < order[pivot]) {
        last--;
    }
    const int32_t held = order[pivot];
    order[pivot] = order[last];
    order[last] = held;
    for (int32_t left = pivot + 1, right = count - 1; left < right; left++, right--) {
        const int32_t swapped = order[left];
        order[left] = order[right];
        order[right] = swapped;
    }
    return 1;
}

/* The order of the current sources whose correlation with the previous ones over their `common` samples is the largest. */
static void align(const struct fq_separator *s, int32_t common, int32_t *best)
{
    const struct fq_separator_settings *p = &s->settings;
    int64_t correlation[FQ_MOST_SOURCES][FQ_MOST_SOURCES], largest = 0;
    int32_t order[FQ_MOST_SOURCES];
    for (int32_t i = 0; i < p->sources; i++) {
        for (int32_t j = 0; j < p->sources; j++) {
            correlation[i][j] = 0;
            for (int32_t channel = 0; channel < p->channels; channel++) {
                const int16_t *before = s->previous + ((ptrdiff_t)i * p->channels + channel + 1) * p->length - common;
                const int16_t *after = s->current + ((ptrdiff_t)j * p->channels + channel) * p->length;
                for (int32_t n = 0; n < common; n++) {
                    correlation[i][j] += (int32_t)before[n] * after[n];
                }
            }
        }
        best[i] = order[i] = i;
        largest += correlation[i][i];
    }
    while (next_order(order, p->sources)) {
        int64_t total = 0;
        for (int32_t i = 0; i < p->sources; i++) {
            total += correlation[i][order[i]];
        }
        if (total > largest) {
            largest = total;
            memcpy(best, order, (size_t)p->sources * sizeof *best);
        }
    }
}

/* Source i becomes what source order[i] was: circles of sources, sample by sample. */
static void reorder(const struct fq_separator *s, const int32_t *order)
{
    const struct fq_separator_settings *p = &s->settings;
    const int32_t values = p->channels * p->length;
    for (int32_t n = 0; n < values; n++) {
        int16_t held[FQ_MOST_SOURCES];
        for (int32_t i = 0; i < p->sources; i++) {
            held[i] = s->current[(ptrdiff_t)order[i] * values + n];
        }
        for (int32_t i = 0; i < p->sources; i++) {
            s->current[(ptrdiff_t)i * values + n] = held[i];
        }
    }
}

/* From the end of the previous result to the current one, over the last `overlap` of their `common` samples. */
static void cross_fade(const struct fq_separator *s, int32_t common)
{
    const struct fq_separator_settings *p = &s->settings;
    const int32_t count = p->overlap;
    for (int32_t row = 0; row < p->sources * p->channels; row++) {
        const int16_t *before = s->previous + (ptrdiff_t)(row + 1) * p->length - count;
        int16_t *after = s->current + (ptrdiff_t)row * p->length + common - count;
        for (int32_t i = 0; i < count; i++) {
            const int64_t rising = 2 * (int64_t)i + 1;
            after[i] = (int16_t)rounded(before[i] * (2 * (int64_t)count - rising) + after[i] * rising, count);
        }
    }
}

/* Runs the network on its input, of which the first `common` samples are the predecessor's too; `previous` is the result then. */
static void join(struct fq_separator *s, int32_t common)
{
    const struct fq_separator_settings *p = &s->settings;
    const int32_t rows = p->sources * p->channels;
    run_at_level(s);
    const int64_t now = power(s->current, rows, p->length, 0), faded = s->activity - (s->activity >> 2);
    s->activity = now > faded ? now : faded;
    if (!s->first) {
        if (!p->named && power(s->previous, rows, p->length, p->length - common) * PAUSE >= s->activity) {
            int32_t order[FQ_MOST_SOURCES];
            align(s, common, order);
            reorder(s, order);
        }
        cross_fade(s, common);
    }
    int16_t *held = s->previous;
    s->previous = s->current;
    s->current = held;
    s->first = 0;
}

/* Samples of a channel: what lies before those that wait, and from `hop` on those. */
static int16_t *channel_of(const struct fq_separator *s, int32_t channel)
{
    return s->samples + (ptrdiff_t)channel * (2 * s->settings.length - s->settings.overlap);
}

/* The `count` samples from `start` of the kept ones to the network's input, without their constant, and silence after them. */
static void feed(const struct fq_separator *s, int32_t start, int32_t count)
{
    const struct fq_separator_settings *p = &s->settings;
    for (int32_t channel = 0; channel < p->channels; channel++) {
        int16_t *to = p->input + (ptrdiff_t)channel * p->length;
        memcpy(to, channel_of(s, channel) + start, (size_t)count * sizeof *to);
        remove_constant(to, count, p->sample_rate);
        memset(to + count, 0, (size_t)(p->length - count) * sizeof *to);
    }
}

static void renew(struct fq_separator *s)
{
    s->waiting = 0;
    s->first = 1;
    s->activity = 0;
}

int fq_separator_start(struct fq_separator *s, const struct fq_separator_settings *settings, int16_t *memory)
{
    const int32_t results = settings->sources * settings->channels * settings->length;
    if (settings->length < 2 || settings->overlap < 1 || settings->overlap > settings->length / 2 || settings->channels < 1
        || settings->sources < 1 || settings->sources > FQ_MOST_SOURCES) {
        return 0;
    }
    s->settings = *settings;
    s->samples = memory;
    s->previous = memory + (ptrdiff_t)settings->channels * (2 * settings->length - settings->overlap);
    s->current = s->previous + results;
    s->start = s->ready = 0;
    renew(s);
    return 1;
}

int32_t fq_separator_push(struct fq_separator *s, const int16_t *pcm, int32_t stride, int32_t count)
{
    const struct fq_separator_settings *p = &s->settings;
    const int32_t hop = p->length - p->overlap, room = p->length - s->waiting, taken = count < room ? count : room;
    s->start = s->ready = 0;
    for (int32_t channel = 0; channel < p->channels; channel++) {
        memcpy(channel_of(s, channel) + hop + s->waiting, pcm + (ptrdiff_t)channel * stride, (size_t)taken * sizeof *pcm);
    }
    s->waiting += taken;
    if (s->waiting == p->length) {
        feed(s, hop, p->length);
        join(s, p->overlap);
        for (int32_t channel = 0; channel < p->channels; channel++) {
            int16_t *samples = channel_of(s, channel);
            memmove(samples, samples + hop, (size_t)p->length * sizeof *samples);
        }
        s->waiting = p->overlap;
        s->ready = hop;
    }
    return taken;
}

void fq_separator_finish(struct fq_separator *s)
{
    const struct fq_separator_settings *p = &s->settings;
    const int32_t hop = p->length - p->overlap, due = s->waiting;
    if (due && s->first) {
        feed(s, hop, due);
        join(s, 0);
        s->start = 0;
    } else if (due > p->overlap) {
        feed(s, hop + due - p->length, p->length);
        join(s, p->length + p->overlap - due);
        s->start = p->length - due;
    } else {
        s->start = p->length - due;
    }
    s->ready = due;
    renew(s);
}

const int16_t *fq_separator_output(const struct fq_separator *s, int32_t row)
{
    return s->previous + (ptrdiff_t)row * s->settings.length + s->start;
}
