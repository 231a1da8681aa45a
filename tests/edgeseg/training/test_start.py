"""What of a training is said before TensorFlow is loaded."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

from edgeseg.core.errors import DataError, UsageError
from edgeseg.core.geometry import Size
from edgeseg.training.start import start
from tests.helpers.training import tiny_settings, write_camvid


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"batch": 5}, "batch 5 with 4 training images; use a batch of at most 4"),
        ({"size": Size(64, 70)}, "multiples of 32; 70x64 is not: use 96x64"),
        ({"train_size": Size(64, 48)}, "multiples of 32; 48x64 is not: use 64x64"),
    ],
)
def test_settings_that_fit_neither_data_nor_network(changes: dict[str, Any], expected: str, tmp_path: Path) -> None:
    data = write_camvid(tmp_path / "camvid", train=4, val=1)
    with pytest.raises(UsageError, match=expected):
        start(tiny_settings(data, **changes), tmp_path / "run", resume=False)
    assert not (tmp_path / "run").exists()


def test_a_validation_split_without_pictures_or_without_a_folder(tmp_path: Path) -> None:
    data = write_camvid(tmp_path / "camvid", train=4, val=0)
    with pytest.raises(DataError, match="split 'val' is empty; expected at least one"):
        start(tiny_settings(data), tmp_path / "run", resume=False)
    shutil.rmtree(data / "val")
    with pytest.raises(DataError, match="no split 'val'; this data set has: train"):
        start(tiny_settings(data), tmp_path / "run", resume=False)
