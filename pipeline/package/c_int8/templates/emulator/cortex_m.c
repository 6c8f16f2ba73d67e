/* Start-up code for the emulated boards: vectors, a clock of 24 bits made longer, and the end of the run told to the emulator. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

extern uint32_t stack_top[], data_load[], data_start[], data_end[], bss_start[], bss_end[];
extern void initialise_monitor_handles(void);
extern int main(void);

#define SYSTICK ((volatile uint32_t *)0xE000E010)
#define COPROCESSOR_ACCESS (*(volatile uint32_t *)0xE000ED88)
enum { PERIOD = 1 << 24 };

static volatile uint64_t periods;

void reset(void);

uint64_t fq_ticks(void)
{
    for (;;) {
        const uint64_t before = periods;
        const uint32_t rest = SYSTICK[2];
        if (before == periods) {
            return before * PERIOD + (PERIOD - 1 - rest);
        }
    }
}

static void count_period(void)
{
    periods++;
}

static void stop(void)
{
    _Exit(99);
}

void reset(void)
{
    COPROCESSOR_ACCESS |= 0xFu << 20; /* vector registers */
    memcpy(data_start, data_load, (size_t)((char *)data_end - (char *)data_start));
    memset(bss_start, 0, (size_t)((char *)bss_end - (char *)bss_start));
    SYSTICK[1] = PERIOD - 1;
    SYSTICK[2] = 0;
    SYSTICK[0] = 7; /* the processor's clock, interrupts, on */
    initialise_monitor_handles();
    exit(main());
}

__attribute__((section(".vectors"), used)) static void (*const vectors[16])(void) = {
    (void (*)(void))(uintptr_t)stack_top, reset, stop, stop, stop, stop, stop, stop, 0, 0, 0, stop, stop, 0, stop, count_period,
};
