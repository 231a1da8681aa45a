"""Make a bundle: one folder with everything in it, checked, then packed."""

from __future__ import annotations

import hashlib
import importlib.util
import json
import re
import shutil
import tempfile
from collections.abc import Callable, Mapping, Set
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import edgeseg
from edgeseg.bundle.archive import SUMS, pack, sha256, sums
from edgeseg.bundle.bill import bill_of_materials
from edgeseg.bundle.camera_settings import CameraSettings, camera_settings
from edgeseg.bundle.contents import BILL
from edgeseg.bundle.fetch import gather, wanted_packages
from edgeseg.bundle.golden import record_golden
from edgeseg.bundle.own_wheel import own_wheel
from edgeseg.bundle.packages import Package, build_needs, needs
from edgeseg.bundle.settings import BundleSettings
from edgeseg.bundle.targets import MACHINE, Target
from edgeseg.core.errors import ModelError, UsageError
from edgeseg.core.files import check_writable, replace_whole
from edgeseg.core.locks import WriterLock, lock_beside
from edgeseg.core.spec import ModelSpec
from edgeseg.export.model_card import card_beside, card_of, model_card
from edgeseg.export.settings import EQUAL_PIXELS
from edgeseg.runtime.engines.model_file import ModelFile, open_model_file
from edgeseg.runtime.engines.onnx_bytes import onnx_metadata
from edgeseg.runtime.engines.proven import GRAPH_KEY
from edgeseg.runtime.sources.addresses import parse_source

FORMAT = 1
NOT_PROVEN = "Not known: the file is of no export of edgeseg's."
INSTALLER = (
    "actions.sh", "basics.sh", "bundle.sh", "links.sh", "machine.sh", "manifest.py", "service.sh",
    "signature.sh", "unpack.py", "version.sh",
)  # fmt: skip
DEVICE_FILES = (
    "README.md", "install.sh", "jetpacks.tsv", "edgeseg-camera@.service", "benchmark.sh", "Dockerfile", "entrypoint.sh",
    *(f"installer/{name}" for name in INSTALLER),
)  # fmt: skip
_SUFFIXES = (".tar.gz", ".tgz")


@dataclass(frozen=True)
class Made:
    """A bundle that was made.

    Attributes:
        folder: the name of the folder in the archive.
        manifest: what it says of itself; equal content has an equal `id`.
        megabytes: of the parts, unpacked, and `bundle`, packed.
    """

    folder: str
    manifest: Mapping[str, Any]
    megabytes: Mapping[str, float]


def make_bundle(model: Path, out: Path, settings: BundleSettings, notice: Callable[[str], None]) -> Made:
    """Make a bundle.

    Args:
        model: the ONNX file.
        out: the archive, .tar.gz; written when it is whole.
        settings: for which device, and what goes in.
        notice: takes one-line remarks on what goes on.

    Raises:
        UsageError, SourceError, ModelError, EngineError: what keeps it from being made.
    """
    if not out.name.endswith(_SUFFIXES):
        raise UsageError(f"--out {out}; expected a name that ends in .tar.gz")
    check_writable(out)
    found = open_model_file(model, settings.spec, accept_changed=True)
    if found.remark:
        raise ModelError(
            f"{model}: changed since the export has proven it; a bundle takes what was proven: export again"
        )
    name = re.sub(r"[^A-Za-z0-9._-]+", "_", found.onnx.stem).lstrip("._-") or "model"
    camera = camera_settings(settings.target, settings.camera)
    try:
        with WriterLock(lock_beside(out), out), tempfile.TemporaryDirectory(prefix="edgeseg-bundle-") as work:
            folder = Path(work) / f"edgeseg-{edgeseg.__version__}-{name}"
            folder.mkdir()
            manifest = _Maker(folder, camera, settings, notice).fill(found, f"{name}.onnx")
            sizes = {part: _megabytes(folder / part) for part in ("model", "wheels", "golden")}
            notice("packing")
            replace_whole(out, lambda partial: pack(folder, partial))
    except OSError as error:
        raise UsageError(f"the bundle cannot be put together ({error}); make room, or set TMPDIR") from error
    return Made(folder.name, manifest, {**sizes, "bundle": _megabytes(out)})


