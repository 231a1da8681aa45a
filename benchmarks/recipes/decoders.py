"""What networks cost before anyone trains them: encoders, decoders, last steps, and input sizes, beside one another.

    python benchmarks/recipes/decoders.py [--rounds 20] [--only lite0] [--json FILE]

Untrained, exported as `edgeseg export` does, in fp32, fp16 and int8's `cpu` form, frames of the network's own size, one
ONNX Runtime thread, all files in turns. Each time is a share of the first row's in the same round, so that a machine
that drifts harms none: the median, and the quartiles. The first row is `balanced` from scratch.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx

from edgeseg.commands.models_table import _spec
from edgeseg.core.geometry import Size
from edgeseg.export.camera_graph import camera_graph, with_camera
from edgeseg.export.network import onnx_from_keras
from edgeseg.export.precision.half import to_half
from edgeseg.export.precision.quantise import Quantiser
from edgeseg.export.upsampling import check_upsampling, write_grouped
from edgeseg.models.build import build_model
from edgeseg.models.complexity import flops
from edgeseg.models.options import NetworkOptions
from edgeseg.runtime.engines.choose import open_engine
from edgeseg.tf import keras

CLASSES = 11
SIZE = Size(352, 480)
LIGHT = {"architecture": "unet", "decoder": "light", "score_stride": 4}
NETWORKS: dict[str, tuple[dict[str, Any], Size]] = {
    "scratch": ({"architecture": "unet", "encoder": "compact", "width": 0.5, "score_stride": 4}, SIZE),
    "scratch, dense last step": (
        {"architecture": "unet", "encoder": "compact", "width": 0.5, "score_stride": 4, "upsampling_kernel": "dense"},
        SIZE,
    ),
    "lite0, light 32": ({**LIGHT, "encoder": "efficientnet_lite0", "decoder_width": 32}, SIZE),
    "lite0, light 48": ({**LIGHT, "encoder": "efficientnet_lite0", "decoder_width": 48}, SIZE),
    "lite0, light 64": ({**LIGHT, "encoder": "efficientnet_lite0"}, SIZE),
    "lite0, light 64, dense last step": (
        {**LIGHT, "encoder": "efficientnet_lite0", "upsampling_kernel": "dense"},
        SIZE,
    ),
    "lite0, light 64, score stride 8": ({**LIGHT, "encoder": "efficientnet_lite0", "score_stride": 8}, SIZE),
    "lite0, light 64, score stride 2": ({**LIGHT, "encoder": "efficientnet_lite0", "score_stride": 2}, SIZE),
    "lite0, light 96": ({**LIGHT, "encoder": "efficientnet_lite0", "decoder_width": 96}, SIZE),
    "lite0, light 128": ({**LIGHT, "encoder": "efficientnet_lite0", "decoder_width": 128}, SIZE),
    "lite0, fcn8": ({"architecture": "fcn8", "encoder": "efficientnet_lite0"}, SIZE),
    "lite0, unet, score stride 4": (
        {"architecture": "unet", "encoder": "efficientnet_lite0", "score_stride": 4},
        SIZE,
    ),
    "lite0, light 64, 384x288": ({**LIGHT, "encoder": "efficientnet_lite0"}, Size(288, 384)),
    "lite0, light 32, 384x288": ({**LIGHT, "encoder": "efficientnet_lite0", "decoder_width": 32}, Size(288, 384)),
    "lite0, light 32, 320x256": ({**LIGHT, "encoder": "efficientnet_lite0", "decoder_width": 32}, Size(256, 320)),
    "lite0, light 64, 352x256": ({**LIGHT, "encoder": "efficientnet_lite0"}, Size(256, 352)),
    "lite0, light 64, 576x416": ({**LIGHT, "encoder": "efficientnet_lite0"}, Size(416, 576)),
    "lite0, light 64, 640x480": ({**LIGHT, "encoder": "efficientnet_lite0"}, Size(480, 640)),
    "lite1, light 64": ({**LIGHT, "encoder": "efficientnet_lite1"}, SIZE),
    "lite2, light 96": ({**LIGHT, "encoder": "efficientnet_lite2", "decoder_width": 96}, SIZE),
    "lite2, light 96, 576x416": (
        {**LIGHT, "encoder": "efficientnet_lite2", "decoder_width": 96},
        Size(416, 576),
    ),
    "lite0, light 128, 640x480": ({**LIGHT, "encoder": "efficientnet_lite0", "decoder_width": 128}, Size(480, 640)),
    "mobilenet_v2, light 64": ({**LIGHT, "encoder": "mobilenet_v2"}, SIZE),
}


@dataclass
class Row:
    name: str
    parameters: int
    gflops: float
    files: dict[str, Path]
    ms: dict[str, list[float]]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--only", default="", help="rows whose name holds this, beside the first")
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    names = [name for name in NETWORKS if arguments.only in name or name == next(iter(NETWORKS))]
    with tempfile.TemporaryDirectory() as folder:
        rows = [written(name, Path(folder) / str(index)) for index, name in enumerate(names)]
        take_turns(rows, arguments.rounds)
    print("\n".join(table(rows)))
    if arguments.json:
        found = [{"name": row.name, "parameters": row.parameters, "gflops": row.gflops, "ms": row.ms} for row in rows]
        arguments.json.write_text(json.dumps(found, indent=1) + "\n")


def written(name: str, stem: Path) -> Row:
    keras.backend.clear_session()
    values, size = NETWORKS[name]
    options = NetworkOptions(**values)
    model = build_model(options, size, CLASSES)
    spec = with_camera(_spec(options, size, CLASSES), size)
    network = onnx_from_keras(model, spec)
    write_grouped(network, check_upsampling(model, network), {"per class"})
    random = np.random.default_rng(0)
    frames = (random.normal(size=(1, 3, *size)).astype(np.float32) for _ in range(2))
    files = {each: stem.with_suffix(f".{each}.onnx") for each in ("fp32", "fp16", "int8")}
    onnx.save(camera_graph(Quantiser(network, frames, "percentile", "cpu").reduced(), spec), str(files["int8"]))
    onnx.save(camera_graph(network, spec), str(files["fp32"]))
    to_half(network)
    onnx.save(camera_graph(network, spec), str(files["fp16"]))
    return Row(name, model.count_params(), flops(model) / 1e9, files, {each: [] for each in files})


def take_turns(rows: list[Row], rounds: int) -> None:
    engines = [
        (row, kind, open_engine(file, "onnxruntime-cpu", threads=1)) for row in rows for kind, file in row.files.items()
    ]
    random = np.random.default_rng(0)
    frames = {engine.frame_size: random.integers(0, 256, (*engine.frame_size, 3), np.uint8) for _, _, engine in engines}
    for _, _, engine in engines:
        engine.warm_up(2)
    for _ in range(rounds):
        for row, kind, engine in engines:
            start = time.perf_counter()
            engine.run(frames[engine.frame_size])
            row.ms[kind].append((time.perf_counter() - start) * 1e3)


def table(rows: list[Row]) -> list[str]:
    base = rows[0].ms["fp32"]
    lines = [
        "| network | M parameters | GFLOPs | fp32 ms | fp32, share | fp16, share | int8, share | int8's gain |",
        "|---" * 8 + "|",
    ]
    for row in rows:
        shares = [quartiles([one / other for one, other in zip(row.ms[kind], base, strict=True)]) for kind in row.ms]
        gain = statistics.median(a / b for a, b in zip(row.ms["fp32"], row.ms["int8"], strict=True))
        lines.append(
            f"| {row.name} | {row.parameters / 1e6:.2f} | {row.gflops:.2f} | {statistics.median(row.ms['fp32']):.1f} | "
            f"{' | '.join(shares)} | {gain:.2f} |"
        )
    return lines


def quartiles(values: list[float]) -> str:
    low, middle, high = statistics.quantiles(values, n=4)
    return f"{middle:.2f} ({low:.2f} to {high:.2f})"


if __name__ == "__main__":
    main()
