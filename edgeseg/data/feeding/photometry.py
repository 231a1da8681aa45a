"""The part of augmentation that changes colours: one colour matrix, blur and noise, all on whole grey levels.

In the order in which a camera does them: the lens blurs, exposure and white balance colour, the sensor adds noise.
"""

from __future__ import annotations

from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray

from edgeseg.data.base import Image
from edgeseg.data.feeding.augment import Augmentation

GREY = np.array([0.114, 0.587, 0.299])  # BGR weights of ITU-R BT.601
GRAIN_SIGMA = 32  # of the stored noise, in grey levels about 128: it reaches 4 sigma either way
GRAIN_OFFSETS = 2**18


def change_colours(image: Image, settings: Augmentation, random: np.random.Generator) -> Image:
    """Return the (H, W, 3) uint8 BGR picture as another camera in other light would have taken it.

    Nine numbers are taken from `random`, whatever the settings, and what is switched off leaves every pixel alone.
    """
    blur, brightness, contrast, saturation, hue, noise, offset, blue, red = random.random(9)
    if settings.blur:
        sigma = blur * settings.blur
        image = np.asarray(cv2.GaussianBlur(image, (0, 0), sigma, borderType=cv2.BORDER_REPLICATE), np.uint8)
    if any((settings.brightness, settings.contrast, settings.saturation, settings.hue, settings.white_balance)):
        spreads = np.array([settings.brightness, settings.contrast, settings.saturation])
        factors = 1 + (2 * np.array([brightness, contrast, saturation]) - 1) * spreads
        angle = np.radians((2 * hue - 1) * settings.hue)
        gains = (1 + settings.white_balance) ** np.array([2 * blue - 1, 0, 2 * red - 1])
        matrix = gains[:, None] * colour_matrix(np.array(cv2.mean(image)[:3]), factors, angle)
        image = np.asarray(cv2.transform(image, matrix), np.uint8)
    if settings.noise:
        share = noise * settings.noise / GRAIN_SIGMA
        grain = _grain(image.size)[int(offset * GRAIN_OFFSETS) :][: image.size].reshape(image.shape)
        image = np.asarray(cv2.addWeighted(image, 1.0, grain, share, -128 * share), np.uint8)
    return image


def colour_matrix(mean: NDArray[np.float64], factors: NDArray[np.float64], hue: float) -> NDArray[np.float64]:
    """Return the (3, 4) map of BGR colours that does all four at once; pixels are cut to 0 to 255 only after it.

    Args:
        mean: the picture's mean colour, (3,) BGR: contrast is about its grey.
        factors: of brightness, contrast and saturation; 1 changes nothing.
        hue: radians, a rotation about the axis of grey; it keeps greys and the mean of the three channels.
    """
    brightness, contrast, saturation = factors
    axis = np.full(3, 3**-0.5)
    cross = np.cross(np.eye(3), axis)
    turned = np.cos(hue) * np.eye(3) + np.sin(hue) * cross + (1 - np.cos(hue)) * np.outer(axis, axis)  # Rodrigues
    linear = (saturation * np.eye(3) + (1 - saturation) * np.outer(np.ones(3), GREY)) @ turned
    pivot = GREY @ turned @ mean
    offset = np.full((3, 1), brightness * (1 - contrast) * pivot)
    matrix: NDArray[np.float64] = np.hstack([brightness * contrast * linear, offset])
    return matrix


@lru_cache(maxsize=2)
def _grain(values: int) -> NDArray[np.uint8]:
    """Return noise from which each picture takes a run of `values` numbers at an offset of its own.

    Drawing half a million normal numbers for each picture would cost more than all other augmentation together.
    """
    normal = np.random.default_rng(0).standard_normal(values + GRAIN_OFFSETS, np.float32)
    return np.clip(np.rint(128 + GRAIN_SIGMA * normal), 0, 255).astype(np.uint8)
