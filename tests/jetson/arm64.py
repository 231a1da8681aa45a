"""The whole way on aarch64, without a Jetson: `make test-arm64`. As root on x86-64 Debian or Ubuntu; eleven minutes.

A Debian 12 of arm64 is made (debootstrap) and runs under qemu. A model is trained for a minute, exported, and bundled
for it; install.sh is run there for real and without network, with signed bundles. The camera's masks there must be
those that it makes here, the service file must pass systemd's own judgement, an update and a rollback are tried. A
damaged bundle, one with a changed byte, an unsigned, a foreign and an older one are refused; uninstall must leave
nothing.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import cv2
import numpy as np

from edgeseg.bundle.signing import signature_beside
from tests.jetson.arm64_system import System, call, emulation, expect, get_programs, make_system, step

EQUAL_PIXELS = 0.999
FRAMES = 5
SOURCE = "scenes://?seed=3&size={size}"
SIZES = ("512x256", "640x320")  # of the cameras of the first and the second model
TRAINING = "scenes:train=160,val=10,size=256x128"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--base", type=Path, help="keep the bare system here, and take it where it is there already")
    chosen = parser.parse_args()
    if os.geteuid() != 0 or platform.system() != "Linux":
        sys.exit("test-arm64 makes a system of its own and needs root on Linux: sudo make test-arm64")
    with tempfile.TemporaryDirectory(prefix="edgeseg-arm64-") as folder, step("all"):
        work = Path(folder)
        with step("programs"):
            get_programs()
        with emulation(), ThreadPoolExecutor() as side:
            made = side.submit(make_models_and_bundles, work)  # meanwhile: emulating takes one core
            with step("an aarch64 Debian 12"):
                root = make_system(work, chosen.base)
            models, bundles = made.result()
            run_all(System(root), work, models, bundles)
    print("\ntest-arm64: passed")


def run_all(system: System, work: Path, models: list[Path], bundles: list[Path]) -> None:
    for bundle in bundles:
        shutil.copy(bundle, system.root / "root")
        shutil.copy(signature_beside(bundle), system.root / "root")
    shutil.copy(work / "fleet.pem", system.root / "root")
    before = system.files()
    first, second = (f"/root/{bundle.name}" for bundle in bundles)
    system.run("tar", "-xzf", first, "-C", "/root")
    installer = f"{next((system.root / 'root').glob('edgeseg-*/install.sh'))}".removeprefix(str(system.root))
    with step("a damaged bundle is refused, a dry run changes nothing"):
        damaged_is_refused(system, installer)
        system.run(installer, "--dry-run")
        expect(not (system.root / "opt/edgeseg").exists(), "a dry run has left /opt/edgeseg")
    with step("install.sh"):
        system.run(installer, "--trust", "/root/fleet.pem")
        said = system.run(installer, "--from", first)
        expect("signed by fleet" in said, "the signature is not said")
    with step("what is not signed as it should be is refused"):
        unsigned_are_refused(system, work, installer, bundles)
    with step(f"edgeseg-camera, {FRAMES} frames"):
        equal = equal_masks(system, work, models, 0)
    print(f"  {equal:.4%} of the pixels are those of x86-64")
    expect(equal >= EQUAL_PIXELS, f"{equal:.4%} of the pixels are equal; expected {EQUAL_PIXELS:.1%}")
    with step("the service file"):
        system.run("systemd-analyze", "verify", "edgeseg-camera@camera.service")
        judge = ("systemd-analyze", "security", "--offline=true", "--threshold=30", "edgeseg-camera@camera.service")
        print(f"  {system.run(*judge, quiet=True).splitlines()[-1]}")
        wants = "etc/systemd/system/multi-user.target.wants/edgeseg-camera@camera.service"
        expect((system.root / wants).is_symlink(), "the camera does not start at boot")
    with step("an update, and the version before it back"):
        update_and_rollback(system, first, second, work, models)
    with step("uninstall"):
        system.run(installer, "--uninstall")
    shutil.rmtree(system.root / "root" / Path(installer).parent.name)
    left = sorted(set(system.files()) - set(before))
    expect(not left, f"uninstall has left {', '.join(left[:20])}")


def damaged_is_refused(system: System, installer: str) -> None:
    (wheel, *_) = sorted((system.root / installer.lstrip("/")).parent.glob("wheels/edgeseg-*.whl"))
    whole = wheel.read_bytes()
    wheel.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    said = system.run(installer, code=1)
    expect(f"wheels/{wheel.name}" in said, "the changed file is not named")
    wheel.write_bytes(whole)


def unsigned_are_refused(system: System, work: Path, folder_installer: str, bundles: list[Path]) -> None:
    said = system.run(folder_installer, code=1)
    expect("a folder carries no signature" in said, "an unpacked folder is not refused")
    second = system.root / "root" / bundles[1].name
    signature = signature_beside(second)
    whole, signed = second.read_bytes(), signature.read_text()
    second.write_bytes(whole[:-9] + bytes([whole[-9] ^ 1]) + whole[-8:])
    refused(system, f"/root/{second.name}", "refused, changed after it was signed")
    second.write_bytes(whole)
    call(*EDGESEG, "bundle", "--out", second, "--sign", work / "stranger.key")
    refused(system, f"/root/{second.name}", "refused, foreign")
    signature.unlink()
    refused(system, f"/root/{second.name}", "refused, unsigned")
    signature.write_text(signed)


def refused(system: System, bundle: str, why: str) -> None:
    link = system.root / "opt/edgeseg/current"
    before = os.readlink(link)
    said = system.run("/opt/edgeseg/current/install.sh", "--from", bundle, code=1)
    expect(why in said, f"{bundle} is not {why}")
    expect(os.readlink(link) == before, "a refused bundle was switched to")


def equal_masks(system: System, work: Path, models: list[Path], version: int) -> float:
    """Record a drive there, run its frames through the model here: the share of equal pixels.

    The frames travel with their masks: Debian's OpenCV draws the scenes not to the last pixel as the wheel's does.
    """
    drive, figures = system.root / "root/drive", work / "figures.json"
    options = ["--every-frame", "--frames", str(FRAMES), "--backend", "onnxruntime-cpu", "--record", "/root/drive"]
    options += ["--give-up-seconds", "300"]  # emulation on a machine that others use starts a process in half a minute
    said = system.run(
        "edgeseg-camera",
        SOURCE.format(size=SIZES[version]),
        "--model",
        "/opt/edgeseg/current/model/model.onnx",
        *options,
    )
    expect(f"{FRAMES} processed" in said, "not every frame was processed")
    masks = [cv2.imread(str(path), cv2.IMREAD_UNCHANGED) for path in sorted((drive / "masks").iterdir())]
    expect(len(masks) == FRAMES, f"{len(masks)} masks; expected {FRAMES}")
    for mask in masks:
        expect(mask is not None and len(np.unique(mask)) > 2, "masks of hardly any class say nothing")
    call(*EDGESEG, "replay", drive, "--model", models[version], "--backend", "onnxruntime-cpu", "--json", figures)
    shutil.rmtree(drive)
    found = json.loads(figures.read_text())
    expect(found["frames"] == FRAMES, f"{found['frames']} frames were compared")
    return float(found["masks"]["equal_pixels"])


def update_and_rollback(system: System, first: str, second: str, work: Path, models: list[Path]) -> None:
    link = system.root / "opt/edgeseg/current"
    old = os.readlink(link)
    system.run("edgeseg-camera", "--install", second)
    new = os.readlink(link)
    expect(new != old, "the new version is not the current one")
    expect(equal_masks(system, work, models, 1) >= EQUAL_PIXELS, "the new version makes other masks")
    refused(system, first, "refused, older")
    system.run("edgeseg-camera", "--rollback")
    expect(os.readlink(link) == old, "the old version is not back")
    system.run("edgeseg-camera", "--config", "/etc/edgeseg/camera.toml", "--check-config")
    system.run("edgeseg", "doctor")


EDGESEG = (sys.executable, "-m", "edgeseg")


def make_models_and_bundles(work: Path) -> tuple[list[Path], list[Path]]:
    with step("a model, trained and exported"):
        models = make_models(work)
    with step("bundles"):
        for name in ("fleet", "stranger"):
            call("openssl", "genpkey", "-algorithm", "ed25519", "-out", work / f"{name}.key")
        call("openssl", "pkey", "-in", work / "fleet.key", "-pubout", "-out", work / "fleet.pem")
        return models, [make_bundle(model, work / "fleet.key") for model in models]


def make_models(work: Path) -> list[Path]:
    """Two files of one network: the second one is for another camera size, and makes another bundle."""
    small = ["--model", "fcn8", "--width", "0.1875", "--size", "256x128", "--epochs", "3", "--batch", "4"]
    settings = ["--learning-rate", "0.003", "--dropout", "0", "--loss", "cross_entropy", "--ema", "0"]
    settings += ["--saturation", "0", "--hue", "0", "--white-balance", "0", "--blur", "0"]
    settings += ["--rotation", "0", "--scale-min", "1"]
    call(*EDGESEG, "train", "--data", TRAINING, *small, *settings, "--out", work / "run", quiet=True)
    models = [work / "first.onnx", work / "second.onnx"]
    for model, size in zip(models, SIZES, strict=True):
        call(*EDGESEG, "export", work / "run", "--onnx", model, "--camera-size", size, quiet=True)
    return models


def make_bundle(model: Path, key: Path) -> Path:
    path = model.with_suffix(".tar.gz")
    call(*EDGESEG, "bundle", "--model", model, "--jetpack", "debian12", "--out", path, "--sign", key)
    print(f"  {path.name}: {path.stat().st_size / 1e6:.1f} MB")
    return path


if __name__ == "__main__":
    main()
