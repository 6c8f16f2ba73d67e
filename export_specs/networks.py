"""What the specs of all networks share. The settings of each stand in its own folder, ``pipeline/networks/<architecture>/spec.py``.

Specs stand on nothing of ours: whoever knows the networks says how their settings are found (:func:`find_networks_by`).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar

from pydantic import Field, model_validator

from export_specs.strict import Strict


class NetworkSpec(Strict):
    """Base of a network's settings, which are in the names of its published implementation."""

    WHOLE_SEGMENTS: ClassVar[str] = "it was made for whole segments"  # why the network cannot stream

    def waveform_channels(self) -> int:
        """Channels of a waveform."""
        return 1

    def frame(self) -> tuple[int, int]:
        """Samples of the first frame, and those by which each further one is later."""
        raise NotImplementedError

    def whole_frames(self, samples: int) -> int:
        """The whole number of frames nearest below so many samples, in samples; one frame at least."""
        first, step = self.frame()
        return max(0, samples - first) // step * step + first

    def covering_frames(self, samples: int) -> int:
        """The whole number of frames nearest above so many samples, in samples."""
        first, step = self.frame()
        return max(0, -(-(samples - first) // step)) * step + first

    def check_segment(self, samples: int) -> None:
        """Refuse a length of segments that the network cannot have.

        Raises:
            ValueError: it does not fit; the message names the nearest ones that do.
        """

    def longest_segment(self, samples: int) -> int:
        """The longest length of segments of at most ``samples`` that the network can have."""
        return samples

    def norms_follow_recipe(self) -> bool:
        """Whether the network has norms whose integer form the target chooses (``norm_recipe``): those over a whole segment, as gLN."""
        return True

    def check_streaming(self) -> None:
        """Refuse to be run step by step; a network that can be overrides this.

        Raises:
            ValueError: it hears a segment as a whole; the message says by what.
        """
        raise ValueError(f"streaming: this network cannot be run step by step: {self.WHOLE_SEGMENTS}")


Finder = Callable[[str], type[NetworkSpec]]
_finders: list[Finder] = []


def find_networks_by(finder: Finder) -> None:
    """Have the settings of networks found by ``finder``, from the name of an architecture; it raises ValueError for an unknown one."""
    _finders[:] = [finder]


def network_spec(architecture: str) -> type[NetworkSpec]:
    """The class of a network's settings.

    Raises:
        ValueError: there is no such architecture.
        RuntimeError: nobody has said how networks are found; importing ``pipeline`` does.
    """
    if not _finders:
        raise RuntimeError("no networks are known yet: import pipeline before reading the spec of a model")
    return _finders[0](architecture)


class FilterbankSpec(NetworkSpec):
    """What every network between two learned filterbanks has: ``n_filters`` N, ``kernel_size`` L and ``stride`` in samples."""

    n_filters: int = Field(gt=0)
    kernel_size: int = Field(gt=1)
    stride: int = Field(gt=0)

    @model_validator(mode="after")
    def _check_stride(self) -> FilterbankSpec:
        if self.stride > self.kernel_size:
            raise ValueError(f"stride {self.stride} is larger than kernel_size {self.kernel_size}: samples would be lost between frames")
        return self

    def frame(self) -> tuple[int, int]:
        return self.kernel_size, self.stride

    def longest_segment(self, samples: int) -> int:
        return self.whole_frames(samples)

    def check_segment(self, samples: int) -> None:
        lower = self.whole_frames(samples)
        if lower != samples:
            raise ValueError(
                f"segment_samples {samples} must be kernel_size + a multiple of stride; {lower} and {lower + self.stride} are the nearest"
            )
