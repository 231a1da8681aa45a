"""`tfrecord:`: packs and records of others, read without TensorFlow, and what broken shards say."""

from __future__ import annotations

import io
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

from edgeseg.core.errors import DataError, UsageError
from edgeseg.data.argument import open_dataset
from edgeseg.data.tfrecord.example import Example, example_from
from edgeseg.data.tfrecord.file import read_record, record_offsets, write_record
from edgeseg.data.tools.check import check_dataset
from edgeseg.data.tools.pack import write_pack
from edgeseg.data.tools.pack_settings import PackSettings
from tests.helpers.data import write_mask, write_picture
from tests.helpers.training import write_camvid

IDS = np.arange(20 * 30, dtype=np.uint8).reshape(20, 30) % 3


def png(pixels: NDArray[np.integer] | Image.Image, kind: str = "PNG", **more: object) -> bytes:
    stream = io.BytesIO()
    image = pixels if isinstance(pixels, Image.Image) else Image.fromarray(pixels)
    image.save(stream, kind, **more)
    return stream.getvalue()


PICTURE = png((np.arange(20 * 30 * 3) * 7 % 251).astype(np.uint8).reshape(20, 30, 3))


def write_records(path: Path, *records: Mapping[str, bytes | int]) -> list[int]:
    """Write records and return where they begin."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as file:
        sizes = [write_record(file, example_from(record)) for record in records]
    return [sum(sizes[:index]) for index in range(len(sizes))]


@pytest.fixture
def pack(tmp_path: Path) -> Path:
    dataset = open_dataset(f"camvid:{write_camvid(tmp_path / 'camvid', train=3, val=2)}")
    write_pack(dataset, tmp_path / "pack", PackSettings(encoding="png"), "camvid")
    return tmp_path / "pack"


def errors_of(data: object) -> list[str]:
    return check_dataset(open_dataset(f"tfrecord:{data}")).errors


def test_tensorflow_reads_our_records_and_we_read_its(pack: Path, tmp_path: Path) -> None:
    """The founding posts' reader: parse_single_example with image and mask, decode_png."""
    from edgeseg.tf import tf

    keys = {key: tf.io.FixedLenFeature([], tf.string) for key in ("image", "mask")}
    records = [each.numpy() for each in tf.data.TFRecordDataset(str(pack / "train-00000-of-00001.tfrecord"))]
    samples = open_dataset(f"tfrecord:{pack}").split("train")
    assert len(records) == len(samples) == 3
    written = tmp_path / "theirs" / "train.tfrecord"
    written.parent.mkdir()
    with tf.io.TFRecordWriter(str(written)) as writer:
        for record, sample in zip(records, samples, strict=True):
            parsed = tf.io.parse_single_example(record, keys)
            image, mask = (tf.io.decode_png(parsed[key]).numpy() for key in ("image", "mask"))
            assert np.array_equal(image[..., ::-1], sample.read_image())
            assert np.array_equal(mask[..., 0], sample.read_class_map())
            feature = {
                key: tf.train.Feature(bytes_list=tf.train.BytesList(value=[parsed[key].numpy()])) for key in keys
            }
            feature["scale"] = tf.train.Feature(float_list=tf.train.FloatList(value=[0.5, 2]))
            writer.write(tf.train.Example(features=tf.train.Features(feature=feature)).SerializeToString())
    names = ",".join(f"class {index}" for index in range(11))
    theirs = open_dataset(f"tfrecord:{written}?names={names},ignore")
    for own, other in zip(samples, theirs.split("train"), strict=True):
        assert all(np.array_equal(a, b) for a, b in zip(own.read(), other.read(), strict=True))


def test_reading_needs_no_tensorflow(pack: Path) -> None:
    program = (
        "import sys; from edgeseg.data.argument import open_dataset\n"
        f"open_dataset('tfrecord:{pack}').split('val')[1].read()\nassert 'tensorflow' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", program], check=True)


def test_files_of_others_are_splits_by_name_and_classes_come_from_a_list(tmp_path: Path) -> None:
    record = {"image": PICTURE, "mask": png(IDS)}
    for name in ("train-00000-of-00002", "train-00001-of-00002", "Validation", ".hidden"):
        write_records(tmp_path / f"{name}.tfrecords", record, record)
    with pytest.raises(DataError, match=r"classes\.txt: no such file; .* names=NAME,NAME"):
        open_dataset(f"tfrecord:{tmp_path}")
    (tmp_path / "classes.txt").write_text("Road 128 64 128\nignore 0 0 0\nSky 1 2 3\n")
    dataset = open_dataset(f"tfrecord:{tmp_path}")
    assert dataset.classes.names == ("Road", "Sky")
    assert {split: len(dataset.split(split)) for split in dataset.splits} == {"train": 4, "val": 2}
    ids = dataset.split("val")[1].read_class_map()
    assert np.array_equal(ids, np.array([0, 255, 1], np.uint8)[IDS])
    only = open_dataset(f"tfrecord:{tmp_path}/train-*?names=a,ignore,b&classes=b")
    assert len(only.split("train")) == 4
    assert np.array_equal(only.split("train")[0].read_class_map(), np.array([255, 255, 0], np.uint8)[IDS])


