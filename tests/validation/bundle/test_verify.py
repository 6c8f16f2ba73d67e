"""``fqss verify``: each kind of change to a bundle is found and named, and a hostile bundle is refused."""

from __future__ import annotations

import gzip
import json
import os
import shutil
import subprocess
import sys
import tarfile
from collections.abc import Callable
from hashlib import sha256
from io import BytesIO
from pathlib import Path

import pytest

from export_specs.bundle import fault_of_name
from export_specs.foundation.errors import UserError
from pipeline.release.bundle import write_bundle
from pipeline.release.deployed import read_deployed
from tests.edge_runtime.conftest import write_doubling_model, write_loop_model
from tests.release.deployed import deployed_folder
from tests.release.keys import key_pair
from validation.bundle.__main__ import Verification, verification
from validation.bundle.golden import golden_check
from validation.bundle.opening import opened_bundle

NAME = "convtasnet-tflite-int8-1.0"


def bundle_in(folder: Path, key: Path | None = None, golden_fault: int = 0) -> Path:
    """A bundle's folder; its tar lies beside it."""
    found = read_deployed(deployed_folder(folder / "dist", golden_fault=golden_fault), "1.0", key is not None)
    return write_bundle(found, folder, None, key, "0.1.0").with_suffix("")


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    return key_pair(tmp_path_factory.mktemp("keys"))


@pytest.fixture(scope="module")
def released(tmp_path_factory: pytest.TempPathFactory, keys: tuple[Path, Path]) -> Path:
    return bundle_in(tmp_path_factory.mktemp("released"), keys[0])


@pytest.fixture
def bundle(released: Path, tmp_path: Path) -> Path:
    return shutil.copytree(released, tmp_path / "renamed")


def faults(bundle: Path, key: Path | None = None) -> list[str]:
    try:
        return verification(bundle, key).faults
    except UserError as error:
        return [str(error)]


def test_a_whole_bundle_passes_as_folder_and_as_tar(bundle: Path, released: Path, keys: tuple[Path, Path]) -> None:
    files = sum(path.is_file() for path in bundle.rglob("*"))
    golden = "1 clips on litert-ref: 1 as they should be, sample for sample"
    assert verification(bundle, keys[1]) == Verification(files, "by this key, over all files", golden, [])
    with opened_bundle(released.with_name(f"{NAME}.tar")) as folder:
        found = verification(folder, None)
    assert found.faults == [] and found.golden == golden and found.signature.startswith("there, not checked")


