"""What a package's README says of recordings of any length: the settings of ``separator.c``, and the memory it takes."""

from __future__ import annotations

from export_specs.file_metadata import FileMetadata


def recordings(facts: FileMetadata, input_values: int) -> str:
    """The paragraph. ``input_values``: of the network's input, all channels of a segment."""
    if facts.front_end is not None:
        return (
            "The inputs and outputs are what the float transforms of `edge_runtime/spectrogram.py` make and take. "
            "They are no part of this\npackage, which computes no float: `separator.c` is of no use without transforms of your own."
        )
    channels = input_values // facts.segment_samples
    overlap = (facts.segment_samples + 2) // 4
    values = channels * (2 * facts.segment_samples - overlap) + 2 * facts.sources * channels * facts.segment_samples
    return (
        "`separator.h` takes samples as they come: it removes a constant, brings each segment to level (the network alone fails on "
        "quiet\ninput), keeps the order of the sources and cross-fades, the same samples as `python -m edge_runtime separate`. "
        "Its settings here:\n"
        f"sample_rate {facts.sample_rate}, length {facts.segment_samples}, overlap {overlap}, sources {facts.sources}, "
        f"channels {channels}, named {int(bool(facts.source_names))};\nit needs {2 * values:,} bytes beside the network's."
    )