def test_one_file_is_one_drive_unless_it_is_said_otherwise(tmp_path: Path) -> None:
    write_records(tmp_path / "roads.tfrecord", *[{"image": PICTURE, "mask": png(IDS)}] * 10)
    whole = open_dataset(f"tfrecord:{tmp_path}/roads.tfrecord?names=a,b,c")
    with pytest.raises(DataError, match=r"drive \('roads/'\).*group=\.\*"):
        whole.split("val")
    assert len(open_dataset(f"tfrecord:{tmp_path}/roads.tfrecord?names=a,b,c&group=.*").split("val")) == 2


def test_colour_palette_and_16_bit_masks_and_exif_in_records_of_others(tmp_path: Path) -> None:
    (tmp_path / "classes.txt").write_text("a 10 20 30\nb 40 50 60\nc 70 80 90\n")
    colours = np.array([(10, 20, 30), (40, 50, 60), (70, 80, 90)], np.uint8)[IDS]
    palette = Image.fromarray(IDS, "P")
    palette.putpalette(bytes(range(100, 109)))
    exif = Image.Exif()
    exif[274] = 6
    lying = png(np.zeros((30, 20, 3), np.uint8), "JPEG", exif=exif)
    for mask, image, options in (
        (png(IDS.astype(np.uint16)), PICTURE, ""),
        (png(palette), PICTURE, ""),
        (png(colours), PICTURE, ""),
        (png(IDS), lying, "encoding=ids"),  # labelled upright
        (png(np.ascontiguousarray(np.rot90(IDS))), lying, "encoding=ids"),  # labelled as stored
    ):
        write_records(tmp_path / "train.tfrecord", {"picture/encoded": image, "label": mask})
        data = f"tfrecord:{tmp_path}?image=picture/encoded&mask=label&{options}"
        read, ids = open_dataset(data).split("train")[0].read()
        assert np.array_equal(ids, IDS)
        assert read.shape == (20, 30, 3)


@pytest.mark.parametrize(
    ("record", "expected"),
    [
        ({"image": PICTURE}, "no key 'mask'; the record has: image"),
        ({"image": PICTURE, "mask": 3}, "key 'mask' holds 0 values of its kind; expected one text of bytes"),
        ({"image": PICTURE[:90], "mask": png(IDS)}, "image: damaged (cut short in chunk IDAT: 90 bytes of"),
        ({"image": PICTURE, "mask": b""}, "mask: damaged (empty)"),
        ({"image": PICTURE, "mask": png(IDS + 5)}, "mask: class id 5 found at x 0, y 0"),
        ({"image": PICTURE, "mask": png(IDS[:5])}, "the image is 30x20, its mask 30x5"),
        ({}, "no tf.train.Example"),
    ],
)
def test_a_record_that_is_wrong_is_named_by_shard_and_byte(
    tmp_path: Path, record: dict[str, bytes | int], expected: str
) -> None:
    good = {"image": PICTURE, "mask": png(IDS)}
    path = tmp_path / "train.tfrecord"
    offset = write_records(path, good, record, good)[1]
    found = errors_of(f"{path}?names=a,b,c")
    assert len(found) == 1
    assert f"{path}: byte {offset}: " in found[0] or f"{path}@{offset}/000001: " in found[0]
    assert expected in found[0]


def test_what_is_no_tfrecord_is_said(tmp_path: Path) -> None:
    import gzip

    path = tmp_path / "train.tfrecord"
    offsets = write_records(path, {"image": PICTURE, "mask": png(IDS)}, {"image": PICTURE})
    whole = path.read_bytes()
    for content, expected in (
        (gzip.compress(whole), "byte 0: compressed (GZIP)"),
        (b"TF", "byte 0: the file ends within this record"),
        (PICTURE, "byte 0: no record begins here"),
        (whole[:-1], f"byte {offsets[1]}: the file ends within this record"),
    ):
        path.write_bytes(content)
        assert any(f"{path}: {expected}" in line for line in errors_of(f"{path}?names=a,b,c"))
    path.write_bytes(b"")
    with pytest.raises(DataError, match="no record in 1 file"):
        open_dataset(f"tfrecord:{path}?names=a")
    for place, expected in ((tmp_path / "gone", "of this name"), ("", "no path")):
        with pytest.raises(DataError, match=expected):
            open_dataset(f"tfrecord:{place}")


def test_a_check_names_each_fault_of_a_pack_and_reads_all_the_rest(pack: Path) -> None:
    shard = pack / "train-00000-of-00001.tfrecord"
    offsets = list(record_offsets(shard))
    content = bytearray(shard.read_bytes())
    content[offsets[0] + 3] ^= 1  # a length: others are found by the index all the same
    content[offsets[2] + 500] ^= 1
    shard.write_bytes(content)
    (pack / "val-00000-of-00001.tfrecord").unlink()
    found = errors_of(pack)
    assert len(found) == 2 + 2
    assert found[0].startswith(f"{shard}: byte 0: no record begins here")
    assert found[1].startswith(f"{shard}: byte {offsets[2]}: the record's checksum is wrong")
    assert all("val-00000-of-00001.tfrecord: no such file" in line for line in found[2:])
    open_dataset(f"tfrecord:{shard}").split("train")[1].read()
    shard.write_bytes(content[: offsets[2] + 20])
    assert f"{shard}: byte {offsets[2]}: the file ends within this record" in errors_of(shard)[1]


