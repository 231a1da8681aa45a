"""Fixtures of many tests: a camera graph without training, a video, pictures."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import cv2
import hypothesis
import pytest

from edgeseg.core.geometry import Size
from edgeseg.core.spec import ModelSpec
from tests.helpers.colour_model import COLOUR_SPEC, VIDEO_SIZE, numbered_frame, write_colour_model
from tests.quick import Guard

# How long an example takes says more of the machine than of the code.
hypothesis.settings.register_profile("edgeseg", parent=hypothesis.settings(), deadline=None)
hypothesis.settings.load_profile("edgeseg")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--quick", action="store_true", help="only what needs no process, no TensorFlow and no device")


def pytest_configure(config: pytest.Config) -> None:
    if config.getoption("--quick"):
        config.pluginmanager.register(Guard())


@pytest.fixture(scope="session")
def process() -> None:
    """Marks a test as one that starts processes, where its own code does not show that."""


@pytest.fixture(scope="session")
def tensorflow() -> None:
    """Marks a test as one that imports TensorFlow, where its own code does not show that."""


@pytest.fixture(scope="session")
def patience() -> None:
    """Marks a test that computes for seconds."""


@pytest.fixture
def memory_path(tmp_path: Path) -> Iterator[Path]:
    """A folder as `tmp_path`, in memory where that can be: for tests in which a program syncs all that it writes."""
    if not os.access("/dev/shm", os.W_OK):
        yield tmp_path
        return
    with tempfile.TemporaryDirectory(prefix="edgeseg-", dir="/dev/shm") as folder:
        yield Path(folder)


@pytest.fixture
def colour_spec() -> ModelSpec:
    return COLOUR_SPEC


@pytest.fixture
def write_model(tmp_path: Path) -> Callable[..., Path]:
    """Return a function that writes the colour network as a camera graph and returns its path."""

    def write(camera_size: Size | None = VIDEO_SIZE, with_confidence: bool = False, **changes: Any) -> Path:
        return write_colour_model(tmp_path / "colours.onnx", camera_size, with_confidence, **changes)

    return write


@pytest.fixture
def video(tmp_path: Path) -> Path:
    """A real video of 30 numbered frames at 25 fps."""
    path = tmp_path / "video.avi"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), 25.0, (VIDEO_SIZE.width, VIDEO_SIZE.height))
    assert writer.isOpened()
    for index in range(30):
        writer.write(numbered_frame(index))
    writer.release()
    return path


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    """A folder of 12 numbered PNG pictures whose names sort by number, not by letter."""
    folder = tmp_path / "pictures"
    folder.mkdir()
    for index in range(12):
        cv2.imwrite(str(folder / f"frame{index}.png"), numbered_frame(index))
    return folder
