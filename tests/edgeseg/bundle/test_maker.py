"""`edgeseg bundle`, as its user runs it, without an index: what is in the archive, and what is refused."""

from __future__ import annotations

import gzip
import hashlib
import json
import os
import shutil
import subprocess
import sys
import tarfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import click
import cv2
import numpy as np
import onnx
import pytest

from edgeseg.bundle.archive import SUMS, files_of, pack, sums, verify
from edgeseg.bundle.camera_settings import camera_settings
from edgeseg.bundle.maker import Made, make_bundle
from edgeseg.bundle.settings import BundleSettings
from edgeseg.bundle.targets import TARGETS
from edgeseg.core.errors import ModelError, SourceError, UsageError
from edgeseg.core.geometry import Size
from edgeseg.core.spec import ModelSpec
from edgeseg.runtime.commands.camera import camera
from edgeseg.runtime.engines.model_file import open_model_file
from edgeseg.runtime.service.config import read_config
from edgeseg.runtime.sinks.kinds.recording import Recording
from tests.helpers.colour_model import COLOUR_SPEC, colour_network, write_colour_model
from tests.helpers.package_files import write_index, write_wheel
from tests.helpers.small_disk import small_disk

SIX = TARGETS["6"]


def bundle(*arguments: object) -> subprocess.CompletedProcess[str]:
    """Without an index: all packages come from --wheels."""
    command = [sys.executable, "-m", "edgeseg", "bundle", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=200, env={**os.environ, "PIP_NO_INDEX": "1"})


class Bundle:
    def __init__(self, folder: Path) -> None:
        self.model = write_colour_model(folder / "my colours.onnx", Size(72, 128))
        self.wheels = write_index(folder / "wheels", SIX)
        write_wheel(self.wheels, "numpy", "1.26.4", "cp312-cp312-manylinux_2_28_aarch64")
        self.path = folder / "bundle.tar.gz"
        self.done = bundle(
            "--model", self.model, "--jetpack", 6, "--out", self.path, "--wheels", self.wheels, "--golden-frames", 3
        )  # fmt: skip
        assert self.done.returncode == 0, self.done.stderr
        with tarfile.open(self.path) as archive:
            archive.extractall(folder / "unpacked", filter="data")
        (self.folder,) = (folder / "unpacked").iterdir()

    def make(self, path: Path, **settings: Any) -> Made:
        """Make another in this process."""
        chosen = BundleSettings(SIX, wheels=self.wheels, golden_frames=3, **settings)
        return make_bundle(self.model, path, chosen, lambda text: None)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    return Bundle(tmp_path_factory.mktemp("bundle"))


def test_the_archive_holds_all_that_the_device_needs(made: Bundle) -> None:
    assert made.folder.name.endswith("-my_colours")
    files = files_of(made.folder)
    for name in (
        "install.sh", "edgeseg-camera@.service", "README.md", "benchmark.sh", "Dockerfile",
        "manifest.json", "SHA256SUMS", "requirements.txt", "camera.toml", "bom.cdx.json",
        "model/my_colours.onnx.card.md",
        "model/my_colours.onnx", "model/my_colours.onnx.spec.json", "golden/records.jsonl", "golden/recording.json",
        "golden/frames/00000002.png", "golden/masks/00000002.png", "wheels/tomli-2.5.0-py3-none-any.whl",
        "wheels/numpy-1.26.4-cp310-cp310-manylinux_2_28_aarch64.whl",
    ):  # fmt: skip
        assert name in files
    assert not any("cp312" in name for name in files)
    assert "build-requirements.txt" not in files, "pycuda is a wheel here"
    assert "cp312-cp312-manylinux_2_28_aarch64.whl is not for JetPack 6" in made.done.stderr
    assert os.access(made.folder / "install.sh", os.X_OK)
    manifest = json.loads((made.folder / "manifest.json").read_text())
    model = (made.folder / "model/my_colours.onnx").read_bytes()
    assert manifest["model"] == {"file": "model/my_colours.onnx", "sha256": hashlib.sha256(model).hexdigest()}
    assert (manifest["target"], manifest["python"], manifest["machine"]) == ("jetpack6", "3.10", "aarch64")
    assert (manifest["format"], manifest["backend"], manifest["limits"]) == (1, "tensorrt", {"equal_pixels": 0.9999})
    assert manifest["packages"]["numpy"] == "1.26.4"
    pins = (made.folder / "requirements.txt").read_text().splitlines()
    assert "tomli==2.5.0" in pins
    assert f"edgeseg=={manifest['edgeseg']}" in pins
    assert manifest["id"] in made.done.stdout


