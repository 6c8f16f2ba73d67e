"""The command ``describe``: size and work of a model, from the layers of its float network."""

from __future__ import annotations

import json
from typing import Annotated

import torch
import typer

from export_specs.load import load_model
from export_specs.schema import ModelSpec
from pipeline.accounting.size import measure
from pipeline.accounting.work import count_work
from pipeline.networks.build import build_network

INT8_PRODUCT_BITS = 8 * 8
MEGA = 10**6


def describe(spec: ModelSpec) -> dict[str, int | float]:
    """Size and work of a model. Nothing is computed but shapes.

    Returns:
        ``parameters``; ``macs_per_second`` of audio, by the honest count; BOPs of the int8 network by the paper's convention for
        ``bops_paper_seconds`` of audio (1, but a segment for HTDemucs, which always works on one) and by the honest one for a second,
        without and with splitter and reconstructor (``fqss``); sizes in 10^6 bytes, by the paper's convention
        (:mod:`pipeline.accounting.size`) and for int8 by the honest one.
    """
    with torch.device("meta"):
        network = build_network(spec)
    samples = spec.segment_samples if network.whole_segments else spec.sample_rate
    work, seconds = count_work(network.eval(), samples), samples / spec.sample_rate
    size, with_fqss = measure(network), work.total + work.fqss_overhead
    return {
        "parameters": size.parameters,
        "macs_per_second": round(work.total.honest / seconds),
        "bops_paper": INT8_PRODUCT_BITS * work.total.paper,
        "bops_honest": INT8_PRODUCT_BITS * round(work.total.honest / seconds),
        "bops_fqss_paper": INT8_PRODUCT_BITS * with_fqss.paper,
        "bops_fqss_honest": INT8_PRODUCT_BITS * round(with_fqss.honest / seconds),
        "bops_paper_seconds": seconds,
        "size_float_mb": size.float_bytes / MEGA,
        "size_int8_mb": size.int8_paper / MEGA,
        "size_fqss_mb": (size.int8_paper + size.fqss_values) / MEGA,
        "size_int8_honest_mb": size.int8_honest / MEGA,
        "size_fqss_honest_mb": (size.int8_honest + size.fqss_values) / MEGA,
    }


def describe_command(
    model: Annotated[str, typer.Argument(help="Name of a model, or a spec of your own (YAML).")],
    as_json: Annotated[bool, typer.Option("--json", help="For machines.")] = False,
) -> None:
    """Print size and work of a model."""
    facts = describe(load_model(model))
    if as_json:
        typer.echo(json.dumps(facts))
        return
    for name, value in facts.items():
        typer.echo(f"{name:20} {f'{value:,}' if isinstance(value, int) else f'{value:.3f}'}")
