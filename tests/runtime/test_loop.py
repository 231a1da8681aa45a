import json
import threading
import time
from collections import deque
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from edgeseg.core.errors import EngineError, SourceError, UsageError
from edgeseg.core.geometry import Size
from edgeseg.core.spec import ModelSpec
from edgeseg.runtime.engines.base import Engine
from edgeseg.runtime.engines.choose import open_engine
from edgeseg.runtime.loop import Outcome, run
from edgeseg.runtime.records import FrameRecord, Ledger
from edgeseg.runtime.settings import LoopSettings, SinkSettings
from edgeseg.runtime.sinks import fan_out as outputs_module
from edgeseg.runtime.sinks.base import Delivery, Playback, Sink
from edgeseg.runtime.sinks.fan_out import SinkFanOut
from edgeseg.runtime.sinks.open import open_sink
from edgeseg.runtime.sources.addresses import parse_source
from tests.helpers.colour_model import VIDEO_SIZE

WriteModel = Callable[..., Path]


class SlowEngine(Engine):
    """Takes its time, and fails at a given run."""

    backend, device = "slow", "test"

    def __init__(self, spec: ModelSpec, seconds: float, fails_at: int | None = None) -> None:
        self.spec, self.frame_size = spec, VIDEO_SIZE
        self._seconds, self._left = seconds, fails_at

    def _run(self, frame: NDArray[np.uint8]) -> tuple[NDArray[np.uint8], None, None]:
        if self._left is not None:
            self._left -= 1
            if self._left < 0:
                raise EngineError("the test's engine failed")
        time.sleep(self._seconds)
        return np.zeros(self.spec.input_size, np.uint8), None, None


def stream(source: str, engine: Callable[[], Engine], **settings: object) -> Outcome:
    fps = settings.pop("fps", None)
    return run(
        parse_source(source, fps=fps),  # type: ignore[arg-type]
        engine,
        LoopSettings(**settings),  # type: ignore[arg-type]
        threading.Event(),
    )


