import pytest

from pipeline.training import qat, teacher
from tests.eager import eager
from tests.tiny import write_speech
from tests.training.runs import Files

__all__ = ["eager"]


@pytest.fixture(scope="module")
def speech(tmp_path_factory: pytest.TempPathFactory) -> Files:
    return write_speech(tmp_path_factory.mktemp("speech"))


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """No compiled network and four validation mixtures."""
    monkeypatch.setattr(teacher, "compiler_available", lambda: False)
    monkeypatch.setattr(teacher, "VALIDATION_MIXTURES", 4)
    monkeypatch.setattr(qat, "VALIDATION_MIXTURES", 4)
