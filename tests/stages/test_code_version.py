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


@pytest.mark.parametrize("argument", ["__name__", '"pipeline.inner"'])
@pytest.mark.parametrize("member", ["pipeline/inner/found.py", "pipeline/inner/kind/__init__.py"])
def test_discovered_modules_count_when_they_appear_and_when_they_change(project: Path, argument: str, member: str) -> None:
    with (project / "pipeline/inner/__init__.py").open("a") as stream:
        stream.write(f"ALL = discovered_modules({argument})\n")
    digests = [digest()]
    (project / member).parent.mkdir(exist_ok=True)
    for text in ("a = 1\n", "a = 2\n", "from pipeline.apart import y\n"):
        (project / member).write_text(text)
        digests.append(digest())
    (project / "pipeline/apart.py").write_text("y = 9\n")
    digests.append(digest())
    assert len(set(digests)) == 5


def test_a_package_to_discover_must_be_written_out(project: Path) -> None:
    with (project / "pipeline/work.py").open("a") as stream:
        stream.write("ALL = discovered_modules(run())\n")
    with pytest.raises(ValueError, match=r"work\.py: discovered_modules takes a string"):
        digest()


def test_every_lowering_counts_for_the_conversion() -> None:
    files = code_version.imported_files("pipeline.stages.conversion")
    lowerings = set((code_version.ROOT / "pipeline/convert/ops").glob("*.py"))
    assert len(lowerings) > 30
    assert lowerings <= files
