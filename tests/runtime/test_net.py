"""`edgeseg.load`: frames of a program's own, in a few lines, and clear errors for what is none."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import edgeseg
from edgeseg.core.errors import EngineError, ModelError, UsageError
from edgeseg.core.geometry import Size
from edgeseg.core.labels import ClassMap
from edgeseg.runtime.engines.choose import open_engine
from edgeseg.runtime.engines.registry import GPU_BACKENDS
from edgeseg.runtime.net import Net
from tests.helpers.colour_model import COLOUR_SPEC, VIDEO_SIZE, numbered_frame, write_colour_model

ROADS = ClassMap(("sky", "Road", "car"), ((0, 0, 255), (0, 255, 0), (255, 0, 0)))


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_colour_model(tmp_path_factory.mktemp("net") / "colours.onnx", with_confidence=True, classes=ROADS)


def load(model: Path, **settings: Any) -> Net:
    return edgeseg.load(model, backend="onnxruntime-cpu", **settings)


def test_four_lines_give_what_a_program_asks_for(model: Path) -> None:
    frame = numbered_frame(0)
    with load(model) as net:
        result = net(frame)
        assert net.classes == result.names == ("sky", "Road", "car")
        with open_engine(model, "onnxruntime-cpu") as engine:
            wanted = engine.run(frame)
        np.testing.assert_array_equal(result.class_map, wanted.class_map)
        assert result.confidence is not None
        np.testing.assert_array_equal(result.confidence, wanted.confidence)
        before = result.class_map.copy()
        net(255 - frame)
        np.testing.assert_array_equal(result.class_map, before)  # the result is the program's own
    assert result.share("road") == pytest.approx(np.mean(before == 1))
    assert sum(result.share(name) for name in result.names) == pytest.approx(1)
    assert result.ms["frame"] >= result.ms["inference"] > 0
    assert "Road 33%" in repr(result)
    assert len(repr(result)) < 100
    assert repr(net) == "<edgeseg.Net colours.onnx: 3 classes, 64x32, closed>"


def test_free_space_is_the_row_above_which_the_road_ends(model: Path) -> None:
    frame = np.zeros((*VIDEO_SIZE, 3), np.uint8)
    frame[:36, :, 0] = 200  # sky above,
    frame[36:, :, 1] = 200  # road below,
    frame[:, 64:] = (0, 0, 200)  # a car at the right
    with load(model) as net:
        free = net(frame).free_space
    assert free.shape == (64,)
    assert set(free[:30]) == {15}
    assert set(free[34:]) == {31}
    with load(model, road="lane") as net, pytest.raises(UsageError, match="road class 'lane' is no class"):
        _ = net(frame).free_space


def test_a_share_is_of_what_the_network_saw_and_not_of_its_padding(tmp_path: Path) -> None:
    path = write_colour_model(tmp_path / "pad.onnx", Size(64, 64), fit="pad", classes=ROADS)
    frame = np.zeros((64, 64, 3), np.uint8)
    frame[..., 2] = 200
    with load(path) as net:
        result = net(frame)
    assert result.share("car") == 1
    assert np.mean(result.class_map == 2) < 1
    with pytest.raises(UsageError, match=r"'rod'.*did you mean Road.*sky, Road, car"):
        result.share("rod")


@pytest.mark.parametrize("size", [VIDEO_SIZE, Size(36, 64), Size(217, 385), Size(1, 1)])
def test_frames_of_any_size_and_memory_order_and_overlays_of_their_size(model: Path, size: Size) -> None:
    frame = np.asfortranarray(np.broadcast_to(np.array([10, 200, 10], np.uint8), (*size, 3)))
    with load(model) as net:
        result = net(frame)
    assert result.share("road") == 1
    drawn = result.overlay(frame, opacity=1.0)
    assert drawn.shape == frame.shape
    assert drawn.flags.owndata
    np.testing.assert_array_equal(drawn.reshape(-1, 3).max(0), [0, 255, 0])
    assert frame[0, 0].tolist() == [10, 200, 10]


def test_rgb_frames_are_told_and_not_guessed(model: Path) -> None:
    frame = numbered_frame(3)
    with load(model) as bgr, load(model, order="rgb") as rgb:
        np.testing.assert_array_equal(rgb(frame[..., ::-1]).class_map, bgr(frame).class_map)
    with pytest.raises(UsageError, match="did you mean bgr"):
        load(model, order="bgrr")


@pytest.mark.parametrize(
    ("frame", "said"),
    [
        (None, "could not read"),
        (np.zeros((4, 6, 3)), r"float64 \(4 x 6 x 3\): \(255 \* frame\)"),
        (np.zeros((4, 6, 3), np.uint16), "scale it to bytes"),
        (np.zeros((4, 6), np.uint8), "COLOR_GRAY2BGR"),
        (np.zeros((4, 6, 1), np.uint8), "COLOR_GRAY2BGR"),
        (np.zeros((4, 6, 4), np.uint8), "fourth channel"),
        (np.zeros((3, 4, 6), np.uint8), r"frame.transpose\(1, 2, 0\)"),
        (np.zeros((1, 4, 6, 3), np.uint8), "a batch"),
        (np.zeros((0, 6, 3), np.uint8), "empty"),
        ([[1, 2, 3]], "a builtins.list"),
        ("frame.png", "a builtins.str"),
    ],
    ids=str,
)
def test_what_is_no_frame_is_said_with_what_to_write_instead(model: Path, frame: Any, said: str) -> None:
    with load(model) as net, pytest.raises(UsageError, match=said) as caught:
        net(frame)
    assert "\n" not in str(caught.value)


class SlowEngine:
    """What a net needs of an engine: it takes its time, or fails."""

    backend, device, spec, frame_size = "onnxruntime-cpu", "test", COLOUR_SPEC, COLOUR_SPEC.input_size

    def __init__(self) -> None:
        self.runs = threading.Event()
        self.fails = self.closed = False

    def run(self, frame: Any) -> Any:
        if self.fails:
            raise EngineError("the device is gone")
        self.runs.set()
        time.sleep(0.3)
        raise EngineError("never read")

    def close(self) -> None:
        self.closed = True


def net_of(engine: Any) -> Net:
    return Net(Path("model.onnx"), engine, "bgr", "road")


def test_one_thread_at_a_time_and_another_one_afterwards(model: Path) -> None:
    engine = SlowEngine()
    net, frame = net_of(engine), numbered_frame(0, COLOUR_SPEC.input_size)

    def call() -> None:
        with pytest.raises(EngineError):
            net(frame)

    other = threading.Thread(target=call)
    other.start()
    assert engine.runs.wait(5)
    with pytest.raises(UsageError, match="another thread is using this net"):
        net(frame)
    other.join()
    masks: list[Any] = []
    with load(model) as real:
        then = threading.Thread(target=lambda: masks.append(real(numbered_frame(0)).class_map))
        then.start()
        then.join()
    assert len(masks) == 1


def test_on_a_gpu_it_belongs_to_the_thread_that_loaded_it() -> None:
    engine = SlowEngine()
    engine.backend = GPU_BACKENDS[0]
    net, frame = net_of(engine), numbered_frame(0, COLOUR_SPEC.input_size)
    said: list[str] = []

    def call() -> None:
        with pytest.raises(UsageError) as caught:
            net(frame)
        said.append(str(caught.value))

    other = threading.Thread(target=call)
    other.start()
    other.join()
    assert "belongs to its thread" in said[0]


def test_after_the_engine_has_failed_the_net_is_closed() -> None:
    engine = SlowEngine()
    engine.fails = True
    net, frame = net_of(engine), numbered_frame(0, COLOUR_SPEC.input_size)
    with pytest.raises(EngineError, match="the device is gone"):
        net(frame)
    assert engine.closed
    with pytest.raises(UsageError, match="is closed; load it again"):
        net(frame)


def test_a_model_that_cannot_be_used_is_said(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="no such file"):
        edgeseg.load(tmp_path / "none.onnx")


def test_the_names_are_shown_and_nothing_heavy_is_imported_for_it(model: Path) -> None:
    """OpenCV is left out as well where frames have the graph's size."""
    script = (
        "import sys, edgeseg, edgeseg.runtime; assert {'load', 'Net', 'Result'} <= set(dir(edgeseg)); "
        "assert 'stream' in dir(edgeseg.runtime); assert not {'numpy', 'cv2'} & set(sys.modules); import numpy; "
        f"net = edgeseg.load({str(model)!r}, backend='onnxruntime-cpu'); "
        f"net(numpy.zeros({(*VIDEO_SIZE, 3)}, 'uint8')); "
        "assert 'cv2' not in sys.modules, 'OpenCV'"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_a_guess_stands_on_the_overlay_too(tmp_path: Path) -> None:
    path = write_colour_model(tmp_path / "guessed.onnx", guessed=("mean",))
    with pytest.warns(UserWarning, match="nobody has confirmed its mean"):
        net = load(path)
    frame = np.full((*VIDEO_SIZE, 3), 200, np.uint8)
    with load(write_colour_model(tmp_path / "confirmed.onnx")) as confirmed:
        plain = confirmed(frame).overlay(frame)
    marked = net(frame).overlay(frame)
    differs = (marked != plain).any(axis=(1, 2))
    assert differs[-3:].all()
    assert not differs[:-20].any()
