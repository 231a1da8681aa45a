"""Packages for a device: what fits, what is needed there, and that the table holds what pip resolves."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import zipfile
from collections.abc import Callable
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from edgeseg.bundle.fetch import gather, pip_options, wanted_packages
from edgeseg.bundle.maker import write_requirements
from edgeseg.bundle.own_wheel import wheel_of_installation
from edgeseg.bundle.packages import Package, build_needs, check_packages, fits, needs, read_package
from edgeseg.bundle.targets import FOREIGN, TARGETS, Target
from edgeseg.core.errors import UsageError
from edgeseg.core.toml import parse_toml
from tests.helpers.package_files import write_index, write_source, write_wheel
from tests.helpers.places import ROOT
from tests.helpers.wheel_building import build_wheel

SIX, SEVEN, DEBIAN = TARGETS["6"], TARGETS["7"], TARGETS["debian12"]
BY_NAME = pytest.mark.parametrize("target", TARGETS.values(), ids=lambda target: target.name)


@pytest.mark.parametrize(
    ("tag", "devices"),
    [
        ("py3-none-any", {SIX, SEVEN, DEBIAN}),
        ("cp310-cp310-manylinux_2_17_aarch64.manylinux2014_aarch64", {SIX}),
        ("cp310-cp310-linux_aarch64", {SIX}),
        ("cp312-cp312-manylinux_2_39_aarch64", {SEVEN}),
        ("cp312-cp312-manylinux_2_40_aarch64", set()),
        ("cp39-abi3-manylinux_2_28_aarch64", {SIX, SEVEN, DEBIAN}),
        ("cp312-abi3-manylinux_2_28_aarch64", {SEVEN}),
        ("cp311-cp311-manylinux_2_28_x86_64", set()),
        ("cp311-cp311-musllinux_1_2_aarch64", set()),
    ],
)
def test_a_wheel_fits_by_its_tags(tmp_path: Path, tag: str, devices: set[Target]) -> None:
    path = write_wheel(tmp_path, "some", "1.0", tag)
    assert {target for target in TARGETS.values() if fits(path, target)} == devices


def test_what_is_needed_is_judged_for_the_device_and_not_for_this_computer(tmp_path: Path) -> None:
    requires = [
        "tomli>=2; python_version < '3.11'", "winreg; sys_platform == 'win32'", "arm; platform_machine == 'aarch64'",
        "other[fast]>=1", "some[dev]; extra == 'all'", "tests; extra == 'dev'",
        "late; python_full_version >= '3.12.0a1'",
    ]  # fmt: skip
    held = [
        read_package(write_wheel(tmp_path, "some", "1.0", requires=requires)),
        read_package(
            write_wheel(
                tmp_path,
                "other",
                "1.0",
                requires=["other[quick]; extra == 'fast'", "quick; extra == 'quick'", "slow; extra == 's'"],
            )
        ),
    ]
    assert {need.name for need in needs(held, SIX)} == {"tomli", "arm", "other", "quick"}
    assert {need.name for need in needs(held, SEVEN)} == {"late", "arm", "other", "quick"}


def test_a_source_says_what_it_is_built_with(tmp_path: Path) -> None:
    source = read_package(write_source(tmp_path, "pycuda", "2026.1", ["setuptools", "numpy>=1.24"], ["mako"]))
    assert source.is_source
    assert [need.name for need in needs([source], SIX)] == ["mako"]
    assert [need.name for need in build_needs([source], SIX)] == ["setuptools", "numpy"]
    with pytest.raises(UsageError, match=r"pycuda-2026.1.tar.gz needs mako, the bundle has none"):
        check_packages({"pycuda": source}, SIX)


def gathered(folder: Path, offered: Path, backend: str = "tensorrt") -> dict[str, Package]:
    """Without an index: pip finds nothing that is not offered."""
    folder.mkdir()
    write_wheel(folder, "edgeseg", "1.0", requires=["numpy", "click", "tomli; python_version < '3.11'"])
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PIP_NO_INDEX", "1")
        return gather(SIX, backend, folder, offered, lambda text: None)


def test_what_only_compiles_is_installed_before_and_apart(tmp_path: Path) -> None:
    offered = write_index(tmp_path / "offered", SIX)
    next(offered.glob("pycuda-*")).unlink()
    write_source(offered, "pycuda", SIX.pins["pycuda"], ["setuptools", "wheel", "numpy>=1.24"], ["mako"])
    write_wheel(offered, "edgeseg", "1.0", requires=["numpy"])
    packages = {package.name: package for package in map(read_package, offered.iterdir())}
    write_requirements(tmp_path, packages, SIX, "tensorrt")
    building = (tmp_path / "build-requirements.txt").read_text().splitlines()
    running = (tmp_path / "requirements.txt").read_text().splitlines()
    assert building == [f"{name}=={SIX.pins[name]}" for name in ("numpy", "setuptools", "wheel")]
    assert {f"{name}=={SIX.pins[name]}" for name in ("numpy", "pycuda", "mako", "pip")} | {"edgeseg==1.0"} <= set(
        running
    )
    assert not [line for line in running if line.startswith(("setuptools", "wheel"))]


@pytest.mark.parametrize(
    ("add", "reason"),
    [
        (lambda folder: write_wheel(folder, "opencv-python", "4.9"), "would hide JetPack 6's own cv2"),
        (
            lambda folder: write_wheel(folder, "tools", "1", requires=["opencv-python"]),
            "opencv-python, which tools-1-py3-none-any.whl needs, would hide JetPack 6's own cv2",
        ),
        (lambda folder: write_wheel(folder, "tensorrt", "10.3"), "would hide JetPack 6's own tensorrt"),
        (lambda folder: write_wheel(folder, "onnxruntime-gpu", "1.23.0"), "overwrite each other"),
        (lambda folder: write_wheel(folder, "click", "8.4.0"), "are one package"),
        (lambda folder: write_wheel(folder, "tools", "1", requires=["click<8"]), "needs click<8, the bundle has 8.5.1"),
        (lambda folder: write_wheel(folder, "tools", "1", python=">=3.11"), "is for Python >=3.11; JetPack 6 has 3.10"),
        (lambda folder: write_wheel(folder, "tools", "1", requires=["none-such"]), "pip download: .*none-such"),
        (lambda folder: (folder / "x-1-py3-none-any.whl").write_bytes(b"half"), "no whole Python package"),
        (lambda folder: (folder / "x.whl").write_bytes(b"half"), "expected NAME-VERSION"),
    ],
    ids=[
        "opencv",
        "needs-opencv",
        "tensorrt",
        "two-runtimes",
        "twice",
        "conflict",
        "python",
        "unknown",
        "half",
        "name",
    ],
)
@pytest.mark.usefixtures("process")
def test_packages_that_must_not_go_in_are_refused(tmp_path: Path, add: Callable[[Path], object], reason: str) -> None:
    offered = write_index(tmp_path / "offered", SIX)
    add(offered)
    with pytest.raises(UsageError, match=reason):
        gathered(tmp_path / "wheels", offered)


def test_a_numpy_that_the_device_s_cv2_does_not_load_beside_is_refused(tmp_path: Path) -> None:
    offered = write_index(tmp_path / "offered", SIX)
    next(offered.glob("numpy-*")).unlink()
    write_wheel(offered, "numpy", "2.2.6", "cp310-cp310-manylinux_2_28_aarch64")
    with pytest.raises(UsageError, match="built against NumPy 1"):
        gathered(tmp_path / "wheels", offered)


def test_nvidia_s_onnxruntime_takes_the_place_of_the_cpu_s(tmp_path: Path) -> None:
    offered = write_index(tmp_path / "offered", SIX)
    next(offered.glob("onnxruntime-*")).unlink()
    with pytest.raises(UsageError, match="needs onnxruntime-gpu, which is in no bundle unasked"):
        gathered(tmp_path / "without", offered, "onnxruntime-cuda")
    write_wheel(offered, "onnxruntime-gpu", "1.23.0", "cp310-cp310-linux_aarch64", ["numpy>=1.21.6"])
    held = gathered(tmp_path / "with", offered, "onnxruntime-cuda")
    assert {"onnxruntime-gpu", "pycuda", "tomli"} <= held.keys()
    assert "onnxruntime" not in held


def test_nothing_is_compiled_for_the_cpu_alone(tmp_path: Path) -> None:
    offered = write_index(tmp_path / "offered", SIX)
    for name in ("pycuda", "pytools", "setuptools"):
        next(offered.glob(f"{name}-*")).unlink()
    assert "pycuda" not in gathered(tmp_path / "wheels", offered, "onnxruntime-cpu")


@BY_NAME
def test_the_table_has_the_versions_that_were_tested_together(target: Target) -> None:
    tested: dict[str, str] = {}
    for line in (ROOT / "constraints.txt").read_text().splitlines():
        if line and not line.startswith("#"):
            requirement = Requirement(line)
            if requirement.marker is None or requirement.marker.evaluate(target.markers):
                tested[canonicalize_name(requirement.name)] = str(requirement.specifier).removeprefix("==")
    shared = (set(target.pins) & set(tested)) - {"numpy"}  # JetPack's cv2 wants an older one
    assert len(shared) > 4
    assert {name: target.pins[name] for name in shared} == {name: tested[name] for name in shared}


def resolve(target: Target, folder: Path) -> dict[str, dict[str, Any]]:
    """Have pip resolve the table's wheels for the device; skip where no package index answers.

    Versions of Python are left to `check_packages`: older versions of pip install judge them by their own, as markers.
    """
    pins = [f"{name}=={version}" for name, version in target.pins.items() if name not in target.sources]
    report = folder / "report.json"
    done = subprocess.run(
        [sys.executable, "-m", "pip", "--disable-pip-version-check", "--retries", "1", "--timeout", "10", "install",
         "--dry-run", "--ignore-installed", "--ignore-requires-python",
         "--target", str(folder / "none"), "--report", str(report),
         "--only-binary", ":all:", *pip_options(target), *pins],
        capture_output=True, text=True,
    )  # fmt: skip
    # A package without a wheel for the device says nothing of connections: that is a failure.
    no_index = os.environ.get("PIP_NO_INDEX") or re.search(r"[Cc]onnection|timed out|name resolution", done.stderr)
    if done.returncode and no_index:
        pytest.skip(f"no package index answers: {done.stderr.strip().splitlines()[-1]}")
    assert done.returncode == 0, done.stderr
    return {canonicalize_name(each["metadata"]["name"]): each for each in json.loads(report.read_text())["install"]}


@BY_NAME
def test_pip_resolves_every_wheel_for_the_device_and_they_are_all_in_the_table(target: Target, tmp_path: Path) -> None:
    found = resolve(target, tmp_path)
    assert not [name for name in found if name.startswith(FOREIGN)]
    assert {name: each["metadata"]["version"] for name, each in found.items()} == {
        name: version for name, version in target.pins.items() if name not in target.sources
    }
    held = []
    for name, each in found.items():
        wheel = each["download_info"]["url"].rpartition("/")[2]
        assert fits(Path(wheel), target), wheel
        requires, python = (each["metadata"].get(key, "") for key in ("requires_dist", "requires_python"))
        held.append(read_package(write_wheel(tmp_path, name, target.pins[name], requires=requires, python=python)))
    # pip's own judgement of markers is that of this Python: the device's must hold too.
    own = parse_toml((ROOT / "pyproject.toml").read_text(), "pyproject.toml", "")["project"]["dependencies"]
    held.append(read_package(write_wheel(tmp_path, "edgeseg", "1", requires=own)))
    for name in target.sources:
        held.append(read_package(write_wheel(tmp_path, name, target.pins[name])))
    check_packages({package.name: package for package in held}, target)
    assert set(wanted_packages(target, target.backend)) <= {package.name for package in held}
    assert ("tomli" in target.pins) == (target.python < (3, 11))


@pytest.mark.usefixtures("process")
def test_a_wheel_is_put_together_again_from_its_installation(tmp_path: Path) -> None:
    built, site = build_wheel(tmp_path), tmp_path / "site"
    with zipfile.ZipFile(built) as archive:
        archive.extractall(site)
    (site / "edgeseg" / "__pycache__").mkdir()
    (site / "edgeseg" / "__pycache__" / "cli.cpython-311.pyc").touch()
    (installed,) = metadata.distributions(path=[str(site)])
    again = wheel_of_installation(installed, tmp_path)
    with zipfile.ZipFile(built) as one, zipfile.ZipFile(again) as other:
        assert sorted(one.namelist()) == sorted(other.namelist())
        names = [name for name in one.namelist() if not name.endswith("RECORD")]
        assert all(one.read(name) == other.read(name) for name in names)
        assert other.testzip() is None
    assert fits(again, SIX)
    (site / "edgeseg" / "tf.py").unlink()
    with pytest.raises(UsageError, match=r"edgeseg/tf.py of edgeseg cannot be read"):
        wheel_of_installation(installed, tmp_path)