class _Maker:
    """Fills a bundle's folder, part by part."""

    def __init__(
        self, folder: Path, camera: CameraSettings, settings: BundleSettings, notice: Callable[[str], None]
    ) -> None:
        self._folder = folder
        self._camera = camera
        self._settings = settings
        self._target = settings.target
        self._notice = notice

    def fill(self, model: ModelFile, file: str) -> dict[str, Any]:
        """Put everything into the folder; return the manifest."""
        for each in DEVICE_FILES:
            (self._folder / each).parent.mkdir(exist_ok=True)
            shutil.copyfile(_device_file(each), self._folder / each)
        (self._folder / "camera.toml").write_text(self._camera.text)
        place = self._folder / "model" / file
        place.parent.mkdir()
        shutil.copyfile(model.onnx, place)
        place.with_name(f"{file}.spec.json").write_text(model.spec.to_json() + "\n")
        if open_model_file(place).spec != model.spec:
            raise UsageError(f"{model.path}: holds a spec of its own, which counts on the device; leave --spec out")
        self._write_card(place, model)
        self._look_at(place)
        self._record(place, model.spec)
        packages = self._pack_packages()
        (self._folder / BILL).write_text(bill_of_materials(model.spec, place.name, sha256(place), packages.values()))
        manifest = self._manifest(place, model.spec, packages)
        (self._folder / "manifest.json").write_text(json.dumps(manifest, indent=1) + "\n")
        (self._folder / SUMS).write_text(sums(self._folder))
        return manifest

    def _write_card(self, place: Path, model: ModelFile) -> None:
        """Take the model's own card, by its export; write what the spec says where there is none."""
        card = card_of(model.onnx)
        if card is None:
            proven = GRAPH_KEY in onnx_metadata(place)
            proof = (
                "The file's checksum says that its graph is the one that an export has proven."
                if proven
                else NOT_PROVEN
            )
            card = model_card(place.name, sha256(place), model.spec, [], [proof])
            self._notice(f"NOTE {model.path} has no card beside it; one is made of its spec, without intervals")
        card_beside(place).write_text(card)

    def _look_at(self, model: Path) -> None:
        """Hold the graph against the export's rules of TensorRT, where onnx is installed to read it."""
        if self._camera.backend != "tensorrt" or importlib.util.find_spec("onnx") is None:
            return
        import onnx

        from edgeseg.export.tensorrt_rules import check_rules

        for version, faults in check_rules(onnx.load(str(model))).items():
            for fault in faults if version in self._target.parsers else ():
                self._notice(f"NOTE {version} would refuse this model: {fault}")

    def _record(self, model: Path, spec: ModelSpec) -> None:
        source, frames = self._settings.golden, self._settings.golden_frames
        self._notice(f"recording {frames} golden frames of {parse_source(source).uri}")
        classes = record_golden(source, frames, model, spec, self._folder / "golden")
        if classes < 2:
            self._notice(
                "NOTE the golden masks show one class alone and prove little; give pictures of a road: --golden"
            )

    def _pack_packages(self) -> dict[str, Package]:
        wheels = self._folder / "wheels"
        wheels.mkdir()
        own_wheel(wheels)
        backend = self._camera.backend
        packages = gather(self._target, backend, wheels, self._settings.wheels, self._notice)
        write_requirements(self._folder, packages, self._target, backend)
        return packages

    def _manifest(self, model: Path, spec: ModelSpec, packages: Mapping[str, Package]) -> dict[str, Any]:
        share = self._settings.equal_pixels
        manifest = {
            "format": FORMAT,
            "edgeseg": packages["edgeseg"].version,
            "target": self._target.name,
            "python": self._target.python_text,
            "machine": MACHINE,
            "backend": self._camera.backend,
            "model": {"file": f"model/{model.name}", "sha256": sha256(model)},
            "limits": {"equal_pixels": EQUAL_PIXELS[spec.precision] if share is None else share},
            "packages": {name: package.version for name, package in sorted(packages.items())},
        }
        everything = sums(self._folder) + json.dumps(manifest, sort_keys=True)
        return {**manifest, "id": hashlib.sha256(everything.encode()).hexdigest()[:12]}


def _device_file(name: str) -> Path:
    path = Path(edgeseg.__file__).parent / "jetson" / name
    if not path.is_file():
        raise UsageError(f"{path}: not there, although it is a part of edgeseg; install edgeseg again")
    return path


def write_requirements(folder: Path, packages: Mapping[str, Package], target: Target, backend: str) -> None:
    """Write exact versions: of what runs, and of what compiles a part of it before."""
    building = {need.name for need in build_needs(packages.values(), target)}
    running = {need.name for need in needs(packages.values(), target)} | set(wanted_packages(target, backend))
    (folder / "requirements.txt").write_text(_pins(packages, packages.keys() - (building - running)))
    if building:
        (folder / "build-requirements.txt").write_text(_pins(packages, building))


def _pins(packages: Mapping[str, Package], names: Set[str]) -> str:
    return "".join(f"{name}=={packages[name].version}\n" for name in sorted(names))


def _megabytes(path: Path) -> float:
    files = [each for each in path.rglob("*") if each.is_file()] if path.is_dir() else [path]
    return sum(each.stat().st_size for each in files) / 1e6
