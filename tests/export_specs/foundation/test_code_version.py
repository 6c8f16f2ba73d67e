import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from export_specs.foundation import code_version


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(code_version, "ROOT", tmp_path)
    for name, text in {
        "pipeline/__init__.py": "",
        "pipeline/work.py": '"""Works."""\nfrom pipeline.inner import tool\n\n\ndef run():\n    """Runs."""\n    return tool.x\n',
        "pipeline/inner/__init__.py": "",
        "pipeline/inner/tool.py": "def late():\n    import export_specs.deep\nx = 1\n",
        "pipeline/apart.py": "y = 1\n",
        "edge_runtime/__init__.py": "",
        "edge_runtime/runs.py": "import json, numpy.typing\ndef late():\n    from somewhere.deep import it\n",
        "export_specs/__init__.py": "",
        "export_specs/deep.py": "z = 1\n",
        "pipeline/chooses.py": "def run(name):\n    return part_of('pipeline.kinds', name, 'form').FORM\n",
        "pipeline/kinds/__init__.py": "",
        "pipeline/kinds/one/__init__.py": "",
        "pipeline/kinds/one/form.py": "FORM = 1\n",
        "pipeline/kinds/small/__init__.py": "FORM = 2\n",
    }.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    return tmp_path


@pytest.fixture(autouse=True)
def fresh() -> Iterator[None]:
    yield
    forget()


def forget() -> None:
    for cached in (code_version._tree, code_version._imported_names, code_version._libraries):
        cached.cache_clear()


def digest() -> str:
    forget()
    return code_version.code_digest("pipeline.work")


@pytest.mark.parametrize("name", ["pipeline/kinds/one/form.py", "pipeline/kinds/small/__init__.py"])
def test_what_can_be_chosen_by_name_counts(project: Path, name: str) -> None:
    before = code_version.code_digest("pipeline.chooses")
    with (project / name).open("a") as stream:
        stream.write("more = 2\n")
    forget()
    assert code_version.code_digest("pipeline.chooses") != before


def test_a_name_that_is_known_at_run_time_alone_is_refused(project: Path) -> None:
    (project / "pipeline/chooses.py").write_text("part_of(package, name, 'form')\n")
    with pytest.raises(ValueError, match="part_of takes strings"):
        code_version.code_digest("pipeline.chooses")


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


def test_a_discovery_by_its_module_counts(project: Path) -> None:
    with (project / "pipeline/work.py").open("a") as stream:
        stream.write("from export_specs.foundation import discovery\nALL = discovery.discovered_modules('pipeline.rooms')\n")
    before = digest()
    (project / "pipeline/rooms").mkdir()
    (project / "pipeline/rooms/first.py").touch()
    assert digest() != before


def test_modules_are_found_by_that_function_alone() -> None:
    """Any other way would hide them from the digests."""
    users = [
        str(path.relative_to(code_version.ROOT))
        for package in code_version.PACKAGES
        for path in sorted((code_version.ROOT / package).rglob("*.py"))
        if re.search(r"^(import|from) (pkgutil|importlib)(?!\.metadata)|__import__\(", path.read_text(), re.MULTILINE)
    ]
    by_name, of_libraries = "pipeline/stages/graph.py", "validation/load_probe.py"  # imports what it digests; asks for libraries alone
    assert users == [by_name, "export_specs/foundation/discovery.py", of_libraries]


def test_versions_of_libraries_by_their_own_names(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Those imported here or in what is imported, and in functions; not the standard library. One that is not there counts as such."""
    forget()
    monkeypatch.setattr(code_version, "packages_distributions", lambda: {"numpy": ["numpy"], "somewhere": ["two", "one", "two"]})
    monkeypatch.setattr(code_version, "version", {"numpy": "1.2", "one": "3", "two": "4+cpu"}.__getitem__)
    monkeypatch.setattr(code_version.platform, "python_version", lambda: "3.99")
    found = code_version.library_versions("edge_runtime.runs", "pipeline.apart")
    assert found == {"python": "3.99", "numpy": "1.2", "one": "3", "two": "4+cpu"}
    assert code_version.library_versions("pipeline.apart") == {"python": "3.99"}
    (project / "pipeline" / "apart.py").write_text("import edge_runtime.runs\nimport lost\n")
    forget()
    assert code_version.library_versions("pipeline.apart") == {**found, "lost": "not installed"}


def test_versions_of_another_environment(tmp_path: Path) -> None:
    assert code_version.installed_versions(tmp_path) == {}
    folder = tmp_path / "lib" / "python3.11" / "site-packages" / "onnx2tf-9.8.dist-info"
    folder.mkdir(parents=True)
    (folder / "METADATA").write_text("Metadata-Version: 2.1\nName: onnx2tf\nVersion: 9.8\n")
    assert code_version.installed_versions(tmp_path) == {"onnx2tf": "9.8"}


@pytest.mark.parametrize("stage", ["teacher_weights", "float_export", "quantized_weights", "qdq_export", "simulation"])
def test_a_stage_depends_on_every_layer_and_network(stage: str) -> None:
    """They are found at run time; a change in any of them must not leave an old result standing."""
    used = code_version.imported_files(f"pipeline.stages.{stage}")
    packages = [code_version.ROOT / "pipeline" / name for name in ("layers", "networks")]
    missing = {str(path) for package in packages for path in package.rglob("*.py")} - {str(path) for path in used}
    assert not missing


def test_the_report_depends_on_every_float_layer_and_network() -> None:
    """Of which it counts the parameters; the rest it reads from what stages before it have made."""
    used = code_version.imported_files("pipeline.stages.report")
    built = {*(code_version.ROOT / "pipeline/layers").rglob("float.py"), *(code_version.ROOT / "pipeline/networks").glob("*/model.py")}
    assert len(built) > 15 and built <= set(used)
