"""Damaged pictures and deep ones, as a user meets them: named by check, train and predict; nothing sound is refused."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from click.testing import CliRunner

from edgeseg.commands.main import cli
from edgeseg.core.errors import DataError
from edgeseg.core.geometry import Size
from edgeseg.data.argument import open_dataset
from edgeseg.data.reading.masks import read_colours, read_file_ids
from edgeseg.data.reading.pictures import Encoded, read_image, read_picture
from edgeseg.data.tools.check import check_dataset
from edgeseg.training.train import train
from tests.helpers.damage import (
    DAMAGES,
    Damage,
    by_opencv,
    by_pillow,
    cut_short,
    one_bit,
    sector_missing,
    street,
    zeros_to_the_end,
)
from tests.helpers.files.tiff import grey_ramp, png_with_chunk, tiff_of_bits
from tests.helpers.training import tiny_settings

SEED = 18
CHANGED = 8  # levels of 256 by which a pixel looks different
PART = 0.01  # of the pixels: a picture that differs by less is not counted as missed
MUTATIONS = 2000  # of all kinds together

WEBP_QUALITY, TIFF_COMPRESSION = cv2.IMWRITE_WEBP_QUALITY, cv2.IMWRITE_TIFF_COMPRESSION
ENCODERS: dict[str, Callable[[Any], bytes]] = {
    "JPEG": lambda pixels: by_opencv(".jpg", pixels),
    "JPEG, progressive": lambda pixels: by_opencv(".jpg", pixels, cv2.IMWRITE_JPEG_PROGRESSIVE, 1),
    "PNG": lambda pixels: by_opencv(".png", pixels),
    "WebP": lambda pixels: by_opencv(".webp", pixels, WEBP_QUALITY, 85),
    "WebP, lossless": lambda pixels: by_opencv(".webp", pixels),
    "TIFF, deflate": lambda pixels: by_opencv(".tif", pixels, TIFF_COMPRESSION, 8),
    "TIFF, LZW": lambda pixels: by_opencv(".tif", pixels, TIFF_COMPRESSION, 5),
}
LENGTHS = (cut_short, sector_missing, zeros_to_the_end)
# The share of changed pictures that must be named (docs/data-check.md); by length alone where data have no checksum.
LEAST = {"JPEG": 0.95, "JPEG, progressive": 0.9, "PNG": 1.0, "WebP": 0.97, "TIFF, deflate": 1.0}


def named(content: bytes, original: Any) -> bool | None:
    """Whether a mutated file is refused; None if it hardly looks different. Whatever else is raised is a failure."""
    try:
        pixels = read_image(Encoded(content, "a picture"))
    except DataError as error:
        if not re.match("a picture: .+$", str(error)):
            raise AssertionError(str(error)) from error
        return True
    if pixels.shape != original.shape:
        return False
    different = np.abs(pixels.astype(int) - original).max(axis=2) > CHANGED
    return False if different.mean() > PART else None


def mutated(content: bytes, count: int, damages: tuple[Damage, ...] = DAMAGES) -> Iterator[tuple[str, bytes]]:
    draw = np.random.default_rng(SEED)
    for index in range(count):
        damage = damages[index % len(damages)]
        yield damage.__name__, damage(content, draw)


@pytest.mark.parametrize("kind", ENCODERS)
def test_mutated_pictures_end_in_one_line_and_nearly_all_that_differ_are_named(kind: str) -> None:
    content = ENCODERS[kind](street())
    original = read_image(Encoded(content, "sound")).astype(int)
    counts: Counter[tuple[str, bool | None]] = Counter()
    for damage, changed in mutated(content, MUTATIONS // len(ENCODERS) + 1):
        counts[damage, named(changed, original)] += 1
    by_length = LENGTHS if kind.startswith("TIFF") else LENGTHS[:2]
    for damage in (each.__name__ for each in by_length):
        missed, seen = counts[damage, False], counts[damage, True]
        assert seen >= 0.75 * (missed + seen), (damage, counts)
    if kind in LEAST:
        of_one_bit = {False: counts.pop((one_bit.__name__, False), 0), True: counts.pop((one_bit.__name__, True), 0)}
        missed, seen = (sum(count for (_, value), count in counts.items() if value is each) for each in (False, True))
        assert seen / (missed + seen) >= LEAST[kind], counts
        assert of_one_bit[True] >= of_one_bit[False]


@pytest.mark.filterwarnings("ignore::UserWarning")  # of Pillow
def test_any_bytes_of_small_files_may_be_wrong() -> None:
    """Headers are most of these; reading as picture, as ids and as colours all end in pixels or in one line."""
    draw = np.random.default_rng(SEED)
    sound = [encode(street(24, 16)) for encode in ENCODERS.values()]
    sound += [tiff_of_bits(grey_ramp(12, 16, 24), bits, {281: 4095}) for bits in (12, 16)]
    sound += [png_with_chunk(by_opencv(".png", grey_ramp(12, 16, 24)), b"sBIT", bytes([12]))]
    readers: tuple[Callable[[Encoded], Any], ...] = (read_image, read_picture, read_file_ids, read_colours)
    for index in range(1500):
        content = bytearray(sound[index % len(sound)])
        for _ in range(draw.integers(1, 4)):
            at = int(draw.integers(len(content) if index % 2 else min(len(content), 80)))
            content[at : at + int(draw.integers(0, 5))] = draw.bytes(int(draw.integers(0, 5)))
        for reader in readers:
            with suppress(DataError):
                reader(Encoded(bytes(content), "small"))


@pytest.mark.parametrize("kind", ["PNG", "WebP", "WebP, lossless", "TIFF, deflate", "TIFF, LZW"])
def test_short_files_end_in_one_line(kind: str) -> None:
    content = ENCODERS[kind](street(24, 16))
    for length in range(min(len(content), 900)):
        with pytest.raises(DataError):
            read_image(Encoded(content[:length], "short"))


def sound_files() -> Iterator[tuple[str, bytes]]:
    for seed, size in enumerate(((16, 16), (33, 17), (320, 240), (640, 400))):
        pixels = street(*size, seed=seed)
        flat, half = np.full_like(pixels, 90), pixels.copy()
        half[half.shape[0] // 2 :] = half[0, 0]
        for what, each in (("street", pixels), ("flat", flat), ("flat below", half)):
            where = f"{what} {size}"
            for quality in (1, 40, 80, 95, 100):
                for method in (0, 3):
                    yield f"WebP {quality} {method} {where}", by_pillow("WEBP", each, quality=quality, method=method)
            yield f"WebP lossless {where}", by_pillow("WEBP", each, lossless=True)
            alpha = np.dstack([each, each[..., :1]])
            yield f"WebP alpha {where}", by_opencv(".webp", alpha, WEBP_QUALITY, 70)
            yield f"PNG alpha {where}", by_opencv(".png", alpha)
            for number in (1, 5, 8, 32773):
                yield f"TIFF {number} {where}", by_opencv(".tif", each, TIFF_COMPRESSION, number)
            for compression in ("tiff_lzw", "tiff_adobe_deflate", "jpeg", "packbits", None):
                yield f"Pillow TIFF {compression} {where}", by_pillow("TIFF", each, compression=compression)
            yield f"PNG {where}", by_pillow("PNG", each, optimize=True, dpi=(72, 72))
            yield f"BMP {where}", by_opencv(".bmp", each)
    pixels = street()
    for suffix in (".png", ".webp", ".tif", ".bmp"):
        yield f"behind {suffix}", by_opencv(suffix, pixels) + b"camera notes"
    exif = b"Exif\0\0MM\0*\0\0\0\x08\0\0\0\0\0\0"
    yield "WebP EXIF", by_pillow("WEBP", pixels, quality=80, exif=exif, xmp=b"<x/>", icc_profile=bytes(300))


def test_no_sound_file_is_called_damaged() -> None:
    checked = 0
    for where, content in sound_files():
        expected = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_COLOR)
        assert np.array_equal(read_image(Encoded(content, where)), np.asarray(expected)), where
        checked += 1
    assert checked > 250


@pytest.fixture
def roads(tmp_path: Path) -> Path:
    """Pictures of four drives, with masks; none is damaged yet."""
    for folder in ("images", "masks"):
        (tmp_path / "roads" / folder).mkdir(parents=True)
    ids = np.zeros((400, 640), np.uint8)
    ids[200:], ids[200:, 300:320] = 1, 2
    (tmp_path / "roads" / "classes.txt").write_text("sky\nroad\ncar\n")
    for drive in range(4):
        put(tmp_path / "roads", f"drive{drive}_1.png", by_opencv(".png", street(640, 400, drive)), ids)
    return tmp_path / "roads"


def put(roads: Path, name: str, content: bytes, ids: Any = None) -> None:
    (roads / "images" / name).write_bytes(content)
    mask: Any = cv2.imread(str(roads / "masks" / "drive0_1.png"), cv2.IMREAD_UNCHANGED) if ids is None else ids
    cv2.imwrite(str(roads / "masks" / f"{Path(name).stem}.png"), mask)


def damaged_files() -> dict[str, tuple[bytes, str]]:
    jpeg, pixels = by_opencv(".jpg", street(640, 400)), street(640, 400)
    webp = by_opencv(".webp", pixels)
    lossy = by_opencv(".webp", pixels, WEBP_QUALITY, 80)
    png = by_opencv(".png", pixels)
    half = len(jpeg) // 2
    return {
        "hole.jpg": (jpeg[:half] + jpeg[half + 4096 :], "premature end of data segment"),
        "end.jpg": (jpeg[:half] + jpeg[-2:], "premature end of data segment"),
        "overwritten.webp": (over(webp, bytes(range(256)) * 2), "damaged (its "),
        "lossy.webp": (over(lossy, bytes(range(256)) * 2), "its pixels end before its data"),
        "cut.webp": (webp[:-700], "cut short"),
        "crc.png": (over(png, b"damage"), "does not match its CRC"),
        "short.tif": (by_pillow("TIFF", pixels)[:-700], "cut short: its pixels end at byte"),
        "zlib.tif": (over(by_opencv(".tif", pixels, TIFF_COMPRESSION, 8), b"damage"), "match their checksum"),
        "float.tif": (by_opencv(".tif", pixels.astype(np.float32) / 255), "float pixels of 32 bits"),
    }


def over(content: bytes, new: bytes) -> bytes:
    at = len(content) // 2
    return content[:at] + new + content[at + len(new) :]


def test_the_check_names_each_damaged_file_and_its_damage(roads: Path) -> None:
    files = damaged_files()
    for name, (content, _) in files.items():
        put(roads, name, content)
    report = check_dataset(open_dataset(f"folder:{roads}"))
    assert len(report.errors) == len(files)
    for name, (_, expected) in files.items():
        said = [line for line in report.errors if f"/{name}: " in line]
        assert len(said) == 1, name
        assert expected in said[0]
        assert "damaged (" in said[0] or name == "float.tif"


def test_a_damaged_mask_is_named_too(roads: Path) -> None:
    mask = roads / "masks" / "drive1_1.png"
    content = mask.read_bytes()
    mask.write_bytes(content[:-16] + bytes([content[-16] ^ 1]) + content[-15:])  # the CRC, which Pillow passes over
    report = check_dataset(open_dataset(f"folder:{roads}"))
    assert [line for line in report.errors if "masks/drive1_1.png: damaged (chunk IDAT" in line] == report.errors


@pytest.mark.parametrize("name", ["hole.jpg", "overwritten.webp"])
@pytest.mark.parametrize("cache_mb", [0, 100])
def test_a_training_ends_with_the_damaged_file(roads: Path, tmp_path: Path, name: str, cache_mb: int) -> None:
    put(roads, name, damaged_files()[name][0])
    settings = tiny_settings(roads, data=f"folder:{roads}?group=.*&val=0.3", steps=3, epochs=1, cache_mb=cache_mb)
    with pytest.raises(DataError, match=rf"{name}: damaged \("):
        train(settings, tmp_path / "run")


def test_predict_names_damaged_pictures_and_does_the_others(
    roads: Path, write_model: Callable[..., Path], tmp_path: Path
) -> None:
    files = damaged_files()
    for name, (content, _) in files.items():
        (roads / "images" / name).write_bytes(content)
    command = ["predict", write_model(Size(400, 640)), roads / "images", "--out", tmp_path / "out"]
    result = CliRunner().invoke(cli, [str(each) for each in command], standalone_mode=False)
    assert (result.exception, result.return_value) == (None, 3)
    assert f"4 of {4 + len(files)} pictures" in result.output
    for name, (_, expected) in files.items():
        assert any(f"/{name}: " in line and expected in line for line in result.output.splitlines()), name
    assert len(list((tmp_path / "out" / "masks").iterdir())) == 4


def test_evaluate_ends_with_the_damaged_file(roads: Path, write_model: Callable[..., Path]) -> None:
    for drive in range(5):
        put(roads, f"drive{drive}_2.jpg", damaged_files()["hole.jpg"][0])
    (roads / "classes.txt").write_text("blue\ngreen\nred\n")
    command = ["evaluate", write_model(Size(400, 640)), "--data", f"folder:{roads}?group=.*&val=0.8", "--split", "val"]
    result = CliRunner().invoke(cli, [str(each) for each in command], standalone_mode=False)
    assert isinstance(result.exception, DataError)
    assert re.search(r"_2\.jpg: damaged \(Corrupt JPEG data", str(result.exception))
