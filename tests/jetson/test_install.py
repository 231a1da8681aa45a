"""install.sh on a system in a folder: what it installs, what it refuses, and what is left whatever happens."""

from __future__ import annotations

import ensurepip
import fcntl
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from tests.helpers.stub_bundle import INSTALL, UNIT, Device, archive, copy_installer, make_bundle, sha256sums
from tests.helpers.traps import Traps

CAMERA = "edgeseg-camera@camera.service"


@pytest.fixture
def device(memory_path: Path) -> Device:
    return Device(memory_path / "device")


def test_from_a_bundle_to_a_running_camera_then_updated_rolled_back_and_removed(
    device: Device, memory_path: Path
) -> None:
    before = device.files()
    said = device.install(archive(make_bundle(memory_path, "first")))
    assert "99.950% of the pixels as at home, 12.5 ms a frame, 80.0 a second" in said
    assert "Jetson Linux 36.4.3, JetPack 6.2" in said
    assert "installed: edgeseg 0.1.0, first (id-first)" in said
    assert device.works()
    assert device.running == [CAMERA]
    version = device.base / "versions/id-first"
    assert (version / "model/model.engine").exists()
    assert (device.root / "etc/edgeseg/camera.toml").read_text() == (version / "camera.toml").read_text()
    assert (device.root / "etc/systemd/system" / UNIT).read_text() == (version / UNIT).read_text()
    assert (device.root / "etc/systemd/system/multi-user.target.wants" / CAMERA).is_symlink()
    for program in ("edgeseg", "edgeseg-camera"):
        assert os.readlink(device.root / f"usr/local/bin/{program}") == f"/opt/edgeseg/current/venv/bin/{program}"
    assert not (version / "wheels").exists()
    assert not list(memory_path.glob("device/edgeseg-unpacked*"))

    device.install(make_bundle(memory_path, "second"))
    assert (device.current, device.previous, device.running) == ("id-second", "id-first", [CAMERA])
    device.install(make_bundle(memory_path, "third"))
    assert (device.current, device.previous) == ("id-third", "id-second")
    assert sorted(each.name for each in (device.base / "versions").iterdir()) == ["id-second", "id-third"]

    assert "current: edgeseg 0.1.0, second (id-second)" in device.install("--rollback")
    assert (device.current, device.previous, device.running) == ("id-second", "id-third", [CAMERA])
    device.install("--rollback")
    assert (device.current, device.previous) == ("id-third", "id-second")
    assert device.works()

    device.install("--uninstall")
    assert device.files().keys() - before.keys() <= {"opt", "usr", "usr/local", "usr/local/bin", *SYSTEMD, "var"}
    assert not device.running


SYSTEMD = {"etc/systemd", "etc/systemd/system", "etc/systemd/system/multi-user.target.wants"}


def test_a_dry_run_checks_and_changes_nothing(device: Device, memory_path: Path) -> None:
    bundle = make_bundle(memory_path)
    before = device.files()
    said = device.install(archive(bundle), "--dry-run")
    assert device.files() == before
    assert not list(memory_path.glob("device/edgeseg-unpacked*"))
    assert "would build the engine" in said
    assert "would switch to edgeseg 0.1.0, net (id-net)" in said
    assert "nothing was changed" in said
    (bundle / "model/net.onnx").write_text("other")
    assert "model/net.onnx" in device.install(bundle, "--dry-run", code=1)
    device.install(make_bundle(memory_path, "good"))
    installed = device.files()
    device.install("--uninstall", "--dry-run")
    assert device.files() == installed


def test_installing_twice_changes_nothing_more(device: Device, memory_path: Path) -> None:
    bundle = make_bundle(memory_path)
    device.install(bundle)
    before = device.files()
    program = (device.base / "current/venv/bin/edgeseg").stat().st_ino
    assert "test what is installed already" in device.install(bundle)
    assert device.files() == before
    assert (device.base / "current/venv/bin/edgeseg").stat().st_ino == program
    assert device.previous is None


