"""Scale and zero point of a tensor, copied from the ONNX file and never computed anew."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Quantization:
    """The affine grid of a tensor: real = scale * (code - zero_point).

    ``scale`` and ``zero_point`` have one entry for a per-tensor grid, else one an index along ``axis`` (an ONNX axis).
    """

    scale: tuple[float, ...]
    zero_point: tuple[int, ...]
    axis: int = 0

    @property
    def per_tensor(self) -> bool:
        """Whether one scale holds for the whole tensor."""
        return len(self.scale) == 1

    def scales(self) -> np.ndarray:
        """The scales as float32, exactly as stored in the ONNX file."""
        return np.array(self.scale, np.float32)

    def zero_points(self) -> np.ndarray:
        """The zero points as int64."""
        return np.array(self.zero_point, np.int64)

    def expanded(self, channels: int) -> Quantization:
        """The same grid with one (repeated) scale a channel."""
        if self.per_tensor:
            return Quantization(self.scale * channels, self.zero_point * channels, self.axis)
        return self

    def __str__(self) -> str:
        if self.per_tensor:
            return f"scale {self.scale[0]:.8g}, zero point {self.zero_point[0]}"
        return f"{len(self.scale)} scales along axis {self.axis}"
