"""What `edgeseg doctor` finds of the libraries that read cameras and run models, and of engines built earlier."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from edgeseg.core.errors import EdgesegError
from edgeseg.runtime.doctor.findings import Finding, MachineUnderTest
from edgeseg.runtime.engines.cache import engine_cache
from edgeseg.runtime.engines.manifest import EngineManifest, file_sha256
from edgeseg.runtime.engines.registry import is_engine
from edgeseg.runtime.machine import facts
from edgeseg.runtime.machine.jetpacks import no_code_for

_GPU_PROVIDERS = {"CUDAExecutionProvider", "TensorrtExecutionProvider"}


def opencv(machine: MachineUnderTest) -> Iterator[Finding]:
    found = machine.probe("opencv")
    if "error" in found:
        absent = "No module named 'cv2'" in str(found["error"])
        remedy = "install JetPack's python3-opencv and a virtual environment with --system-site-packages"
        if not machine.jetson:
            remedy = (
                "pip install 'edgeseg[camera]'" if absent else "apt-get install libgl1 libglib2.0-0, or reinstall it"
            )
        yield Finding("OpenCV", "missing", "not installed" if absent else f"broken: {found['error']}", remedy)
        return
    wheels = [name for name in facts.versions() if name.startswith("opencv-python")]
    text = f"{found['version']}, {'with' if found['gstreamer'] else 'without'} GStreamer, {found['file']}"
    if machine.jetson and wheels:
        yield Finding("OpenCV", "warning", f"{text}: a wheel hides JetPack's", f"pip uninstall {' '.join(wheels)}")
    elif found["gstreamer"]:
        yield Finding("OpenCV", "good", text)
    else:
        remedy = "for csi://, gst:// and hardware decoding use the system's python3-opencv, not the wheel"
        yield Finding("OpenCV", "note", text, remedy)


def engines(machine: MachineUnderTest) -> Iterator[Finding]:
    packages = facts.versions()
    if {"onnxruntime", "onnxruntime-gpu"} <= packages.keys():
        yield Finding(
            "ONNX Runtime",
            "warning",
            "onnxruntime and onnxruntime-gpu are both installed and overwrite each other",
            "pip uninstall both, then install one",
        )
    found, working = machine.probe("onnxruntime"), []
    for provider, reason in found.get("providers", {}).items():
        working += [] if reason else [provider]
        remedy = _cuda_remedy(machine, provider) if reason else ""
        yield Finding(provider, "warning" if reason else "good", reason or f"ONNX Runtime {found['version']}", remedy)
    if "error" in found:
        absent = "No module named 'onnxruntime'" in found["error"]
        if absent:
            remedy = "pip install 'edgeseg[cpu]', or 'edgeseg[gpu]' where there is an NVIDIA GPU"
            yield Finding("ONNX Runtime", "note", "not installed", remedy)
        else:
            package = "onnxruntime-gpu" if "onnxruntime-gpu" in packages else "onnxruntime"
            remedy = f"pip install --force-reinstall {package}"
            yield Finding("ONNX Runtime", "warning", f"broken: {found['error']}", remedy)
    has_tensorrt, findings = _tensorrt(machine)
    yield from findings
    openvino = machine.probe("openvino")
    if "error" not in openvino:
        yield Finding("OpenVINO", "good", f"{openvino['version']}, {', '.join(openvino['devices'])}")
    if not (working or has_tensorrt or "error" not in openvino):
        yield Finding("engine", "missing", "none of them works", "pip install 'edgeseg[cpu]'")
    elif machine.jetson and not (has_tensorrt or _GPU_PROVIDERS & set(working)):
        yield Finding("engine", "missing", "only the CPU works", "install JetPack's tensorrt and pip install pycuda")


def _cuda_remedy(machine: MachineUnderTest, provider: str) -> str:
    if provider not in _GPU_PROVIDERS:
        return "pip install --force-reinstall onnxruntime"
    if not machine.gpus and not machine.jetson:
        return "needs an NVIDIA GPU and its driver; without one install onnxruntime instead"
    return "install the CUDA and cuDNN that this version was built for (onnxruntime.ai, CUDA execution provider)"


def _tensorrt(machine: MachineUnderTest) -> tuple[bool, list[Finding]]:
    """Whether TensorRT can run a model here, and the findings about it and pycuda."""
    findings = []
    builders = 0
    for name, title in (("tensorrt", "TensorRT"), ("tensorrt_rtx", "TensorRT-RTX")):
        found = machine.probe(name)
        if "error" not in found:
            lacking = no_code_for(found["version"], machine.gpu.compute_capability) if machine.gpu else None
            builders += bool(found["builder"]) and not lacking
            state, text = ("good", found["version"]) if found["builder"] else ("warning", "makes no builder")
            findings.append(Finding(title, "warning", lacking) if lacking else Finding(title, state, text))
        elif "No module named" not in found["error"]:
            findings.append(Finding(title, "warning", f"broken: {found['error']}", "install JetPack's own again"))
    if not findings:
        remedy = "apt-get install tensorrt, and --system-site-packages" if machine.jetson else ""
        findings.append(Finding("TensorRT", "warning" if machine.jetson else "note", "not installed", remedy))
    pycuda = machine.probe("pycuda")
    devices = pycuda.get("devices", [])
    if devices:
        findings.append(Finding("pycuda", "good", f"{pycuda['version']}: {'; '.join(devices)}"))
    elif machine.jetson or (builders and machine.gpus):
        reason = pycuda.get("error", "finds no CUDA device")
        remedy = "pip install 'edgeseg[tensorrt]' (it compiles: nvcc must be on the PATH)"
        absent = "No module named" in reason
        found_text = "not installed" if absent else reason
        findings.append(
            Finding("pycuda", "warning" if machine.jetson else "note", found_text, remedy if absent else "")
        )
    return bool(builders and devices), findings


def kept_engines(machine: MachineUnderTest) -> Iterator[Finding]:
    """Say of each engine whether it holds here; a stale one is built again at the next start, which takes minutes.

    Looked at are the cache, and what the user has named: engines, ONNX files with the engine beside, folders of them.
    """
    for engine, onnx in dict(_engines(machine)).items():
        if not engine.exists():
            yield Finding(
                "engine file", "note", f"{onnx}: no engine yet", f"edgeseg engine build {onnx}, or at the start"
            )
            continue
        stale = _why_stale(machine, engine, onnx)
        if stale:
            remedy = (
                f"edgeseg engine build {onnx}" if onnx else f"build it again from its ONNX file, or delete {engine}"
            )
            yield Finding("engine file", "warning", f"{engine}: {stale}", remedy)
        elif machine.gpu is None:
            yield Finding("engine file", "note", f"{engine}: whole, but here is no GPU to run it")
        else:
            yield Finding("engine file", "good", f"{engine}: holds")


def _engines(machine: MachineUnderTest) -> Iterator[tuple[Path, Path | None]]:
    for engine in sorted(engine_cache().glob("*.engine")):
        yield engine, None
    for path in machine.models:
        inside = sorted(each for each in path.iterdir() if is_engine(each)) if path.is_dir() else [path]
        for each in inside:
            if is_engine(each):
                onnx = each.with_suffix(".onnx")
                yield each, onnx if onnx.exists() else None
            else:
                yield each.with_suffix(".engine"), each


def _why_stale(machine: MachineUnderTest, engine: Path, onnx: Path | None) -> str | None:
    """Say what makes it stale, in the words that fit the user's next step; None if nothing does."""
    try:
        manifest = EngineManifest.read(engine)
        if file_sha256(engine) != manifest.engine_sha256:
            return "not the file that was built"
        if onnx and file_sha256(onnx) != manifest.key.onnx_sha256:
            return f"built from another {onnx.name}"
    except EdgesegError as error:
        return str(error)
    library = machine.probe(manifest.key.library)
    built_by = f"built by {manifest.key.library} {manifest.key.version}"
    if "error" in library:
        return f"{built_by}, which cannot be loaded here"
    if library["version"] != manifest.key.version:
        return f"{built_by}, here is {library['version']}"
    gpu = machine.gpu
    if gpu is None or manifest.key.fits(gpu):
        return None
    return f"built for {manifest.key.gpu} {manifest.key.compute_capability}, here is {gpu}"