def test_an_installed_version_that_is_damaged_is_replaced_beside_itself(device: Device, memory_path: Path) -> None:
    device.install(make_bundle(memory_path, "first"))
    second = make_bundle(memory_path, "second")
    device.install(second)
    (device.base / "current/venv/bin/edgeseg").write_text("#!/bin/sh\nexit 1\n")
    assert "it fails: it is installed anew" in device.install(second)
    assert (device.current, device.previous) == ("id-second-2", "id-first")  # never back to the damaged one
    assert device.works()
    assert not (device.base / "versions/id-second").exists()
    device.install(second)
    assert device.current == "id-second-2"
    (device.base / "versions/id-first/venv/bin/edgeseg").write_text("#!/bin/sh\nexit 1\n")
    device.install(memory_path / "edgeseg-0.1.0-first")
    assert (device.current, device.previous) == ("id-first-2", "id-second-2")


@pytest.mark.parametrize(
    ("l4t", "changes", "expected"),
    [
        ("35, 4.1", {}, "Jetson Linux 35.4.1 is of JetPack 5.1, the bundle is for jetpack6"),
        ("38, 2.1", {}, "of JetPack 7.0, the bundle is for jetpack6; make one: --jetpack 7"),
        ("40, 1.0", {}, "Jetson Linux 40.1.0 is of no JetPack that this bundle knows: 5.1 (35) 6.0 (36.3)"),
        ("36, 4.3", {"python": "3.9"}, "the bundle is for 3.9"),
        ("36, 4.3", {"machine": "riscv64"}, "the bundle is for riscv64"),
        ("36, 4.3", {"target": "debian12"}, "the bundle is for Debian 12"),
        ("36, 4.3", {"target": "jetpack8"}, "target is 'jetpack8'"),
        ("36, 4.3", {"format": 2}, "format is 2"),
    ],
)
def test_a_bundle_for_another_machine_is_refused(
    memory_path: Path, l4t: str, changes: dict[str, object], expected: str
) -> None:
    device = Device(memory_path / "device", l4t)
    said = device.install(make_bundle(memory_path, **changes), code=1)  # type: ignore[arg-type]
    assert expected in said
    assert "Traceback" not in said
    assert device.current is None


def test_jetpack_7_is_known_by_both_of_its_releases(memory_path: Path) -> None:
    bundle = make_bundle(memory_path, target="jetpack7")
    for l4t, name in (("38, 4.0", "7.1"), ("39, 2.0", "7.2")):
        assert f"JetPack {name}\n" in Device(memory_path / l4t, l4t).install(bundle, "--dry-run")


def test_a_release_that_is_newer_than_the_table_is_taken_for_the_newest_of_its_kind(memory_path: Path) -> None:
    said = Device(memory_path / "device", "36, 5.0").install(make_bundle(memory_path), "--dry-run")
    assert "NOTE Jetson Linux 36.5.0 is not known here, taken for JetPack 6.2" in said


def set_jetson_linux(device: Device, major: str, revision: str) -> None:
    text = f"# R{major} (release), REVISION: {revision}, GCID: 1\n"
    (device.root / "etc/nv_tegra_release").write_text(text)


def test_the_check_says_what_an_update_of_jetpack_has_broken(memory_path: Path) -> None:
    device = Device(memory_path / "device", "36, 3.0")
    device.install(make_bundle(memory_path, "first"))
    assert "has become" not in device.install("--check")
    set_jetson_linux(device, "36", "4.3")
    said = device.install("--check")
    assert "JetPack 6.0 has become 6.2\n" in said
    assert "TensorRT 8.6.2 has become 10.3: the engine is built anew" in said
    assert device.works()


def test_the_check_ends_where_the_update_brought_another_python(memory_path: Path) -> None:
    device = Device(memory_path / "device")
    device.install(make_bundle(memory_path, "first"))
    set_jetson_linux(device, "39", "2.0")
    program = device.programs / "python3"
    program.write_text(
        program.read_text().replace("#!/bin/sh\n", '#!/bin/sh\n[ "$1 $2" != "-I -c" ] || { echo 3.99; exit; }\n', 1)
    )
    said = device.install("--check", code=1)
    assert "JetPack 6.2 has become 7.2, with Python 3.99: edgeseg 0.1.0, first (id-first) no longer starts" in said
    assert "install a bundle made for this system: --jetpack 7" in said
    assert device.running == [CAMERA]  # nothing was stopped that could not be started again


