"""Pictures of more than 8 bits: as bright as they are, by the file's statement, the folder's values or the user."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from click.testing import CliRunner

from edgeseg.commands.main import cli
from edgeseg.core.errors import DataError, SourceError, UsageError
from edgeseg.core.geometry import Size
from edgeseg.core.pictures.depth import take_notes
from edgeseg.data.argument import open_dataset
from edgeseg.data.reading.pictures import Encoded, read_image, read_picture
from edgeseg.data.tools.check import check_dataset
from edgeseg.runtime.sources.addresses import parse_source
from edgeseg.runtime.sources.kinds.files import ImageReader
from tests.helpers.damage import by_opencv, street
from tests.helpers.files.tiff import grey_ramp, png_with_chunk, tiff_of_bits

EIGHT = 8


def read(content: bytes, bits: int | None = None) -> Any:
    return read_image(Encoded(content, "a picture"), bits)


def grey(pixels: Any) -> Any:
    assert (pixels[..., 0] == pixels[..., 1]).all()
    return pixels[..., 0]


@pytest.fixture(autouse=True)
def _nothing_told() -> None:
    take_notes()


@pytest.mark.parametrize("bits", [10, 12, 14, 16])
def test_a_tiff_is_scaled_by_its_bits_a_sample(bits: int) -> None:
    values = grey_ramp(bits)
    expected = values >> (bits - EIGHT)
    assert (grey(read(tiff_of_bits(values, bits))) == expected).all()
    colours = np.dstack([values, values[::-1], values[:, ::-1]])
    assert (read(tiff_of_bits(colours, bits))[..., ::-1] == colours >> (bits - EIGHT)).all()


@pytest.mark.parametrize("tag", [281, 341])
def test_a_tiff_is_scaled_by_its_highest_value_if_that_is_a_whole_range(tag: int, tmp_path: Path) -> None:
    values = grey_ramp(12) // 5
    assert (grey(read(tiff_of_bits(values, 16, {tag: 4095}))) == values >> 4).all()
    path = tmp_path / "a.tif"
    path.write_bytes(tiff_of_bits(values, 16, {tag: int(values.max())}))  # what occurs: the rule over the folder
    assert (grey(read_image(path)) == values >> 2).all()


def test_a_png_is_scaled_by_its_significant_bits_wherever_they_stand() -> None:
    values = grey_ramp(12)
    for stored in (
        values,
        values << 4,
        values << 4 | values >> 8,
    ):  # as cameras do it, and twice as the standard has it
        content = png_with_chunk(by_opencv(".png", stored), b"sBIT", bytes([12]))
        assert (grey(read(content)) == values >> 4).all()


def test_sixteen_bits_are_as_before(tmp_path: Path) -> None:
    for suffix in (".png", ".tif"):
        path = tmp_path / f"a{suffix}"
        path.write_bytes(by_opencv(suffix, grey_ramp(16)))
        before = cv2.imdecode(np.frombuffer(path.read_bytes(), np.uint8), cv2.IMREAD_COLOR)
        assert np.array_equal(read_image(path), np.asarray(before))
    assert take_notes() == []


def test_a_folder_is_scaled_by_the_highest_value_in_it_and_a_dark_frame_with_it(tmp_path: Path) -> None:
    values = grey_ramp(12)
    for index in range(40):
        content = by_opencv(".png", values // 40 if index % 2 else values // (1 + index % 3))
        (tmp_path / f"{index:03}.png").write_bytes(content)
    (tmp_path / "other.tif").write_bytes(by_opencv(".tif", grey_ramp(10)))  # another camera's
    assert (grey(read_image(tmp_path / "001.png")) == (values // 40) >> 4).all()
    assert (grey(read_image(tmp_path / "other.tif")) == grey_ramp(10) >> 2).all()
    told = take_notes()
    assert [f"{tmp_path}/*.png" in told[0], "taken for 12" in told[0], "taken for 10" in told[1]] == [True] * 3
    assert take_notes() == []


def test_what_needs_more_bits_than_were_said_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(by_opencv(".png", grey_ramp(12)))
    with pytest.raises(DataError, match=r"a\.png: a value of 4095; expected at most 1023, of 10 bits: say \?bits=12"):
        read_image(path, 10)
    assert (grey(read_image(path, 14)) == grey_ramp(12) >> 6).all()


@pytest.mark.parametrize(
    ("pixels", "expected"),
    [
        (np.zeros((20, 30, 3), np.float32), "float pixels of 32 bits"),
        (np.zeros((20, 30), np.float32), "float pixels of 32 bits"),
        (np.zeros((20, 30), np.float64), "float pixels of 64 bits"),
        (np.zeros((20, 30), np.int16), "signed pixels of 16 bits"),
        (np.zeros((20, 30), np.uint32), "unsigned pixels of 32 bits"),
    ],
)
def test_numbers_without_a_white_are_refused_with_the_reason(pixels: Any, expected: str, tmp_path: Path) -> None:
    content = by_opencv(".tif", pixels)
    with pytest.raises(DataError, match=rf"a picture: {expected}.*expected unsigned integers of 8 to 16 bits: convert"):
        read(content)
    (tmp_path / "a.tif").write_bytes(content)
    with pytest.raises(SourceError, match=rf"a\.tif: {expected}"):
        ImageReader(parse_source(str(tmp_path))).read(None)


def test_the_size_of_a_tiff_that_pillow_does_not_know_is_told() -> None:
    content = tiff_of_bits(grey_ramp(10), 10)
    assert read_picture(Encoded(content, "a")).upright == Size(40, 64)


def roads(root: Path) -> Path:
    """Write the pictures of a 12-bit and of a 10-bit camera, as they come from it; numbers 0 to 3 and 4 to 7."""
    for folder in ("images", "masks"):
        (root / folder).mkdir(parents=True)
    (root / "classes.txt").write_text("sky\nroad\n")
    for index in range(8):
        pixels = street(64, 40, index).astype(np.uint16)
        suffix, factor = (".png", 16) if index < 4 else (".tif", 4)
        (root / "images" / f"{index}{suffix}").write_bytes(by_opencv(suffix, pixels * factor))
        cv2.imwrite(str(root / "masks" / f"{index}.png"), np.eye(40, 64, dtype=np.uint8))
    return root


def test_ten_and_twelve_bits_in_sixteen_are_as_bright_as_they_are_and_the_check_says_so(tmp_path: Path) -> None:
    root = roads(tmp_path / "roads")
    dataset = open_dataset(f"folder:{root}?group=.*")
    report = check_dataset(dataset)
    assert report.errors == []
    told = "\n".join(report.warnings)
    assert "*.png: 16-bit pictures that do not say how many bits count are taken for 12" in told
    assert "*.tif: 16-bit pictures that do not say how many bits count are taken for 10" in told
    samples = [sample for split in dataset.splits for sample in dataset.split(split)]
    assert len(samples) == 8
    for sample in samples:
        assert np.array_equal(sample.read_image(), street(64, 40, int(Path(sample.name).stem)))


def test_the_user_can_say_how_many_bits_count(tmp_path: Path) -> None:
    root = roads(tmp_path / "roads")
    for argument in (f"folder:{root}?bits=16", f"folder:{root}?bits=16&classes=all=*"):
        dataset = open_dataset(argument)
        assert all(sample.read_image().max() <= 15 for split in dataset.splits for sample in dataset.split(split))
    assert take_notes() == []
    for wrong in ("7", "17", "twelve", ""):
        with pytest.raises(UsageError, match="expected 8 to 16"):
            open_dataset(f"folder:{root}?bits={wrong}")


def test_predict_and_the_camera_see_the_same_brightness(
    tmp_path: Path, write_model: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    images = roads(tmp_path / "roads") / "images"
    reader = ImageReader(parse_source(str(images)))
    for index in range(8):
        assert np.array_equal(np.asarray(reader.read(None)), street(64, 40, index))
    assert sum("are taken for" in line for line in reader.remarks()) == 2
    from edgeseg.core.pictures import depth

    monkeypatch.setattr(depth, "_usual", {})
    monkeypatch.setattr(depth, "_told", set())
    command = ["predict", write_model(Size(40, 64)), images, "--out", tmp_path / "out"]
    result = CliRunner().invoke(cli, [str(each) for each in command], standalone_mode=False)
    assert (result.exception, result.return_value) == (None, 0)
    assert result.output.count("warning: ") == 2
