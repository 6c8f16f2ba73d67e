"""Which TFLite operators each runtime of devices has, as far as its makers tell or its library shows."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from validation.tflite_graph import Operator, Tensor


def _names(words: str) -> frozenset[str]:
    return frozenset(words.split())


# every operator that the resolver of tflite_micro 0.dev20261023 finds, tried one by one; CUSTOM ones by name
TFLM = _names(
    "ABS ADD ADD_N ARG_MAX ARG_MIN ASSIGN_VARIABLE AVERAGE_POOL_2D BATCH_MATMUL BATCH_TO_SPACE_ND BROADCAST_ARGS BROADCAST_TO "
    "CALL_ONCE CAST CEIL CONCATENATION CONV_2D COS CUMSUM DEPTHWISE_CONV_2D DEPTH_TO_SPACE DEQUANTIZE DIV DYNAMIC_UPDATE_SLICE ELU "
    "EMBEDDING_LOOKUP EQUAL EXP EXPAND_DIMS FILL FLOOR FLOOR_DIV FLOOR_MOD FULLY_CONNECTED GATHER GATHER_ND GREATER GREATER_EQUAL "
    "HARD_SWISH IF L2_NORMALIZATION L2_POOL_2D LEAKY_RELU LESS LESS_EQUAL LOG LOGICAL_AND LOGICAL_NOT LOGICAL_OR LOGISTIC "
    "LOG_SOFTMAX MAXIMUM MAX_POOL_2D MEAN MINIMUM MIRROR_PAD MUL NEG NOT_EQUAL PACK PAD PADV2 PRELU QUANTIZE READ_VARIABLE "
    "REDUCE_ALL REDUCE_MAX REDUCE_MIN RELU RELU6 RESHAPE RESIZE_BILINEAR RESIZE_NEAREST_NEIGHBOR REVERSE_V2 ROUND RSQRT SELECT_V2 "
    "SHAPE SIN SLICE SOFTMAX SPACE_TO_BATCH_ND SPACE_TO_DEPTH SPLIT SPLIT_V SQRT SQUARE SQUARED_DIFFERENCE SQUEEZE STRIDED_SLICE "
    "SUB SUM SVDF TANH TRANSPOSE TRANSPOSE_CONV UNIDIRECTIONAL_SEQUENCE_LSTM UNPACK VAR_HANDLE WHILE ZEROS_LIKE"
)
TFLM_CUSTOM = _names(
    "CIRCULAR_BUFFER SignalDelay SignalEnergy SignalFftAutoScale SignalFilterBank SignalFilterBankLog SignalFilterBankSpectralSubtraction "
    "SignalFilterBankSquareRoot SignalFramer SignalIrfft SignalOverlapAdd SignalPCAN SignalRfft SignalStacker SignalWindow "
    "TFLite_Detection_PostProcess ethos-u"
)

# tflite-micro, kernels/cmsis_nn: what is not here runs in the reference kernels
CMSIS_NN = _names(
    "ADD AVERAGE_POOL_2D BATCH_MATMUL CONV_2D DEPTHWISE_CONV_2D FULLY_CONNECTED MAXIMUM MAX_POOL_2D MINIMUM MUL PAD PADV2 SOFTMAX "
    "SVDF TRANSPOSE TRANSPOSE_CONV UNIDIRECTIONAL_SEQUENCE_LSTM"
)
# Vela's supported operators and its generic constraints; the specific ones are checked where a TFLite file shows them at a glance
ETHOS_U = _names(
    "ABS ADD ARG_MAX AVERAGE_POOL_2D CONCATENATION CONV_2D DEPTHWISE_CONV_2D EXP EXPAND_DIMS FULLY_CONNECTED HARD_SWISH LEAKY_RELU "
    "LOGISTIC MAXIMUM MAX_POOL_2D MEAN MINIMUM MIRROR_PAD MUL PACK PAD PRELU QUANTIZE RELU RELU6 RELU_N1_TO_1 RESHAPE "
    "RESIZE_BILINEAR RESIZE_NEAREST_NEIGHBOR RSQRT SHAPE SLICE SOFTMAX SPLIT SPLIT_V SQUARED_DIFFERENCE SQUEEZE STRIDED_SLICE SUB "
    "TANH TRANSPOSE TRANSPOSE_CONV UNIDIRECTIONAL_SEQUENCE_LSTM UNPACK"
)
_ETHOS_TYPES = ("int8", "uint8", "int16")
_ETHOS_INT32 = ("ADD", "MUL", "SUB", "SHAPE")
_HIGHEST_POOL = 256
_LARGEST_DIMENSION = 65535

Operands = tuple[list[Tensor], list[Tensor]]  # activations that go in, what comes out
Reason = Callable[[Operator, Operands], str | None]


@dataclass(frozen=True)
class DeviceRuntime:
    """A runtime of devices. ``reason`` says why an operator is not run by it, None where it is; ``otherwise`` what happens then."""

    name: str
    reason: Reason
    otherwise: str


def _not_in_tflm(operator: Operator, operands: Operands) -> str | None:
    kind, _, custom = operator.name.partition(":")
    if kind == "CUSTOM":
        return None if custom in TFLM_CUSTOM else "a custom operator that is not TFLM's own"
    return None if kind in TFLM else "not in the resolver"


def _not_in_cmsis_nn(operator: Operator, operands: Operands) -> str | None:
    if operator.name not in CMSIS_NN:
        return "no kernel"
    inputs, outputs = operands
    if operator.name in ("ADD", "MUL", "MAXIMUM", "MINIMUM") and len({tensor.shape for tensor in inputs}) > 1:
        return "broadcasts"
    if any(tensor.dtype not in ("int8", "int16") for tensor in outputs):
        return f"{outputs[0].dtype}"
    dilation = getattr(operator.options, "dilationHFactor", 1), getattr(operator.options, "dilationWFactor", 1)
    return "dilated" if operator.name == "DEPTHWISE_CONV_2D" and max(dilation) > 1 else None


def _not_on_ethos_u(operator: Operator, operands: Operands) -> str | None:
    if operator.name == "CUSTOM:ethos-u":  # compiled by Vela
        return None
    if operator.name not in ETHOS_U:
        return "no such operator"
    inputs, outputs = operands
    for tensor in (*inputs, *outputs):
        if tensor.dtype not in _ETHOS_TYPES and not (tensor.dtype == "int32" and operator.name in _ETHOS_INT32):
            return f"{tensor.dtype} tensors"
        if not tensor.scale and operator.name != "SHAPE":
            return "no quantization parameters"
        if len(tensor.shape) > 4 or max(tensor.shape, default=1) > _LARGEST_DIMENSION:
            return "more than 4 dimensions, or one above 65535"
    height = getattr(operator.options, "filterHeight", 1)
    return f"a window higher than {_HIGHEST_POOL}" if operator.name == "AVERAGE_POOL_2D" and height > _HIGHEST_POOL else None


DEVICE_RUNTIMES = (
    DeviceRuntime("TFLM", _not_in_tflm, "the file does not load"),
    DeviceRuntime("CMSIS-NN", _not_in_cmsis_nn, "runs in TFLM's reference kernel, slower"),
    DeviceRuntime("Ethos-U", _not_on_ethos_u, "Vela leaves it to the CPU"),
)
