// Runs a golden clip hop by hop in TFLite Micro and says whether every sample, and after the first steps everything that is remembered, is
// what TFLite's reference kernels give.
#include <cstddef>
#include <cstdint>
#include <cstdio>

#include "arena.h"
#include "golden_stream.h"
#include "model_data.h"
#include "resolver.h"
#include "stepper.h"
#include "stream_table.h"
#include "tensorflow/lite/c/common.h"
#include "tensorflow/lite/micro/micro_interpreter.h"
#include "tensorflow/lite/schema/schema_generated.h"

namespace {

constexpr int kSeparated = @UPPER@_SOURCES * @UPPER@_HOP;

alignas(16) uint8_t arena[@UPPER@_ARENA_BYTES];
alignas(4) uint8_t memory[@UPPER@_MEMORY_BYTES];

// The CRC32 of what `crc` is of and further bytes; of nothing it is 0.
uint32_t Crc32(uint32_t crc, const void* data, size_t count) {
  const uint8_t* bytes = static_cast<const uint8_t*>(data);
  crc = ~crc;
  for (size_t i = 0; i < count; i++) {
    crc ^= bytes[i];
    for (int bit = 0; bit < 8; bit++) {
      crc = crc >> 1 ^ (crc & 1 ? 0xEDB88320u : 0u);
    }
  }
  return ~crc;
}

void* Input(void* interpreter, int32_t index) {
  return static_cast<tflite::MicroInterpreter*>(interpreter)->input(static_cast<size_t>(index))->data.data;
}

const void* Output(void* interpreter, int32_t index) {
  return static_cast<tflite::MicroInterpreter*>(interpreter)->output(static_cast<size_t>(index))->data.data;
}

bool failed = false;

void Invoke(void* interpreter) {
  failed = static_cast<tflite::MicroInterpreter*>(interpreter)->Invoke() != kTfLiteOk || failed;
}

// Of a delay line, its oldest byte first.
uint32_t Remembered(int index) {
  const fq_delay_line_place& kept = @PREFIX@_remembered[index].line;
  const fq_delay_line* line = reinterpret_cast<const fq_delay_line*>(memory + kept.place);
  const uint32_t old = Crc32(0, line->ring + line->next, static_cast<size_t>(kept.shape.length - line->next));
  return Crc32(old, line->ring, static_cast<size_t>(line->next));
}

bool StepPasses(int step, const int16_t* separated) {
  for (int i = 0; i < @PREFIX@_stepped.remembered_count; i++) {
    if (Remembered(i) != golden_steps[step].kept[i]) {
      std::printf("stream: FAIL, after step %d the first that is remembered otherwise is '%s'\n", step, golden_names[i]);
      return false;
    }
  }
  if (Crc32(0, separated, sizeof(int16_t) * kSeparated) != golden_steps[step].separated) {
    std::printf("stream: FAIL, the samples of step %d differ\n", step);
    return false;
  }
  return true;
}

}  // namespace

int main() {
  static tflite::MicroMutableOpResolver<@UPPER@_OPERATORS> resolver;
  if (@PREFIX@_add_operators(resolver) != kTfLiteOk) {
    std::printf("FAIL: the resolver does not take the operators\n");
    return 1;
  }
  static tflite::MicroInterpreter interpreter(tflite::GetModel(@PREFIX@_model_data), resolver, arena, sizeof arena);
  if (interpreter.AllocateTensors() != kTfLiteOk) {
    std::printf("FAIL: the tensors do not fit into an arena of %u bytes\n", static_cast<unsigned>(sizeof arena));
    return 1;
  }
  fq_stepper stepper = {&@PREFIX@_stepped, Input, Output, Invoke, &interpreter, memory};
  const int steps = static_cast<int>(sizeof golden_pcm / sizeof *golden_pcm) / @UPPER@_HOP;
  uint32_t crc = 0;
  fq_stepper_reset(&stepper);
  for (int step = 0; step < steps; step++) {
    static int16_t separated[kSeparated];
    fq_stepper_push(&stepper, golden_pcm + step * @UPPER@_HOP, separated);
    crc = Crc32(crc, separated, sizeof separated);
    if (failed || (step < GOLDEN_STEPS && !StepPasses(step, separated))) {
      std::printf("FAIL: at step %d\n", step);
      return 1;
    }
  }
  if (crc != golden_crc) {
    std::printf("stream: FAIL, samples after step %d differ\n", GOLDEN_STEPS);
    return 1;
  }
  std::printf("PASS: 0 of %d samples differ\n", steps * kSeparated);
  return 0;
}
