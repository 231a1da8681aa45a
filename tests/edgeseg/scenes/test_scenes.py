"""The built-in scenes: the same for everyone, exact, varied, and a drive that moves like one."""

import subprocess
import sys

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from edgeseg.core.errors import EdgesegError
from edgeseg.core.geometry import Size
from edgeseg.scenes import CLASSES, Drive, render_scene

Mask = NDArray[np.uint8]

SMALL = Size(height=64, width=128)
HD = Size(height=720, width=1280)


@pytest.fixture(scope="module")
def scenes() -> list[tuple[Mask, Mask]]:
    return [render_scene(seed, SMALL) for seed in range(120)]


@pytest.fixture(scope="module")
def masks(scenes: list[tuple[Mask, Mask]]) -> Mask:
    return np.stack([class_map for _, class_map in scenes])


@pytest.fixture(scope="module")
def drive() -> Drive:
    return Drive(seed=3, size=Size(height=90, width=160))


def same(a: Mask, b: Mask) -> float:
    return float((a == b).mean())


def test_the_founding_classes_in_their_order() -> None:
    expected = ("Road", "Sidewalk", "Landscaping", "Tree", "Sky", "Concrete", "Building", "Background")
    assert CLASSES.names == expected
    assert len(set(CLASSES.colours)) == len(CLASSES)


@pytest.mark.parametrize("size", [Size(64, 64), Size(160, 576), HD, Size(480, 270), Size(127, 201), Size(1080, 1920)])
def test_any_size(size: Size) -> None:
    image, class_map = render_scene(11, size)
    assert image.shape == (*size, 3)
    assert class_map.shape == tuple(size)
    assert image.dtype == class_map.dtype == np.uint8
    assert image.flags["C_CONTIGUOUS"]
    assert class_map.flags["C_CONTIGUOUS"]
    assert class_map.max() < len(CLASSES)


@pytest.mark.parametrize("seed", [0, 7, -5, 2**70])
def test_a_seed_is_one_scene_whatever_was_drawn_before(seed: int) -> None:
    first = render_scene(seed, SMALL)
    first[0][:], kept = 0, first[1].copy()
    render_scene(seed + 1, Size(height=50, width=90))
    again, third = render_scene(seed, SMALL), render_scene(seed, SMALL)
    assert np.array_equal(again[0], third[0])
    assert np.array_equal(again[1], kept)


def test_global_random_state_neither_used_nor_changed() -> None:
    pictures, following = [], []
    for global_seed in (1, 2):
        np.random.seed(global_seed)
        cv2.setRNGSeed(global_seed)
        pictures.append(render_scene(5, SMALL)[0])
        following.append(np.random.random())
    assert np.array_equal(pictures[0], pictures[1])
    np.random.seed(1)
    assert np.random.random() == following[0]


def test_the_caller_may_write_into_a_frame(drive: Drive) -> None:
    image, class_map = drive.frame(5)
    before = image.copy()
    image[:], class_map[:] = 0, 0
    assert np.array_equal(drive.frame(5)[0], before)


def test_every_class_has_its_share(masks: Mask) -> None:
    shares = np.bincount(masks.ravel(), minlength=len(CLASSES)) / masks.size
    assert shares.min() > 0.015, dict(zip(CLASSES.names, shares.round(3), strict=True))
    assert shares.max() < 0.40


def test_position_alone_does_not_give_the_class_away(masks: Mask) -> None:
    most_frequent = np.apply_along_axis(lambda ids: np.bincount(ids, minlength=8).argmax(), 0, masks)
    union = [((masks == k) | (most_frequent == k)).sum() for k in range(len(CLASSES))]
    hit = [((masks == k) & (most_frequent == k)).sum() for k in range(len(CLASSES))]
    assert np.mean(np.array(hit) / np.array(union)) < 0.35


