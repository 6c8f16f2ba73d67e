from pathlib import Path

import pytest

from export_specs.foundation.discovery import discovered_modules


def test_modules_and_packages_in_alphabetical_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = tmp_path / "found_package"
    for name in ("__init__.py", "second.py", "first.py", "kind/__init__.py", "kind/inner.py", "notes.txt", "no_package/module.py"):
        (package / name).parent.mkdir(parents=True, exist_ok=True)
        (package / name).write_text("")
    (package / "__init__.py").write_text(
        "from export_specs.foundation.discovery import discovered_modules\nALL = discovered_modules(__name__)\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    names = ["found_package.first", "found_package.kind", "found_package.second"]
    assert [module.__name__ for module in discovered_modules("found_package")] == names