def test_a_model_without_a_card_gets_one_of_its_spec(made: Bundle) -> None:
    assert "has no card beside it; one is made of its spec, without intervals" in made.done.stderr
    card = (made.folder / "model/my_colours.onnx.card.md").read_text()
    assert hashlib.sha256((made.folder / "model/my_colours.onnx").read_bytes()).hexdigest() in card
    assert "Not measured, as far as the file says." in card
    assert "Not known: the file is of no export of edgeseg's." in card


def test_the_checksums_are_those_of_sha256sum(made: Bundle) -> None:
    done = subprocess.run(["sha256sum", "--check", "--strict", SUMS], cwd=made.folder, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert len(done.stdout.splitlines()) == len(files_of(made.folder)) - 1


def test_the_golden_frames_are_replayed_with_the_same_masks(made: Bundle) -> None:
    command = [sys.executable, "-m", "edgeseg", "replay", str(made.folder / "golden")]
    model = ["--model", str(made.folder / "model" / "my_colours.onnx"), "--backend", "onnxruntime-cpu"]
    done = subprocess.run([*command, *model, "--equal-pixels", "0.9999"], capture_output=True, text=True)
    assert (done.returncode, "3 frames: 100.0000%" in done.stdout) == (0, True), done.stdout + done.stderr


def test_the_settings_are_those_of_a_camera(made: Bundle) -> None:
    text = (made.folder / "camera.toml").read_text()
    assert 'source = "csi://0"' in text
    place = made.folder / "model" / "model.onnx"  # as install.sh links it
    if not place.exists():
        place.symlink_to("my_colours.onnx")
    local = made.folder.parent.parent / "local.toml"
    local.write_text(text.replace("/opt/edgeseg/current/model/model.onnx", str(place)).replace("tensorrt", "auto"))
    done = subprocess.run(
        [sys.executable, "-m", "edgeseg.runtime", "--config", str(local), "--check-config"],
        capture_output=True,
        text=True,
    )
    place.unlink()
    assert (done.returncode, "All of it is good" in done.stdout) == (0, True), done.stderr


def test_equal_input_gives_equal_bytes(made: Bundle, tmp_path: Path) -> None:
    again = tmp_path / "again.tar.gz"
    made.make(again)
    assert again.read_bytes() == made.path.read_bytes()


def test_what_was_changed_missing_or_added_is_refused_by_its_name(made: Bundle, tmp_path: Path) -> None:
    assert verify(made.path).files == len(files_of(made.folder)) - 1
    whole, path = gzip.decompress(made.path.read_bytes()), tmp_path / "bundle.tar.gz"
    with tarfile.open(made.path) as archive:
        places = {member.name.partition("/")[2]: member for member in archive if member.isfile()}
    for name, member in places.items():
        if not member.size:
            continue
        changed = bytearray(whole)
        changed[member.offset_data + member.size // 2] ^= 1
        path.write_bytes(gzip.compress(bytes(changed), 1))
        with pytest.raises(UsageError) as done:
            verify(path)
        assert name in str(done.value) or name == SUMS
    acts: list[tuple[Callable[[Path], object], str]] = [
        (lambda folder: (folder / "model" / "my_colours.onnx").unlink(), "missing: model/my_colours.onnx"),
        (lambda folder: (folder / "golden" / "more").touch(), "not of this bundle: golden/more"),
    ]
    for act, reason in acts:
        folder = tmp_path / reason.partition(":")[0] / made.folder.name
        shutil.copytree(made.folder, folder)
        act(folder)
        pack(folder, path)
        with pytest.raises(UsageError, match=reason):
            verify(path)


@pytest.mark.parametrize("share", [0.0, 0.3, 0.999])
def test_a_damaged_archive_is_refused(made: Bundle, tmp_path: Path, share: float) -> None:
    content = made.path.read_bytes()
    path = tmp_path / "bundle.tar.gz"
    at = int(len(content) * share)
    for damaged in (content[:at], content[:at] + bytes([content[at] ^ 255]) + content[at + 1 :]):
        path.write_bytes(damaged)
        done = bundle("--verify", path) if share == 0.3 else None
        with pytest.raises(UsageError, match="copy or make it again"):
            verify(path)
        assert done is None or (done.returncode, done.stderr.count("\n")) == (2, 1)


@pytest.mark.usefixtures("process")
def test_golden_masks_of_one_class_and_a_graph_that_tensorrt_refuses_are_said(tmp_path: Path) -> None:
    model, blue, said = write_colour_model(tmp_path / "m.onnx"), tmp_path / "blue", list[str]()
    graph = onnx.load(str(model))
    graph.opset_import[0].version = 21
    onnx.save(graph, str(model))
    blue.mkdir()
    cv2.imwrite(str(blue / "1.png"), np.full((72, 128, 3), (200, 20, 20), np.uint8))
    settings = BundleSettings(SIX, golden=str(blue), wheels=tmp_path / "blue")
    with pytest.raises(UsageError, match=r"holds no \.whl file"):
        make_bundle(model, tmp_path / "b.tar.gz", settings, said.append)
    assert any(text.startswith("NOTE TensorRT 10.3 would refuse this model: ") for text in said), said
    assert any(text.startswith("NOTE TensorRT 8.6 would refuse this model: ") for text in said), said
    assert any("show one class alone" in text for text in said), said


def test_a_spec_that_would_not_count_on_the_device_is_refused(made: Bundle, tmp_path: Path) -> None:
    spec = ModelSpec.read(made.folder / "model" / "my_colours.onnx.spec.json")
    (tmp_path / "spec.json").write_text(replace(spec, name="other").to_json())
    settings = BundleSettings(SIX, spec=tmp_path / "spec.json")
    with pytest.raises(UsageError, match="holds a spec of its own"):
        make_bundle(made.model, tmp_path / "b.tar.gz", settings, lambda text: None)


def test_a_model_from_elsewhere_brings_its_spec(made: Bundle, tmp_path: Path) -> None:
    size = Size(32, 64)
    spec = replace(COLOUR_SPEC, camera_size=None)
    onnx.save(colour_network(spec), str(tmp_path / "foreign.onnx"))
    (tmp_path / "spec.json").write_text(spec.to_json())
    settings = BundleSettings(SIX, golden_frames=1, spec=tmp_path / "spec.json", wheels=made.wheels)
    out = tmp_path / "b.tar.gz"
    made_too = make_bundle(tmp_path / "foreign.onnx", out, settings, lambda text: None)
    with tarfile.open(out) as archive:
        archive.extractall(tmp_path, filter="data")
    model = tmp_path / made_too.folder / "model" / "model.onnx"  # the link that install.sh makes
    model.symlink_to("foreign.onnx")
    assert open_model_file(model).spec == spec
    assert Recording.read(tmp_path / made_too.folder / "golden").spec.input_size == size


def test_own_settings_go_in_and_say_what_runs(made: Bundle, tmp_path: Path) -> None:
    settings, out = tmp_path / "front.toml", tmp_path / "cpu.tar.gz"
    settings.write_text('# the front camera\nsource = "v4l2:///dev/video0"\nbackend = "onnxruntime-cpu"\n')
    made.make(out, camera=settings, equal_pixels=0.98)
    with tarfile.open(out) as archive:
        texts = {
            name: archive.extractfile(f"{made.folder.name}/{name}").read().decode()  # type: ignore[union-attr]
            for name in ("camera.toml", "manifest.json")
        }
    first, *rest = texts["camera.toml"].splitlines(keepends=True)
    assert first == 'model = "/opt/edgeseg/current/model/model.onnx"\n'
    assert "".join(rest) == settings.read_text()
    manifest = json.loads(texts["manifest.json"])
    assert (manifest["backend"], manifest["limits"]) == ("onnxruntime-cpu", {"equal_pixels": 0.98})
    assert manifest["id"] != json.loads((made.folder / "manifest.json").read_text())["id"]


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        ("sauce = 1", "did you mean source?"),
        ("frames = 3", "names no source"),
        ('source = "csi://0"\nmodel = "mine.onnx"', "leave it out"),
        ('source = "csi://0"\nbackend = "openvino"', "expected tensorrt, onnxruntime-cuda, onnxruntime-cpu"),
    ],
)
def test_settings_that_no_service_can_run_by_are_refused(tmp_path: Path, settings: str, reason: str) -> None:
    (tmp_path / "s.toml").write_text(settings + "\n")
    with pytest.raises(UsageError) as said:
        camera_settings(SIX, tmp_path / "s.toml")
    assert reason in str(said.value)


