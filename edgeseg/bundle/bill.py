"""The bill of materials of a bundle: CycloneDX 1.6, JSON (ECMA-424): packages, model, and what it was trained on."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterable
from typing import Any

from edgeseg.bundle.archive import sha256
from edgeseg.bundle.packages import Package
from edgeseg.core.spec import ModelSpec

_MODEL, _DATA = "model", "training-data"


def bill_of_materials(spec: ModelSpec, model_name: str, model_sha256: str, packages: Iterable[Package]) -> str:
    """Return the JSON text. Equal content gives an equal text: it has no date, and a serial number of its content.

    Args:
        spec: the model's.
        model_name: its file's.
        model_sha256: that file's.
        packages: of the bundle; what TensorRT, CUDA and OpenCV the device has is not in it.
    """
    held = sorted(packages, key=lambda each: each.name)
    own = next(each for each in held if each.name == "edgeseg")
    components = [_model(spec, model_name, model_sha256), _data(spec), *map(_package, held)]
    document: dict[str, Any] = {
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": {
            "component": {
                "type": "application",
                "bom-ref": "bundle",
                "name": f"edgeseg bundle of {spec.name}",
                "version": own.version,
            }
        },
        "components": components,
        "dependencies": [
            {"ref": "bundle", "dependsOn": [_MODEL, *map(_reference, held)]},
            {"ref": _MODEL, "dependsOn": [_DATA]},
        ],
    }
    serial = uuid.uuid5(uuid.NAMESPACE_URL, json.dumps(document, sort_keys=True))
    return json.dumps({**document, "serialNumber": f"urn:uuid:{serial}"}, indent=1) + "\n"


def _package(package: Package) -> dict[str, Any]:
    licence = {"licenses": [{"license": {"name": package.licence}}]} if package.licence else {}
    return {
        "type": "library",
        "bom-ref": _reference(package),
        "name": package.name,
        "version": package.version,
        "purl": _reference(package),
        "hashes": [{"alg": "SHA-256", "content": sha256(package.path)}],
        **licence,
    }


def _reference(package: Package) -> str:
    """Return the package URL (purl): a version's + is written %2B there."""
    return f"pkg:pypi/{package.name}@{package.version.replace('+', '%2B')}"


def _model(spec: ModelSpec, name: str, digest: str) -> dict[str, Any]:
    metrics = [
        {"type": metric, "value": f"{value:.6g}", "slice": "val, by the training"}
        for metric, value in spec.metrics.items()
    ]
    return {
        "type": "machine-learning-model",
        "bom-ref": _MODEL,
        "name": name,
        "description": f"{spec.name}, {spec.precision}; classes: {', '.join(spec.classes.names)}",
        "hashes": [{"alg": "SHA-256", "content": digest}],
        "modelCard": {
            "modelParameters": {
                "task": "semantic segmentation",
                "architectureFamily": "convolutional neural network",
                "modelArchitecture": f"{spec.architecture}, {spec.encoder}",
                "datasets": [{"ref": _DATA}],
            },
            **({"quantitativeAnalysis": {"performanceMetrics": metrics}} if metrics else {}),
        },
    }


def _data(spec: ModelSpec) -> dict[str, Any]:
    name = spec.trained_on or "not said"
    return {"type": "data", "bom-ref": _DATA, "name": name, "data": [{"type": "dataset", "name": name}]}
