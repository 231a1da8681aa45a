"""Masks that compression changed: refused for ids; for colours matched only within a tolerance that is stated."""

from __future__ import annotations

import io
import itertools
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

from edgeseg.commands.main import cli
from edgeseg.core.errors import DataError, UsageError
from edgeseg.data.argument import open_dataset
from edgeseg.data.reading.colour_masks import ColourMask
from edgeseg.data.reading.masks import mask_mode, read_file_ids
from edgeseg.data.remarks import Remarks
from edgeseg.data.tools.check import check_dataset
from tests.helpers.data import write_mask, write_picture

COLOURS = np.array([(0, 0, 0), (128, 64, 128), (0, 0, 142)], np.uint8)
NAMES = "sky\nroad\ncar\n"
WITH_COLOURS = "sky 0 0 0\nroad 128 64 128\ncar 0 0 142\n"


def ids(width: int = 120, height: int = 80) -> np.ndarray:
    mask = np.zeros((height, width), np.uint8)
    mask[height // 2 :], mask[height // 2 :, 80:90] = 1, 2
    return mask


def folder(root: Path, mask: np.ndarray, suffix: str, classes: str = NAMES) -> str:
    for name in ("a1", "b1"):
        write_picture(root / "images" / f"{name}.png", 80, 120)
        write_mask(root / "masks" / f"{name}{suffix}", mask)
    (root / "classes.txt").write_text(classes)
    return f"folder:{root}?val=0"


def written(kind: str, pixels: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    frames = [Image.fromarray(pixels[::-1])]
    options: dict[str, dict[str, Any]] = {
        "webp": {"format": "WEBP", "quality": 80},
        "lossless webp": {"format": "WEBP", "lossless": True},
        "animated webp": {"format": "WEBP", "save_all": True, "append_images": frames},
        "tiff": {"format": "TIFF", "compression": "jpeg"},
        "lossless tiff": {"format": "TIFF", "compression": "tiff_lzw"},
        "jp2": {"format": "JPEG2000", "irreversible": True},
        "lossless jp2": {"format": "JPEG2000", "irreversible": False},
    }
    Image.fromarray(pixels).save(buffer, **options.get(kind, {"format": kind.upper()}))
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        ("jpeg", "JPEG"),
        ("webp", "lossy WebP"),
        ("animated webp", "lossy WebP"),
        ("tiff", "TIFF with JPEG inside"),
        ("jp2", "JPEG 2000"),
        *((kind, "") for kind in ("png", "lossless webp", "lossless tiff", "lossless jp2", "bmp")),
    ],
)
def test_lossy_files_are_told_by_content_whatever_their_name(tmp_path: Path, kind: str, said: str) -> None:
    path = tmp_path / "mask.png"
    path.write_bytes(written(kind, np.dstack([ids()] * 3)))
    assert mask_mode(path) == (False, said)
    if said:
        with pytest.raises(DataError, match=rf"mask\.png: a lossy file \({said}\) holds no class ids.*expected PNG"):
            read_file_ids(path)
    else:
        assert np.array_equal(read_file_ids(path), ids())


@pytest.mark.parametrize("option", ["", "&suffix=.jpg", "&encoding=ids"])
def test_ids_in_jpeg_are_an_error_of_each_mask(tmp_path: Path, option: str) -> None:
    report = check_dataset(open_dataset(folder(tmp_path, ids(), ".jpg") + option))
    assert len(report.errors) == 2
    assert all("lossy file (JPEG) holds no class ids" in line for line in report.errors)


def test_ids_under_the_name_of_a_png_are_refused_too(tmp_path: Path) -> None:
    argument = folder(tmp_path, ids(), ".png")
    for path in (tmp_path / "masks").iterdir():
        path.write_bytes(written("jpeg", ids()))
    with pytest.raises(DataError, match=r"a1\.png: a lossy file \(JPEG\)"):
        open_dataset(argument).split("train")[0].read()


def test_colours_in_jpeg_need_a_tolerance_and_the_share_that_it_matched_is_told(tmp_path: Path) -> None:
    argument = folder(tmp_path, COLOURS[ids()], ".jpg", WITH_COLOURS)
    with pytest.raises(DataError, match=r"a1\.jpg: a lossy file \(JPEG\).*expected PNG.*or say tolerance=20"):
        open_dataset(argument).split("train")[0].read()
    dataset = open_dataset(f"{argument}&tolerance=20")
    read = dataset.split("train")[0].read_class_map()
    assert (read[2:38] == 0).all()
    assert (read[42:, 2:70] == 1).all()
    found = [line for line in check_dataset(dataset).warnings if "tolerance 20" in line]
    assert len(found) == 1
    share = float(found[0].partition("tolerance 20: ")[2].partition("%")[0])
    again = np.concatenate([sample.read_class_map() for sample in dataset.split("train")])
    assert share == pytest.approx(100 * (again != 255).mean(), abs=0.01)
    assert share < 100


@pytest.mark.parametrize("kind", ["jpeg", "webp"])
def test_damage_inside_a_lossy_mask_is_named(tmp_path: Path, kind: str) -> None:
    """Pillow decodes what follows as other colours: labels that nobody drew, or ignored pixels that nobody sees."""
    argument = folder(tmp_path, COLOURS[ids()], ".webp", WITH_COLOURS)
    pixels = COLOURS[np.random.default_rng(1).integers(0, 3, (80, 120))]
    content = written(kind, pixels)
    middle = len(content) // 2
    (tmp_path / "masks" / "b1.webp").write_bytes(content[:middle] + bytes(64) + content[middle + 64 :])
    report = check_dataset(open_dataset(f"{argument}&tolerance=20"))
    assert len(report.errors) == 1
    assert "b1" in report.errors[0]
    assert "damaged (" in report.errors[0]


