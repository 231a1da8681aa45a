"""The table of JetPacks: what each row says, what follows from it, and that every part says the same."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from edgeseg.bundle.targets import TARGETS
from edgeseg.export.tensorrt_versions import VERSIONS
from edgeseg.runtime.machine import facts, jetpacks
from tests.helpers.places import ROOT

ROWS = {row.name: row for row in jetpacks.jetpacks()}
JETSON = ROOT / "jetson"


def test_every_row_is_whole_and_names_its_source() -> None:
    for row in ROWS.values():
        assert re.fullmatch(r"\d+\.\d+(\.\d+)?", row.name)
        assert re.fullmatch(r"\d+\.\d+", row.cuda), row
        assert re.fullmatch(r"3\.\d+", row.python), row
        assert all({"Orin", "Thor", "Xavier"} & set(board.split()) for board in row.boards), row
        assert re.search(r"\w\.(com|org)/", row.source) or row.source.startswith("unconfirmed: "), row
        assert not row.base or row.base.startswith("nvcr.io/nvidia/"), row
    assert not ROWS["7.2.2"].is_confirmed


@pytest.mark.parametrize(
    ("release", "name"),
    [
        ("35.4.1", "5.1"), ("36.3.0", "6.0"), ("36.4.0", "6.1"), ("36.4", "6.1"), ("36.4.3", "6.2"), ("36.4.7", "6.2"),
        ("36.5.0", "6"), ("38.2.1", "7.0"), ("38.4.0", "7.1"), ("39.2.0", "7.2"), ("40.0.0", ""), ("", ""),
    ],
)  # fmt: skip
def test_a_jetson_linux_is_of_a_jetpack(release: str, name: str, tmp_path: Path) -> None:
    (tmp_path / "etc").mkdir()
    if release:
        major, _, revision = release.partition(".")
        (tmp_path / "etc/nv_tegra_release").write_text(f"# R{major} (release), REVISION: {revision}, GCID: 1\n")
    assert facts.jetpack(tmp_path) == name


@pytest.mark.parametrize("release", ["35.4.1", "36.3.0", "36.4.0", "36.4.3", "36.4.7", "36.5.0", "38.2.1", "39.2.0"])
def test_the_installer_finds_the_same_row(release: str) -> None:
    """By the function of install.sh itself."""
    text = (JETSON / "installer/machine.sh").read_text()
    function = text[text.index("jetpack_row() {") :].partition("\n}\n")[0] + "\n}\n"
    command = f'{function}jetpack_row {release} "{JETSON}/jetpacks.tsv" | cut -f1'
    said = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=True).stdout.strip()
    row = jetpacks.jetpack_of(release)
    assert said == (row.name if row else "")


@pytest.mark.parametrize("version", ["10.13.2.6", "10.13.3", "10.15.1"])
def test_a_tensorrt_without_code_for_orin_is_told_with_one_that_has(version: str) -> None:
    reason = jetpacks.no_code_for(version, "8.7")
    assert reason is not None
    assert "has no code for Orin's GPU" in reason
    assert "nvcr.io/nvidia/tensorrt:26.05-py3" in reason
    assert jetpacks.no_code_for(version, "11.0") is None


@pytest.mark.parametrize("version", ["8.6.2", "10.3.0", "10.11.0.33", "10.16.1.11", "11.4.1"])
def test_others_run_on_orin_and_no_other_gpu_is_judged(version: str) -> None:
    assert jetpacks.no_code_for(version, "8.7") is None
    assert jetpacks.no_code_for(version, "8.9") is None


def test_an_update_says_what_it_breaks() -> None:
    assert jetpacks.changes(ROWS["6.1"], ROWS["6.2"]) == []
    assert jetpacks.changes(ROWS["6.0"], ROWS["6.2"]) == ["TensorRT 8.6.2 becomes 10.3: engines are built anew"]
    python, tensorrt = jetpacks.changes(ROWS["6.2"], ROWS["7.2"])
    assert python.startswith("Python 3.10 becomes 3.12: the environment does not start")
    assert "--jetpack 7" in python
    assert tensorrt.startswith("TensorRT 10.3 becomes 10.16")


def test_bundle_and_rule_table_read_the_same_rows() -> None:
    assert TARGETS["6"].parsers == ("TensorRT 8.6", "TensorRT 10.3")
    assert TARGETS["7"].parsers == ("TensorRT 10.13", "TensorRT 10.16")
    assert (TARGETS["6"].gpus, TARGETS["7"].gpus) == ({"Orin": "8.7"}, {"Orin": "8.7", "Thor": "11.0"})
    for target in TARGETS.values():
        assert {row.python for row in target.jetpacks} <= {target.python_text}
    known = {version.name for version in VERSIONS}
    assert {row.parser for row in ROWS.values() if row.major != "5"} == known


def test_the_dockerfile_and_the_readme_name_images_with_code_for_the_board() -> None:
    dockerfile, readme = ((JETSON / name).read_text() for name in ("Dockerfile", "README.md"))
    default = re.search(r"^ARG BASE=(\S+)", dockerfile, re.MULTILINE)
    assert default is not None
    assert default[1] == ROWS["6.2"].base
    for board, name in (("Orin", "7.2"), ("Thor", "7.1")):
        row = ROWS[name]
        assert row.is_for(board)
        assert row.base in dockerfile
        assert row.base in readme
    for text in (dockerfile, readme):  # an image that stands there for Orin has code for Orin
        for line in text.splitlines():
            for image in re.findall(r"nvcr\.io/nvidia/tensorrt:\S+", line):
                if "Orin" in line:
                    assert image == ROWS["7.2"].base, line


PROGRAM = """#!/bin/sh
echo "$(basename "$0") $*"
"""


@pytest.fixture
def container(tmp_path: Path) -> dict[str, str]:
    """A container's programs and a driver of an Orin: a stand-in for libcuda that is built here."""
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None:
        pytest.skip("no C compiler to build a stand-in for the driver")
    (tmp_path / "driver.c").write_text(DRIVER)
    driver = tmp_path / "libcuda.so.1"
    subprocess.run([compiler, "-shared", "-fPIC", "-o", str(driver), str(tmp_path / "driver.c")], check=True)
    (tmp_path / "edgeseg-camera").write_text(PROGRAM)
    (tmp_path / "edgeseg-camera").chmod(0o755)
    (tmp_path / "python").write_text(f'#!/bin/sh\n[ "$1" = -I ] && shift && exec {sys.executable} "$@"\n')
    (tmp_path / "python").chmod(0o755)
    return {
        **os.environ,
        "PATH": f"{tmp_path}:{os.environ['PATH']}",
        "LD_LIBRARY_PATH": str(tmp_path),
        "PYTHONPATH": f"{tmp_path}:{ROOT}",
    }