def records(path: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_every_frame_of_a_video_is_processed_and_recorded(video: Path, write_model: WriteModel, tmp_path: Path) -> None:
    stats = tmp_path / "stats.jsonl"
    model = write_model()
    outcome = stream(str(video), lambda: open_engine(model), every_frame=True, stats=stats)
    assert outcome.error is None
    assert outcome.summary.frames == {"captured": 30, "processed": 30, "skipped": 0, "stale": 0, "failed": 0}
    lines = records(stats)
    assert [line["frame"] for line in lines] == list(range(30))
    for line in lines:
        ms = line["ms"]
        assert isinstance(ms, dict)
        assert ms["frame"] == pytest.approx(ms["preprocess"] + ms["inference"] + ms["postprocess"], abs=0.01)
        assert ms["capture_to_mask"] == pytest.approx(ms["wait"] + ms["frame"], abs=0.01)


def test_with_a_slow_engine_every_captured_frame_is_accounted_for(
    video: Path, colour_spec: ModelSpec, tmp_path: Path
) -> None:
    stats = tmp_path / "stats.jsonl"
    outcome = stream(str(video), lambda: SlowEngine(colour_spec, 0.06), fps=100, stats=stats)
    frames = outcome.summary.frames
    assert frames["captured"] == 30
    assert frames["captured"] == sum(count for status, count in frames.items() if status != "captured")
    assert frames["skipped"] >= 10
    lines = records(stats)
    assert sorted(line["frame"] for line in lines) == list(range(30))  # type: ignore[type-var]
    assert {line["reason"] for line in lines if line["status"] == "skipped"} == {"overtaken"}


@pytest.mark.parametrize("every_frame", [False, True])
def test_a_stop_request_ends_a_run_whose_engine_is_slower_than_its_source(
    video: Path, colour_spec: ModelSpec, every_frame: bool
) -> None:
    stop = threading.Event()
    threading.Timer(1.0, stop.set).start()
    settings = LoopSettings(every_frame=every_frame, seconds=20)
    outcome = run(parse_source(str(video), loop=True, fps=100), lambda: SlowEngine(colour_spec, 0.05), settings, stop)
    assert outcome.error is None
    assert 0 < outcome.summary.seconds < 5


def test_captured_counts_what_the_source_gave_not_what_became_of_it(
    video: Path, colour_spec: ModelSpec, tmp_path: Path
) -> None:
    """The run ends while frames wait: each of them is in the statistics, and the ids leave no gap."""
    stats = tmp_path / "stats.jsonl"
    source, settings = parse_source(str(video), fps=100, loop=True), LoopSettings(frames=3, stats=stats)
    outcome = run(source, lambda: SlowEngine(colour_spec, 0.2), settings, threading.Event())
    lines = records(stats)
    frames = outcome.summary.frames
    assert frames["captured"] == len(lines) > 10
    assert sorted(line["frame"] for line in lines) == list(range(frames["captured"]))  # type: ignore[type-var]
    assert frames["captured"] == frames["processed"] + frames["skipped"] + frames["stale"] + frames["failed"]
    assert {line["reason"] for line in lines} == {None, "overtaken", "stopped"}


def test_stale_masks_never_pass_for_good_ones(video: Path, write_model: WriteModel, tmp_path: Path) -> None:
    model = write_model()
    outcome = stream(
        str(video), lambda: open_engine(model), every_frame=True, deadline_ms=1e-6,
        outputs=(f"{tmp_path}/masks/", f"{tmp_path}/overlay.avi"),
    )  # fmt: skip
    assert outcome.summary.frames["stale"] == 30
    assert not (tmp_path / "masks").exists() or not list((tmp_path / "masks").iterdir())
    ok, drawn = cv2.VideoCapture(str(tmp_path / "overlay.avi")).read()
    assert ok
    blue, green, red = (int(channel) for channel in drawn[0, 64])
    assert red > 180 > 80 > max(blue, green)


def test_a_mask_older_than_the_deadline_is_stale_never_good(video: Path, colour_spec: ModelSpec) -> None:
    outcome = stream(str(video), lambda: SlowEngine(colour_spec, 0.03), fps=20, deadline_ms=25.0)
    assert outcome.summary.frames["processed"] == 0
    assert outcome.summary.frames["stale"] > 0


def test_limits_end_the_run(video: Path, write_model: WriteModel) -> None:
    model = write_model()
    counted = stream(str(video), lambda: open_engine(model), every_frame=True, frames=7)
    assert counted.summary.frames["captured"] == 7
    timed = run(
        parse_source(str(video), loop=True),
        lambda: open_engine(model),
        LoopSettings(seconds=0.5),
        threading.Event(),
    )
    assert 0.5 <= timed.summary.seconds < 3


def test_warm_up_is_run_but_not_counted(video: Path, colour_spec: ModelSpec) -> None:
    engine = SlowEngine(colour_spec, 0.0, fails_at=9)  # 5 warm-up runs and 4 frames succeed
    outcome = stream(str(video), lambda: engine, every_frame=True, warm_up_frames=5)
    assert outcome.summary.warm_up_frames == 5
    assert outcome.summary.frames["processed"] == 4


def test_an_engine_that_fails_ends_the_run_with_its_figures_kept(video: Path, colour_spec: ModelSpec) -> None:
    outcome = stream(str(video), lambda: SlowEngine(colour_spec, 0.0, fails_at=3 + 6), every_frame=True)
    assert isinstance(outcome.error, EngineError)
    assert outcome.summary.frames == {"captured": 7, "processed": 6, "skipped": 0, "stale": 0, "failed": 1}


def test_a_source_that_fails_in_mid_stream_keeps_the_figures(video: Path, colour_spec: ModelSpec) -> None:
    def take_away(ledger: Ledger, seconds: float) -> None:
        if ledger.frames["captured"]:  # it is also called before the capture process has opened the file
            video.unlink(missing_ok=True)

    source, settings = parse_source(str(video), loop=True), LoopSettings(every_frame=True)
    outcome = run(source, lambda: SlowEngine(colour_spec, 0.0), settings, threading.Event(), watch=take_away)
    assert isinstance(outcome.error, SourceError)
    assert outcome.summary.frames["processed"] == 30


def test_frames_of_another_size_are_resized_on_the_host_and_said_once(video: Path, write_model: WriteModel) -> None:
    model = write_model(camera_size=Size(144, 256))
    said: list[str] = []
    outcome = run(
        parse_source(str(video)), lambda: open_engine(model), LoopSettings(every_frame=True), threading.Event(),
        notice=said.append,
    )  # fmt: skip
    assert outcome.summary.frames["processed"] == 30
    assert len(said) == 1
    assert "128x72" in said[0]
    assert "256x144" in said[0]


def test_overlay_video_holds_every_frame_in_the_camera_s_size(
    video: Path, write_model: WriteModel, tmp_path: Path
) -> None:
    model = write_model()
    for name in ("overlay.mkv", "overlay.mp4", "overlay.avi"):
        out = tmp_path / name
        outcome = stream(str(video), lambda: open_engine(model), every_frame=True, outputs=(f"file://{out}",))
        assert not outcome.failures
        capture = cv2.VideoCapture(str(out))
        drawn = []
        while True:
            ok, frame = capture.read()
            if not ok:
                break
            drawn.append(frame)
        assert len(drawn) == 30
        assert drawn[0].shape == (*VIDEO_SIZE, 3)
        assert drawn[0][36, 20].argmax() == 0  # left: blue, over a blue picture
        assert drawn[0][36, 110].argmax() == 2


def test_a_recording_holds_a_picture_until_the_next_was_captured(tmp_path: Path, colour_spec: ModelSpec) -> None:
    sink = open_sink(
        f"{tmp_path}/o.avi", colour_spec, VIDEO_SIZE, Playback(10.0, keep_time=True), SinkSettings(opacity=0.0)
    )
    for second, level in ((100.0, 40), (101.0, 120), (101.5, 200)):
        picture = np.full((*VIDEO_SIZE, 3), level, np.uint8)
        record = FrameRecord(0, captured_at=5000.0 - second)  # the wall clock runs backwards: it must not matter
        sink.write(Delivery(record, second, picture, np.zeros(colour_spec.input_size, np.uint8)))
    sink.close()
    capture = cv2.VideoCapture(str(tmp_path / "o.avi"))
    levels = []
    while True:
        ok, frame = capture.read()
        if not ok:
            break
        levels.append(int(frame[36, 64, 0]))
    assert len(levels) == 16
    np.testing.assert_allclose(levels, [40] * 10 + [120] * 5 + [200], atol=4)


def test_a_sink_that_hangs_for_ever_neither_hangs_the_end_nor_loses_the_figures(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(outputs_module, "FINISH_TIMEOUT_S", 0.3)
    hang = threading.Event()

    class HangingSink(Sink):
        def write(self, delivery: Delivery) -> None:
            hang.wait(30)

    def delivery(index: int) -> Delivery:
        pixels = np.zeros((2, 2), np.uint8)
        return Delivery(FrameRecord(index, 0.0), 0.0, np.zeros((2, 2, 3), np.uint8), pixels)

    began = time.monotonic()
    with SinkFanOut([HangingSink("hangs")], stats=tmp_path / "s.jsonl") as outputs:
        for index in range(5):
            outputs.deliver(delivery(index), done=lambda: None)
    assert time.monotonic() - began < 5
    hang.set()
    time.sleep(0.1)
    assert outputs.ledger.frames["captured"] == 5
    assert sorted(line["frame"] for line in records(tmp_path / "s.jsonl")) == [0, 1, 2, 3, 4]  # type: ignore[type-var]
    assert "did not finish" in outputs.failures()[0]


def test_a_stats_file_on_a_full_disk_is_said(video: Path, write_model: WriteModel) -> None:
    model = write_model()
    outcome = stream(str(video), lambda: open_engine(model), every_frame=True, stats=Path("/dev/full"))
    assert outcome.summary.frames["processed"] == 30
    assert outcome.failures == ["--stats was given up: /dev/full: No space left on device"]


def test_class_maps_are_written_as_png_named_by_frame(pictures: Path, write_model: WriteModel, tmp_path: Path) -> None:
    model = write_model()
    outcome = stream(str(pictures), lambda: open_engine(model), every_frame=True, outputs=(f"{tmp_path}/masks/",))
    assert not outcome.failures
    files = sorted((tmp_path / "masks").iterdir())
    assert [path.name for path in files] == [f"{index:08d}.png" for index in range(12)]
    class_map = cv2.imread(str(files[0]), cv2.IMREAD_UNCHANGED)
    assert class_map is not None
    assert class_map.shape == (32, 64)
    assert set(np.unique(class_map)) == {0, 1, 2}


def test_a_sink_that_fails_on_the_way_is_given_up_and_the_masks_go_on(
    pictures: Path, write_model: WriteModel, tmp_path: Path
) -> None:
    cv2.imwrite(str(pictures / "frame4.png"), np.zeros((40, 40, 3), np.uint8))  # a video holds one size
    model = write_model()
    outcome = stream(
        str(pictures), lambda: open_engine(model), every_frame=True,
        outputs=(f"{tmp_path}/overlay.mkv", f"{tmp_path}/masks/"),
    )  # fmt: skip
    assert outcome.summary.frames["processed"] == 12
    assert len(outcome.failures) == 1
    assert "a video holds one size" in outcome.failures[0]
    assert len(list((tmp_path / "masks").iterdir())) == 12


@pytest.mark.parametrize("uri", ["display://7", "unix://", "overlay.gif", "http://127.0.0.1", "http://0.0.0.0:1"])
def test_an_output_that_makes_no_sense_is_wrong_usage(video: Path, write_model: WriteModel, uri: str) -> None:
    model = write_model()
    with pytest.raises(UsageError, match="output"):
        stream(str(video), lambda: open_engine(model), outputs=(uri,))


def test_a_slow_sink_never_slows_the_masks(video: Path, colour_spec: ModelSpec, tmp_path: Path) -> None:
    class SlowSink(Sink):
        def write(self, delivery: Delivery) -> None:
            time.sleep(0.2)

    released: list[int] = []
    delivery = Delivery(FrameRecord(0, 0.0), 0.0, np.zeros((2, 2, 3), np.uint8), np.zeros((2, 2), np.uint8))
    with SinkFanOut([SlowSink("slow")]) as outputs:
        began = time.monotonic()
        for index in range(20):
            outputs.deliver(delivery, done=lambda taken=index: released.append(taken))  # type: ignore[misc]
        assert time.monotonic() - began < 2  # the sink alone takes 4 s for them
    assert sorted(released) == list(range(20))
    assert outputs.states[0].written + outputs.states[0].dropped == 20
    assert outputs.states[0].dropped > 0
    assert outputs.ledger.frames["captured"] == 20


class TwoInFlight(Engine):
    """Takes a second frame while the first is computed, as a GPU does; says of each frame how bright it was."""

    backend, device, in_flight = "two", "test", 2

    def __init__(self, spec: ModelSpec, fails_at: int | None = None) -> None:
        self.spec, self.frame_size = spec, VIDEO_SIZE
        self.most, self._fails_at = 0, fails_at
        self._frames: deque[tuple[float, int]] = deque()

    def _begin(self, prepared: NDArray[np.uint8]) -> None:
        self._frames.append((time.monotonic() + 0.02, int(prepared[0, 0, 1])))
        self.most = max(self.most, len(self._frames))

    def _end(self) -> tuple[NDArray[np.uint8], None, float]:
        if self._fails_at is not None:
            self._fails_at -= 1
            if self._fails_at < 0:
                raise EngineError("the test's engine failed")
        ready, brightness = self._frames.popleft()
        time.sleep(max(0.0, ready - time.monotonic()))
        return np.full(self.spec.input_size, brightness % 3, np.uint8), None, 20.0

    def _run(self, frame: NDArray[np.uint8]) -> tuple[NDArray[np.uint8], None, None]:
        raise NotImplementedError


def test_two_frames_in_flight_keep_their_order_and_their_masks(
    pictures: Path, tmp_path: Path, colour_spec: ModelSpec
) -> None:
    engine, stats = TwoInFlight(colour_spec), tmp_path / "stats.jsonl"
    outcome = stream(
        str(pictures), lambda: engine, every_frame=True, warm_up_frames=0, stats=stats, outputs=(f"{tmp_path}/m/",)
    )
    assert outcome.error is None
    assert engine.most == 2
    assert outcome.summary.frames["captured"] == outcome.summary.frames["processed"] == 12
    assert [line["frame"] for line in records(stats)] == list(range(12))
    masks = [cv2.imread(str(each), cv2.IMREAD_UNCHANGED) for each in sorted((tmp_path / "m").rglob("*.png"))]
    assert [int(np.asarray(mask)[0, 0]) for mask in masks] == [(20 + index) % 3 for index in range(12)]


def test_what_is_in_flight_when_the_engine_fails_is_counted_as_failed(
    pictures: Path, tmp_path: Path, colour_spec: ModelSpec
) -> None:
    engine = TwoInFlight(colour_spec, fails_at=4)
    outcome = stream(str(pictures), lambda: engine, every_frame=True, warm_up_frames=0)
    assert isinstance(outcome.error, EngineError)
    frames = outcome.summary.frames
    assert (frames["processed"], frames["failed"]) == (4, 2)
    assert frames["captured"] == sum(frames[key] for key in ("processed", "skipped", "stale", "failed"))
