"""What is to be written, in the precision asked for: one network, or more, as long as the last one is refused."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import onnx

from edgeseg.core.pixels import network_pixels
from edgeseg.core.spec import ModelSpec
from edgeseg.data.argument import data_of_model
from edgeseg.export.frames import Frames
from edgeseg.export.onnx_file import nchw
from edgeseg.export.precision.half_layers import Halver
from edgeseg.export.precision.quantise import Quantiser
from edgeseg.export.precision.ranges import Pixels
from edgeseg.export.precision.selection import Reducer, choose
from edgeseg.export.settings import ExportSettings

FEW_FRAMES = 100
HELD_OUT = 8  # frames that tell what quantising changes
HALF_FRAMES = 4  # frames that tell what float16 changes
Say = Callable[[str], None]


def candidates(
    network: onnx.ModelProto, spec: ModelSpec, settings: ExportSettings, proof: Frames, progress: Say
) -> Iterator[onnx.ModelProto]:
    """Yield networks of the settings' precision, fp16 or int8.

    Args:
        network: float32; not changed.
        spec: of the file.
        settings: see ExportSettings.
        proof: frames that fp16's values are measured on; int8 is calibrated on frames of its own.
        progress: told each step.

    Raises:
        ModelError: no network within the budget is near enough to the float one.
        DataError: the frames for the calibration cannot be read.
        UsageError: a layer that is to stay in float does not exist.
    """
    reducer: Reducer
    if settings.precision == "fp16":
        frames = [nchw(network_pixels(frame.pixels, spec)) for frame in proof.some(HALF_FRAMES)]
        reducer = Halver(network, frames, settings.keep_float)
    else:
        reducer, frames = _calibrated(network, spec, settings, progress)
    for result in choose(network, reducer, frames, settings.limits.equal_pixels, settings.float_budget, progress):
        for layer, reason in result.left_in_float.items():
            progress(
                f"left in float: {layer}, {reason or f'which alone changes {result.costs[layer]:.3%} of the pixels'}"
            )
        yield result.network


def _calibrated(
    network: onnx.ModelProto, spec: ModelSpec, settings: ExportSettings, progress: Say
) -> tuple[Quantiser, list[Pixels]]:
    data = data_of_model(settings.calibrate, spec.trained_on, "--calibrate")
    count = settings.calibrate_frames
    frames = Frames(data, settings.calibrate_split, count, spec, "calibrate with", "--calibrate")
    if len(frames) < FEW_FRAMES:
        progress(f"warning: {len(frames)} frames for the calibration; expected at least {FEW_FRAMES} varied ones")
    progress(f"calibrating on {len(frames)} frames")
    held_out: list[Pixels] = []

    def pixels() -> Iterator[Pixels]:
        for index, frame in enumerate(frames):
            value = nchw(network_pixels(frame.pixels, spec))
            if index % max(1, len(frames) // HELD_OUT) == 0 and len(held_out) < HELD_OUT:
                held_out.append(value)
            yield value

    quantiser = Quantiser(
        network, pixels(), settings.calibration, settings.int8_form, settings.int8_rest, settings.keep_float
    )
    for layer, reason in quantiser.beyond_half.items():
        progress(f"float32 beside int8: {layer}, {reason}")
    return quantiser, held_out
