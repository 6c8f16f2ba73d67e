"""The operators that have kernels, one line each."""

from pipeline.package.c_int8.lowering import Lower
from pipeline.package.c_int8.ops.arithmetic import lower_add, lower_mul, lower_sub
from pipeline.package.c_int8.ops.convolution import lower_conv_2d, lower_depthwise_conv_2d, lower_transpose_conv
from pipeline.package.c_int8.ops.integer import extremum, lower_cast, lower_div, lower_less, lower_quantize
from pipeline.package.c_int8.ops.loop import lower_while
from pipeline.package.c_int8.ops.matmul import lower_batch_matmul
from pipeline.package.c_int8.ops.movement import (
    lower_broadcast_to,
    lower_concatenation,
    lower_dynamic_update_slice,
    lower_gather,
    lower_pad,
    lower_reshape,
    lower_slice,
    lower_split,
    lower_strided_slice,
    lower_transpose,
)
from pipeline.package.c_int8.ops.reduction import lower_average_pool_2d, lower_mean
from pipeline.package.c_int8.ops.table import lower_leaky_relu, lower_logistic, lower_rsqrt, lower_softmax, lower_tanh

OPS: dict[str, Lower] = {
    "ADD": lower_add,
    "AVERAGE_POOL_2D": lower_average_pool_2d,
    "BATCH_MATMUL": lower_batch_matmul,
    "BROADCAST_TO": lower_broadcast_to,
    "CAST": lower_cast,
    "CONCATENATION": lower_concatenation,
    "CONV_2D": lower_conv_2d,
    "DEPTHWISE_CONV_2D": lower_depthwise_conv_2d,
    "DIV": lower_div,
    "DYNAMIC_UPDATE_SLICE": lower_dynamic_update_slice,
    "GATHER": lower_gather,
    "LEAKY_RELU": lower_leaky_relu,
    "LESS": lower_less,
    "LOGISTIC": lower_logistic,
    "MAXIMUM": extremum("maximum"),
    "MEAN": lower_mean,
    "MINIMUM": extremum("minimum"),
    "MUL": lower_mul,
    "PAD": lower_pad,
    "QUANTIZE": lower_quantize,
    "RESHAPE": lower_reshape,
    "RSQRT": lower_rsqrt,
    "SLICE": lower_slice,
    "SOFTMAX": lower_softmax,
    "SPLIT": lower_split,
    "STRIDED_SLICE": lower_strided_slice,
    "SUB": lower_sub,
    "TANH": lower_tanh,
    "TRANSPOSE": lower_transpose,
    "TRANSPOSE_CONV": lower_transpose_conv,
    "WHILE": lower_while,
}
