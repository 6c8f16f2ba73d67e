"""Stand-ins for TFLite Micro's headers: the few declarations that the kit uses, as they are in the real ones (commit in kit.py).

They let a compiler check the kit where no TFLite Micro is installed. Its interpreter computes nothing: it replays the golden outputs.
"""

from __future__ import annotations

from pathlib import Path

_NAMES = """
Abs Add AddN ArgMax ArgMin AssignVariable AveragePool2D BatchMatMul BatchToSpaceNd BroadcastArgs BroadcastTo CallOnce Cast Ceil
CircularBuffer Concatenation Conv2D Cos CumSum Decode Delay DepthToSpace DepthwiseConv2D Dequantize DetectionPostprocess Div
DynamicUpdateSlice EmbeddingLookup Energy Elu Equal EthosU Exp ExpandDims FftAutoScale Fill FilterBank FilterBankLog FilterBankSquareRoot
FilterBankSpectralSubtraction Floor FloorDiv FloorMod Framer FullyConnected Gather GatherNd Greater GreaterEqual HardSwish If Irfft
L2Normalization L2Pool2D LeakyRelu Less LessEqual Log LogicalAnd LogicalNot LogicalOr Logistic LogSoftmax Maximum MaxPool2D MirrorPad Mean
Minimum Mul Neg NotEqual OverlapAdd Pack Pad PadV2 PCAN Prelu Quantize ReadVariable ReduceAll ReduceMax ReduceMin Relu Relu6 Reshape
ResizeBilinear ResizeNearestNeighbor ReverseV2 Rfft Round Rsqrt SelectV2 Shape Sin Slice Softmax SpaceToBatchNd SpaceToDepth Split SplitV
Squeeze Sqrt Square SquaredDifference StridedSlice Stacker Sub Sum Svdf Tanh TransposeConv Transpose Unpack UnidirectionalSequenceLSTM
VarHandle While Window ZerosLike
"""
OPERATORS = _NAMES.split()

COMMON = """#pragma once
#include <cstddef>
#include <cstdint>
typedef enum TfLiteStatus { kTfLiteOk = 0, kTfLiteError = 1 } TfLiteStatus;
typedef union TfLitePtrUnion { int16_t* i16; void* data; } TfLitePtrUnion;
typedef struct TfLiteTensor { TfLitePtrUnion data; size_t bytes; } TfLiteTensor;
typedef struct TfLiteEvalTensor { TfLitePtrUnion data; } TfLiteEvalTensor;
typedef struct TfLiteContext { TfLiteEvalTensor* (*GetEvalTensor)(const struct TfLiteContext* context, int tensor_idx); } TfLiteContext;
"""

PROFILER = """#pragma once
#include <cstdint>
namespace tflite {
class MicroProfilerInterface {
 public:
  virtual ~MicroProfilerInterface() {}
  virtual uint32_t BeginEvent(const char* tag) = 0;
  virtual void EndEvent(uint32_t event_handle) = 0;
};
}
"""

SCHEMA = """#pragma once
namespace tflite {
struct Model {};
inline const Model* GetModel(const void* data) { return static_cast<const Model*>(data); }
}
"""

RESOLVER = """#pragma once
#include "tensorflow/lite/c/common.h"
namespace tflite {
class MicroOpResolver {};
template <unsigned int count>
class MicroMutableOpResolver : public MicroOpResolver {
 public:
@ADDS@
 private:
  unsigned int added_ = 0;
  TfLiteStatus Add_() { return added_++ < count ? kTfLiteOk : kTfLiteError; }
};
}
""".replace("@ADDS@", "\n".join(f"  TfLiteStatus Add{name}() {{ return Add_(); }}" for name in OPERATORS))

INTERPRETER = """#pragma once
#include <cstdio>
#include "tensorflow/lite/c/common.h"
#include "tensorflow/lite/micro/micro_mutable_op_resolver.h"
#include "tensorflow/lite/micro/micro_profiler_interface.h"
#include "tensorflow/lite/schema/schema_generated.h"
namespace tflite {
class MicroResourceVariables;
class MicroInterpreter {
 public:
  MicroInterpreter(const Model*, const MicroOpResolver&, uint8_t* arena, size_t, MicroResourceVariables* = nullptr,
                   MicroProfilerInterface* = nullptr, bool = false) : arena_(arena) {}
  TfLiteStatus AllocateTensors() { return kTfLiteOk; }
  size_t arena_used_bytes() const { return 1; }
  TfLiteTensor* input(size_t) { tensor_ = {{.data = arena_}, 0}; return &tensor_; }
  TfLiteTensor* output(size_t index) {
    char path[200];
    std::snprintf(path, sizeof path, GOLDEN_FOLDER "/clip_%d_output_%d.bin", clip_, static_cast<int>(index));
    std::FILE* file = std::fopen(path, "rb");
    tensor_ = {{.data = arena_}, file ? std::fread(arena_, 1, 1 << 20, file) : 0};
    if (file) std::fclose(file);
    return &tensor_;
  }
  TfLiteStatus Invoke() { clip_++; return kTfLiteOk; }
 protected:
  const TfLiteContext& context() const { return context_; }
 private:
  uint8_t* arena_;
  int clip_ = -1;
  TfLiteTensor tensor_ = {};
  TfLiteContext context_ = {};
};
}
"""

HEADERS = {
    "c/common.h": COMMON,
    "micro/micro_profiler_interface.h": PROFILER,
    "micro/micro_mutable_op_resolver.h": RESOLVER,
    "micro/micro_interpreter.h": INTERPRETER,
    "schema/schema_generated.h": SCHEMA,
}


def write_headers(folder: Path) -> Path:
    """The headers below ``folder``/tensorflow/lite; gives ``folder``, to be searched for them."""
    for name, text in HEADERS.items():
        path = folder / "tensorflow" / "lite" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return folder
