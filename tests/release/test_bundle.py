"""A release bundle, read by the programs of others: sha256sum, CycloneDX's schema, in-toto's and Hugging Face's parsers, model_signing."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tarfile
from hashlib import sha256
from pathlib import Path

import pytest
import yaml
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
from google.protobuf import json_format
from huggingface_hub import ModelCard
from in_toto_attestation.predicates.provenance.v1.provenance_pb2 import Provenance
from in_toto_attestation.v1 import statement_pb2
from in_toto_attestation.v1.statement import Statement
from typer.testing import CliRunner

from export_specs.foundation.errors import UserError
from pipeline.release.__main__ import app
from pipeline.release.third_party import ORIGINS
from tests.release.deployed import COMMIT, DATE, deployed_folder
from tests.release.keys import key_pair

ROOT = Path(__file__).parents[2]


def release(folder: Path, out: Path, *options: str) -> str:
    """What the command says on stderr."""
    done = CliRunner().invoke(app, [str(folder), "--out", str(out), "--version", "1.0", *options], catch_exceptions=False)
    assert done.stdout == f"{out}/convtasnet-tflite-int8-1.0.tar\n"
    return done.stderr


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("release")
    assert "NOT SIGNED" in release(deployed_folder(place / "dist"), place / "out")
    return place / "out" / "convtasnet-tflite-int8-1.0"


def test_two_builds_in_different_folders_are_equal_to_the_byte(bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = deployed_folder(tmp_path / "elsewhere" / "dist")
    for number, path in enumerate(sorted(folder.rglob("*"))):
        os.utime(path, (number, number))
    (folder / "model.tflite").chmod(0o600)
    release(folder, tmp_path)
    made = [path.read_bytes() for path in (bundle.with_name(bundle.name + ".tar"), tmp_path / f"{bundle.name}.tar")]
    assert made[0] == made[1]
    with tarfile.open(tmp_path / f"{bundle.name}.tar") as tar:
        assert {(entry.uid, entry.mode, entry.mtime) for entry in tar} == {(0, 0o644, DATE)}
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1000000000")
    assert "2001-09-09T01:46:40Z" in release(folder, tmp_path)  # takes the other's place


def test_every_file_is_in_the_list_of_digests(bundle: Path) -> None:
    checked = subprocess.run(["sha256sum", "-c", "--strict", "SHA256SUMS"], cwd=bundle, capture_output=True, text=True, check=True)
    files = {str(path.relative_to(bundle)) for path in bundle.rglob("*") if path.is_file()}
    assert {line.removesuffix(": OK") for line in checked.stdout.splitlines()} == files - {"SHA256SUMS"}
    assert {"LICENSE", "NOTICE", "THIRD_PARTY.md", "README.md", "sbom.cdx.json", "manifest.json", "device/resolver.h"} < files


def test_the_bill_of_materials_keeps_to_its_schema(bundle: Path) -> None:
    text = (bundle / "sbom.cdx.json").read_text()
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(text) is None
    bill = json.loads(text)
    model = bill["metadata"]["component"]
    assert (model["type"], model["version"], model["licenses"]) == ("machine-learning-model", "1.0", [{"license": {"id": "Apache-2.0"}}])
    assert model["modelCard"]["quantitativeAnalysis"]["performanceMetrics"][0]["value"] == "4.250"
    named = {found["name"]: found for found in bill["components"]}
    digest = sha256((bundle / "model.tflite").read_bytes()).hexdigest()
    assert named["model.tflite"]["hashes"] == [{"alg": "SHA-256", "content": digest}]
    assert named["LibriSpeech train-clean-100"]["licenses"] == [{"license": {"id": "CC-BY-4.0"}}]
    assert [tool["purl"] for tool in bill["metadata"]["tools"]["components"] if "purl" in tool] == ["pkg:pypi/ai-edge-litert@2.3.0"]
    assert {found["bom-ref"] for found in bill["components"]} == set(bill["dependencies"][0]["dependsOn"])


def test_the_provenance_is_an_in_toto_statement(bundle: Path) -> None:
    content = json.loads((bundle / "provenance.intoto.json").read_text())
    statement = Statement.copy_from_pb(json_format.ParseDict(content, statement_pb2.Statement()))  # refuses fields that it does not know
    statement.validate()
    assert {subject.name for subject in statement.pb.subject} >= {"model.tflite", "sbom.cdx.json", "README.md", "manifest.json"}
    assert content["predicateType"] == "https://slsa.dev/provenance/v1"
    predicate = json_format.ParseDict(content["predicate"], Provenance())
    materials = {found.name: dict(found.digest) for found in predicate.build_definition.resolved_dependencies}
    assert materials == {"source": {"gitCommit": COMMIT}, "float weights/float.safetensors": {"sha256": "3" * 64}}
    assert predicate.run_details.metadata.finished_on.seconds == DATE


def test_the_card_is_the_weights_own_and_says_that_it_is_not_signed(bundle: Path) -> None:
    card = ModelCard.load(bundle / "README.md")
    assert card.data.license == "apache-2.0" and card.data.model_name == "convtasnet"
    own = ModelCard.load(ROOT / "pipeline" / "weights" / "convtasnet" / "README.md")
    figures = [[result.metric_value for result in found.data.eval_results] for found in (card, own)]
    assert figures[0] == figures[1] and len(figures[0]) == 2
    assert "**not signed**" in card.text and COMMIT in card.text and "* loss: 0.1 dB (of 4 mixtures)" in card.text
    assert "Not tested: no real device." in card.text and "# Weights of `convtasnet`" in card.text
    assert "CC-BY-4.0" in (bundle / "NOTICE").read_text()
    assert "TensorFlow Lite Micro" in (bundle / "THIRD_PARTY.md").read_text()


def test_of_a_users_weights_nothing_is_claimed(tmp_path: Path) -> None:
    folder = deployed_folder(tmp_path / "dist", SPEC="mine.yaml", CHECKPOINT="a.pth")
    release(folder, tmp_path)
    card = ModelCard.load(tmp_path / "convtasnet-tflite-int8-1.0" / "README.md")
    assert (card.data.license, card.data.license_name) == ("other", "not-stated")
    assert [result.metric_value for result in card.data.eval_results] == [4.25]
    assert "not stated" in (tmp_path / "convtasnet-tflite-int8-1.0" / "THIRD_PARTY.md").read_text()
    bill = (tmp_path / "convtasnet-tflite-int8-1.0" / "sbom.cdx.json").read_text()
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(bill) is None
    own = tmp_path / "card.md"
    own.write_text("---\nlicense: mit\ndatasets: [my-voices]\n---\n# Mine\n")
    release(folder, tmp_path, "--card", str(own))
    assert "# Mine" in (tmp_path / "convtasnet-tflite-int8-1.0" / "README.md").read_text()
    assert "| my-voices | — | not stated | trained on |" in (tmp_path / "convtasnet-tflite-int8-1.0" / "THIRD_PARTY.md").read_text()


def test_a_signature_is_one_that_others_check(tmp_path: Path) -> None:
    private, public = key_pair(tmp_path)
    assert release(deployed_folder(tmp_path / "dist"), tmp_path / "out", "--key", str(private)).endswith("files, signed\n")
    bundle = tmp_path / "out" / "convtasnet-tflite-int8-1.0"
    assert "not signed" not in (bundle / "README.md").read_text()
    check = [sys.executable, "-m", "model_signing", "verify", "key", str(bundle), "--signature", str(bundle / "model.sig")]
    done = subprocess.run([*check, "--public_key", str(public)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_what_cannot_be_released_is_told(bundle: Path, tmp_path: Path) -> None:
    folder = deployed_folder(tmp_path / "dist")
    (tmp_path / "out" / bundle.name).mkdir(parents=True)
    failed = deployed_folder(tmp_path / "failed", verdict="failed")
    changed = shutil.copytree(folder, tmp_path / "changed")
    (changed / "device" / "resolver.h").write_text("// another\n")
    older = shutil.copytree(folder, tmp_path / "older")
    manifest = json.loads((older / "manifest.json").read_text())
    (older / "manifest.json").write_text(json.dumps({name: value for name, value in manifest.items() if name != "source"}))
    undated = shutil.copytree(folder, tmp_path / "undated")
    manifest["source"]["date"] = None
    (undated / "manifest.json").write_text(json.dumps(manifest))
    (tmp_path / "no-card.md").write_text("# Mine\n")
    for arguments, told in (
        ((tmp_path, tmp_path), "is no deployed folder"),
        ((folder, tmp_path / "out"), "exists and is no bundle"),
        ((failed, tmp_path), "is not released: its report failed in task.mean"),
        ((changed, tmp_path), "is not as it was deployed, in device/resolver.h"),
        ((older, tmp_path), "was deployed by an earlier version"),
        ((undated, tmp_path), "set SOURCE_DATE_EPOCH"),
        ((folder, tmp_path, "--key", str(tmp_path / "no-card.md")), "is no private key"),
        ((folder, tmp_path, "--key", str(key_pair(tmp_path, "other", ("ed25519",))[0])), "of another kind than elliptic curves"),
        ((folder, tmp_path, "--card", str(tmp_path / "no-card.md")), "has no front matter"),
    ):
        with pytest.raises(UserError, match=told):
            release(*arguments)


def test_every_data_set_of_a_card_has_its_licence() -> None:
    known = set(yaml.safe_load(ORIGINS.read_text())["data_sets"])
    named = {name for card in (ROOT / "pipeline" / "weights").glob("*/README.md") for name in ModelCard.load(card).data.datasets}
    assert named and named <= known
