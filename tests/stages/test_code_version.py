from pathlib import Path

import pytest

from pipeline.stages import code_version


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(code_version, "ROOT", tmp_path)
    for name, text in {
        "pipeline/__init__.py": "",
        "pipeline/work.py": '"""Works."""\nfrom pipeline.inner import tool\n\n\ndef run():\n    """Runs."""\n    return tool.x\n',
        "pipeline/inner/__init__.py": "",
        "pipeline/inner/tool.py": "def late():\n    import export_specs.deep\nx = 1\n",
        "pipeline/apart.py": "y = 1\n",
        "export_specs/__init__.py": "",
        "export_specs/deep.py": "z = 1\n",
    }.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    return tmp_path


def digest() -> str:
    code_version._tree.cache_clear()
    code_version._imported_files.cache_clear()
    return code_version.code_digest("pipeline.work")


@pytest.mark.parametrize("name", ["pipeline/work.py", "pipeline/inner/tool.py", "pipeline/inner/__init__.py", "export_specs/deep.py"])
def test_a_changed_module_that_is_imported_counts(project: Path, name: str) -> None:
    before = digest()
    with (project / name).open("a") as stream:
        stream.write("more = 2\n")
    assert digest() != before


@pytest.mark.parametrize(
    ("name", "old", "new"),
    [
        ("pipeline/apart.py", "y = 1", "y = 2"),
        ("pipeline/work.py", '"""Runs."""', '"""Runs, and says so."""'),
        ("pipeline/work.py", "return tool.x", "return tool.x  # the result"),
        ("pipeline/work.py", '"""Works."""', '"""Works well."""'),
    ],
)
def test_other_modules_comments_and_docstrings_do_not_count(project: Path, name: str, old: str, new: str) -> None:
    before = digest()
    text = (project / name).read_text()
    assert old in text
    (project / name).write_text(text.replace(old, new))
    assert digest() == before
