"""The model that runs is the one that was proven: damage and later changes are found at the start."""

from __future__ import annotations

import dataclasses
import random
import subprocess
import sys
from pathlib import Path

import onnx
import pytest

from edgeseg.bundle.maker import make_bundle
from edgeseg.bundle.settings import BundleSettings
from edgeseg.bundle.targets import TARGETS
from edgeseg.core.errors import ModelError
from edgeseg.core.labels import ClassMap
from edgeseg.core.spec import METADATA_KEY, ModelSpec
from edgeseg.runtime.engines.choose import load_engine
from edgeseg.runtime.engines.manifest import EngineKey, EngineManifest, file_sha256, manifest_path
from edgeseg.runtime.engines.model_file import BUNDLED_MODEL, open_model_file
from edgeseg.runtime.engines.onnx_bytes import graph_sha256, onnx_metadata
from edgeseg.runtime.engines.proven import GRAPH_KEY, SPEC_KEY, seal
from edgeseg.runtime.engines.settings import EngineSettings
from tests.helpers.colour_model import COLOUR_SPEC, write_colour_model

FEWER = dataclasses.replace(COLOUR_SPEC, classes=ClassMap(("a", "b"), ((0, 0, 0), (1, 1, 1))))


@pytest.fixture
def model(tmp_path: Path) -> Path:
    path = write_colour_model(tmp_path / "model.onnx")
    seal(path)
    return path


def change_graph(path: Path) -> None:
    """As a tool does that simplifies it: another graph, all metadata kept."""
    changed = onnx.load(str(path))
    changed.graph.node[0].name = "renamed"
    onnx.save(changed, str(path))


def test_any_flipped_bit_of_graph_or_spec_is_found(model: Path) -> None:
    """Of 300 flips in a model without checksums, 43 gave other masks in silence."""
    whole, spec = model.read_bytes(), open_model_file(model).spec
    chance = random.Random(0)
    refused = 0
    for _ in range(300):
        damaged = bytearray(whole)
        damaged[chance.randrange(len(whole))] ^= 1 << chance.randrange(8)
        model.write_bytes(damaged)
        try:
            found = open_model_file(model)
        except ModelError:
            refused += 1
        else:  # what is left: producer, version of the format, the key of a checksum itself
            assert graph_sha256(model) == onnx_metadata(model).get(GRAPH_KEY, graph_sha256(model))
            assert found.spec == spec
    assert refused > 280


def test_a_graph_that_was_changed_is_told_from_a_damaged_spec(model: Path) -> None:
    change_graph(model)
    with pytest.raises(ModelError, match=r"not the one that the export has proven.*--accept-changed-model"):
        open_model_file(model)
    found = open_model_file(model, accept_changed=True)
    assert "accepted as it is" in str(found.remark)
    data = model.read_bytes()
    model.write_bytes(data.replace(b'"colours"', b'"colourz"', 1))
    with pytest.raises(ModelError, match="damaged: its spec"):
        open_model_file(model, accept_changed=True)


def test_the_camera_refuses_it_with_code_4_and_says_what_it_accepts(model: Path) -> None:
    change_graph(model)
    command = [sys.executable, "-m", "edgeseg.runtime", "scenes://?frames=3", "--model", str(model)]
    command += ["--backend", "onnxruntime-cpu"]
    refused = subprocess.run(command, capture_output=True, text=True)
    assert (refused.returncode, refused.stderr.count("\n")) == (4, 1)
    accepted = subprocess.run([*command, "--accept-changed-model"], capture_output=True, text=True)
    assert accepted.returncode == 0
    assert "not the one that the export has proven; it is accepted" in accepted.stderr


def test_a_bundle_takes_what_was_proven_alone(model: Path, tmp_path: Path) -> None:
    change_graph(model)
    with pytest.raises(ModelError, match="a bundle takes what was proven"):
        make_bundle(model, tmp_path / "bundle.tar.gz", BundleSettings(TARGETS["6"]), print)