def test_what_jetpack_must_bring_is_named_where_it_is_missing(device: Device, memory_path: Path) -> None:
    bundle = make_bundle(memory_path)
    (device.modules / "tensorrt.py").write_text("__version__ = '8.5.2'")
    assert "TensorRT 8.5.2; expected 8.6 or newer" in device.install(bundle, code=1)
    (device.modules / "tensorrt.py").write_text("raise ImportError")
    assert "has no tensorrt; sudo apt-get install nvidia-jetpack" in device.install(bundle, code=1)
    (device.modules / "cv2.py").write_text("raise ImportError")
    assert "has no cv2" in device.install(bundle, code=1)
    assert "does not run" in device.install(bundle, code=1, REAL_PYTHON="/none")
    (device.root / "etc/nv_tegra_release").unlink()
    assert "no Jetson" in device.install(bundle, code=1)


def test_a_bundle_that_compiles_wants_nvcc_before_it_begins(device: Device, memory_path: Path) -> None:
    bundle = make_bundle(memory_path)
    (bundle / "build-requirements.txt").write_text("setuptools==84.2.1\n")
    (bundle / "SHA256SUMS").write_text(sha256sums(bundle))
    if shutil.which("nvcc") is None:
        assert "no nvcc, which compiles pycuda" in device.install(bundle, code=1)
    nvcc = device.programs / "nvcc"
    nvcc.write_text("#!/bin/sh\necho 'Cuda compilation tools, release 12.6, V12.6.68'\n")
    nvcc.chmod(0o755)
    (device.modules / "sysconfig.py").write_text("def get_path(name): return '/none'")
    assert "no /none/Python.h, with which pycuda compiles; sudo apt-get install python3-dev" in device.install(
        bundle, code=1
    )
    (device.modules / "sysconfig.py").write_text(f"def get_path(name): return '{device.modules}'")
    (device.modules / "Python.h").touch()
    gxx = device.programs / "g++"
    gxx.touch(0o755)
    said = device.install(bundle)
    assert "nvcc 12.6" in said
    assert "compiling what has no wheel" in said
    lists = [line.rsplit("/", 1)[1] for line in (device.state / "pip").read_text().splitlines()]
    assert lists == ["build-requirements.txt", "requirements.txt"]
    assert "--no-build-isolation" in (device.state / "pip").read_text().splitlines()[1]


def test_a_version_that_fails_its_self_test_is_not_switched_to(device: Device, memory_path: Path) -> None:
    worse = make_bundle(memory_path, "worse", golden="else")
    device.install(worse, code=1)
    assert not device.base.exists()
    device.install(make_bundle(memory_path, "first"))
    before = device.files()
    said = device.install(worse, code=1)
    assert "BROKEN masks.equal_pixels" in said
    assert "ended at: self-test" in said
    assert "current: edgeseg 0.1.0, first (id-first)" in said
    assert device.files() == before
    assert device.running == [CAMERA]


@pytest.mark.parametrize("model", ["crash", "dies"])
def test_cameras_that_do_not_run_with_the_new_version_bring_the_old_one_back(
    device: Device, memory_path: Path, model: str
) -> None:
    """Restarted for ever it never fails, and may be up when it is looked at once; stopping it fails too."""
    device.install(make_bundle(memory_path, "first"))
    bundle = make_bundle(memory_path, model)
    before = device.files()
    assert "first (id-first) is back" in device.install(bundle, "--watch", "1", code=1)
    assert device.files() == before
    assert (device.current, device.previous) == ("id-first", None)
    assert device.running == [CAMERA]
    assert device.works()

    device.install(make_bundle(memory_path, "second"))
    device.install(bundle, "--watch", "1", code=1)
    assert (device.current, device.previous) == ("id-second", "id-first")
    assert sorted(each.name for each in (device.base / "versions").iterdir()) == ["id-first", "id-second"]
    device.install("--rollback")
    assert (device.current, device.previous) == ("id-first", "id-second")


def test_going_back_needs_nothing_that_may_be_broken(device: Device, memory_path: Path) -> None:
    device.install(make_bundle(memory_path, "first"))
    (device.base / "current" / UNIT).unlink()
    said = device.install(make_bundle(memory_path, "crash"), code=1)
    assert "WARNING: its service file could not be installed" in said
    assert (device.current, device.running) == ("id-first", [CAMERA])


