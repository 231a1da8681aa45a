"""The fast pixels of every frame are those of the reference."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest

from edgeseg.core.geometry import Crop, Size
from edgeseg.core.pixels import network_pixels
from edgeseg.core.tensors import Tensors
from edgeseg.runtime.engines.host_pixels import HostPixels
from tests.helpers.colour_model import COLOUR_SPEC


@pytest.mark.parametrize("layout", ["nchw", "nhwc"])
@pytest.mark.parametrize("order", ["bgr", "rgb"])
@pytest.mark.parametrize(
    ("frame_size", "changes"),
    [
        (Size(32, 64), {}),
        (Size(72, 128), {}),
        (Size(37, 101), {"fit": "pad"}),
        (Size(90, 64), {"fit": "crop"}),
        (Size(72, 128), {"crop": Crop(0.1, 0.25, 0.5, 0.6), "fit": "pad"}),
    ],
)
def test_they_are_those_of_the_reference(frame_size: Size, changes: dict[str, Any], order: str, layout: str) -> None:
    spec = dataclasses.replace(
        COLOUR_SPEC, colour_order=order, mean=(1.5, 100.25, 120.0), scale=(0.017, 0.02, 0.018), **changes
    )
    prepare = HostPixels(spec, frame_size, layout, np.dtype(np.float32))
    for seed in range(2):  # the second call finds the first one's values in its array
        frame = np.random.default_rng(seed).integers(0, 256, (*frame_size, 3), np.uint8)
        pixels = prepare(frame)
        assert pixels.flags.c_contiguous
        given = pixels[0] if layout == "nhwc" else pixels[0].transpose(1, 2, 0)
        expected = network_pixels(frame, spec)
        if frame_size == spec.input_size:
            np.testing.assert_array_equal(given, expected)
        np.testing.assert_allclose(given, expected, atol=2e-5)


def test_half_floats_are_rounded_once() -> None:
    frame = np.random.default_rng(0).integers(0, 256, (32, 64, 3), np.uint8)
    pixels = HostPixels(COLOUR_SPEC, Size(32, 64), "nhwc", np.dtype(np.float16))(frame)
    np.testing.assert_array_equal(pixels[0], network_pixels(frame, COLOUR_SPEC).astype(np.float16))


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.uint8])
@pytest.mark.parametrize("order", ["rgb", "grey"])
@pytest.mark.parametrize("frame_size", [Size(32, 64), Size(37, 101)])
def test_grey_bytes_and_a_padding_are_those_of_the_reference(frame_size: Size, order: str, dtype: type) -> None:
    channels = 1 if order == "grey" else 3
    mean, scale = (0.0, 1.0) if dtype == np.uint8 else (90.5, 0.02)
    spec = dataclasses.replace(
        COLOUR_SPEC,
        colour_order=order,
        mean=(mean,) * channels,
        scale=(scale,) * channels,
        fit="pad",
        tensors=Tensors(padding=114),
    )
    frame = np.random.default_rng(0).integers(0, 256, (*frame_size, 3), np.uint8)
    pixels = HostPixels(spec, frame_size, "nhwc", np.dtype(dtype))(frame)
    assert pixels.dtype == dtype
    expected = network_pixels(frame, spec)
    assert expected.shape == (32, 64, channels)
    if dtype == np.uint8:
        expected = np.rint(expected)
    # OpenCV's grey and ours may round a half apart
    np.testing.assert_allclose(
        pixels[0], expected, atol=1.001 * scale if order == "grey" or dtype == np.uint8 else 2e-5
    )
    if frame_size != spec.input_size:
        np.testing.assert_allclose(pixels[0, 0], (114 - mean) * scale, rtol=1e-5)
