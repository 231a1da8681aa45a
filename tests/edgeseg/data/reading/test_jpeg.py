"""JPEG pictures: the pixels are OpenCV's whoever decodes them, and what is wrong inside is named."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from PIL import Image

from edgeseg.core.errors import DataError
from edgeseg.data.reading import jpeg
from edgeseg.data.reading.pictures import Encoded, read_image
from tests.helpers.damage import by_opencv, by_pillow, street

SAMPLINGS = {name: getattr(cv2, f"IMWRITE_JPEG_SAMPLING_FACTOR_{name}") for name in ("444", "422", "420", "440", "411")}
SIZES = ((1, 1), (2, 3), (17, 33), (64, 48), (123, 77), (320, 241))
QUALITY, SAMPLING = cv2.IMWRITE_JPEG_QUALITY, cv2.IMWRITE_JPEG_SAMPLING_FACTOR


def read(content: bytes) -> Any:
    return read_image(Encoded(content, "a.jpg"))


def opencv(content: bytes) -> Any:
    return cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_COLOR)


def as_many_encoders_write() -> Iterator[tuple[str, bytes]]:
    for size in SIZES:
        pixels = street(*size)
        for name, factor in SAMPLINGS.items():
            for kind, flags in (
                ("base", ()),
                ("progressive", (cv2.IMWRITE_JPEG_PROGRESSIVE, 1)),
                ("restarts, optimised", (cv2.IMWRITE_JPEG_RST_INTERVAL, 3, cv2.IMWRITE_JPEG_OPTIMIZE, 1)),
            ):
                for quality in (25, 75, 100):
                    where = f"{name} {kind} {quality} {size}"
                    yield where, by_opencv(".jpg", pixels, SAMPLING, factor, QUALITY, quality, *flags)
        yield f"grey {size}", by_opencv(".jpg", pixels[..., 0])
    pixels = street(123, 77)
    exif = Image.Exif()
    exif[271], exif[274] = "a camera", 1
    written: dict[str, dict[str, Any]] = {
        "progressive": {"progressive": True, "optimize": True},
        "restart rows": {"restart_marker_rows": 2},
        "RGB": {"keep_rgb": True},
        "EXIF": {"exif": exif},
        "comment, density": {"comment": b"\xff\xd8 a comment \xff\xd9", "dpi": (300, 300)},
        "profile": {"icc_profile": bytes(range(256)) * 300},
        "thumbnail": {"exif": b"Exif\0\0" + by_pillow("JPEG", street(16, 12))},
    }
    for name, options in written.items():
        yield f"Pillow, {name}", by_pillow("JPEG", pixels, quality=90, **options)
    stream = io.BytesIO()
    Image.fromarray(pixels).convert("CMYK").save(stream, "JPEG")
    yield "CMYK", stream.getvalue()
    whole = by_opencv(".jpg", pixels)
    yield "zeros behind", whole + bytes(5000)
    yield "a second picture behind", whole + by_opencv(".jpg", street(16, 12))
    yield "text behind", whole + b"SEFT camera notes"
    yield "fill bytes", whole[:-2] + b"\xff\xff\xff" + whole[-2:]
    yield "another JFIF version", whole[:11] + b"\x02" + whole[12:]


def test_pixels_are_opencvs_to_the_bit_and_no_sound_file_is_called_damaged() -> None:
    checked = 0
    for where, content in as_many_encoders_write():
        assert np.array_equal(read(content), opencv(content)), where
        checked += 1
    assert checked > 280


@pytest.mark.parametrize("orientation", range(10))
def test_pictures_are_turned_by_exif_as_opencv_does(orientation: int) -> None:
    exif = Image.Exif()
    exif[274] = orientation
    content = by_pillow("JPEG", street(47, 30), exif=exif)
    assert np.array_equal(read(content), opencv(content))


def _hole(content: bytes) -> bytes:
    return content[: len(content) // 2] + content[len(content) // 2 + 4096 :]


INSIDE: dict[str, Callable[[bytes], bytes]] = {
    "a hole": _hole,
    "an early end": lambda content: content[: len(content) // 2] + content[-2:],
    "another file's sector": lambda content: content[:9000] + content[4000:4512] + content[9512:],
}
OUTSIDE: dict[str, tuple[Callable[[bytes], bytes], str]] = {
    "half": (lambda content: content[: len(content) // 2], "cut short: it has no end mark"),
    "the last byte": (lambda content: content[:-1], "cut short: it has no end mark"),
    "headers alone": (lambda content: content[:300], "cut short"),
    "two bytes": (lambda content: content[:2], "cut short: it has no end mark"),
    "zeros to the end": (lambda content: content[:9000] + bytes(len(content) - 9000), "cut short: it has no end mark"),
    "zeros": (lambda content: bytes(len(content)), "all of them zero"),
    "a segment's length": (lambda content: content[:4] + b"\0\1" + content[6:], "a segment of 1 bytes at byte 4"),
    "no marker": (lambda content: content[:20] + b"text" + content[20:], "no marker at byte 20"),
    "a stray marker": (lambda content: content[:9000] + b"\xff\x77" + content[9002:], "marker 0x77 at byte 9000"),
    "a restart": (lambda content: content[:9000] + b"\xff\xd5" + content[9002:], "restart marker 5 out of turn"),
    "no picture": (lambda content: content[:20] + content[-2:], "it has no picture data"),
}


@pytest.mark.parametrize("name", INSIDE)
@pytest.mark.parametrize("flags", [(), (cv2.IMWRITE_JPEG_PROGRESSIVE, 1), (SAMPLING, SAMPLINGS["411"])])
def test_damage_inside_is_named_in_libjpegs_words(name: str, flags: tuple[int, ...]) -> None:
    damaged = INSIDE[name](by_opencv(".jpg", street(640, 400), *flags))
    assert opencv(damaged) is not None  # a picture, of which a part is grey
    with pytest.raises(DataError, match=r"a\.jpg: damaged \((Corrupt JPEG data|Inconsistent progression|marker)"):
        read(damaged)


@pytest.mark.parametrize("name", OUTSIDE)
@pytest.mark.parametrize("has_library", [True, False])
def test_damage_of_the_structure_is_named_with_and_without_the_library(
    name: str, has_library: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not has_library:
        monkeypatch.setattr(jpeg, "_library", lambda: None)
    damage, expected = OUTSIDE[name]
    with pytest.raises(DataError) as caught:
        read(damage(by_opencv(".jpg", street(320, 240))))
    assert expected in str(caught.value)


def test_cmyk_is_judged_too_though_opencv_decodes_it() -> None:
    stream = io.BytesIO()
    Image.fromarray(street(320, 240)).convert("CMYK").save(stream, "JPEG")
    with pytest.raises(DataError, match="Corrupt JPEG data"):
        read(_hole(stream.getvalue()))


def test_an_opencv_that_decodes_otherwise_keeps_its_own_pixels(monkeypatch: pytest.MonkeyPatch) -> None:
    """As of a board whose OpenCV holds another libjpeg: no pixel depends on whether simplejpeg is installed."""
    content = by_opencv(".jpg", street(320, 240))
    own: Any = jpeg._by_opencv
    monkeypatch.setattr(jpeg, "_by_opencv", lambda encoded: np.minimum(own(encoded), 250))
    jpeg._is_equal.cache_clear()
    try:
        assert jpeg.decode(content)[0].max() <= 250  # type: ignore[union-attr]
        assert jpeg.decode(_hole(content))[1] is not None
    finally:
        jpeg._is_equal.cache_clear()


def test_without_the_library_pixels_are_the_same_and_the_check_says_what_it_does_not_see(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    from edgeseg.data.argument import open_dataset
    from edgeseg.data.tools.check import check_dataset

    whole = by_opencv(".jpg", street(320, 240))
    with_library = read(whole)
    assert not jpeg.is_blind()
    monkeypatch.setattr(jpeg, "_library", lambda: None)
    assert np.array_equal(read(whole), with_library)
    for folder, content in (("images", whole), ("masks", by_opencv(".png", np.zeros((240, 320), np.uint8)))):
        (tmp_path / folder).mkdir()
        for name in ("a1", "b1", "c1"):
            (tmp_path / folder / f"{name}{'.jpg' if folder == 'images' else '.png'}").write_bytes(content)
    (tmp_path / "classes.txt").write_text("road\nrest\n")
    report = check_dataset(open_dataset(f"folder:{tmp_path}"))
    assert sum("damage inside JPEG pictures is not seen" in line for line in report.warnings) == 1
