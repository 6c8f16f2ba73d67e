"""How the axes of a network's tensors are ordered: in an ONNX file, and in the TFLite file that is made of it."""

from __future__ import annotations

from enum import Enum


class Layout(Enum):
    """A tensor's axes in ONNX and in TFLite, where channels come last and time is the height.

    ======== ============================ ==================== =========================================================
    layout   ONNX                         TFLite               what it is
    ======== ============================ ==================== =========================================================
    FRAMES   [N, C, T]                    [N, T, 1, C]         the body of a network
    ROWS     [N, T, C]                    [N, T, 1, C]         frames on their way to or from another rank
    PLANE    [N, C, Fr, T]                [N, Fr, T, C]        a spectrogram for two-dimensional convolutions
    FILTER   [C, 1, 1]                    [1, 1, 1, C]         of a depthwise convolution, computed at run time
    PLAIN    any, say [1, A, T] of PCM,   the same             all else: the graph's ends, what attention and loops work
             or sequences [1, N, L, C]                         on, tensors of rank 2 and less
    COLUMN   [1, N, C]                    [1, N, 1, C]         in a loop: a step along axis 2 of sequences
    ROW      [1, N, C]                    [1, 1, N, C]         in a loop: a step along axis 1 of sequences
    ======== ============================ ==================== =========================================================
    """

    FRAMES = "frames"
    ROWS = "rows"
    PLANE = "plane"
    FILTER = "filter"
    PLAIN = "plain"
    COLUMN = "column"
    ROW = "row"
