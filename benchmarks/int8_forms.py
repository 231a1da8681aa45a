"""int8's `cpu` form beside float32, network by network: untrained, one thread of ONNX Runtime's CPU engine, in turns.
Each is a camera graph for frames of the network's own size: normalisation and argmax count too.

    python benchmarks/int8_forms.py [--rounds 15] [NAME...]

Prints a Markdown table: CPU ms/frame (medians) and how many times as fast as float32 the file is (the median of the
rounds' ratios, which neighbours on the machine change less than the times). Noise calibrates as well as pictures where
only time is asked.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import onnx

from edgeseg.core.geometry import Size
from edgeseg.core.labels import ClassMap
from edgeseg.core.spec import ModelSpec
from edgeseg.export.camera_graph import camera_graph, with_camera
from edgeseg.export.network import onnx_from_keras
from edgeseg.export.precision import speed
from edgeseg.export.precision.quantise import Quantiser
from edgeseg.export.upsampling import check_upsampling, write_grouped
from edgeseg.models.build import build_model, seed_weights

CLASSES = 11
SPEC = ModelSpec(
    name="untrained",
    architecture="foreign",
    encoder="none",
    input_size=Size(352, 480),
    colour_order="bgr",
    mean=(0.0, 0.0, 0.0),
    scale=(1.0, 1.0, 1.0),
    classes=ClassMap(tuple(f"class {i}" for i in range(CLASSES)), tuple((i, i, i) for i in range(CLASSES))),
)
NETWORKS: dict[str, dict[str, Any]] = {
    "FCN-8, compact": {"architecture": "fcn8", "encoder": "compact"},
    "FCN-8, VGG16 at quarter width": {"architecture": "fcn8", "encoder": "vgg16", "width": 0.25},
    "FCN-8, ResNet50": {"architecture": "fcn8", "encoder": "resnet50"},
    "FCN-8, MobileNetV2": {"architecture": "fcn8", "encoder": "mobilenet_v2"},
    "FCN-8, EfficientNetV2-B0": {"architecture": "fcn8", "encoder": "efficientnet_v2_b0"},
    "U-Net, EfficientNet-Lite0, light (`balanced`)": {
        "architecture": "unet",
        "encoder": "efficientnet_lite0",
        "decoder": "light",
        "score_stride": 4,
    },
}


def network_of(options: dict[str, Any]) -> onnx.ModelProto:
    seed_weights(0)
    values = dict(options)
    model = build_model(values.pop("architecture"), SPEC.input_size, CLASSES, **values)
    network = onnx_from_keras(model, SPEC)
    write_grouped(network, check_upsampling(model, network), {"per class"})
    return network


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", help="parts of names; all if none is given")
    parser.add_argument("--rounds", type=int, default=speed.MOST_ROUNDS)
    options = parser.parse_args()
    speed.MOST_ROUNDS = speed.LEAST_ROUNDS = options.rounds
    random = np.random.default_rng(0)
    print("| network | fp32, CPU ms/frame | int8 `cpu` | |\n|---|---|---|---|", flush=True)
    for name, values in NETWORKS.items():
        if options.names and not any(each in name for each in options.names):
            continue
        network = network_of(values)
        frames = [random.normal(size=(1, 3, *SPEC.input_size)).astype(np.float32) for _ in range(2)]
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "int8.onnx"
            quantised = Quantiser(network, frames, "percentile", "cpu").reduced()
            onnx.save(camera_graph(quantised, with_camera(SPEC, None)), str(path))
            found = speed.compare_speed(camera_graph(network, with_camera(SPEC, None)), path)
        print(f"| {name} | {found.fp32_ms:.1f} | {found.ms:.1f} | {found.ratio:.2f}x |", flush=True)


if __name__ == "__main__":
    main()
