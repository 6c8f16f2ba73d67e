"""``python -m pipeline.accounting.paper``: write ``docs/paper-accounting.md``, the paper's sizes and BOPs beside ours."""

from __future__ import annotations

from pathlib import Path

from export_specs.load import load_model
from pipeline.accounting.describe import describe

PAGE = Path(__file__).parents[2] / "docs" / "paper-accounting.md"
# tables 1 and 2 of the paper: MB float, int8 (vanilla QAT), FQSS; TBOPs float, int8, FQSS
PUBLISHED = {
    "convtasnet-paper": (("20.30", "5.20", "5.22"), ("5.136", "0.321", "0.324")),
    "dptnet-paper": (("11.40", "2.95", "2.97"), ("57.216", "3.576", "3.577")),
    "sepformer-paper": (("113.10", "28.55", "28.57"), ("70.448", "4.403", "4.407")),
    "convtasnet-music-paper": (("44.00", "11.20", "11.22"), ("49.60", "3.10", "3.57")),
    "htdemucs-paper": (("168.10", "42.25", "42.27"), ("185.28", "11.58", "11.77")),
}
ROWS = ("int8", "FQSS")
HEAD = """# Sizes and BOPs of the paper's networks

Written by `python -m pipeline.accounting.paper`; a test compares. HTDemucs works on segments of 7.8 s.

* **paper's convention**, size: 10^6 bytes; float is a checkpoint's size, 4 bytes a value and 280 a tensor (SepFormer's four position tables
  count as values); int8 is 1 byte a value and 4 a channel of weights; FQSS adds the values of splitter and reconstructor.
* **paper's convention**, BOPs: MACs of one second of audio × 8 × 8, of HTDemucs for a segment. A norm counts 2 an element,
  a product 1, sums and activations 0.
  Transposed convolutions take floor(kernel / stride) taps at every output sample.
* **honest**, size: biases, norms and PReLU slopes are int32, 4 bytes each.
* **honest**, BOPs: convolutions and matrix products alone, all of them, for one second, with the recurrences, projections and frames
  that there are.
"""
SLIPS = """
## Slips of the paper's numbers

* The float column of TBOPs is 16 × the rounded int8 column ({multiples}), not a count of its own.
* FQSS adds the same 0.02 MB to every network. The values of splitter and reconstructor are {increments}.
* Conv-TasNet for music, FQSS: 3.57 TBOPs are not reached. Splitter and reconstructor add {music_overhead:.2f} GMAC to {music:.2f};
  × 64 that is {music_fqss:.2f}. 3.57 would take {music_missing:.1f} GMAC more than the int8 network, and resembles DPTNet's 3.577.
* Conv-TasNet for speech: the residual convolution of the last block is counted, 999 × 512 × 128 = 0.065 GMAC, though nothing
  uses its result.
* SepFormer, FQSS: 4.407 against {sepformer_fqss:.4f}.
* DPTNet and SepFormer: the 1×1 convolution over chunks is a 2-D convolution without a fused activation, which the counter of the reference
  implementation leaves out.
* DPTNet: the recurrent matrix is multiplied by the number of hidden units (128) instead of the length of the sequence, which is the
  chunk's (250) or the number of chunks (66). Two directions of 4 × 128 × 128 weights in 6 + 6 layers:
  6 × 2 × 65,536 × 128 × (66 + 250) = 31.81 GMAC, where 12 × 2 × 65,536 × 66 × 250 = 25.95 GMAC are done.
* HTDemucs: the tables say one second, but 11.58 and 11.77 are those of a segment of {segment} s. One second of it is {htdemucs:.3f} and
  {htdemucs_fqss:.3f} by the same convention.
  Attention between the branches is counted with the whole packed projection three times:
  2 × 2 × 512² × (2,688 + 2 × 1,344 + 1,344 + 2 × 2,688) = 12.68 GMAC more than it needs.
* The size of int8 counts biases, norms and slopes at 1 byte though the reference implementation leaves them float: {small}.
"""


def page() -> str:
    """The page's text, from the networks."""
    facts = {name: describe(load_model(name)) for name in PUBLISHED}
    size = [_size_row(name, column, facts[name]) for name in PUBLISHED for column in range(3)]
    bops = [_bops_row(name, row, facts[name]) for name in PUBLISHED for row in range(2)]
    return "\n".join(
        [
            HEAD,
            "| size, MB | | published | paper's convention | honest |\n|---|---|---|---|---|",
            *size,
            "\n| TBOPs | | published | paper's convention | honest |\n|---|---|---|---|---|",
            *bops,
            _slips(facts),
        ]
    )


def _size_row(name: str, column: int, facts: dict[str, int | float]) -> str:
    kind = ("float", "int8", "fqss")[column]
    honest = "" if kind == "float" else f"{facts[f'size_{kind}_honest_mb']:.2f}"
    label = ("float", *ROWS)[column]
    return f"| {name} | {label} | {PUBLISHED[name][0][column]} | {facts[f'size_{kind}_mb']:.3f} | {honest} |"


def _bops_row(name: str, row: int, facts: dict[str, int | float]) -> str:
    middle = ("", "fqss_")[row]
    ours = " | ".join(f"{facts[f'bops_{middle}{convention}'] / 1e12:.4f}" for convention in ("paper", "honest"))
    return f"| {name} | {ROWS[row]} | {PUBLISHED[name][1][row + 1]} | {ours} |"


def _slips(facts: dict[str, dict[str, int | float]]) -> str:
    music, music_fqss = (facts["convtasnet-music-paper"][f"bops_{kind}paper"] / 64e9 for kind in ("", "fqss_"))
    htdemucs = facts["htdemucs-paper"]
    increments = {name: round((values["size_fqss_mb"] - values["size_int8_mb"]) * 1e6) for name, values in facts.items()}
    return SLIPS.format(
        multiples=", ".join(f"16 × {int8} = {float_}" for _, (float_, int8, _) in PUBLISHED.values()),
        increments=", ".join(f"{count:,} ({name})" for name, count in increments.items()),
        music=music,
        music_overhead=music_fqss - music,
        music_fqss=music_fqss * 64 / 1000,
        music_missing=3570 / 64 - music,
        sepformer_fqss=facts["sepformer-paper"]["bops_fqss_paper"] / 1e12,
        segment=htdemucs["bops_paper_seconds"],
        htdemucs=htdemucs["bops_paper"] / htdemucs["bops_paper_seconds"] / 1e12,
        htdemucs_fqss=htdemucs["bops_fqss_paper"] / htdemucs["bops_paper_seconds"] / 1e12,
        small=", ".join(f"{values['size_int8_honest_mb']:.2f} MB ({name})" for name, values in facts.items()),
    )


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
