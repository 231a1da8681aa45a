"""A training warns at its start of what the check warns of, as far as it has read; --strict makes it an error."""

from __future__ import annotations

import io
import json
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

from edgeseg.core.errors import DataError
from edgeseg.data.argument import open_dataset
from edgeseg.data.feeding.checks import start_warnings
from edgeseg.data.feeding.label_counts import SplitCount
from edgeseg.data.reading.masks import count_ids
from edgeseg.data.tools.check import check_dataset
from edgeseg.training.train import train
from tests.helpers.data import write_mask, write_picture
from tests.helpers.training import TWO_CLASSES, ArraySample, tiny_settings


def quiet() -> Console:
    return Console(file=io.StringIO(), width=400)


def binary(root: Path) -> str:
    """Masks of 0 and 255, of two drives of four pictures."""
    mask = np.repeat(np.array([0, 255], np.uint8), 300).reshape(20, 30)
    for drive in "ab":
        for number in range(4):
            write_picture(root / "images" / f"{drive}_{number}.png", 20, 30 + number + 4 * (drive == "b"))
            write_mask(
                root / "masks" / f"{drive}_{number}.png", np.resize(mask, (20, 30 + number + 4 * (drive == "b")))
            )
    (root / "classes.txt").write_text("other\nroad\n")
    return f"folder:{root}?val=0.5"


def test_masks_of_0_and_255_are_trained_on_with_the_words_of_the_check(tmp_path: Path) -> None:
    data, console = binary(tmp_path / "data"), quiet()
    warnings = check_dataset(open_dataset(data)).warnings
    assert any(
        "255 is never a class: if it stands for a class in the masks, say values=255:road" in w for w in warnings
    )
    train(tiny_settings(tmp_path, data=data, epochs=1, batch=2), tmp_path / "run", console=console)
    shown = console.file.getvalue()  # type: ignore[attr-defined]
    assert [line for line in warnings if f"warning: {line}" not in shown] == []
    assert shown.index("warning: class road never occurs") < shown.index("epoch 1")


def test_strict_refuses_what_the_check_warns_of_and_writes_nothing(tmp_path: Path) -> None:
    data = binary(tmp_path / "data")
    settings = tiny_settings(tmp_path, data=data, epochs=1, batch=2)
    with pytest.raises(DataError, match=r"class road never occurs.*, and 1 more warning\(s\); .* without --strict"):
        train(settings, tmp_path / "run", console=quiet(), strict=True)
    assert not (tmp_path / "run").exists()


def test_lines_that_are_left_out_are_told_at_the_start(tmp_path: Path) -> None:
    """The class would vanish without a word: it stands in no table of a training."""
    area = {"label": "Road", "shape_type": "polygon", "points": [[0, 10], [30, 10], [30, 20]]}
    rest = {"label": "Sky", "shape_type": "polygon", "points": [[0, 0], [30, 0], [30, 10]]}
    lane = {"label": "lane", "shape_type": "linestrip", "points": [[1, 1], [2, 9]]}
    for name in ("a1", "a2", "b1", "b2"):
        write_picture(tmp_path / "data" / f"{name}.png")
        document = {"shapes": [area, rest, lane], "imagePath": f"{name}.png"}
        (tmp_path / "data" / f"{name}.json").write_text(json.dumps(document))
    settings = tiny_settings(tmp_path, data=f"labelme:{tmp_path / 'data'}?val=0.5", epochs=1, batch=2)
    with pytest.raises(DataError, match=r"linestrip: 4 \(lane 4\) in 4 pictures.*line_width=3"):
        train(settings, tmp_path / "run", console=quiet(), strict=True)


def test_what_was_looked_at_is_said_where_it_is_not_all() -> None:
    samples = [ArraySample(np.zeros((4, 4, 3), np.uint8), np.zeros((4, 4), np.uint8), name=f"d1_{n}") for n in range(9)]
    count = SplitCount(samples=9)
    for sample in samples[:3]:
        count.add(count_ids(sample.class_map), 2)
    data = type("Data", (), {"classes": TWO_CLASSES, "remarks": open_dataset("scenes:").remarks, "OPTIONS": {}})
    warnings = start_warnings(data, {"train": (samples, count), "val": (samples, count)}, False)  # type: ignore[arg-type]
    looked_at = "in the pictures looked at, 3 of 9 of train and 3 of 9 of val"
    assert warnings[0] == f"class light never occurs {looked_at}; label it or leave it out"
    assert warnings[1].startswith("sequence d1 is in train (9 pictures) and val (9 pictures)")


def test_a_lone_class_is_warned_of(tmp_path: Path) -> None:
    """A road and nothing else, which scores 1.000 whatever is learnt."""
    area = {"label": "Road", "shape_type": "polygon", "points": [[0, 10], [30, 10], [30, 20]]}
    for name in ("a1", "b1"):
        write_picture(tmp_path / f"{name}.png", 20, 30 + (name == "b1"))
        (tmp_path / f"{name}.json").write_text(json.dumps({"shapes": [area], "imagePath": f"{name}.png"}))
    warnings = check_dataset(open_dataset(f"labelme:{tmp_path}")).warnings
    assert warnings == [
        "Road is the only class, and all else is ignored: every score will be perfect; say unlabelled=background for "
        "what is under no shape"
    ]
    assert check_dataset(open_dataset(f"labelme:{tmp_path}?unlabelled=background")).warnings == []


@pytest.mark.parametrize("pixels", [1 << 10, (1 << 24) + 12])
def test_ids_are_counted_exactly(pixels: int) -> None:
    """OpenCV counts in float32, which knows no odd number beyond 2^24."""
    class_map = np.full((4, pixels // 4 + 3), 3, np.uint8)
    class_map[0, :2] = 255
    assert count_ids(class_map[:, :-1])[[3, 255]].tolist() == [class_map.size - 4 - 2, 2]
