"""The model card of a release (README.md): front matter as Hugging Face reads it, what the release is, and the card of the weights."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import yaml

from pipeline.release.deployed import Release
from pipeline.release.third_party import UNSTATED, card_facts

FILES = {
    "model.tflite": "int16 PCM in, int16 PCM out, integers inside",
    "model.qdq.onnx": "the same network as QDQ ONNX",
    "model.stream.tflite": "the same network, a hop of samples at a time",
    "parity.html": "the parity report; `parity.json` for machines, `summary.md` on a page",
    "golden_vectors.npz": "inputs and outputs that every device has to give",
    "device/README.md": "`device/`: what firmware compiles",
    "manifest.json": "digests of what was deployed and of its parents, versions, the command",
    "THIRD_PARTY.md": "whose work is inside, under which licence",
    "sbom.cdx.json": "bill of materials, CycloneDX",
    "provenance.intoto.json": "of which commit, command and data; in-toto statement, SLSA provenance",
    "SHA256SUMS": "digests of all files: `sha256sum -c SHA256SUMS`",
    "model.sig": "signature over all files, OpenSSF Model Signing",
}
UNSIGNED = "This release is **not signed**: its digests find damage, but do not prove who made it."
SIGNED = "This release is signed (`model.sig`): check it with the public key of whoever you have it from, `--key PUBLIC.pem`."


def front_matter(release: Release, own_card: str | None) -> dict[str, Any]:
    """The facts on top of the card: those of the weights' own card, or what the report knows of a user's weights."""
    if own_card is not None:
        return card_facts(own_card)
    subject = release.parity["subject"]
    music = any(gate["id"] == "task.sdr" for gate in release.parity["gates"])
    return {
        "license": "other",
        "license_name": UNSTATED.replace(" ", "-"),
        "library_name": "fqss-deploy",
        "pipeline_tag": "audio-to-audio",
        "tags": ["audio", "source-separation", "int8", "tflite", "onnx"],
        "metrics": ["si-sdr"],
        "model-index": [{"name": subject["model"], "results": [_result(release, music)]}],
    }


def _result(release: Release, music: bool) -> dict[str, Any]:
    figure, data = subject_figure(release), _test_set(release)
    return {
        "task": {"type": "audio-to-audio", "name": f"{'music' if music else 'speech'} separation"},
        "dataset": {"type": data["name"], "name": f"{figure['n']} mixtures: {data['description']}"},
        "metrics": [
            {"type": "si-sdr", "value": round(float(figure["si_sdr_improvement"]), 2), "name": "SI-SDR improvement of the file, dB"}
        ],
    }


def subject_figure(release: Release) -> Mapping[str, Any]:
    """What the report measured of the released file on its test set: the ladder's summary."""
    stage = release.parity["subject"]["stage"]
    found: Mapping[str, Any] = next(
        step["summary"] for step in release.parity["ladder"] if step["stage"] == stage and step["set"] == _test_set(release)["name"]
    )
    return found


def _test_set(release: Release) -> Mapping[str, Any]:
    found: Mapping[str, Any] = next(data for data in release.parity["data"] if data["role"] == "test")
    return found


def card(release: Release, own_card: str | None, files: set[str]) -> str:
    """README.md. ``own_card``: the card of the weights, None where there is none. ``files``: the other files of the bundle."""
    facts = yaml.safe_dump(front_matter(release, own_card), sort_keys=False, allow_unicode=True)
    body = [
        f"---\n{facts}---",
        f"# {release.name}",
        "",
        f"`{release.parity['subject']['model']}` for `{release.parity['subject']['target']}`, version {release.version}, {release.day}, "
        f"{release.sources}.",
        "",
        f"{SIGNED if release.signed else UNSIGNED} `fqss verify` checks digests, signature and golden vectors.",
        "",
        "## What was measured",
        "",
        f"Not tested: {'; '.join(release.parity['not_tested'])}.",
        "",
        *[f"* {tile['label']}: {tile['value']}{' (' + tile['note'] + ')' if tile['note'] else ''}" for tile in release.parity["tiles"]],
        "",
        "## What is here",
        "",
        "| file | what |",
        "|---|---|",
        *[f"| `{name}` | {what} |" for name, what in FILES.items() if name in files],
        "",
        f"To make the same again: `{release.manifest['command']}`",
        "",
    ]
    text = "\n".join(body)
    return f"{text}\n{own_card.split('---' + chr(10), 2)[2]}" if own_card is not None else f"{text}\n{_unknown()}"


def _unknown() -> str:
    return (
        "## Weights\n\nThe weights are a user's own: what they were trained on, and their licence, are not stated here. "
        "`fqss release --card` takes a card that says so (`docs/model-card-template.md`).\n"
    )