def test_a_camera_that_did_not_run_before_holds_no_update_up(device: Device, memory_path: Path) -> None:
    device.install(make_bundle(memory_path, "first"))
    rear = "edgeseg-camera@rear.service"
    with (device.state / "running").open("a") as file:
        file.write(f"{rear}\n")
    (device.state / "unplugged").write_text(f"{rear}\n")
    said = device.install(make_bundle(memory_path, "second"), code=1)
    assert f"installed: edgeseg 0.1.0, second (id-second), but {rear} does not run" in said
    assert (device.current, device.running) == ("id-second", [CAMERA, rear])
    # Up for a moment between two restarts is not up either.
    soon = str(int((float(Path("/proc/uptime").read_text().split()[0]) + 60) * 1e6))
    said = device.install(make_bundle(memory_path, "dies"), "--watch", "1", code=1, ENTERED=soon)
    assert "installed: edgeseg 0.1.0, dies (id-dies), but" in said


def test_a_first_installation_whose_camera_does_not_run_says_so(device: Device, memory_path: Path) -> None:
    said = device.install(make_bundle(memory_path, "crash"), code=1)
    assert f"installed: edgeseg 0.1.0, crash (id-crash), but {CAMERA} does not run: journalctl -u {CAMERA}" in said
    assert (device.current, device.running) == ("id-crash", [CAMERA])


def test_a_rollback_prepares_the_old_version_and_comes_back_where_it_does_not_run(
    device: Device, memory_path: Path
) -> None:
    device.install(make_bundle(memory_path, "first"))
    device.install(make_bundle(memory_path, "second"))
    old = device.base / "versions/id-first/model"
    (device.root / "etc/edgeseg/camera.toml").write_text("unknown = 1\n")
    (old / "model.engine").write_text("stale")
    said = device.install("--rollback")
    assert "this version does not take the settings" in said  # a warning: the version before may be all that works
    assert (old / "model.engine").read_text() == ""
    assert device.current == "id-first"

    (device.base / "versions/id-second/model/second.onnx").write_text("crash")
    assert "first (id-first) is back" in device.install("--rollback", code=1)
    assert (device.current, device.previous, device.running) == ("id-first", "id-second", [CAMERA])


def test_settings_are_the_users_and_must_suit_the_new_version(device: Device, memory_path: Path) -> None:
    device.install(make_bundle(memory_path, "first"))
    settings = device.root / "etc/edgeseg/camera.toml"
    settings.write_text("# mine\nsource-credentials = 'camera.secret'\n" + settings.read_text())
    settings.with_name("camera.secret").touch()
    assert "kept: " in device.install(make_bundle(memory_path, "second"))
    assert settings.read_text().startswith("# mine\n")
    settings.write_text("unknown = 1\n")
    said = device.install(make_bundle(memory_path, "third"), code=1)
    assert f"{settings}: unknown" in said
    assert "this version does not take the settings in" in said
    assert "stop the cameras" not in said
    assert not (device.base / "versions/id-third").exists()
    assert sorted(each.name for each in settings.parent.iterdir()) == ["camera.secret", "camera.toml"]
    assert device.current == "id-second"
    assert settings.read_text() == "unknown = 1\n"
    device.install("--uninstall", "--keep-settings")
    assert settings.exists()


def test_which_cameras_start_is_decided_once_and_then_the_users(device: Device, memory_path: Path) -> None:
    folder = device.root / "etc/edgeseg"
    folder.mkdir()
    for name in ("front", "rear"):
        (folder / f"{name}.toml").touch()
    device.install(make_bundle(memory_path, "first"))
    assert not (folder / "camera.toml").exists()
    assert device.running == ["edgeseg-camera@front.service", "edgeseg-camera@rear.service"]
    wants = device.root / "etc/systemd/system/multi-user.target.wants"
    (wants / "edgeseg-camera@rear.service").unlink()
    (device.state / "running").write_text("edgeseg-camera@front.service\n")
    device.install(make_bundle(memory_path, "second"))
    assert device.running == ["edgeseg-camera@front.service"]
    assert [each.name for each in wants.iterdir()] == ["edgeseg-camera@front.service"]


def test_no_start_leaves_the_cameras_to_the_next_boot(device: Device, memory_path: Path) -> None:
    device.install(make_bundle(memory_path), "--no-start")
    assert device.running == []
    assert (device.root / "etc/systemd/system/multi-user.target.wants" / CAMERA).is_symlink()


