"""Damaged video files: a picture that is not as it was filmed is called corrupt, or does not come."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from edgeseg.core.geometry import Size
from edgeseg.runtime.capture.capture import Capture
from edgeseg.runtime.sources.addresses import parse_source
from edgeseg.runtime.states import Reason
from tests.helpers.damage import by_opencv, street
from tests.helpers.files.h264 import CONCEALED_AT, h264_stream
from tests.helpers.files.matroska import write_matroska

GO_ON = threading.Event()  # never set
SIZE = Size(192, 320)
GROUP, GROUPS = 12, 8  # OpenCV writes a key frame every 12

Picture = NDArray[np.uint8]


@pytest.fixture(scope="module")
def vp9(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path, scene = tmp_path_factory.mktemp("vp9") / "drive.webm", street(SIZE.width + 2 * GROUPS * GROUP, SIZE.height)
    writer = cv2.VideoWriter(str(path), cv2.CAP_FFMPEG, cv2.VideoWriter.fourcc(*"VP90"), 25, (SIZE.width, SIZE.height))
    for index in range(GROUPS * GROUP):
        writer.write(np.ascontiguousarray(scene[:, 2 * index : 2 * index + SIZE.width]))
    writer.release()
    return path


def packets_of(path: Path) -> list[bytes]:
    capture, packets = cv2.VideoCapture(str(path), cv2.CAP_FFMPEG, [cv2.CAP_PROP_FORMAT, -1]), []
    while (read := capture.read())[0]:
        packets.append(read[1].tobytes())
    return packets


def all_of(path: Path) -> tuple[list[Picture], list[tuple[Reason, ...]], str]:
    """Return every picture, what was seen in it, and what was said."""
    with Capture(parse_source(str(path)), every_frame=True) as capture:
        capture.wait_until_open(GO_ON)
        capture.start()
        pictures, seen = [], []
        while frame := capture.next_frame(GO_ON):
            pictures.append(frame.picture.copy())
            seen.append(frame.seen)
            capture.release(frame)
        return pictures, seen, " ".join(capture.take_news())


def flipped(data: bytes, at: int, bit: int = 4) -> bytes:
    return data[:at] + bytes([data[at] ^ bit]) + data[at + 1 :]


def positions_in(pictures: list[Picture], good: list[Picture]) -> list[int | None]:
    """Return which of the good pictures each one is equal to."""
    known = {each.tobytes(): index for index, each in enumerate(good)}
    return [known.get(each.tobytes()) for each in pictures]


def test_h264_that_ffmpeg_makes_up_without_a_warning_is_corrupt(tmp_path: Path) -> None:
    whole, damaged = tmp_path / "whole.h264", tmp_path / "damaged.h264"
    whole.write_bytes(h264_stream())
    good, nothing, _ = all_of(whole)
    assert len(good) == 10
    assert not any("corrupt" in each for each in nothing)
    for at in CONCEALED_AT:
        damaged.write_bytes(flipped(h264_stream(), at))
        pictures, seen, _ = all_of(damaged)
        differs = [not np.array_equal(a, b) for a, b in zip(pictures, good, strict=True)]
        assert differs == ["corrupt" in each for each in seen], at  # not one picture more: no decoder's thread decides
        assert any(differs)


def test_a_user_sees_of_ffmpegs_log_what_was_asked_for(tmp_path: Path) -> None:
    path = tmp_path / "damaged.h264"
    path.write_bytes(h264_stream()[:610] + bytes(9) + h264_stream()[619:])
    program = (
        "import sys; from edgeseg.runtime.sources.kinds.video import VideoReader as R\n"
        "from edgeseg.runtime.sources.addresses import parse_source\n"
        "r = R(parse_source(sys.argv[1]))\nwhile r.read(None) is not None: pass"
    )
    shown = {}
    for level in (None, "16", "32"):
        environment = {key: text for key, text in os.environ.items() if not key.startswith("OPENCV_FFMPEG")}
        done = subprocess.run(
            [sys.executable, "-c", program, str(path)], capture_output=True, text=True, timeout=60,
            env=environment | ({"OPENCV_FFMPEG_LOGLEVEL": level} if level else {}),
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        shown[level] = done.stderr
    assert shown[None] == ""
    assert "FFMPEG:16]" in shown["16"]
    assert "FFMPEG:32]" not in shown["16"]
    assert "concealing" in shown["32"]


def test_damaged_vp9_does_not_come_until_the_next_key_frame(vp9: Path, tmp_path: Path) -> None:
    good, nothing, said = all_of(vp9)
    assert len(good) == GROUPS * GROUP
    assert not any(nothing)
    assert not said
    packet = packets_of(vp9)[GROUP]
    data = vp9.read_bytes()
    at = data.index(packet)
    refused = 0
    for place in (0.2, 0.4, 0.6):
        path = tmp_path / "damaged.webm"
        path.write_bytes(flipped(data, at + round(len(packet) * place)))
        pictures, seen, said = all_of(path)
        positions = positions_in(pictures, good)
        assert [index for index in positions if index is not None and index >= 2 * GROUP] == [
            *range(2 * GROUP, GROUPS * GROUP)
        ]
        assert not any(seen[positions.index(2 * GROUP) :])  # a scene that has moved on is no damage
        if None not in positions:
            refused += 1
            assert f"{GROUPS * GROUP - len(pictures)} frames could not be decoded" in said
    assert refused


def test_many_vp9_frames_that_do_not_come_are_not_the_end(vp9: Path, tmp_path: Path) -> None:
    """OpenCV says of each of them what it says of the end."""
    data, packets = vp9.read_bytes(), packets_of(vp9)
    for group in range(1, GROUPS - 1):
        at = data.index(packets[group * GROUP])
        data = data[: at + 40] + bytes(200) + data[at + 240 :]
    path = tmp_path / "damaged.webm"
    path.write_bytes(data)
    good, _, _ = all_of(vp9)
    pictures, seen, said = all_of(path)
    assert positions_in(pictures, good) == [*range(GROUP), *range((GROUPS - 1) * GROUP, GROUPS * GROUP)]
    assert not any(seen)
    assert f"{(GROUPS - 2) * GROUP} frames could not be decoded" in said


def test_without_googles_decoder_vp9_is_read_as_before(vp9: Path, tmp_path: Path) -> None:
    program = (
        "import os, pathlib, sys\n"
        "from edgeseg.runtime.sources import decoders\n"
        "from edgeseg.runtime.sources.corruption import DecoderLog\n"
        "decoders.STRICT[b'vp90'] = sys.argv[3]\n"
        "decoder = decoders.open_decoder(sys.argv[1], 'drive.webm', DecoderLog())\n"
        "frame = decoder.read(None)\n"
        "told = [type(decoder).__name__, frame.shape, os.environ.get('OPENCV_FFMPEG_CAPTURE_OPTIONS')]\n"
        "pathlib.Path(sys.argv[2]).write_text(repr(told))"
    )
    shape, options = (SIZE.height, SIZE.width, 3), "OPENCV_FFMPEG_CAPTURE_OPTIONS"
    environment = {key: text for key, text in os.environ.items() if key != options}
    for name, asked, expected in (
        ("libvpx-vp9", {}, ["StrictDecoder", shape, None]),
        ("libvpx-of-another-build", {}, ["Decoder", shape, None]),
        ("libvpx-vp9", {options: "video_codec;vp9"}, ["Decoder", shape, "video_codec;vp9"]),  # the user's choice
    ):
        arguments = [sys.executable, "-c", program, str(vp9), str(tmp_path / "told"), name]
        subprocess.run(arguments, check=True, timeout=60, env=environment | asked)
        assert (tmp_path / "told").read_text() == repr(expected)


def jpegs(count: int) -> list[bytes]:
    return [by_opencv(".jpg", street(SIZE.width, SIZE.height, seed)) for seed in range(count)]


def test_jpegs_of_a_video_are_decoded_and_judged_one_by_one(tmp_path: Path) -> None:
    pictures = jpegs(6)
    hole = pictures[2][:3000] + pictures[2][3600:]
    no_end = pictures[4][:-2]
    path = tmp_path / "drive.mkv"
    write_matroska(path, [*pictures[:2], hole, pictures[3], no_end, pictures[5]], range(0, 240, 40), SIZE)
    frames, seen, said = all_of(path)
    assert ["corrupt" in each for each in seen] == [False, False, True, False, False]
    assert "1 frames could not be decoded" in said
    for frame, index in zip(frames, (0, 1, None, 3, 5), strict=True):
        if index is not None:
            expected = cv2.imdecode(np.frombuffer(pictures[index], np.uint8), cv2.IMREAD_COLOR)
            assert expected is not None
            assert np.array_equal(frame, expected)


def test_jpegs_that_libjpeg_would_show_otherwise_stay_with_ffmpeg(tmp_path: Path) -> None:
    path = tmp_path / "drive.mkv"
    mark = b"\xff\xfe\x00\x0cCS=ITU601\0"
    write_matroska(path, [each[:2] + mark + each[2:] for each in jpegs(3)], range(0, 120, 40), SIZE)
    frames, _, _ = all_of(path)
    capture = cv2.VideoCapture(str(path), cv2.CAP_FFMPEG)
    assert np.array_equal(frames[0], capture.read()[1])


@pytest.mark.parametrize("turn", [0, 90, 180, 270])
def test_jpegs_of_a_video_are_turned_as_it_says(tmp_path: Path, turn: int) -> None:
    path = tmp_path / "drive.mkv"
    write_matroska(path, jpegs(1) * 2, [0, 40], SIZE, turned=turn)
    frames, seen, _ = all_of(path)
    expected = cv2.VideoCapture(str(path), cv2.CAP_FFMPEG).read()[1]
    assert frames[0].shape == expected.shape
    assert np.abs(frames[0].astype(int) - expected).mean() < 5  # two decoders of one JPEG
    assert not any(seen)