def test_a_flipped_bit_is_found_in_every_file_and_the_file_is_named(bundle: Path, keys: tuple[Path, Path]) -> None:
    names = sorted(str(path.relative_to(bundle)) for path in bundle.rglob("*") if path.is_file())
    assert {"model.tflite", "golden_vectors.npz", "parity.json", "README.md", "sbom.cdx.json", "device/resolver.h", "model.sig"} < set(
        names
    )
    for name in names:
        content = (bundle / name).read_bytes()
        for place in {0, len(content) // 2, len(content) - 1}:
            changed = bytearray(content)
            changed[place] ^= 4
            (bundle / name).write_bytes(changed)
            found = faults(bundle, keys[1] if name == "model.sig" else None)
            # a digest that was changed looks as if its file was
            assert any(name in fault or (name == "SHA256SUMS" and "changed: " in fault) for fault in found), (name, place, found)
        (bundle / name).write_bytes(content)
    assert faults(bundle, keys[1]) == []


def test_files_that_are_missing_or_too_many_are_named(bundle: Path) -> None:
    (bundle / "NOTICE").unlink()
    (bundle / "device" / "extra.c").write_text("")
    (bundle / ".hidden").write_text("")
    assert faults(bundle) == ["missing: NOTICE", "not of the bundle: .hidden", "not of the bundle: device/extra.c"]
    (bundle / "SHA256SUMS").unlink()
    assert faults(bundle) == [f"{bundle} has no SHA256SUMS: it is no bundle, or it is not whole"]


def test_new_digests_do_not_hide_a_change(bundle: Path, keys: tuple[Path, Path]) -> None:
    """Whoever changes a file and its digest, the provenance too, still lacks the key."""
    (bundle / "NOTICE").write_text("Mine\n")

    def sum_up() -> None:
        paths = sorted(path for path in bundle.rglob("*") if path.is_file() and path.name not in ("SHA256SUMS", "model.sig"))
        (bundle / "SHA256SUMS").write_text(
            "".join(f"{sha256(path.read_bytes()).hexdigest()}  {path.relative_to(bundle)}\n" for path in paths)
        )

    sum_up()
    assert faults(bundle) == ["not of this provenance: NOTICE"]
    statement = json.loads((bundle / "provenance.intoto.json").read_text())
    notice = next(subject for subject in statement["subject"] if subject["name"] == "NOTICE")
    notice["digest"]["sha256"] = sha256(b"Mine\n").hexdigest()
    (bundle / "provenance.intoto.json").write_text(json.dumps(statement))
    sum_up()
    assert faults(bundle) == []
    (found,) = faults(bundle, keys[1])
    assert found.startswith("model.sig is not this key's signature of these files") and "NOTICE" in found
    (bundle / "model.sig").unlink()
    assert faults(bundle, keys[1]) == ["the bundle is not signed"]


def test_another_key_is_no_proof(bundle: Path, tmp_path: Path) -> None:
    (found,) = faults(bundle, key_pair(tmp_path, "another")[1])
    assert "is not this key's signature" in found
    (tmp_path / "no.pem").write_text("hello")
    assert faults(bundle, tmp_path / "no.pem")[0].startswith(f"{tmp_path}/no.pem is no public key")
    assert "of another kind than elliptic curves" in faults(bundle, key_pair(tmp_path, "other", ("ed25519",))[1])[0]


def test_a_file_that_computes_something_else_is_found(tmp_path: Path) -> None:
    (found,) = faults(bundle_in(tmp_path, golden_fault=1))
    assert found == "model.tflite does not give what golden_vectors.npz says: clip 0 in 1 samples"


def test_damaged_vectors_are_told_in_a_line(tmp_path: Path) -> None:
    folder = deployed_folder(tmp_path / "dist")
    content = bytearray((folder / "golden_vectors.npz").read_bytes())
    content[len(content) // 3] ^= 0xFF
    (folder / "golden_vectors.npz").write_bytes(content)
    _, fault = golden_check(folder)
    assert fault.startswith("model.tflite does not run on the golden clips: golden_vectors.npz is no file of golden vectors")


def test_files_that_compute_in_float_are_not_compared_and_that_is_said(tmp_path: Path) -> None:
    folder = deployed_folder(tmp_path / "dist")
    write_doubling_model(folder / "model.tflite", dtype="float32")
    assert golden_check(folder) == ("not run: model.tflite computes in float, which is not the same everywhere", "")
    write_loop_model(folder / "model.tflite")
    assert golden_check(folder)[0].startswith("1 clips on litert-ref")


def tar_of(path: Path, *entries: tuple[str, bytes]) -> Path:
    """``entries``: name and type, tarfile's."""
    with tarfile.open(path, "w") as tar:
        for name, kind in entries:
            entry = tarfile.TarInfo(name)
            entry.type, entry.linkname = kind, "/etc/passwd"
            entry.size = 2 if kind == tarfile.REGTYPE else 0
            tar.addfile(entry, BytesIO(b"hi"))
    return path


@pytest.mark.parametrize(
    ("entries", "told"),
    [
        ([("../evil", tarfile.REGTYPE)], "leads out of the bundle"),
        ([("a/../../evil", tarfile.REGTYPE)], "leads out of the bundle"),
        ([("/tmp/evil", tarfile.REGTYPE)], "leads out of the bundle"),
        ([("a/b\\..\\c", tarfile.REGTYPE)], "is no plain path"),
        ([("a//b", tarfile.REGTYPE)], "is no plain path"),
        ([("a/new\nline", tarfile.REGTYPE)], "is no plain path"),
        ([("a", tarfile.REGTYPE)], "lies in no folder"),
        ([("a/link", tarfile.SYMTYPE)], "is no plain file"),
        ([("a/link", tarfile.LNKTYPE)], "is no plain file"),
        ([("a/device", tarfile.CHRTYPE)], "is no plain file"),
        ([("a/b", tarfile.REGTYPE), ("a/b", tarfile.REGTYPE)], "twice"),
        ([("a/b", tarfile.REGTYPE), ("a/b/c", tarfile.REGTYPE)], "is a file and a folder"),
        ([("a/b", tarfile.REGTYPE), ("c/d", tarfile.REGTYPE)], "several folders"),
        ([], "is empty"),
    ],
    ids=lambda value: (
        value if isinstance(value, str) else "-".join(name.replace("/", "_").replace("\n", "_") for name, _ in value) or "none"
    ),
)
def test_hostile_tars_are_refused_and_nothing_is_left(
    entries: list[tuple[str, bytes]], told: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "temporary").mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "temporary"))
    path = tar_of(tmp_path / "bundle.tar", *entries)
    with pytest.raises(UserError, match=told), opened_bundle(path):
        pass
    assert list((tmp_path / "temporary").iterdir()) == [] and not (tmp_path / "evil").exists()


