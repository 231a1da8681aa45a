"""A graph's confidence on its way: into a program, a folder and the records, and nowhere where there is none."""

from __future__ import annotations

import dataclasses
import json
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

import edgeseg.runtime
from edgeseg.core.geometry import Size
from edgeseg.core.spec import ModelSpec
from edgeseg.runtime.engines.choose import open_engine
from edgeseg.runtime.loop import run
from edgeseg.runtime.reports import ConfidenceByClass, MaskReports
from edgeseg.runtime.road import RoadReport
from edgeseg.runtime.road_settings import RoadSettings
from edgeseg.runtime.settings import LoopSettings
from edgeseg.runtime.sources.addresses import parse_source
from tests.helpers.colour_model import numbered_frame

WriteModel = Callable[..., Path]


def streamed(source: Path, model: Path, **settings: Any) -> None:
    chosen = LoopSettings(every_frame=True, **settings)
    outcome = run(parse_source(str(source)), lambda: open_engine(model, "onnxruntime-cpu"), chosen, threading.Event())
    assert not outcome.error
    assert not outcome.failures


def wanted(model: Path, index: int) -> Any:
    with open_engine(model, "onnxruntime-cpu") as engine:
        return engine.run(numbered_frame(index))


def test_a_program_a_folder_and_the_records_get_what_the_graph_gave(
    pictures: Path, write_model: WriteModel, tmp_path: Path
) -> None:
    model = write_model(with_confidence=True)
    streamed(pictures, model, outputs=(f"{tmp_path}/masks/",), stats=tmp_path / "stats.jsonl")
    lines = [json.loads(line) for line in (tmp_path / "stats.jsonl").read_text().splitlines()]
    results = list(edgeseg.runtime.stream(str(pictures), model, backend="onnxruntime-cpu", every_frame=True))
    assert len(lines) == len(results) == 12
    for index in (0, 11):
        right = wanted(model, index)
        assert 0 < right.confidence.min() < 255
        np.testing.assert_array_equal(results[index].confidence, right.confidence)
        files = [tmp_path / "masks" / each / f"{index:08d}.png" for each in ("", "confidence")]
        for path, expected in zip(files, (right.class_map, right.confidence), strict=True):
            np.testing.assert_array_equal(cv2.imread(str(path), cv2.IMREAD_UNCHANGED), expected)
        for number, name in enumerate(("blue", "green", "red")):
            mean = right.confidence[right.class_map == number].mean() / 255
            assert lines[index]["confidence"][name] == pytest.approx(mean, abs=1e-4)


def test_a_graph_without_it_leaves_no_trace_of_it(pictures: Path, write_model: WriteModel, tmp_path: Path) -> None:
    model = write_model()
    streamed(pictures, model, outputs=(f"{tmp_path}/masks/",), stats=tmp_path / "stats.jsonl")
    assert not (tmp_path / "masks" / "confidence").exists()
    assert len(list((tmp_path / "masks").iterdir())) == 12
    assert "confidence" not in (tmp_path / "stats.jsonl").read_text()
    with edgeseg.runtime.stream(str(pictures), model, backend="onnxruntime-cpu", every_frame=True) as masks:
        assert next(masks).confidence is None


def test_means_are_worked_out_for_records_alone(
    pictures: Path, write_model: WriteModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise AssertionError("nobody asked")

    monkeypatch.setattr(ConfidenceByClass, "__init__", fail)
    streamed(pictures, write_model(with_confidence=True))


def test_padding_and_absent_classes_have_no_mean(colour_spec: ModelSpec) -> None:
    padded = dataclasses.replace(colour_spec, fit="pad")
    means = ConfidenceByClass(padded, Size(64, 64))  # of 64 columns the 32 in the middle
    class_map, confidence = np.zeros((32, 64), np.uint8), np.full((32, 64), 51, np.uint8)
    class_map[:, 32:48] = 2
    confidence[:, 32:48] = 255
    class_map[:, 48:], confidence[:, 48:] = 1, 0
    assert means(class_map, confidence) == pytest.approx({"blue": 0.2, "red": 1.0})
    class_map[:] = 255  # ignore alone
    assert means(class_map, confidence) == {}


def test_smoothing_does_not_part_a_confidence_from_its_class(colour_spec: ModelSpec) -> None:
    """The mean is of the classes that the network gave, not of those that the masks before voted for."""
    size = colour_spec.input_size
    road = RoadReport(RoadSettings(class_name="green", smooth=3), colour_spec, size, size)
    reports = MaskReports(road, ConfidenceByClass(colour_spec, size))
    for index in range(2):
        reports.add(np.zeros(size, np.uint8), np.full(size, 255, np.uint8), 100 + index / 10)
    class_map, said, means = reports.add(np.full(size, 2, np.uint8), np.full(size, 102, np.uint8), 100.2)
    assert said is not None
    assert set(class_map.ravel()) == {0}
    assert means == pytest.approx({"red": 0.4})
