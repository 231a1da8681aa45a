"""CVAT for video, and CVAT's archives as they are downloaded."""

from __future__ import annotations

import struct
import zipfile
from pathlib import Path

import numpy as np
import pytest

from edgeseg.core.errors import DataError
from edgeseg.data.argument import open_dataset
from edgeseg.data.cvat.zip_members import ZipMembers
from edgeseg.data.formats.cvat import Cvat
from tests.helpers.cvat import cvat, entry, image, packed, polygon, shape, track, video_meta, write_cvat

ROAD = polygon("road", "0.00,10.00;30.00,10.00;30.00,20.00;0.00,20.00")
FRAMES = [f"frame_{number:06}.PNG" for number in range(5)]
INTERPOLATED = track(
    "car", *(entry(number, 2 * number, number in (0, 4)) for number in range(4)), entry(4, 8, 1, outside=1)
)


def video(root: Path, *tracks: str, meta: str = video_meta(5), frames: int = 5) -> Path:
    return write_cvat(root, cvat(*tracks, meta=meta), *FRAMES[:frames])


def test_tracks_are_drawn_frame_by_frame(tmp_path: Path) -> None:
    dataset = open_dataset(f"cvat:{video(tmp_path, INTERPOLATED)}?unlabelled=road")
    maps = [sample.read()[1] for sample in dataset.split("train")]
    assert [int(np.flatnonzero((ids == 1).any(axis=0))[0]) for ids in maps[:4]] == [0, 2, 4, 6]
    assert all((ids == 1).sum() == 16 for ids in maps[:4])
    assert len(maps) == 5
    assert (maps[4] == 0).all()  # it is outside; its picture is there


@pytest.mark.parametrize(
    "entries",
    [
        [entry(0, 0, 1), entry(3, 6, 1), entry(4, 8, 1, outside=1)],
        [entry(0, 0, 1)],
        [entry(0, 0, 1), entry(1, 0, 1, outside=1), entry(2, 0, 1)],
    ],
)
def test_a_file_of_keyframes_alone_is_refused(tmp_path: Path, entries: list[str]) -> None:
    argument = f"cvat:{video(tmp_path, track('car', *entries))}"
    with pytest.raises(
        DataError, match=r"track 0 \(car\) goes on behind frame [02].*only keyframes.*'CVAT for video 1\.1'"
    ):
        open_dataset(argument)
    assert len(open_dataset(f"{argument}?tracks=listed").split("train")) == 5


def test_what_cvat_itself_leaves_out_is_no_gap(tmp_path: Path) -> None:
    """A deleted frame; the end of a shape in the last frames; frames that were skipped when the task was made."""
    deleted = track("car", *(entry(number, 0, number == 0) for number in (0, 1, 3, 4)))
    last = track("car", entry(3, 0, 1)) + track("car")
    assert len(open_dataset(f"cvat:{video(tmp_path / 'a', deleted)}").split("train")) == 5
    assert len(open_dataset(f"cvat:{video(tmp_path / 'b', last)}").split("train")) == 5
    every_second = track("car", entry(0, 0, 1), entry(2, 0, 1), entry(4, 0, 1))
    path = video(tmp_path / "c", every_second, meta=video_meta(5, step=2))
    assert len(open_dataset(f"cvat:{path}").split("train")) == 5


def test_a_video_that_is_exported_as_images(tmp_path: Path) -> None:
    """Its frames have names without suffix there."""
    text = cvat(*(image(name[:-4], ROAD) for name in FRAMES[:4]), meta=video_meta(5))
    folder = write_cvat(tmp_path / "a", text, *FRAMES)
    for path in (folder, packed(folder, tmp_path / "a.zip")):
        assert len(open_dataset(f"cvat:{path}").split("train")) == 4


def test_shapes_of_tracks_that_cover_nothing_are_counted_in_each_frame(tmp_path: Path) -> None:
    points = [shape("points", frame=number, outside=int(number == 2), keyframe=0, points="1,1") for number in range(3)]
    dataset = Cvat(str(video(tmp_path, INTERPOLATED, track("road", *points))))
    assert [(each["class"], each["what"], each["count"]) for each in dataset.remarks.left_out()] == [
        ("road", "<points>s", 2)
    ]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (cvat(track("car", entry(0, 0)), image("a.png")), "images and tracks"),
        (cvat(track("car", entry(0, 0).replace(' frame="0"', ""))), "track 0: frame ''; expected its number"),
        (cvat(track("car", entry(-3, 0))), "track 0: frame '-3'"),
        (cvat(track("car", entry(0, 0), more='task_id="1"'), track("car", more='task_id="2"')), "tracks of 2 tasks"),
    ],
)
def test_videos_that_cannot_be_told_apart(tmp_path: Path, text: str, expected: str) -> None:
    with pytest.raises(DataError, match=expected):
        open_dataset(f"cvat:{write_cvat(tmp_path, text)}")