def test_the_tolerance_takes_the_nearest_colour_and_ignores_what_is_near_none(tmp_path: Path) -> None:
    dice = np.random.default_rng(5)
    colours = tuple((tuple(int(each) for each in dice.integers(0, 256, 3)), index) for index in range(9))
    pixels = dice.integers(0, 256, (40, 50, 3), np.uint8)
    pixels[0, :9] = [colour for colour, _ in colours]
    path = write_mask(tmp_path / "m.png", pixels)
    for tolerance in (1, 40, 127):
        mask = ColourMask(colours, tolerance=tolerance)  # type: ignore[arg-type]
        remarks = Remarks()
        found = mask(path, remarks.of("m.png"))
        for y, x in itertools.product(range(40), range(50)):
            apart = [np.abs(np.array(colour) - pixels[y, x].astype(int)) for colour, _ in colours]
            near = [(int((each**2).sum()), index) for index, each in enumerate(apart) if each.max() <= tolerance]
            assert found[y, x] == (min(near)[1] if near else 255)
        (line,) = remarks.warnings()
        assert f"{(found != 255).mean():.2%} of 2000 pixels" in line


def test_the_tolerance_is_an_option_of_voc_masks_too_and_merged_data_tells_it(tmp_path: Path) -> None:
    write_picture(tmp_path / "JPEGImages" / "a1.jpg", 80, 120)
    write_mask(tmp_path / "SegmentationClass" / "a1.jpg", COLOURS[ids()])
    (tmp_path / "labelmap.txt").write_text("sky:0,0,0::\nroad:128,64,128::\ncar:0,0,142::\n")
    with pytest.raises(DataError, match=r"lossy file \(JPEG\).*tolerance=20"):
        open_dataset(f"voc-masks:{tmp_path}").split("train")[0].read()
    dataset = open_dataset(f"voc-masks:{tmp_path}?tolerance=20&classes=road;other=*")
    assert (dataset.split("train")[0].read_class_map()[50:, :70] == 0).all()
    assert "tolerance 20" in dataset.remarks.warnings()[0]


@pytest.mark.parametrize("text", ["0", "128", "-1", "1.5", "many"])
def test_a_wrong_tolerance(tmp_path: Path, text: str) -> None:
    argument = folder(tmp_path, COLOURS[ids()], ".jpg", WITH_COLOURS)
    with pytest.raises(UsageError, match=f"tolerance={text}; expected a whole number from 1 to 127"):
        open_dataset(f"{argument}&tolerance={text}")
    with pytest.raises(UsageError, match="ids are exact"):
        open_dataset(f"{argument}&tolerance=9&encoding=ids")


def test_lossy_colours_without_a_list_of_colours_name_the_file_s_fault(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"names without colours.*lossy files \(JPEG\)"):
        open_dataset(folder(tmp_path, COLOURS[ids()], ".jpg"))


def test_a_lossy_ignore_mask_is_refused(tmp_path: Path) -> None:
    argument = folder(tmp_path, ids(), ".png")
    cv2.imwrite(str(tmp_path / "bonnet.jpg"), ids() * 255)
    with pytest.raises(DataError, match=r"bonnet\.jpg: a lossy file.*save it as PNG"):
        open_dataset(f"{argument}&ignore_mask={tmp_path / 'bonnet.jpg'}")


@pytest.mark.parametrize("channels", [3, 4])
@pytest.mark.parametrize("classes", [NAMES, WITH_COLOURS, "sky 0 0 0\nroad 128 64 128\ncar 9 9 9\n"])
def test_equal_channels_are_ids(tmp_path: Path, channels: int, classes: str) -> None:
    mask = np.dstack([ids()] * 3 + [np.full_like(ids(), 255)] * (channels - 3))
    argument = folder(tmp_path, ids(), ".png", classes)
    for path in (tmp_path / "masks").iterdir():
        Image.fromarray(mask).save(path)
    assert np.array_equal(open_dataset(argument).split("train")[0].read()[1], ids())


def test_grey_colours_of_the_class_list_are_colours(tmp_path: Path) -> None:
    greys = np.array([(0, 0, 0), (200, 200, 200), (255, 255, 255)], np.uint8)
    argument = folder(tmp_path, greys[ids()], ".png", "sky 0 0 0\nroad 200 200 200\ncar 255 255 255\n")
    write_mask(tmp_path / "masks" / "a1.png", greys[ids() * 0])  # black is an id and a colour: this one tells nothing
    assert np.array_equal(open_dataset(argument).split("train")[1].read()[1], ids())


def test_channels_that_differ_once_are_no_ids(tmp_path: Path) -> None:
    mask = np.dstack([ids()] * 3)
    mask[3, 4, 1] = 7
    with pytest.raises(DataError, match="3 channel"):
        read_file_ids(write_mask(tmp_path / "m.png", mask))
    rgba = np.dstack([ids()] * 4)
    Image.fromarray(rgba).save(tmp_path / "m.png")
    with pytest.raises(DataError, match="4 channel"):
        read_file_ids(tmp_path / "m.png")


def test_check_warns_of_a_tolerance(tmp_path: Path) -> None:
    argument = folder(tmp_path, COLOURS[ids()], ".jpg", WITH_COLOURS)
    result = CliRunner().invoke(cli, ["data", "check", f"{argument}&tolerance=30"], standalone_mode=False)
    assert result.return_value == 0
    assert "warning: colours matched with tolerance 30: 9" in result.output
