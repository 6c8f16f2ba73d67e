"""A training with two processes, run as a program: ``python ddp_program.py <teacher|recipe> <folder> <speech folder> [<steps>]``."""

import os
import sys
import time
from pathlib import Path

import torch

from pipeline.checkpoints import saving
from pipeline.data.training_set import TrainingMixtures
from pipeline.quantization.recipe import Recipe
from pipeline.training import qat, teacher
from tests.tiny import tiny_spec

if __name__ == "__main__":
    what, folder, speech, *steps = sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3]), *map(int, sys.argv[4:])
    torch.set_num_threads(1)
    torch.compiler.set_stance("force_eager")
    teacher.compiler_available = lambda: False
    teacher.VALIDATION_MIXTURES = qat.VALIDATION_MIXTURES = 4
    qat.OBSERVED_BATCHES = 9
    original = TrainingMixtures.__getitem__

    def recorded(mixtures: TrainingMixtures, index: int) -> tuple[torch.Tensor, torch.Tensor]:
        """Notes which process takes which training example."""
        if mixtures.augmented:
            with (folder / f"examples-{os.environ.get('LOCAL_RANK', '0')}").open("a") as stream:
                stream.write(f"{mixtures.epoch} {index}\n")
        return original(mixtures, index)

    TrainingMixtures.__getitem__ = recorded
    write = saving.write_bytes

    def slow_write(path: Path, content: bytes) -> None:
        """Notes which process writes the result, and takes its time."""
        (folder / f"written-{os.environ.get('LOCAL_RANK', '0')}").touch()
        time.sleep(2)
        write(path, content)

    saving.write_bytes = slow_write
    files = [(path.parent.name, path) for path in sorted(speech.glob("*/*.wav"))]
    spec = tiny_spec(steps=steps[0] if steps else 4, epoch_steps=2, qat_steps=4)
    two = {"devices": 2}
    if what == "teacher":
        spec = spec.model_copy(update={"training": spec.training.model_copy(update=two)})
        teacher.train_teacher(spec, files, files, folder, 0)
    else:
        weights = speech / "teacher.safetensors"
        qat.train_quantized(spec, Recipe(*what.split("-", 1)), spec.profiles["quick"].model_copy(update=two), weights, files, files, folder)
    assert next(folder.glob("*.safetensors"), None) is not None, "a process went on before the result was there"