def test_another_prefix_is_written_into_settings_service_and_links(device: Device, memory_path: Path) -> None:
    device.install(make_bundle(memory_path), "--prefix", "/data/seg/")
    assert (device.root / "data/seg/current/tested").exists()
    for path in ("etc/edgeseg/camera.toml", f"etc/systemd/system/{UNIT}"):
        text = (device.root / path).read_text()
        assert "/data/seg/current/" in text
        assert "/opt/edgeseg" not in text
    (device.root / "data/seg/mine").touch()
    device.install("--uninstall", "--prefix", "/data/seg")
    assert [each.name for each in (device.root / "data/seg").iterdir()] == ["mine"]


def test_check_builds_a_stale_engine_anew_and_tests_what_is_installed(device: Device, memory_path: Path) -> None:
    (device.base / "versions/kept").mkdir(parents=True)
    assert "nothing is installed" in device.install("--check", code=1)
    assert (device.base / "versions/kept").exists()
    device.install(make_bundle(memory_path))
    engine = device.base / "current/model/model.engine"
    engine.unlink()
    assert "ms a frame" in device.install("--check")
    assert engine.exists()
    assert device.running == [CAMERA]
    (device.base / "current/golden/expected").write_text("else")
    assert "BROKEN" in device.install("--check", code=1)
    assert device.running == [CAMERA]


def test_rollback_needs_no_python_and_says_where_there_is_nothing_to_go_back_to(
    device: Device, memory_path: Path
) -> None:
    assert "no version before this one" in device.install("--rollback", code=1)
    device.install(make_bundle(memory_path, "first"))
    installed = device.files()
    assert "no version before edgeseg 0.1.0, first" in device.install("--rollback", code=1)
    assert device.files() == installed
    device.install(make_bundle(memory_path, "second"))
    device.install("--rollback", PYTHON="/none")
    assert device.current == "id-first"


def test_the_script_that_was_installed_knows_where_it_belongs(memory_path: Path) -> None:
    """As `edgeseg-camera --rollback` calls it: without a prefix."""
    versions = memory_path / "place/versions"
    for name in ("a", "b"):
        (versions / name).mkdir(parents=True)
        (versions / name / "tested").write_text(f"{name}\n")
        copy_installer(versions / name)
        (versions / name / UNIT).touch()
    (memory_path / "place/current").symlink_to("versions/b")
    script = str(memory_path / "place/current/install.sh")
    said = subprocess.run(["bash", script, "--rollback", "--dry-run"], capture_output=True, text=True)
    assert "no version before b" in said.stderr
    (memory_path / "place/previous").symlink_to("versions/a")
    said = subprocess.run(["bash", script, "--rollback", "--dry-run"], capture_output=True, text=True)
    assert "would switch to a" in said.stdout


def test_uninstall_leaves_what_cameras_have_recorded_and_what_is_not_its_own(device: Device, memory_path: Path) -> None:
    program = device.root / "usr/local/bin/edgeseg"
    program.parent.mkdir(parents=True)
    program.write_text("another")
    recorded = device.root / "var/lib/edgeseg/camera/drive.mkv"
    recorded.parent.mkdir(parents=True)
    recorded.touch()
    assert "kept: /usr/local/bin/edgeseg" in device.install(make_bundle(memory_path))
    assert "var/lib/edgeseg, which cameras have recorded" in device.install("--uninstall")
    assert recorded.exists()
    assert program.read_text() == "another"
    assert not device.base.exists()


def test_two_at_once_and_wrong_usage_are_refused(device: Device, memory_path: Path) -> None:
    device.base.parent.mkdir()
    lock = os.open(device.base.parent, os.O_RDONLY)
    fcntl.flock(lock, fcntl.LOCK_EX)
    assert "another install.sh is at work" in device.install(make_bundle(memory_path), code=1)
    os.close(lock)
    assert "no option --purge" in device.install("--purge", code=2)
    assert "expected a whole path" in device.install("--prefix", "here", code=2)
    assert "one bundle at most" in device.install("a", "b", code=2)
    assert "--rollback" in device.install("--help")