def test_a_frame_without_its_picture(tmp_path: Path) -> None:
    path = video(tmp_path, INTERPOLATED, frames=2)
    with pytest.raises(DataError, match=r"frame 2: no image 'frame_000002'.*'CVAT for images 1\.1'"):
        open_dataset(f"cvat:{path}").split("train")
    assert len(open_dataset(f"cvat:{path}").split("train", complete=False)) == 4


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_an_archive_is_read_as_its_folder_is(tmp_path: Path, method: int) -> None:
    folder = write_cvat(tmp_path / "task", cvat(image("a.png", ROAD), image("b/c.png")), "a.png", "b/c.png")
    videos = video(tmp_path / "drive", INTERPOLATED)
    for each in (folder, videos):
        archive = packed(each, each.with_suffix(".zip"), method)
        there, here = (open_dataset(f"cvat:{path}").split("train") for path in (each, archive))
        assert len(there) == len(here) > 0
        for own, other in zip(there, here, strict=True):
            assert all(np.array_equal(*pair) for pair in zip(own.read(), other.read(), strict=True))
            assert np.array_equal(own.read_class_map(), other.read_class_map())


def test_archives_of_several_tasks_are_several_drives(tmp_path: Path) -> None:
    for name in ("monday", "tuesday"):
        packed(video(tmp_path / "unpacked" / name, INTERPOLATED), tmp_path / f"{name}.zip")
    for path in (tmp_path / "unpacked").rglob("*.xml"):
        path.unlink()
    dataset = open_dataset(f"cvat:{tmp_path}")
    assert {split: len(dataset.split(split)) for split in dataset.splits} == {"train": 5, "val": 5}


def test_an_archive_without_pictures(tmp_path: Path) -> None:
    write_cvat(tmp_path / "frames", "", "a.png", folder=".")
    archive = packed(write_cvat(tmp_path / "task", cvat(image("a.png", ROAD))), tmp_path / "task.zip")
    with pytest.raises(DataError, match=r"no image 'a\.png'"):
        open_dataset(f"cvat:{archive}").split("train")
    assert (open_dataset(f"cvat:{archive}?images=frames").split("train")[0].read()[1] == 0).sum() == 300


def test_names_in_an_archive_that_lead_out_of_it_are_names(tmp_path: Path) -> None:
    write_cvat(tmp_path / "secret", "", "a.png", folder=".")
    names = ("../secret/a.png", "../secret/a", str(tmp_path / "secret" / "a"), str(tmp_path / "secret" / "a.png"))
    text = cvat(*(image(name, ROAD) for name in names))
    with zipfile.ZipFile(tmp_path / "task.zip", "w") as file:
        file.writestr("annotations.xml", text)
        file.write(tmp_path / "secret" / "a.png", "../b.png")
    for path in (tmp_path / "task.zip", write_cvat(tmp_path / "task", text)):
        samples = open_dataset(f"cvat:{path}?val=0").split("train", complete=False)
        assert len(samples) == 4
        for sample in samples:
            with pytest.raises(DataError, match="no image"):
                sample.read()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["secret", "task", "task.zip"]


def test_names_that_differ_in_case(tmp_path: Path) -> None:
    folder = write_cvat(tmp_path / "task", cvat(image("A.PNG", ROAD)), "a.png")
    archive = packed(folder, tmp_path / "task.zip")
    assert len(open_dataset(f"cvat:{archive}").split("train")) == 1
    with zipfile.ZipFile(archive, "a") as file:
        file.writestr("images/a.PNG", b"")
    with pytest.raises(DataError, match=r"2 files 'images/a\.png'; expected one of a name"):
        open_dataset(f"cvat:{archive}").split("train")


def written(tmp_path: Path, content: bytes) -> Path:
    with zipfile.ZipFile(tmp_path / "a.zip", "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("annotations.xml", content)
    return tmp_path / "a.zip"


def patched(path: Path, signature: bytes, offset: int, value: bytes) -> None:
    data = bytearray(path.read_bytes())
    place = data.index(signature) + offset
    data[place : place + len(value)] = value
    path.write_bytes(data)


@pytest.mark.parametrize(
    ("offset", "value", "expected"),
    [
        (8, b"\x01\x00", "encrypted; expected an archive without a password"),
        (10, b"\x0e\x00", "ZIP compression 14"),
        (
            24,
            struct.pack("<I", 1000),
            "damaged, its size or checksum",
        ),  # more is in it: unpacking ends at what is stated
        (24, struct.pack("<I", 0), "damaged, its size or checksum"),
        (24, b"\xf0\xff\xff\xff", "4294967280 bytes; expected at most 536870912"),
        (16, b"abcd", "damaged, its size or checksum"),
        (42, struct.pack("<I", 7), "no file begins where the archive says"),
    ],
)
def test_members_that_are_not_what_the_directory_says(tmp_path: Path, offset: int, value: bytes, expected: str) -> None:
    archive = written(tmp_path, b" " * 50_000_000)  # 48 kB when it is packed
    patched(archive, b"PK\x01\x02", offset, value)
    with pytest.raises(DataError, match=expected):
        open_dataset(f"cvat:{archive}")


def test_what_is_no_archive(tmp_path: Path) -> None:
    archive = written(tmp_path, b"")
    for content in (b"", b"PK", b"a text", archive.read_bytes()[:-20]):
        (tmp_path / "b.zip").write_bytes(content)
        with pytest.raises(DataError, match="expected a whole ZIP archive: export it again"):
            open_dataset(f"cvat:{tmp_path / 'b.zip'}")
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr("__MACOSX/._annotations.xml", b"")
    with pytest.raises(DataError, match="no XML file"):
        open_dataset(f"cvat:{archive}")
    assert ZipMembers(archive).find("annotations.xml") is None