def test_what_was_saved_again_without_a_change_is_the_same_model(model: Path) -> None:
    loaded = onnx.load(str(model))
    loaded.doc_string = "kept in an archive"
    onnx.save(loaded, str(model))
    assert open_model_file(model).remark is None


def test_a_model_of_an_earlier_export_or_from_elsewhere_runs_as_before(tmp_path: Path) -> None:
    path = write_colour_model(tmp_path / "model.onnx")
    assert GRAPH_KEY not in onnx_metadata(path)
    with load_engine(path, EngineSettings(backend="onnxruntime-cpu")) as engine:
        assert engine.spec.classes == COLOUR_SPEC.classes


def test_the_model_that_comes_with_edgeseg_has_its_checksums() -> None:
    assert {GRAPH_KEY, SPEC_KEY} <= onnx_metadata(BUNDLED_MODEL).keys()
    assert open_model_file(BUNDLED_MODEL).remark is None


def test_a_spec_of_another_number_of_classes_is_refused_before_a_frame(model: Path, tmp_path: Path) -> None:
    """A camera graph gives class ids and no scores: nothing else shows how many there are."""
    (tmp_path / "other.json").write_text(FEWER.to_json())
    with pytest.raises(ModelError, match="scores 3 classes, its spec names 2"):
        open_model_file(model, tmp_path / "other.json")


@pytest.mark.parametrize("change", [{"camera_size": "100x100"}, {"input_size": "64x64"}])
def test_a_spec_of_other_sizes_than_the_graph_is_refused(model: Path, tmp_path: Path, change: dict[str, str]) -> None:
    spec = open_model_file(model).spec
    other = ModelSpec.from_document({**spec.to_document(), **change})
    (tmp_path / "other.json").write_text(other.to_json())
    with pytest.raises(ModelError, match=r"as its spec says|its spec says 100x100"):
        load_engine(model, EngineSettings(backend="onnxruntime-cpu", spec=tmp_path / "other.json"))


def test_an_engine_that_is_not_the_one_that_was_built_is_refused(tmp_path: Path) -> None:
    engine = tmp_path / "model.engine"
    engine.write_bytes(b"an engine")
    key = EngineKey("a" * 64, "tensorrt", "10.3.0", "Orin", 8, "8.7", "fp16", tf32=False)
    manifest = EngineManifest(key, file_sha256(engine), COLOUR_SPEC, "b" * 64)
    manifest_path(engine).write_text(manifest.to_json())
    assert open_model_file(engine).manifest == manifest
    (tmp_path / "fewer.json").write_text(FEWER.to_json())
    with pytest.raises(ModelError, match="2 classes"):
        open_model_file(engine, tmp_path / "fewer.json")
    manifest_path(engine).write_text(manifest.to_json().replace('"green"', '"groen"'))
    with pytest.raises(ModelError, match="damaged: its spec"):
        open_model_file(engine)
    manifest_path(engine).write_text(manifest.to_json())
    engine.write_bytes(b"an engin3")
    with pytest.raises(ModelError, match="not the file that was built"):
        open_model_file(engine)


def test_a_manifest_of_an_earlier_edgeseg_is_read(tmp_path: Path) -> None:
    engine = tmp_path / "model.engine"
    engine.write_bytes(b"an engine")
    key = EngineKey("a" * 64, "tensorrt", "10.3.0", "Orin", 8, "8.7", "fp16", tf32=False)
    text = EngineManifest(key, file_sha256(engine), COLOUR_SPEC).to_json()
    lines = [line for line in text.splitlines() if "graph_sha256" not in line and "spec_sha256" not in line]
    manifest_path(engine).write_text("\n".join(lines))
    assert open_model_file(engine).spec == COLOUR_SPEC


def test_metadata_is_read_as_onnx_reads_it(model: Path) -> None:
    """What is appended to a file is one message with what was there."""
    assert onnx_metadata(model) == {each.key: each.value for each in onnx.load(str(model)).metadata_props}
    assert METADATA_KEY in onnx_metadata(model)