DRIVER = r"""
#include <string.h>
int cuInit(unsigned f) { return 0; }
int cuDeviceGetCount(int *n) { *n = 1; return 0; }
int cuDeviceGet(int *d, int i) { *d = i; return 0; }
int cuDeviceGetName(char *s, int n, int d) { strncpy(s, "Orin", n); return 0; }
int cuDeviceTotalMem_v2(unsigned long *b, int d) { *b = 8ul << 30; return 0; }
int cuDeviceGetAttribute(int *v, int a, int d) {
  *v = a == 75 ? 8 : a == 76 ? 7 : a == 16 ? 8 : 1;
  return 0;
}
"""


def start(container: dict[str, str], version: str, folder: Path) -> subprocess.CompletedProcess[str]:
    (folder / "tensorrt.py").write_text(f"__version__ = {version!r}\n")
    command = ["sh", str(JETSON / "entrypoint.sh"), "--config", "camera.toml"]
    return subprocess.run(command, env=container, capture_output=True, text=True)


def test_the_container_s_start_refuses_a_tensorrt_without_code_for_the_board(
    container: dict[str, str], tmp_path: Path
) -> None:
    refused = start(container, "10.13.2.6", tmp_path)
    assert (refused.returncode, refused.stdout, refused.stderr.count("\n")) == (5, "", 1), refused.stderr
    assert "nvcr.io/nvidia/tensorrt:26.05-py3" in refused.stderr
    for version in ("10.16.1.11", "10.3.0"):
        begun = start(container, version, tmp_path)
        assert (begun.returncode, begun.stdout) == (0, "edgeseg-camera --config camera.toml\n"), begun.stderr
