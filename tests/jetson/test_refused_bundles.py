"""Bundles that are damaged, or made on purpose: refused by name, before anything of them is used."""

from __future__ import annotations

import gzip
import json
import os
import subprocess
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.helpers.stub_bundle import Device, archive, make_bundle, sha256sums


@pytest.fixture
def device(memory_path: Path) -> Device:
    return Device(memory_path / "device")


def _changed(bundle: Path) -> str:
    path = bundle / "wheels/program.whl"
    path.write_bytes(path.read_bytes()[:-1] + b"x")
    return "changed or missing: wheels/program.whl"


def _missing(bundle: Path) -> str:
    (bundle / "golden/expected").unlink()
    return "changed or missing: golden/expected"


def _added(bundle: Path) -> str:
    (bundle / "wheels/evil.whl").touch()
    return "not of this bundle: wheels/evil.whl"


def _linked(bundle: Path) -> str:
    path = bundle / "model/net.onnx"
    path.rename(bundle.parent / "elsewhere")
    path.symlink_to(bundle.parent / "elsewhere")
    return "no plain files: model/net.onnx"


def _no_sums(bundle: Path) -> str:
    (bundle / "SHA256SUMS").write_text("nonsense\n")
    return "changed or missing: SHA256SUMS"


def _no_bundle(bundle: Path) -> str:
    (bundle / "manifest.json").unlink()
    return "no manifest.json"


def _odd_manifest(bundle: Path) -> str:
    manifest = json.loads((bundle / "manifest.json").read_text())
    (bundle / "manifest.json").write_text(json.dumps(manifest | {"id": "../../etc"}))
    (bundle / "SHA256SUMS").write_text(sha256sums(bundle))
    return "id is '../../etc'"


def _no_limit(bundle: Path) -> str:
    manifest = json.loads((bundle / "manifest.json").read_text())
    (bundle / "manifest.json").write_text(json.dumps(manifest | {"limits": {"worst_frame": 0.9}}))
    (bundle / "SHA256SUMS").write_text(sha256sums(bundle))
    return "limits.equal_pixels is None; expected a share above 0"


def _fifo(bundle: Path) -> str:
    (bundle / "manifest.json").unlink()
    os.mkfifo(bundle / "manifest.json")
    return "no manifest.json"


def _fifo_in_the_list(bundle: Path) -> str:
    os.mkfifo(bundle / "wheels/waits.whl")
    with (bundle / "SHA256SUMS").open("a") as file:
        file.write(f"{'0' * 64}  wheels/waits.whl\n")
    return "no plain files: wheels/waits.whl"


def _list_of_elsewhere(bundle: Path) -> str:
    with (bundle / "SHA256SUMS").open("a") as file:
        file.write(f"{'0' * 64}  /dev/zero\n")
    return "changed or missing: SHA256SUMS"


def _no_object(bundle: Path) -> str:
    (bundle / "manifest.json").write_text("[]")
    (bundle / "SHA256SUMS").write_text(sha256sums(bundle))
    return "manifest.json: a JSON list; expected an object"


def _options_for_pip(bundle: Path) -> str:
    (bundle / "requirements.txt").write_text("--index-url https://example.org\nedgeseg==0.1.0\n")
    (bundle / "SHA256SUMS").write_text(sha256sums(bundle))
    return "requirements.txt is no list of NAME==VERSION"


SPOILED = [
    _fifo,
    _fifo_in_the_list,
    _list_of_elsewhere,
    _no_object,
    _options_for_pip,
    _changed,
    _missing,
    _added,
    _linked,
    _no_sums,
    _no_bundle,
    _odd_manifest,
    _no_limit,
]


@pytest.mark.parametrize("spoil", SPOILED)
def test_a_bundle_that_is_not_whole_is_refused_by_the_name_of_the_file(
    device: Device, memory_path: Path, spoil: Callable[[Path], str]
) -> None:
    bundle = make_bundle(memory_path)
    expected = spoil(bundle)
    said = device.install(bundle, code=1)
    assert expected in said
    assert "Traceback" not in said
    assert not device.base.exists()
    assert not (device.root / "etc/edgeseg").exists()


@pytest.mark.parametrize("option", [[], ["--dry-run"]])
def test_a_folders_name_is_no_program(device: Device, memory_path: Path, option: list[str]) -> None:
    odd = memory_path / "a\nx[$(touch canary)]"
    odd.mkdir()
    bundle = make_bundle(odd).rename(odd / "y[$(touch canary)]\n9")
    for place in (bundle, bundle.parent / "none"):
        device.install(place, *option, code=0 if place is bundle else 1, TMPDIR=str(memory_path))
    assert not [*memory_path.rglob("canary"), *Path().glob("canary"), *Path("/").glob("canary")]


def test_a_shared_folder_is_no_place_to_unpack_into(device: Device, memory_path: Path) -> None:
    shared = memory_path / "shared"
    (shared / "own").mkdir(parents=True)
    shared.chmod(0o777)
    path = archive(make_bundle(memory_path))
    assert "where others may write" in device.install(path, code=1, TMPDIR=str(shared / "own"))
    shared.chmod(0o1777)
    device.install(path, TMPDIR=str(shared / "own"))


def test_an_archive_of_more_than_the_disk_holds_is_refused_before_it_fills_it(
    device: Device, memory_path: Path
) -> None:
    path = memory_path / "bomb.tar.gz"
    with gzip.open(path, "wb") as packed:
        head = tarfile.TarInfo("edgeseg-0.1.0-net/manifest.json")
        head.size = 1 << 50
        packed.write(head.tobuf(tarfile.GNU_FORMAT) + bytes(1 << 20))
    assert "holds more than fits here" in device.install(path, code=1)
    assert not device.base.exists()


def test_an_archive_that_was_cut_off_is_refused(device: Device, memory_path: Path) -> None:
    path = archive(make_bundle(memory_path))
    path.write_bytes(path.read_bytes()[:-400])
    said = device.install(path, code=1)
    assert "ended before the end-of-stream marker" in said
    assert "copy it again" in said
    assert "no such file" in device.install(memory_path / "none.tar.gz", code=1)
    assert not list(memory_path.glob("device/edgeseg-unpacked*"))


def test_room_for_unpacking_is_looked_for_first(device: Device, memory_path: Path) -> None:
    path = archive(make_bundle(memory_path))
    os.truncate(path, 1 << 42)  # of holes
    said = device.install(path, code=1)
    assert "MiB free in" in said
    assert "set TMPDIR to another folder" in said


def test_what_another_run_has_unpacked_is_left_to_it(device: Device, memory_path: Path) -> None:
    path = archive(make_bundle(memory_path))
    place = memory_path / "device"
    device.base.parent.mkdir()
    device.install(path, TMPDIR=str(place))
    own = subprocess.run(["cksum"], input=f"{device.base}\n", capture_output=True, text=True).stdout.split()[0]
    (place / f"edgeseg-unpacked-{own}.old").mkdir()
    device.install(path, "--dry-run")
    assert [each.name for each in place.glob("edgeseg-unpacked*")] == [f"edgeseg-unpacked-{own}.old"]
    device.install(path)
    assert not list(place.glob("edgeseg-unpacked*"))
