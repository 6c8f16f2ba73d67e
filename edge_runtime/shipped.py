"""The files that ship beside this code, so that a recording can be separated before anything is made. `make ship` writes them."""

from __future__ import annotations

from pathlib import Path

from export_specs.foundation.errors import choice_error

FOLDER = Path(__file__).with_name("models")
WHOLE, STREAM = ".tflite", ".stream.tflite"


def shipped_names() -> list[str]:
    """Names of the networks whose file ships."""
    return sorted(path.name.removesuffix(WHOLE) for path in FOLDER.glob(f"*{WHOLE}") if not path.name.endswith(STREAM))


def file_named(model: Path, stream: bool = False) -> Path:
    """The file that a user means: the path, or the file that ships of the network with that name.

    Args:
        stream: the file that is run step by step is meant, where there is one.

    Raises:
        UserError: a name, without folder and suffix, that no file has and no network either.
    """
    if model.exists() or model.suffix or len(model.parts) > 1:  # what is wrong with a path is told where it is read
        return model
    names = shipped_names()
    if model.name not in names:
        raise choice_error("model", f"{model}", [*names, "a path of a .tflite or .onnx file"])
    step_by_step = FOLDER / f"{model.name}{STREAM}"
    return step_by_step if stream and step_by_step.is_file() else FOLDER / f"{model.name}{WHOLE}"
