"""The wheel holds every module and nothing else: only `edgeseg` may appear in site-packages."""

import zipfile
from pathlib import Path

import pytest

from edgeseg.bundle.maker import DEVICE_FILES
from tests.helpers.places import ROOT
from tests.helpers.wheel_building import build_wheel


@pytest.mark.usefixtures("process")
def test_the_wheel_holds_exactly_the_package(tmp_path: Path) -> None:
    held = {name for name in zipfile.ZipFile(build_wheel(tmp_path)).namelist() if ".dist-info/" not in name}
    own = {path.relative_to(ROOT) for path in (ROOT / "edgeseg").rglob("*.py")}
    mapped = {
        "edgeseg" / path.relative_to(ROOT) for top in ("export", "runtime") for path in (ROOT / top).rglob("*.py")
    }
    data = {
        "edgeseg/py.typed",
        "edgeseg/runtime/bundled/scenes.onnx",
        *(str("edgeseg" / path.relative_to(ROOT)) for path in (ROOT / "runtime/sinks/kinds/live/page").iterdir()),
        *(f"edgeseg/jetson/{name}" for name in DEVICE_FILES),
    }
    expected = {str(path) for path in own | mapped if "__pycache__" not in path.parts} | data
    assert held == expected