def test_a_shard_of_another_pack_is_noticed(pack: Path) -> None:
    shutil.copy(pack / "train-00000-of-00001.tfrecord", pack / "val-00000-of-00001.tfrecord")
    other = example_from({"image": b"", "mask": b"", "name": b"other", "encoding": b"raw", "height": 1, "width": 1})
    with (pack / "train-00000-of-00001.tfrecord").open("wb") as file:
        write_record(file, other)
    assert "holds 'other'; expected '000', as the index says" in errors_of(pack)[0]


@pytest.mark.parametrize(
    ("file", "old", "new", "expected"),
    [
        ("dataset.json", '"version": 1', '"version": 2', "version 2; expected"),
        ("dataset.json", '"samples": 3,\n     "bytes"', '"samples": 4,\n     "bytes"', "expected 4 offsets and names"),
        ("dataset.json", '"train-00000', '"../train-00000', "expected a file name"),
        ("dataset.json", '"ignore_index": 255', '"ignore_index": 3', "ignore index 3"),
        ("index.json", '"offsets":[0', '"offsets":[-1', "index.json: train-00000"),
        ("index.json", "{", "[", "index.json: not JSON (line 1"),
        ("dataset.json", "{", "", "dataset.json: not JSON (line 2"),
    ],
)
def test_a_spec_that_was_edited_is_named(pack: Path, file: str, old: str, new: str, expected: str) -> None:
    text = (pack / file).read_text()
    assert old in text
    (pack / file).write_text(text.replace(old, new, 1))
    with pytest.raises(DataError, match=r"dataset\.json|index\.json") as caught:
        open_dataset(f"tfrecord:{pack}")
    assert expected in str(caught.value)


def test_a_pack_takes_no_options_of_others(pack: Path) -> None:
    with pytest.raises(UsageError, match="option names with"):
        open_dataset(f"tfrecord:{pack}?names=a")


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[list[NDArray[np.uint8]]]]:
    """A pack and what it holds."""
    root = tmp_path_factory.mktemp("small")
    for index, name in enumerate(("a", "b")):
        write_picture(root / "data" / "images" / f"{name}.png", 4, 5)
        write_mask(root / "data" / "masks" / f"{name}.png", IDS[index : index + 4, :5])
    (root / "data" / "classes.txt").write_text("a\nb\nc\n")
    write_pack(open_dataset(f"folder:{root / 'data'}"), root / "pack", PackSettings(), "", ["train"])
    return root / "pack", [list(each.read()) for each in open_dataset(f"tfrecord:{root / 'pack'}").split("train")]


@given(
    st.lists(st.tuples(st.integers(0, 10**6), st.integers(1, 255)), min_size=1, max_size=4),
    st.integers(0, 9),
    st.booleans(),
)
@settings(max_examples=150, deadline=None)
def test_flipped_bytes_are_an_error_with_its_place_or_touch_nothing(
    small: tuple[Path, list[list[NDArray[np.uint8]]]], flips: list[tuple[int, int]], cut: int, indexed: bool
) -> None:
    """With the index of a pack, and by the framing alone: never a traceback, never another picture."""
    pack, whole = small
    shard = next(pack.glob("*.tfrecord"))
    content = shard.read_bytes()
    broken = bytearray(content)
    for place, bits in flips:
        broken[place % len(broken)] ^= bits
    shard.write_bytes(broken[: len(broken) - cut])
    try:
        said = errors_by_index(pack, whole) if indexed else errors_by_framing(shard, whole)
    finally:
        shard.write_bytes(content)
    assert bool(said) == (bool(cut) or broken != content)
    assert all(line.startswith(f"{shard}: byte ") and "\n" not in line for line in said)


def errors_by_index(pack: Path, whole: list[list[NDArray[np.uint8]]]) -> list[str]:
    said = []
    for sample, known in zip(open_dataset(f"tfrecord:{pack}").split("train"), whole, strict=True):
        try:
            read = sample.read()
        except DataError as error:
            said.append(str(error))
        else:
            assert all(np.array_equal(a, b) for a, b in zip(read, known, strict=True))
    return said


def errors_by_framing(shard: Path, whole: list[list[NDArray[np.uint8]]]) -> list[str]:
    try:
        masks = [Example(read_record(shard, offset), "").bytes_of("mask") for offset in record_offsets(shard)]
    except DataError as error:
        return [str(error)]
    assert masks == [ids.tobytes() for _, ids in whole]
    return []


@given(st.binary(max_size=200))
def test_any_bytes_are_an_example_or_one_line(data: bytes) -> None:
    said = ""
    try:
        Example(data, "x: byte 5").bytes_of("image")
    except DataError as error:
        said = str(error)
    assert said.startswith("x: byte 5: ")
