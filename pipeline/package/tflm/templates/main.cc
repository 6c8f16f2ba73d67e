// Runs the golden clips in TFLite Micro and says whether the outputs and some inner tensors are those of TFLite's reference kernels.
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstring>

#include "arena.h"
#include "golden.h"
#include "model_data.h"
#include "resolver.h"
#include "tensorflow/lite/c/common.h"
#include "tensorflow/lite/micro/micro_interpreter.h"
#include "tensorflow/lite/micro/micro_profiler_interface.h"
#include "tensorflow/lite/schema/schema_generated.h"

namespace {

alignas(16) uint8_t arena[@UPPER@_ARENA_BYTES];

uint32_t Crc32(const void* data, size_t count) {
  const uint8_t* bytes = static_cast<const uint8_t*>(data);
  uint32_t crc = 0xFFFFFFFFu;
  for (size_t i = 0; i < count; i++) {
    crc ^= bytes[i];
    for (int bit = 0; bit < 8; bit++) {
      crc = crc >> 1 ^ (crc & 1 ? 0xEDB88320u : 0u);
    }
  }
  return ~crc;
}

// What lies between two operators is shown to those that derive from the interpreter.
class Interpreter : public tflite::MicroInterpreter {
 public:
  using tflite::MicroInterpreter::MicroInterpreter;
  const void* Inner(int index) const { return context().GetEvalTensor(&context(), index)->data.data; }
};

// TFLite Micro tells its profiler of every operator; those of loops lie between a beginning and an end of the loop's own.
class Watcher : public tflite::MicroProfilerInterface {
 public:
  void Start(const Interpreter* interpreter, int clip) {
    interpreter_ = interpreter;
    clip_ = clip;
    depth_ = operator_ = checked_ = 0;
    differs_ = nullptr;
  }
  uint32_t BeginEvent(const char*) override {
    depth_++;
    return 0;
  }
  void EndEvent(uint32_t) override {
    if (--depth_ == 0) {
      Check();
      operator_++;
    }
  }
  int checked() const { return checked_; }
  const char* differs() const { return differs_; }

 private:
  void Check() {
    for (const golden_tensor& tensor : golden_tensors) {
      if (tensor.after != operator_) continue;
      checked_++;
      if (differs_ == nullptr && Crc32(interpreter_->Inner(tensor.index), tensor.bytes) != tensor.crc[clip_]) differs_ = tensor.name;
    }
  }
  const Interpreter* interpreter_ = nullptr;
  int clip_ = 0, depth_ = 0, operator_ = 0, checked_ = 0;
  const char* differs_ = nullptr;
};

bool ClipPasses(Interpreter& interpreter, Watcher& watcher, int clip) {
  for (int index = 0; index < GOLDEN_INPUTS; index++) {
    std::memcpy(interpreter.input(index)->data.data, golden_inputs[clip][index], golden_input_bytes[index]);
  }
  watcher.Start(&interpreter, clip);
  if (interpreter.Invoke() != kTfLiteOk) {
    std::printf("clip %d: FAIL, an operator failed\n", clip);
    return false;
  }
  if (watcher.differs() != nullptr) {
    std::printf("clip %d: FAIL, the first tensor that differs is '%s'\n", clip, watcher.differs());
    return false;
  }
  for (int index = 0; index < GOLDEN_OUTPUTS; index++) {
    const TfLiteTensor* output = interpreter.output(index);
    if (Crc32(output->data.data, output->bytes) != golden_outputs[index][clip]) {
      std::printf("clip %d: FAIL, output %d differs\n", clip, index);
      return false;
    }
  }
  std::printf("clip %d: pass, %d outputs and %d inner tensors", clip, GOLDEN_OUTPUTS, watcher.checked());
  std::printf(watcher.checked() ? "\n" : " (a library built with TF_LITE_STRIP_ERROR_STRINGS shows none)\n");
  return true;
}

}  // namespace

int main() {
  static tflite::MicroMutableOpResolver<@UPPER@_OPERATORS> resolver;
  static Watcher watcher;
  if (@PREFIX@_add_operators(resolver) != kTfLiteOk) {
    std::printf("FAIL: the resolver does not take the operators\n");
    return 1;
  }
  const tflite::Model* model = tflite::GetModel(@PREFIX@_model_data);
  static Interpreter interpreter(model, resolver, arena, sizeof arena, nullptr, &watcher);
  watcher.Start(&interpreter, 0);
  if (interpreter.AllocateTensors() != kTfLiteOk) {
    std::printf("FAIL: the tensors do not fit into an arena of %u bytes\n", static_cast<unsigned>(sizeof arena));
    return 1;
  }
  std::printf("arena: %u of %u bytes used\n", static_cast<unsigned>(interpreter.arena_used_bytes()), static_cast<unsigned>(sizeof arena));
  int failed = 0;
  for (int clip = 0; clip < GOLDEN_CLIPS; clip++) {
    failed += !ClipPasses(interpreter, watcher, clip);
  }
  std::printf(failed ? "FAIL: %d of %d clips\n" : "PASS: %d of %d clips differ\n", failed, GOLDEN_CLIPS);
  return failed ? 1 : 0;
}
