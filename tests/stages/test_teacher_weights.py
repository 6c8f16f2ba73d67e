"""Float weights of a user's own."""

from pathlib import Path

import torch
import yaml
from safetensors.torch import load_file

from pipeline.networks.build import build_network
from pipeline.stages import teacher_weights
from pipeline.stages.choice import Choice
from pipeline.stages.deployment import Deployment
from tests.tiny import tiny_sepformer


def test_a_folder_of_speechbrain_is_a_checkpoint(tmp_path: Path) -> None:
    torch.manual_seed(1)
    spec, folder = tiny_sepformer(), tmp_path / "results"
    folder.mkdir()
    (tmp_path / "tiny.yaml").write_text(yaml.safe_dump(spec.model_dump(mode="json")))
    network = build_network(spec)
    for part in ("encoder", "masknet", "decoder"):
        torch.save(network.get_submodule(part).state_dict(), folder / f"{part}.ckpt")
    teacher = Deployment(Choice.of("", "tflite-int8", "ptq", "embedded", str(folder), str(tmp_path / "tiny.yaml"))).teacher
    assert teacher.files == {"checkpoint": folder}
    made = tmp_path / "made"
    made.mkdir()
    teacher_weights.run(made, teacher.settings, teacher.files)
    found = load_file(made / "float.safetensors")
    expected = network.state_dict()
    assert found.keys() == expected.keys()
    assert [key for key in found if not torch.equal(found[key], expected[key])] == ["decoder.weight"]  # at the sources' level
