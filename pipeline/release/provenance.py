"""Where the files of a release come from: an in-toto statement with SLSA's predicate of provenance."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pipeline.release.deployed import Release

STATEMENT = "https://in-toto.io/Statement/v1"
PREDICATE = "https://slsa.dev/provenance/v1"
BUILD_TYPE = "urn:fqss-deploy:deploy:v1"  # settings in, a deployed folder out
BUILDER = "urn:fqss-deploy:local"  # whoever ran the command: nothing watched over it


def provenance(release: Release, digests: Mapping[str, str], product_version: str) -> dict[str, Any]:
    """The statement. ``digests``: SHA-256 of the files it speaks of, by name."""
    manifest, source = release.manifest, release.manifest["source"]
    materials = [
        {"name": f"{kind}/{name}", "digest": {"sha256": digest}}
        for kind, parents in sorted(manifest["parents"].items())
        for name, digest in sorted(parents.items())
    ]
    commit = {"name": "source", "digest": {"gitCommit": source["commit"]}, "annotations": {"changed": source["changed"]}}
    return {
        "_type": STATEMENT,
        "subject": [{"name": name, "digest": {"sha256": digest}} for name, digest in sorted(digests.items())],
        "predicateType": PREDICATE,
        "predicate": {
            "buildDefinition": {
                "buildType": BUILD_TYPE,
                "externalParameters": {"command": manifest["command"], "settings": manifest["settings"]},
                "internalParameters": {name: manifest[name] for name in ("spec_sha256", "target_sha256", "versions")},
                "resolvedDependencies": [commit, *materials],
            },
            "runDetails": {
                "builder": {"id": BUILDER, "version": {"fqss-deploy": product_version}},
                "metadata": {"finishedOn": release.day},
            },
        },
    }
