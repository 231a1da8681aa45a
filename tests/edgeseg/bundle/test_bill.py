"""The bill of materials and the model card of a bundle, and how `edgeseg inspect` shows them."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import zipfile
from dataclasses import replace
from pathlib import Path

import pytest

from edgeseg.bundle.archive import pack, sha256, sums
from edgeseg.bundle.bill import bill_of_materials
from edgeseg.bundle.maker import make_bundle
from edgeseg.bundle.packages import read_package
from edgeseg.bundle.settings import BundleSettings
from edgeseg.bundle.targets import TARGETS
from edgeseg.core.errors import UsageError
from edgeseg.export.model_card import card_beside, model_card
from tests.helpers.colour_model import COLOUR_SPEC, write_colour_model
from tests.helpers.package_files import write_index, write_wheel

SPEC = replace(COLOUR_SPEC, trained_on="camvid:/data/CamVid", metrics={"miou": 0.61})


def inspect(*arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "edgeseg", "inspect", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=100)


def test_a_bill_names_packages_model_and_data(tmp_path: Path) -> None:
    """By CycloneDX 1.6: its JSON schema (cyclonedx.org) accepts what is written here."""
    packages = [read_package(write_wheel(tmp_path, name, "1.0+local")) for name in ("numpy", "edgeseg")]
    text = bill_of_materials(SPEC, "net.onnx", "0" * 64, packages)
    assert bill_of_materials(SPEC, "net.onnx", "0" * 64, reversed(packages)) == text
    bill = json.loads(text)
    assert (bill["bomFormat"], bill["specVersion"]) == ("CycloneDX", "1.6")
    model, data, *libraries = bill["components"]
    assert [each["purl"] for each in libraries] == ["pkg:pypi/edgeseg@1.0%2Blocal", "pkg:pypi/numpy@1.0%2Blocal"]
    assert libraries[1]["hashes"] == [{"alg": "SHA-256", "content": sha256(packages[0].path)}]
    assert model["type"] == "machine-learning-model"
    assert model["hashes"] == [{"alg": "SHA-256", "content": "0" * 64}]
    assert model["modelCard"]["modelParameters"]["datasets"] == [{"ref": data["bom-ref"]}]
    assert (data["type"], data["name"]) == ("data", "camvid:/data/CamVid")
    metric = model["modelCard"]["quantitativeAnalysis"]["performanceMetrics"]
    assert metric == [{"type": "miou", "value": "0.61", "slice": "val, by the training"}]
    references = {each["bom-ref"] for each in bill["components"]}
    assert {each for row in bill["dependencies"] for each in row["dependsOn"]} == references
    other = bill_of_materials(SPEC, "net.onnx", "1" * 64, packages)
    assert json.loads(other)["serialNumber"] != bill["serialNumber"]


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        ("License-Expression: BSD-3-Clause AND MIT\n", "BSD-3-Clause AND MIT"),
        ("License: MIT\n", "MIT"),
        (
            f"License: {'x' * 5000}\nClassifier: License :: OSI Approved :: Apache Software License\n",
            "Apache Software License",
        ),
        ("", ""),
    ],
)
def test_a_packages_licence_is_as_it_says(tmp_path: Path, lines: str, expected: str) -> None:
    path = tmp_path / "some-1-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as wheel:
        wheel.writestr("some-1.dist-info/METADATA", f"Metadata-Version: 2.4\nName: some\nVersion: 1\n{lines}")
    assert read_package(path).licence == expected


def make(place: Path, model: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Path, list[str]]:
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    said: list[str] = []
    settings = BundleSettings(TARGETS["6"], wheels=write_index(place / "wheels", TARGETS["6"]), golden_frames=1)
    make_bundle(model, place / "bundle.tar.gz", settings, said.append)
    return place / "bundle.tar.gz", said


def test_a_bundle_shows_the_models_own_card_and_its_packages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = write_colour_model(tmp_path / "net.onnx")
    card = model_card(model.name, sha256(model), SPEC, [], ["proven by hand"])
    card_beside(model).write_text(card)
    bundle, said = make(tmp_path, model, monkeypatch)
    assert not any("card" in line for line in said)
    done = inspect(bundle, "--json", tmp_path / "found.json")
    assert done.returncode == 0, done.stderr
    assert card in done.stdout
    assert "package numpy 1.26.4, licence not said" in done.stdout
    found = json.loads((tmp_path / "found.json").read_text())
    assert f"bundle {found['manifest']['id']} for jetpack6" in done.stdout
    assert found["bill_of_materials"]["components"][0]["hashes"][0]["content"] == sha256(model)
    assert "proven by hand" in inspect(model).stdout


def test_a_card_of_another_file_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = write_colour_model(tmp_path / "net.onnx")
    card_beside(model).write_text(model_card(model.name, hashlib.sha256().hexdigest(), SPEC, [], []))
    with pytest.raises(UsageError, match=r"is not of this net\.onnx; remove it, or export the model again"):
        make(tmp_path, model, monkeypatch)
    assert "is not of this net.onnx" in inspect(model).stdout


def test_what_is_no_bundle_is_said_in_one_line(tmp_path: Path) -> None:
    folder = tmp_path / "edgeseg-1-net"
    folder.mkdir()
    (folder / "manifest.json").write_text("[]")
    (folder / "SHA256SUMS").write_text(sums(folder))
    pack(folder, tmp_path / "a.tar.gz")
    os.truncate(tmp_path / "a.tar.gz", 50)
    (tmp_path / "b.tar.gz").write_bytes(b"x")
    for name in ("a.tar.gz", "b.tar.gz", "none.tgz"):
        done = inspect(tmp_path / name)
        assert (done.returncode, done.stderr.count("\n")) == (2, 1), done.stderr
