"""``python -m pipeline.training.widen``: the weights of a network at twice its widths (or more) that computes the same."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import numpy as np
import torch
import typer
from numpy.typing import NDArray

from export_specs.foundation.errors import UserError, run_command_line
from export_specs.load import load_model
from pipeline.checkpoints.loading import load_network
from pipeline.checkpoints.saving import facts_of, save_network
from pipeline.networks.build import build_network

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)

# how unequally the copies of a channel share what they stood for: 0 would leave them equal for ever, since their gradients would be
UNEVENNESS = 0.5


@app.command()
def run(
    weights: Annotated[Path, typer.Option(help="Float weights of the narrow network.")],
    out: Annotated[Path, typer.Option(help="File of the wide network's weights.")],
    narrow: Annotated[str, typer.Option(help="Model name or spec file of the narrow network.")] = "convtasnet",
    model: Annotated[str, typer.Option(help="Model name or spec file of the wide one.")] = "convtasnet-medium",
    seed: Annotated[int, typer.Option(help="Of the shares.")] = 0,
) -> None:
    """Write weights for a wide network that computes what a narrow one does, to train on from (``--start`` of ``pipeline.training``)."""
    narrow_spec, wide_spec = load_model(narrow), load_model(model)
    if narrow_spec.architecture != "convtasnet" or wide_spec.architecture != "convtasnet":
        raise UserError(f"only Conv-TasNet is widened: {narrow} is {narrow_spec.architecture}, {model} {wide_spec.architecture}")
    small, large = build_network(narrow_spec), build_network(wide_spec)
    for note in load_network(small, weights, narrow_spec):
        typer.echo(f"note: {note}", err=True)
    generator = np.random.default_rng(seed)
    have, wanted = small.state_dict(), large.state_dict()
    if have.keys() != wanted.keys():
        raise UserError(f"{model} has other layers than {narrow}: widening changes channels, not blocks")
    for name, tensor in wanted.items():
        try:
            wide = widened(have[name].numpy(), tuple(tensor.shape), _inputs(name, tensor), generator)
        except ValueError as error:
            raise UserError(f"{model}: {name}: {error}") from error
        tensor.copy_(torch.from_numpy(wide))
    save_network(large, out, facts_of(wide_spec))


def widened(narrow: NDArray[np.float32], shape: tuple[int, ...], inputs: int | None, generator: np.random.Generator) -> NDArray[np.float32]:
    """A tensor of weights for a layer whose channels each stand there several times (Net2Net, Chen, Goodfellow and Shlens 2016, section 2).

    Each channel is copied in place, so that c0 c1 becomes c0 c0 c1 c1. Along the axis ``inputs`` the copies share the weight unevenly
    at random: their sum is the former weight, and the layer gives what it gave.

    Args:
        narrow: the tensor as it is.
        shape: as it shall be; every axis a multiple of the former.
        inputs: the axis over which the layer sums; None if it sums over none.

    Raises:
        ValueError: an axis is no multiple.
    """
    wide = narrow
    for axis, (have, wanted) in enumerate(zip(narrow.shape, shape, strict=True)):
        if wanted % have:
            raise ValueError(f"{wanted} channels are no multiple of {have}")
        wide = np.repeat(wide, wanted // have, axis)
    if inputs is None or shape[inputs] == narrow.shape[inputs]:
        return wide
    copies = shape[inputs] // narrow.shape[inputs]
    by_channel = (*shape[:inputs], narrow.shape[inputs], copies, *shape[inputs + 1 :])
    shares = generator.uniform(1 - UNEVENNESS, 1 + UNEVENNESS, by_channel)
    shares /= shares.sum(axis=inputs + 1, keepdims=True)
    return np.asarray(wide * shares.reshape(shape), np.float32)


def _inputs(name: str, tensor: torch.Tensor) -> int | None:
    """The axis of the channels that a Conv-TasNet's layer sums over: the decoder's filters [N, 1, L] have theirs first."""
    if name.startswith("decoder."):
        return 0
    return 1 if tensor.ndim == 3 else None


if __name__ == "__main__":
    run_command_line(app)
