"""Small pictures and files for the tests of the data formats."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from tests.helpers.places import SHARED


def real_data(folder: str) -> Path:
    """Return a folder of real data; skip the test where it is not there."""
    path = SHARED / folder
    if not path.is_dir():
        pytest.skip(f"no real data in {path}")
    return path


def write_picture(path: Path, height: int = 20, width: int = 30) -> Path:
    """Write a picture without any two rows or columns alike."""
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.arange(height * width * 3, dtype=np.uint32).reshape(height, width, 3) * 7 % 251
    assert cv2.imwrite(str(path), pixels.astype(np.uint8))
    return path


def write_mask(path: Path, ids: NDArray[np.integer]) -> Path:
    """Write ids (H, W), or colours (H, W, 3) RGB, as PNG."""
    path.parent.mkdir(parents=True, exist_ok=True)
    assert cv2.imwrite(str(path), ids[..., ::-1] if ids.ndim == 3 else ids)
    return path


def voc(*objects: str, size: str = "", filename: str = "a.png") -> str:
    """Return the text of a VOC XML file."""
    return f"<annotation><filename>{filename}</filename>{size}{''.join(objects)}</annotation>"


def voc_polygon(name: str, *values: object) -> str:
    """Return a VOC object with a polygon of x, y, x, y ..."""
    tags = [f"{'xy'[index % 2]}{index // 2 + 1}" for index in range(len(values))]
    points = "".join(f"<{tag}>{value}</{tag}>\n  " for tag, value in zip(tags, values, strict=True))
    return f"<object><name>{name}</name>  <polygon>\n{points}</polygon></object>"
