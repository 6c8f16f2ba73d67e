"""The lowerings: one file an op, each a function that takes the conversion's state and a node."""

from __future__ import annotations

from collections.abc import Callable

from onnx import NodeProto

from pipeline.convert.lowering import Lowering
from pipeline.convert.ops.add import lower_add
from pipeline.convert.ops.batch_matmul import lower_reduce_sum_square
from pipeline.convert.ops.cast import lower_cast
from pipeline.convert.ops.concat import lower_concat
from pipeline.convert.ops.conv import lower_conv
from pipeline.convert.ops.gather import lower_gather
from pipeline.convert.ops.integer_arithmetic import lower_div
from pipeline.convert.ops.leaky_relu import lower_leaky_relu
from pipeline.convert.ops.logistic import lower_sigmoid
from pipeline.convert.ops.matmul import lower_matmul
from pipeline.convert.ops.maximum import lower_max
from pipeline.convert.ops.mean import lower_reduce_mean
from pipeline.convert.ops.minimum import lower_min
from pipeline.convert.ops.mul import lower_mul
from pipeline.convert.ops.pad import lower_pad
from pipeline.convert.ops.prelu import lower_prelu
from pipeline.convert.ops.requantize import lower_quantize
from pipeline.convert.ops.reshape import lower_reshape
from pipeline.convert.ops.rsqrt import lower_sqrt
from pipeline.convert.ops.scan import lower_scan
from pipeline.convert.ops.slice import lower_slice
from pipeline.convert.ops.softmax import lower_softmax
from pipeline.convert.ops.sub import lower_sub
from pipeline.convert.ops.tanh import lower_tanh
from pipeline.convert.ops.transpose import lower_transpose
from pipeline.convert.ops.transpose_conv import lower_conv_transpose

LoweringFunction = Callable[[Lowering, NodeProto], None]

LOWERINGS: dict[str, LoweringFunction] = {
    "Add": lower_add,
    "Cast": lower_cast,
    "Concat": lower_concat,
    "Conv": lower_conv,
    "ConvTranspose": lower_conv_transpose,
    "Div": lower_div,
    "Gather": lower_gather,
    "LeakyRelu": lower_leaky_relu,
    "MatMul": lower_matmul,
    "Max": lower_max,
    "Min": lower_min,
    "Mul": lower_mul,
    "Pad": lower_pad,
    "PRelu": lower_prelu,
    "QuantizeLinear": lower_quantize,
    "ReduceMean": lower_reduce_mean,
    "ReduceSumSquare": lower_reduce_sum_square,
    "Reshape": lower_reshape,
    "Scan": lower_scan,
    "Sigmoid": lower_sigmoid,
    "Slice": lower_slice,
    "Softmax": lower_softmax,
    "Sqrt": lower_sqrt,
    "Sub": lower_sub,
    "Tanh": lower_tanh,
    "Transpose": lower_transpose,
}