def test_colour_alone_does_not_give_the_class_away(scenes: list[tuple[Mask, Mask]]) -> None:
    colours = np.concatenate([(image // 32).reshape(-1, 3) @ [64, 8, 1] for image, _ in scenes])
    ids = np.concatenate([class_map.ravel() for _, class_map in scenes])
    counts = np.zeros((512, len(CLASSES)), np.int64)
    np.add.at(counts, (colours, ids), 1)
    assert counts.max(axis=1).sum() / counts.sum() < 0.70


@pytest.mark.parametrize("seed", range(8))
def test_twice_the_size_is_the_same_scene(seed: int) -> None:
    small = render_scene(seed, Size(height=180, width=320))[1]
    large = render_scene(seed, Size(height=360, width=640))[1]
    assert max(same(small, large[y::2, x::2]) for y in (0, 1) for x in (0, 1)) >= 0.97


@pytest.mark.parametrize("seed", range(6))
def test_mask_edges_lie_on_picture_edges(seed: int) -> None:
    """The picture changes where the mask does: shifting the mask by 4 pixels would lose contrast along its edges."""
    image, class_map = render_scene(seed, Size(height=240, width=480))
    grey = cv2.cvtColor(image, cv2.COLOR_BGR2GRAY).astype(np.float32)
    step = np.abs(np.diff(cv2.blur(grey, (1, 5)), axis=1))
    edge = np.diff(class_map.astype(int), axis=1) != 0
    on, beside = step[:, 8:-8][edge[:, 8:-8]].mean(), step[:, 4:-12][edge[:, 8:-8]].mean()
    assert on > 1.4 * beside


def test_scenes_differ_from_each_other(scenes: list[tuple[Mask, Mask]], masks: Mask) -> None:
    assert np.mean([same(masks[i], masks[i + 1]) for i in range(60)]) < 0.75
    means = np.array([image.mean() for image, _ in scenes])
    assert means.std() > 12, "light and weather vary"


def test_frames_can_be_asked_for_in_any_order(drive: Drive) -> None:
    forward = [drive.frame(i) for i in (0, 40, 900)]
    fresh = Drive(seed=3, size=drive.size)
    for index, (image, class_map) in zip((900, 40, 0), reversed(forward), strict=True):
        assert np.array_equal(fresh.frame(index)[0], image)
        assert np.array_equal(fresh.frame(index)[1], class_map)


def test_drive_moves_smoothly(drive: Drive) -> None:
    for index in (10, 300, 1234):
        now, following, later = (drive.frame(index + step) for step in (0, 1, 240))
        assert same(now[1], following[1]) > 0.93
        assert not np.array_equal(now[1], following[1])
        assert same(now[1], later[1]) < 0.90
        assert np.abs(now[0].astype(int) - following[0]).mean() < 22


def test_drive_never_stands_in_front_of_one_thing() -> None:
    for seed in range(6):
        drive = Drive(seed, SMALL)
        shares = [np.bincount(drive.frame(i)[1].ravel(), minlength=8).max() / (64 * 128) for i in range(0, 1800, 225)]
        assert max(shares) < 0.85


def test_fps_is_the_world_s_time() -> None:
    size = Size(height=48, width=96)
    slow, fast = Drive(4, size, fps=10), Drive(4, size, fps=60)
    assert np.array_equal(slow.frame(30)[1], fast.frame(180)[1])


@pytest.mark.parametrize("size", [Size(0, 64), Size(64, -1), Size(8, 64), Size(20_000, 64)])
def test_impossible_size_is_refused_in_one_line(size: Size) -> None:
    for ask in (lambda: render_scene(1, size), lambda: Drive(1, size)):
        with pytest.raises(EdgesegError, match=rf"{size.width}x{size.height}; expected") as caught:
            ask()
        assert caught.value.exit_code == 2


@pytest.mark.parametrize("fps", [0.0, -30.0, float("nan"), float("inf")])
def test_impossible_frame_rate_is_refused(fps: float) -> None:
    with pytest.raises(EdgesegError, match="frames a second"):
        Drive(1, SMALL, fps=fps)


def test_frame_before_the_start_is_refused(drive: Drive) -> None:
    with pytest.raises(EdgesegError, match="frame -1"):
        drive.frame(-1)


def test_an_older_opencv_without_cv2_typing_draws_too() -> None:
    """A vehicle's OpenCV is the system's own: 4.5 in Ubuntu 22.04, 4.6 in Debian 12."""
    program = (
        "import sys, cv2; sys.modules['cv2.typing'] = None\n"
        "from edgeseg.core.geometry import Size\nfrom edgeseg.scenes import render_scene\n"
        "render_scene(1, Size(64, 128))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
