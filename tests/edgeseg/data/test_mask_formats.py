"""Formats of pictures and mask files: ids of every kind of file, colours, official tables."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

from edgeseg.core.errors import DataError, UsageError
from edgeseg.core.labels import ClassMap
from edgeseg.data.argument import open_dataset
from edgeseg.data.reading.colour_masks import ColourMask
from edgeseg.data.reading.masks import IdMask, read_file_ids
from edgeseg.data.reading.pictures import read_image
from edgeseg.scenes import CLASSES as FOUNDING
from tests.helpers.data import real_data, write_mask, write_picture

IDS = np.arange(600, dtype=np.uint8).reshape(20, 30) % 3
COLOURS = np.array([(128, 64, 128), (10, 20, 30), (0, 0, 0)], np.uint8)
CLASS_LIST = "Road 128 64 128\ntraffic sign, 10, 20, 30  # comment\nignore 0 0 0\n"


def raw_png(depth: int, colour_type: int, rows: bytes, width: int, height: int, extra: bytes = b"") -> bytes:
    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, depth, colour_type, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + extra
        + chunk(b"IDAT", zlib.compress(rows))
        + chunk(b"IEND", b"")
    )


@pytest.mark.parametrize("kind", ["grey", "palette", "16-bit", "bmp", "tiff", "4-bit", "2-bit", "1-bit"])
def test_ids_are_read_as_they_are_in_the_file(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "m.png"
    expected: NDArray[np.integer] = IDS
    if kind == "palette":
        image = Image.fromarray(IDS).convert("P")
        image.putdata(IDS.ravel().tolist())
        image.putpalette([200, 0, 0, 0, 200, 0, 0, 0, 200])
        image.save(path)
    elif kind == "16-bit":
        expected = IDS.astype(np.uint16) * 300
        write_mask(path, expected)
    elif kind.endswith("-bit"):
        depth = int(kind[0])
        small = IDS[:, :24] % np.uint8(2**depth)
        expected = small
        bits = np.unpackbits(small[..., None], axis=2)[..., 8 - depth :].reshape(20, -1)
        rows = b"".join(b"\0" + row.tobytes() for row in np.packbits(bits, axis=1))
        path.write_bytes(raw_png(depth, 0, rows, 24, 20))
    else:
        path = path.with_suffix(".png" if kind == "grey" else f".{kind}")
        write_mask(path, IDS)
    assert np.array_equal(read_file_ids(path), expected)


def test_ids_are_looked_up_and_an_unknown_one_is_placed(tmp_path: Path) -> None:
    ids = IDS.astype(np.uint16)
    ids[4, 7] = 900
    path = write_mask(tmp_path / "m.png", ids)
    mask = IdMask(((0, 5), (1, 255), (2, 0), (900, 1)))(path)
    assert mask.dtype == np.uint8
    assert mask[4, 7] == 1
    assert mask[0, :3].tolist() == [5, 255, 0]
    with pytest.raises(DataError, match=r"m\.png: class id 900 found at x 7, y 4, in 1 pixels"):
        IdMask(((0, 0), (1, 1), (2, 2)))(path)


@pytest.mark.filterwarnings("error")
def test_a_bomb_is_refused_before_it_is_decoded(tmp_path: Path) -> None:
    path = tmp_path / "bomb.png"
    for side in (30_000, 12_000):
        path.write_bytes(raw_png(8, 0, b"", side, side))
        for read in (read_image, read_file_ids):
            with pytest.raises(DataError, match=r"bomb\.png: .*pixels.*expected at most 80000000") as caught:
                read(path)
            assert "\n" not in str(caught.value)


@given(st.binary(max_size=60), st.integers(0, 200))
@settings(max_examples=150, deadline=None)
def test_any_damage_to_a_mask_is_one_line(tmp_path_factory: pytest.TempPathFactory, junk: bytes, at: int) -> None:
    path = tmp_path_factory.getbasetemp() / "damaged.png"
    content = raw_png(8, 0, b"".join(b"\0" + row.tobytes() for row in IDS), 30, 20)
    path.write_bytes(content[:at] + junk + content[at + len(junk) :])
    message = f"{path}: "
    try:
        assert read_file_ids(path).ndim == 2
    except DataError as error:
        message = str(error)
    assert message.startswith(f"{path}: ")
    assert "\n" not in message


def folder(root: Path, masks: np.ndarray, names: str = CLASS_LIST) -> str:
    for stem in ("a1", "b1"):
        write_picture(root / "images" / f"{stem}.jpg")
        write_mask(root / "masks" / f"{stem}.png", masks)
    (root / "classes.txt").write_text(names)
    return f"folder:{root}?val=0"


@pytest.mark.parametrize("masks", [IDS, COLOURS[IDS]], ids=["ids", "colours"])
def test_a_folder_of_ids_or_colours(tmp_path: Path, masks: np.ndarray) -> None:
    dataset = open_dataset(folder(tmp_path, masks))
    assert dataset.classes == ClassMap(("Road", "traffic sign"), ((128, 64, 128), (10, 20, 30)))
    for sample in dataset.split("train"):
        assert np.array_equal(sample.read()[1], np.where(IDS == 2, 255, IDS))


def test_a_colour_that_is_no_class_is_placed(tmp_path: Path) -> None:
    colours = COLOURS[IDS]
    colours[3, 8] = (129, 64, 128)
    sample = open_dataset(folder(tmp_path, colours)).split("train")[0]
    with pytest.raises(DataError, match=r"a1\.png: colour \(129, 64, 128\) at x 8, y 3, in 1 pixels.*\(128, 64, 128\)"):
        sample.read()


def test_transparent_pixels_are_ignored(tmp_path: Path) -> None:
    rgba = np.dstack([COLOURS[IDS * 0], np.full(IDS.shape, 255, np.uint8)])
    rgba[0, 0] = 0
    Image.fromarray(rgba).save(tmp_path / "m.png")
    mask = ColourMask((((128, 64, 128), 0),))(tmp_path / "m.png")
    assert (mask[0, 0], mask[0, 1]) == (255, 0)


def test_a_palette_mask_has_ids_and_colours(tmp_path: Path) -> None:
    image = Image.fromarray(IDS).convert("P")
    image.putdata(IDS.ravel().tolist())
    image.putpalette(COLOURS.ravel().tolist())
    folder(tmp_path, IDS)
    for stem in ("a1", "b1"):
        image.save(tmp_path / "masks" / f"{stem}.png")
    for encoding in ("ids", "colours"):
        sample = open_dataset(f"folder:{tmp_path}?encoding={encoding}").split("train")[0]
        assert np.array_equal(sample.read()[1], np.where(IDS == 2, 255, IDS))


def test_a_mask_of_a_picture_on_its_side_agrees_with_it(tmp_path: Path) -> None:
    folder(tmp_path, IDS, "a\nb\nc")
    ids = np.zeros((40, 60), np.uint8)
    ids[:10, :25] = 1
    for orientation in range(1, 9):
        exif = Image.Exif()
        exif[0x0112] = orientation
        Image.fromarray(np.dstack([ids * 255] * 3)).save(tmp_path / "images" / "a1.jpg", exif=exif, quality=95)
        upright = read_image(tmp_path / "images" / "a1.jpg")[..., 0] > 127
        for mask in [upright.astype(np.uint8), *([ids] if orientation >= 5 else [])]:
            write_mask(tmp_path / "masks" / "a1.png", mask)
            assert np.array_equal(open_dataset(f"folder:{tmp_path}?val=0").split("train")[0].read()[1] == 1, upright)


def test_pairs_that_are_not_complete_are_listed(tmp_path: Path) -> None:
    argument = folder(tmp_path, IDS)
    (tmp_path / "masks" / "a1.png").unlink()
    (tmp_path / "images" / "b1.jpg").unlink()
    with pytest.raises(DataError, match="no mask"):
        open_dataset(argument).split("train")
    samples = open_dataset(argument).split("train", complete=False)
    assert [str(sample.problem).partition(";")[0].rpartition(" ")[2] for sample in samples] == ["mask", "image"]


def test_a_palette_in_another_order_than_the_class_list_is_an_error(tmp_path: Path) -> None:
    """Programs that save colours as a palette PNG give them indices as they come."""
    folder(tmp_path, IDS)
    order = [2, 0, 1]
    image = Image.fromarray(np.choose(IDS, np.argsort(order)).astype(np.uint8)).convert("P")
    image.putdata(np.choose(IDS, np.argsort(order)).ravel().tolist())
    image.putpalette(COLOURS[order].ravel().tolist())
    image.save(tmp_path / "masks" / "a1.png")
    sample = open_dataset(f"folder:{tmp_path}?val=0").split("train")[0]
    with pytest.raises(DataError, match=r"a1\.png: palette index 0 has colour .* gives to id 2; say encoding=colours"):
        sample.read()
    sample = open_dataset(f"folder:{tmp_path}?val=0&encoding=colours").split("train")[0]
    assert np.array_equal(sample.read()[1], np.where(IDS == 2, 255, IDS))
    assert len(open_dataset(f"folder:{tmp_path}?val=0&encoding=ids").split("train")[0].read()) == 2


def test_ignored_pixels_of_a_palette_mask_may_have_a_class_s_colour(tmp_path: Path) -> None:
    ids = np.where(IDS == 2, 255, IDS).astype(np.uint8)
    image = Image.fromarray(ids).convert("P")
    image.putdata(ids.ravel().tolist())
    image.putpalette([128, 64, 128, 0, 0, 0, *([0, 0, 0] * 254)])
    argument = folder(tmp_path, IDS, "Road 128 64 128\nRest 0 0 0\n")
    for stem in ("a1", "b1"):
        image.save(tmp_path / "masks" / f"{stem}.png")
    assert np.array_equal(open_dataset(argument).split("train")[0].read()[1], ids)


def test_hidden_files_of_other_programs_are_no_samples(tmp_path: Path) -> None:
    argument = folder(tmp_path, IDS)
    for part in ("images", "masks"):
        for name in ("._a1.png", ".ipynb_checkpoints/a1-checkpoint.png", "__MACOSX/a1.png"):
            path = tmp_path / part / name
            path.parent.mkdir(exist_ok=True)
            path.write_bytes(b"Mac OS X")
    assert len(open_dataset(argument).split("train")) == 2


def test_two_pictures_of_one_mask_are_an_error(tmp_path: Path) -> None:
    argument = folder(tmp_path, IDS)
    write_picture(tmp_path / "images" / "a1.png")
    with pytest.raises(DataError, match=r"a1\.png: another picture of this name has .*a1\.png too"):
        open_dataset(argument).split("train")


def test_voc_masks_as_cvat_writes_them(tmp_path: Path) -> None:
    for stem in ("a1", "b1"):
        write_picture(tmp_path / "JPEGImages" / f"{stem}.jpg")
        write_mask(tmp_path / "SegmentationClass" / f"{stem}.png", COLOURS[IDS])
    (tmp_path / "labelmap.txt").write_text(
        "# label:color_rgb:parts:actions\nbackground:0,0,0::\nroad:128,64,128::\ntraffic sign:10,20,30::\n"
    )
    (tmp_path / "ImageSets" / "Segmentation").mkdir(parents=True)
    (tmp_path / "ImageSets" / "Segmentation" / "train.txt").write_text("a1\nb1\n")
    dataset = open_dataset(f"voc-masks:{tmp_path}")
    assert dataset.classes.names == ("background", "road", "traffic sign")
    assert np.array_equal(dataset.split("train")[1].read()[1], (IDS + 1) % 3)
    dataset = open_dataset(f"voc-masks:{tmp_path}?ignore=Background")
    assert np.array_equal(dataset.split("train")[1].read()[1], np.where(IDS == 2, 255, IDS))
    with pytest.raises(UsageError, match="did you mean background"):
        open_dataset(f"voc-masks:{tmp_path}?ignore=backgruond")


def test_voc_masks_of_the_challenge(tmp_path: Path) -> None:
    write_picture(tmp_path / "JPEGImages" / "2007_000033.jpg")
    write_mask(tmp_path / "SegmentationClass" / "2007_000033.png", np.where(IDS == 2, 255, IDS).astype(np.uint8))
    dataset = open_dataset(f"voc-masks:{tmp_path}")
    assert dataset.classes.names[15] == "person"
    assert dataset.classes.colours[15] == (192, 128, 128)
    assert set(np.unique(dataset.split("train")[0].read()[1])) == {0, 1, 255}
    dataset = open_dataset(f"voc-masks:{tmp_path}?ignore=background")
    assert (len(dataset.classes), dataset.classes.names[14]) == (20, "person")
    assert set(np.unique(dataset.split("train")[0].read()[1])) == {0, 255}
    with pytest.raises(UsageError, match="did you mean sheep"):
        open_dataset(f"voc-masks:{tmp_path}?ignore=shep")


def test_voc_masks_of_labelme_have_their_own_classes(tmp_path: Path) -> None:
    """labelme2voc writes the names beside the ids: without them the car would be a bicycle."""
    write_picture(tmp_path / "JPEGImages" / "a1.jpg")
    write_mask(tmp_path / "SegmentationClass" / "a1.png", np.where(IDS == 0, 255, IDS).astype(np.uint8))
    (tmp_path / "class_names.txt").write_text("_background_\nroad\ncar\n")
    dataset = open_dataset(f"voc-masks:{tmp_path}?ignore=_background_")
    assert dataset.classes.names == ("road", "car")
    assert np.array_equal(dataset.split("train")[0].read()[1], np.where(IDS == 0, 255, IDS - 1))


def test_kitti_road_ignores_black(tmp_path: Path) -> None:
    colours = np.array([(255, 0, 0), (255, 0, 255), (0, 0, 0)], np.uint8)[IDS]
    for kind in ("um", "umm", "uu"):
        write_picture(tmp_path / "training" / "image_2" / f"{kind}_000000.png")
        write_mask(tmp_path / "training" / "gt_image_2" / f"{kind}_road_000000.png", colours)
    write_mask(tmp_path / "training" / "gt_image_2" / "um_lane_000000.png", colours)
    dataset = open_dataset(f"kitti-road:{tmp_path}")
    assert dataset.classes.names == ("not road", "road")
    assert [len(dataset.split(split)) for split in dataset.splits] == [2, 1]
    assert np.array_equal(dataset.split("val")[0].read()[1], np.where(IDS == 2, 255, IDS))
    assert len(open_dataset(f"kitti-road:{tmp_path / 'training'}?truth=lane").split("train")) == 1


OFFICIAL = np.array([[7, 8, 23, 33, 0, 9, 24]], np.uint8).repeat(20, axis=0)


@pytest.mark.parametrize(
    ("labels", "expected", "count"),
    [
        ("train", [0, 1, 10, 18, 255, 255, 11], 19),
        ("founding", [0, 1, 10, 18, 19, 19, 11], 20),
        ("all", [7, 8, 23, 33, 0, 9, 24], 34),
    ],
)
def test_official_ids(tmp_path: Path, labels: str, expected: list[int], count: int) -> None:
    for stem in ("000000_10", "000001_10"):
        write_picture(tmp_path / "training" / "image_2" / f"{stem}.png", width=7)
        write_mask(tmp_path / "training" / "semantic" / f"{stem}.png", OFFICIAL)
    dataset = open_dataset(f"kitti-semantic:{tmp_path}?labels={labels}")
    assert dataset.splits == ("train", "val")
    assert len(dataset.classes) == count
    assert dataset.split("val")[0].read()[1][0].tolist() == expected


def test_cityscapes_in_its_three_encodings(tmp_path: Path) -> None:
    write_picture(tmp_path / "leftImg8bit/train/aachen/aachen_000000_000019_leftImg8bit.png", width=7)
    stem = tmp_path / "gtFine/train/aachen/aachen_000000_000019_gtFine"
    write_mask(Path(f"{stem}_labelIds.png"), OFFICIAL)
    train_ids = np.array([[0, 1, 10, 18, 255, 255, 11]], np.uint8).repeat(20, axis=0)
    write_mask(Path(f"{stem}_labelTrainIds.png"), train_ids)
    table = open_dataset(f"cityscapes:{tmp_path}?labels=all").classes.colours
    write_mask(Path(f"{stem}_color.png"), np.array(table, np.uint8)[OFFICIAL])
    for encoding in ("labelIds", "labelTrainIds", "color"):
        dataset = open_dataset(f"cityscapes:{tmp_path}?encoding={encoding}")
        assert dataset.splits == ("train",)
        assert np.array_equal(dataset.split("train")[0].read()[1], train_ids)
    for encoding in ("labelTrainIds", "color"):
        with pytest.raises(UsageError, match="labels=all with"):
            open_dataset(f"cityscapes:{tmp_path}?encoding={encoding}&labels=all")
    assert dataset.classes.names[:3] == ("road", "sidewalk", "building")
    assert dataset.classes.colours[0] == FOUNDING.colours[0]


def test_the_real_kitti_frame() -> None:
    dataset = open_dataset(f"kitti-road:{real_data('kitti_road')}")
    image, ids = dataset.split("train")[0].read()
    assert image.shape == (375, 1242, 3)
    assert np.bincount(ids.ravel(), minlength=256)[[0, 1, 255]].tolist() == [398964, 61316, 5470]
