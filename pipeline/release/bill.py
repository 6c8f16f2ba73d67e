"""The bill of materials of a release: CycloneDX 1.6 with the network as an ML-BOM component and its model card."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from typing import Any

from pipeline.release.card import subject_figure
from pipeline.release.deployed import Release
from pipeline.release.third_party import PRODUCT, Origin, judged_on, software, trained_on

MODEL = "model"


def bill_of_materials(release: Release, facts: dict[str, Any], digests: Mapping[str, str], product_version: str) -> dict[str, Any]:
    """The document, the same for the same files and date.

    Args:
        facts: front matter of the card.
        digests: SHA-256 of the bundle's files, by name.
        product_version: of the program that made them.
    """
    data = [_data_set(origin) for origin in (*trained_on(facts), *judged_on(release))]
    others = [_library(origin) for origin in software(set(digests))]
    files = [_file(name, digest) for name, digest in sorted(digests.items())]
    tools = [{"type": "application", "name": PRODUCT, "version": product_version}]
    tools += [_tool(name, version) for name, version in sorted(release.manifest["versions"].items())]
    components = [*data, *others, *files]
    return {
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": uuid.uuid5(uuid.NAMESPACE_URL, f"{release.name} {release.date} {sorted(digests.items())}").urn,
        "version": 1,
        "metadata": {"timestamp": release.day, "tools": {"components": tools}, "component": _model(release, facts, data)},
        "components": components,
        "dependencies": [{"ref": MODEL, "dependsOn": [component["bom-ref"] for component in components]}],
    }


def _tool(name: str, version: str) -> dict[str, Any]:
    url = {} if name == "python" else {"purl": f"pkg:pypi/{name.lower().replace('_', '-')}@{version}"}
    return {"type": "library", "name": name, "version": version, **url}


def _model(release: Release, facts: dict[str, Any], data: list[dict[str, Any]]) -> dict[str, Any]:
    subject, figure = release.parity["subject"], subject_figure(release)
    pcm = f"int16 PCM at {subject['sample_rate']} Hz, segments of {subject['segment_samples']} samples"
    return {
        "type": "machine-learning-model",
        "bom-ref": MODEL,
        "name": f"{subject['model']}-{subject['target']}",
        "version": release.version,
        "description": f"{subject['parameters']:,} parameters, quantized to int8",
        "licenses": [_licence(str(facts.get("license", "")), str(facts.get("license_name", "")))],
        "modelCard": {
            "modelParameters": {
                "task": "audio source separation",
                "datasets": [{"ref": component["bom-ref"]} for component in data],
                "inputs": [{"format": pcm}],
                "outputs": [{"format": f"{pcm}, of every source"}],
            },
            "quantitativeAnalysis": {
                "performanceMetrics": [
                    {
                        "type": "SI-SDR improvement in dB",
                        "value": f"{float(figure['si_sdr_improvement']):.3f}",
                        "slice": f"{figure['n']} mixtures",
                    },
                ]
            },
            "considerations": {"technicalLimitations": [f"not tested: {text}" for text in release.parity["not_tested"]]},
        },
    }


def _licence(identifier: str, name: str) -> dict[str, Any]:
    """Of a card's front matter, where identifiers are in small letters and "other" has a name beside it."""
    known = {
        "apache-2.0": "Apache-2.0",
        "mit": "MIT",
        "cc-by-4.0": "CC-BY-4.0",
        "cc-by-sa-4.0": "CC-BY-SA-4.0",
        "cc-by-nc-4.0": "CC-BY-NC-4.0",
    }
    return {"license": {"id": known[identifier]} if identifier in known else {"name": name or identifier or "not stated"}}


def _data_set(origin: Origin) -> dict[str, Any]:
    return _component("data", origin, f"data set, {origin.role}")


def _library(origin: Origin) -> dict[str, Any]:
    return _component("library", origin, origin.role)


def _component(kind: str, origin: Origin, description: str) -> dict[str, Any]:
    found: dict[str, Any] = {
        "type": kind,
        "bom-ref": f"{kind}:{origin.role}:{origin.title}",
        "name": origin.title,
        "description": description,
    }
    found["licenses"] = [{"license": {"id": origin.licence} if origin.licence else {"name": origin.licence_words}}]
    if origin.by:
        found["authors"] = [{"name": origin.by}]
    if origin.url:
        found["externalReferences"] = [{"type": "website", "url": origin.url}]
    return found


def _file(name: str, digest: str) -> dict[str, Any]:
    return {"type": "file", "bom-ref": f"file:{name}", "name": name, "hashes": [{"alg": "SHA-256", "content": digest}]}