def test_with_real_pip_and_a_real_environment(device: Device, memory_path: Path) -> None:
    """Offline, from the bundle's own pip, into an environment that sees the system's modules."""
    found = list((Path(ensurepip.__file__).parent / "_bundled").glob("pip-*.whl"))
    if not found:
        pytest.skip("this Python brings no wheel of pip")
    bundle = make_bundle(memory_path)
    for each in (bundle / "wheels").iterdir():
        each.unlink()
    shutil.copy(found[0], bundle / "wheels")
    info = "edgeseg-0.1.0.dist-info"
    with zipfile.ZipFile(bundle / "wheels/edgeseg-0.1.0-py3-none-any.whl", "w") as wheel:
        wheel.writestr("edgeseg/__init__.py", REAL_PROGRAM)
        wheel.writestr(f"{info}/METADATA", "Metadata-Version: 2.1\nName: edgeseg\nVersion: 0.1.0\n")
        wheel.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        scripts = "[console_scripts]\nedgeseg = edgeseg:main\nedgeseg-camera = edgeseg:main\n"
        wheel.writestr(f"{info}/entry_points.txt", scripts)
        wheel.writestr(f"{info}/RECORD", "")
    (bundle / "SHA256SUMS").write_text(sha256sums(bundle))
    device.install(bundle, PYTHON=device.environment["REAL_PYTHON"])
    config = (device.base / "current/venv/pyvenv.cfg").read_text()
    assert "include-system-site-packages = true" in config
    assert (
        (device.base / "current/model/model.engine").read_text().startswith(str(device.base / "versions/id-net/venv"))
    )


REAL_PROGRAM = """
import json, sys
from pathlib import Path
def main():
    words = sys.argv[1:]
    if words[0] == "engine":
        import cv2, tensorrt
        Path(words[2]).with_suffix(".engine").write_text(sys.executable)
    if "--json" in words:
        figures = {"masks": {"equal_pixels": 1.0}, "frame": {"p50": 1.0}}
        Path(words[words.index("--json") + 1]).write_text(json.dumps(figures))
"""


def test_a_small_board_builds_its_engine_with_a_limit(device: Device, memory_path: Path) -> None:
    device.install(make_bundle(memory_path), "--workspace-mb", "512")
    assert (device.base / "current/model/model.engine").read_text() == "--workspace-mb 512\n"
    (device.base / "current/model/model.engine").unlink()
    device.install("--check", "--workspace-mb", "256")
    assert (device.base / "current/model/model.engine").read_text() == "--workspace-mb 256\n"
    assert "expected a whole number" in device.install("--check", "--workspace-mb", "much", code=2)


def test_places_that_the_service_may_not_write_are_named(device: Device, memory_path: Path) -> None:
    said = device.install(make_bundle(memory_path))
    assert " writes " not in said
    (device.root / "etc/edgeseg/camera.toml").write_text(
        "#output  record:///etc/edgeseg/drive\n#output  file:///tmp/drive.mkv\n#writes  /var/log/summary.json\n"
        f"#output  {device.root}/var/lib/edgeseg/camera/masks/\n#output  unix:///run/edgeseg/camera/masks\n#output  display://\n"
    )
    said = device.install(make_bundle(memory_path, "second"))
    noted = [line.split(" writes ")[1].split(":")[0] for line in said.splitlines() if " writes " in line]
    assert noted == ["/etc/edgeseg/drive", "/var/log/summary.json"]


def test_shellcheck_finds_nothing() -> None:
    scripts = sorted(INSTALL.parent.glob("*.sh"))
    assert INSTALL in scripts
    # All but: braces around each name, and three that warn of every function in a condition or substitution.
    done = subprocess.run(
        [linter("shellcheck"), "-x", "--enable=all", "--exclude=SC2250,SC2310,SC2311,SC2312", *scripts]
    )
    assert done.returncode == 0


def test_hadolint_finds_nothing() -> None:
    assert subprocess.run([linter("hadolint"), INSTALL.with_name("Dockerfile")]).returncode == 0


def linter(name: str) -> str:
    found = shutil.which(name, path=f"{Path(sys.executable).parent}:{os.environ['PATH']}")
    if not found:
        pytest.skip(f"{name} is not installed (pip install 'edgeseg[dev]', on x86-64)")
    return found


def test_it_runs_nothing_from_the_folder_that_it_is_started_in(
    device: Device, memory_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    traps = Traps(memory_path / "traps")
    monkeypatch.chdir(traps.folder)
    assert "TensorRT 10.3.0" in device.install("--dry-run", make_bundle(memory_path))
    assert traps.sprung == ""