def test_damaged_tars_are_found(released: Path, tmp_path: Path) -> None:
    content, path = released.with_name(f"{NAME}.tar").read_bytes(), tmp_path / "bundle.tar"
    packed = gzip.compress(content)
    for damaged in (
        content[: len(content) // 2],
        content[: 512 * 4],
        b"",
        b"no tar" * 200,
        content[:300] + b"\xff" * 300 + content[600:],
        packed,
    ):
        path.write_bytes(damaged)
        try:
            with opened_bundle(path) as folder:
                found = faults(folder)
        except UserError as error:
            found = [str(error)]
        assert found


@pytest.mark.parametrize("make", [Path.symlink_to, lambda path, _: os.mkfifo(path)], ids=["link", "pipe"])
def test_links_and_devices_in_a_folder_are_refused(make: Callable[[Path, str], None], bundle: Path) -> None:
    make(bundle / "device" / "odd", "/etc/passwd")
    with pytest.raises(UserError, match="device/odd', a link or a device"), opened_bundle(bundle):
        pass


def test_a_list_of_digests_that_leads_outside_is_refused(bundle: Path) -> None:
    line = f"{'0' * 64}  ../../etc/passwd\n"
    (bundle / "SHA256SUMS").write_text((bundle / "SHA256SUMS").read_text() + line)
    assert faults(bundle) == ["SHA256SUMS names '../../etc/passwd', which leads out of the bundle: the bundle is refused"]
    assert fault_of_name("device/golden/clip_0_input_0.bin") == "" and fault_of_name("a/./b") and fault_of_name("")


def test_the_exit_code_tells(bundle: Path, tmp_path: Path, keys: tuple[Path, Path]) -> None:
    def verify(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run([sys.executable, "-m", "fqss", "verify", *arguments], capture_output=True, text=True, check=False)

    done = verify(str(bundle), "--key", str(keys[1]), "--json")
    assert done.returncode == 0 and json.loads(done.stdout)["faults"] == [], done.stderr
    (bundle / "model.tflite").write_bytes(b"TFL3")
    done = verify(str(bundle))
    assert done.returncode == 1 and done.stderr == f"error: {bundle} is not as it was released: changed: model.tflite\n"
    assert verify(str(tmp_path / "none")).returncode == 1
    assert verify("--kez").returncode == 2