def test_own_settings_that_leave_the_engine_open_get_the_target_s(tmp_path: Path) -> None:
    """A service whose GPU fails is to end, not to go on on the CPU."""
    file = tmp_path / "s.toml"
    text = 'source = "csi://0"\n'
    file.write_text(text)
    made, backend = camera_settings(SIX, file)
    assert made.endswith(text)
    file.write_text(made)
    values = read_config(file, click.Context(camera))
    assert (values["backend"], backend) == ("tensorrt", "tensorrt")
    for chosen in ("auto", "onnxruntime-cpu"):
        file.write_text(f'{text}backend = "{chosen}"\n')
        file.write_text(camera_settings(SIX, file).text)
        assert read_config(file, click.Context(camera))["backend"] == chosen


def test_what_cannot_be_bundled_is_refused_and_leaves_nothing(made: Bundle, tmp_path: Path) -> None:
    (tmp_path / "m.onnx").write_bytes(b"none")
    none = tmp_path / "none"
    for error, reason, changes in (
        (UsageError, "ends in .tar.gz", {"out": tmp_path / "b.zip"}),
        (UsageError, "cannot be written", {"out": tmp_path / "m.onnx" / "b.tar.gz"}),
        (ModelError, "no such file", {"model": none}),
        (ModelError, "cannot load", {"model": tmp_path / "m.onnx"}),
        (UsageError, "a camera's are gone", {"golden": "csi://0"}),
        (SourceError, "no such file or folder", {"golden": str(none)}),
        (UsageError, "holds no .whl file", {"wheels": tmp_path}),
    ):
        arguments: dict[str, Any] = {"model": made.model, "out": tmp_path / "b.tgz", "wheels": made.wheels, **changes}
        model, out = arguments.pop("model"), arguments.pop("out")
        with pytest.raises(error, match=reason):
            make_bundle(model, out, BundleSettings(TARGETS["7"], golden_frames=1, **arguments), lambda text: None)
    assert [path.name for path in tmp_path.iterdir()] == ["m.onnx"]


def test_a_full_disk_leaves_the_earlier_bundle(made: Bundle, tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk", 1):
        out = tmp_path / "disk" / "bundle.tar.gz"
        out.write_bytes(b"an earlier bundle")
        (tmp_path / "disk" / "full").write_bytes(bytes(900_000))
        with pytest.raises(UsageError, match="No space left"):
            made.make(out)
        assert sorted(path.name for path in out.parent.iterdir()) == ["bundle.tar.gz", "full"]
        assert out.read_bytes() == b"an earlier bundle"


def test_wrong_options_are_said_in_one_line(tmp_path: Path) -> None:
    for reason, arguments in (
        ("Missing option '--jetpack'", ("--model", "m.onnx", "--out", tmp_path / "b.tgz")),
        ("no bundle", ("--verify", tmp_path / "none.tar.gz")),
    ):
        done = bundle(*arguments)
        assert (done.returncode, done.stderr.count("\n"), reason in done.stderr) == (2, 1, True), done.stderr


def test_the_sums_leave_out_themselves(tmp_path: Path) -> None:
    (tmp_path / SUMS).write_text("old")
    (tmp_path / "a").write_text("a")
    assert sums(tmp_path) == f"{hashlib.sha256(b'a').hexdigest()}  a\n"
