"""A folder of pictures, some of them damaged: their masks are never good ones."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from edgeseg.core.errors import SourceError
from edgeseg.core.geometry import Size
from edgeseg.runtime.sources.addresses import parse_source
from edgeseg.runtime.sources.jpegs import JpegLog
from edgeseg.runtime.sources.kinds.files import ImageReader, read_image
from edgeseg.runtime.sources.wrappers import KeptReader
from tests.helpers.damage import by_opencv, by_pillow, street

WHOLE = by_opencv(".jpg", street(640, 400))
HOLE = WHOLE[: len(WHOLE) // 2] + WHOLE[len(WHOLE) // 2 + 4096 :]
END = WHOLE[: len(WHOLE) // 2] + WHOLE[-2:]


@pytest.fixture
def drive(tmp_path: Path) -> Path:
    folder = tmp_path / "drive"
    folder.mkdir()
    for index, content in enumerate((WHOLE, HOLE, WHOLE, END, WHOLE + bytes(900))):
        (folder / f"{index}.jpg").write_bytes(content)
    return folder


def test_masks_of_damaged_pictures_are_stale_and_the_run_names_them(
    drive: Path, write_model: Callable[..., Path], tmp_path: Path
) -> None:
    stats = tmp_path / "stats.jsonl"
    done = subprocess.run(
        [sys.executable, "-m", "edgeseg.runtime", str(drive), "--model", str(write_model(Size(400, 640))),
         "--every-frame", "--backend", "onnxruntime-cpu", "--stats", str(stats), "--output", f"{tmp_path}/masks/"],
        capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    records = [json.loads(line) for line in stats.read_text().splitlines()]
    assert [(record["status"], record["reason"]) for record in records] == [
        ("ok", None), ("stale", "corrupt"), ("ok", None), ("stale", "corrupt"), ("ok", None),
    ]  # fmt: skip
    assert sorted(path.name for path in (tmp_path / "masks").glob("*.png")) == [f"{n:08}.png" for n in (0, 2, 4)]
    said = done.stdout + done.stderr
    assert "1.jpg (Corrupt JPEG data: premature end of data segment)" in said
    assert "3.jpg (Corrupt JPEG data" in said
    assert "Corrupt JPEG data" not in said.replace("(Corrupt JPEG data", "")  # and nothing past Python


def test_frames_that_are_kept_for_a_benchmark_keep_their_damage(drive: Path) -> None:
    reader = KeptReader(ImageReader(parse_source(str(drive))), 10)
    for _ in range(2):
        seen = []
        while reader.read(None) is not None:
            seen.append(reader.is_corrupt)
        assert seen == [False, True, False, True, False]
        reader.rewind()


def test_each_kind_of_damage_is_told_or_the_picture_refused(tmp_path: Path) -> None:
    pixels, log = street(320, 240), JpegLog()
    told = {
        "cut.jpg": (by_opencv(".jpg", pixels)[:9000], "cut short: it has no end mark"),
        "cut.webp": (by_pillow("WEBP", pixels)[:-900], "cut short"),
        "cut.png": (by_opencv(".png", pixels)[:-900], "cut short in chunk IDAT"),
        "cut.tif": (by_pillow("TIFF", pixels)[:-900], "cut short: its pixels end at byte"),
        "cut.bmp": (by_opencv(".bmp", pixels)[:-900], "cut short"),
        "zeros.jpg": (bytes(9000), "9000 bytes, all of them zero"),
    }
    for name, (content, expected) in told.items():
        path = tmp_path / name
        path.write_bytes(content)
        try:
            _, damage = read_image(path, log)
        except SourceError as error:
            damage = str(error)
        assert expected in str(damage), name
    (tmp_path / "empty.jpg").write_bytes(b"")
    with pytest.raises(SourceError, match="not a picture that can be read"):
        read_image(tmp_path / "empty.jpg", log)


def test_sound_pictures_follow_damaged_ones(tmp_path: Path) -> None:
    log = JpegLog()
    for content, is_damaged in ((HOLE, True), (WHOLE, False), (END, True), (WHOLE + WHOLE, False)):
        (tmp_path / "a.jpg").write_bytes(content)
        frame, damage = read_image(tmp_path / "a.jpg", log)
        assert (damage is not None) == is_damaged
        assert frame.dtype == np.uint8
