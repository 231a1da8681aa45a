"""Install the built wheel into bare environments and use it there. Run by `make check`; it needs the package index.

Without any extra, the commands answer and say what is missing. With [camera,cpu,metrics,live], as on a vehicle
computer, every module of edgeseg.runtime imports and a camera runs, without TensorFlow, Keras, onnx or tf2onnx.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import venv
from pathlib import Path

from tests.helpers.places import ROOT
from tests.helpers.wheel_building import build_wheel

IMPORT_ALL = """
import importlib, importlib.util, pkgutil, edgeseg.runtime
for module in pkgutil.walk_packages(edgeseg.runtime.__path__, "edgeseg.runtime."):
    if not module.name.endswith("__main__"):
        importlib.import_module(module.name)
heavy = [name for name in ("tensorflow", "keras", "onnx", "tf2onnx", "matplotlib") if importlib.util.find_spec(name)]
assert not heavy, heavy
"""


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        wheel = build_wheel(Path(folder))
        model = Path(folder) / "colours.onnx"
        write_model(model)
        base = environment(Path(folder) / "base", wheel, "")
        for command in ("edgeseg", "edgeseg-camera"):
            call(base / command, "--help")
        call(base / "edgeseg", "train", "--data", "scenes:", "--out", f"{folder}/run", code=2, said="edgeseg[train]")
        call(base / "edgeseg", "doctor", code=1, said="pip install 'edgeseg[camera]'")
        bundle = ["bundle", "--model", str(model), "--jetpack", "6", "--out", f"{folder}/b.tar.gz"]
        call(base / "edgeseg", *bundle, code=2, said="pip install 'edgeseg[")
        camera = ["scenes://?size=128x72&frames=3", "--every-frame", "--model", str(model)]
        call(base / "edgeseg-camera", *camera, code=2, said="pip install")
        vehicle = environment(Path(folder) / "vehicle", wheel, "[camera,cpu,metrics,live]")
        call(vehicle / "python", "-c", IMPORT_ALL)
        call(vehicle / "edgeseg-camera", *camera, said="3 captured = 3 processed")
        call(vehicle / "edgeseg", "doctor", said="CPUExecutionProvider")
        call(vehicle / "edgeseg", "benchmark", str(model), "--seconds", "1", said="ms/frame")
    print("bare environments: the wheel works without TensorFlow, and says what is missing where it is")


def write_model(path: Path) -> None:
    from tests.helpers.colour_model import write_colour_model

    write_colour_model(path)


def environment(path: Path, wheel: Path, extras: str) -> Path:
    venv.create(path, with_pip=True)
    install = ["-m", "pip", "install", "--quiet", "--constraint", str(ROOT / "constraints.txt")]
    call(path / "bin" / "python", *install, f"edgeseg{extras} @ {wheel.as_uri()}")
    return path / "bin"


def call(program: Path, *arguments: str, code: int = 0, said: str = "") -> None:
    done = subprocess.run([str(program), *arguments], capture_output=True, text=True, cwd="/")
    output = done.stdout + done.stderr
    if done.returncode != code or said not in output or "Traceback" in output:
        expected = f"exit code {code}" + (f" and {said!r}" if said else "")
        sys.exit(
            f"{program.name} {' '.join(arguments)[:200]}: exit code {done.returncode}, expected {expected}\n{output}"
        )


if __name__ == "__main__":
    main()
