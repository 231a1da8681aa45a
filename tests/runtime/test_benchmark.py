"""The benchmark on real processes: where time goes, how long, in turns; and two results compared."""

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner
from numpy.typing import NDArray

import edgeseg.runtime.loop
from edgeseg.cli import cli
from edgeseg.errors import EdgesegError, SourceError, UsageError
from edgeseg.runtime import benchmark as module
from edgeseg.runtime.benchmark import BenchmarkSettings, Contender, benchmark
from edgeseg.runtime.benchmark_report import as_csv, comparison, document, read_document, text
from edgeseg.runtime.engine_settings import EngineSettings
from edgeseg.runtime.layers import layer_table, layer_times
from edgeseg.runtime.onnxruntime_cpu import OnnxRuntimeCpu
from edgeseg.runtime.quietness import LoadMeter
from edgeseg.runtime.sources import parse_source
from edgeseg.runtime.timings import compare, statistics

WriteModel = Callable[..., Path]


def measure(models: list[Path], pictures: Path, settings: BenchmarkSettings) -> list[Contender]:
    engine = EngineSettings("onnxruntime-cpu", threads=1)
    return benchmark(models, parse_source(str(pictures)), settings, threading.Event(), [engine])


def test_a_short_source_is_repeated_until_the_time_is_over(pictures: Path, write_model: WriteModel) -> None:
    settings = BenchmarkSettings(seconds=1.0, rounds=2, deadline_ms=1e-6)
    found = document(measure([write_model()], pictures, settings), settings)
    (result,) = found["results"]
    summary = found["summary"]
    assert summary == result["summary"]
    assert summary["seconds"] >= 0.75
    assert summary["frames"]["processed"] > 12
    assert summary["warm_up_frames"] >= 20
    assert summary["fps"] == pytest.approx(summary["frames"]["processed"] / summary["seconds"], rel=0.01)
    assert sum(len(each["frame"]) for each in result["rounds_ms"]) == summary["frames"]["processed"]
    assert result["deadline"] == {"ms": 1e-6, "missed": summary["frames"]["processed"]}
    assert result["threads"] == 1
    assert len(result["model_sha256"]) == 64
    assert found["environment"]["versions"]["onnxruntime"]
    assert found["environment"]["cores"] == len(os.sched_getaffinity(0))


def test_models_take_turns(pictures: Path, write_model: WriteModel, monkeypatch: pytest.MonkeyPatch) -> None:
    turns = []
    real = module._round

    def noted(contender: Contender, *arguments: Any) -> None:
        turns.append(contender.name)
        real(contender, *arguments)

    monkeypatch.setattr(module, "_round", noted)
    models = [write_model(), write_model()]
    settings = BenchmarkSettings(seconds=0.4, rounds=2)
    names = [each.name for each in measure(models, pictures, settings)]
    assert turns == names * 2
    assert len(turns) == 4


def test_frames_of_a_camera_s_rate_arrive_on_its_clock(pictures: Path, write_model: WriteModel) -> None:
    settings = BenchmarkSettings(seconds=2.0, rounds=1, camera_rate=20)
    (each,) = measure([write_model()], pictures, settings)
    assert each.summary().fps == pytest.approx(20, rel=0.25)
    result = each.result(settings)
    assert result["statistics_ms"]["capture_to_mask"]["p50"] > 0
    assert "capture to mask" in text(result)


def test_a_source_that_fails_is_no_result(pictures: Path, write_model: WriteModel) -> None:
    (pictures / "frame2.png").write_bytes(b"no picture")
    with pytest.raises(SourceError, match=r"frame2\.png"):
        measure([write_model()], pictures, BenchmarkSettings(seconds=1.0, rounds=2))


def test_settings_that_make_no_sense_are_said() -> None:
    with pytest.raises(UsageError, match="rounds = 0"):
        BenchmarkSettings(rounds=0)


def slower_preprocessing(monkeypatch: pytest.MonkeyPatch, seconds: float) -> None:
    real = edgeseg.runtime.loop._at_size

    def at_size(*arguments: Any) -> Any:
        time.sleep(seconds)
        return real(*arguments)

    monkeypatch.setattr(edgeseg.runtime.loop, "_at_size", at_size)


def slower_inference(monkeypatch: pytest.MonkeyPatch, seconds: float) -> None:
    real = OnnxRuntimeCpu._infer

    def infer(self: OnnxRuntimeCpu, value: NDArray[np.uint8]) -> Any:
        time.sleep(seconds)
        return real(self, value)

    monkeypatch.setattr(OnnxRuntimeCpu, "_infer", infer)


@pytest.mark.parametrize(("slow", "stage"), [(slower_preprocessing, "preprocess"), (slower_inference, "inference")])
def test_5_ms_show_up_in_their_stage_and_in_no_other(
    slow: Callable[[pytest.MonkeyPatch, float], None],
    stage: str,
    pictures: Path,
    write_model: WriteModel,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    model, settings = write_model(), BenchmarkSettings(seconds=1.0, rounds=3)

    def measured() -> dict[str, Any]:
        return document(measure([model], pictures, settings), settings)

    before = measured()
    slow(monkeypatch, 0.005)
    lines = {line.split()[0]: line for line in comparison(before, measured()).splitlines() if line.startswith("  ")}
    assert lines[stage].endswith("slower")
    assert lines["frame"].endswith("slower")
    others = {"preprocess", "inference", "postprocess"} - {stage}
    assert not any(lines[other].endswith("slower") for other in others)


def test_a_difference_is_called_noise_unless_rounds_agree_on_it() -> None:
    random = np.random.default_rng(0)
    drift = np.array([0.0, 0.3, -0.2, 0.1, -0.1])

    def rounds(ms: float) -> list[list[float]]:
        return [list(ms + shift + random.gamma(2, 0.2, 200)) for shift in random.permutation(drift)]

    before = rounds(20)
    assert compare(before, rounds(20.2), 20).verdict == "noise"
    assert compare(before, rounds(25), 20).verdict == "slower"
    assert compare(before, rounds(15), 20).verdict == "faster"
    assert compare(rounds(0), rounds(5), 20).verdict == "slower"  # a stage that took nothing before
    found = compare(before, rounds(25), 20)
    assert found.low < 5 < found.high
    assert found.ratio == pytest.approx(1.25, abs=0.02)
    with pytest.raises(UsageError, match="no times"):
        compare([[]], before, 20)


def test_statistics_are_those_of_the_times() -> None:
    found = statistics([*range(1, 1001)])
    assert (found["mean"], found["p50"], found["p90"], found["p99"], found["p99.9"], found["max"]) == (
        500.5, 500, 900, 990, 999, 1000,
    )  # fmt: skip
    assert found["jitter"] == 1
    assert set(statistics([]).values()) == {0.0}
    assert statistics([7.0])["p99.9"] == 7


def test_others_on_the_machine_are_seen() -> None:
    meter = LoadMeter()
    busy = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in os.sched_getaffinity(0)]
    time.sleep(1.0)
    load = meter.read(1.0, 10)
    for process in busy:
        process.kill()
        process.wait()
    assert load.others > 0.4
    assert not load.quiet


def test_layers_tell_where_the_time_goes(write_model: WriteModel) -> None:
    layers = layer_times(write_model(), threads=1, runs=3)
    assert layers
    assert all(layer.ms >= 0 and layer.name and layer.operator for layer in layers)
    assert [layer.ms for layer in layers] == sorted((layer.ms for layer in layers), reverse=True)
    shown = layer_table(layers, most=1)
    assert "others" in shown
    assert "0 transposed convolutions together" in shown


def test_the_command_writes_what_it_measured_and_compares(
    pictures: Path, write_model: WriteModel, tmp_path: Path
) -> None:
    files = {name: tmp_path / f"result.{name}" for name in ("json", "csv", "plot", "html")}
    outputs = [part for name, path in files.items() for part in (f"--{name}", str(path))]
    measuring = [
        str(write_model()),
        "--source",
        str(pictures),
        "--seconds",
        "0.4",
        "--rounds",
        "2",
        "--layers",
        *outputs,
    ]
    done = CliRunner().invoke(cli, ["benchmark", *measuring], catch_exceptions=False)
    assert done.exit_code == 0
    assert "engine alone" in done.stdout
    assert files["csv"].read_text().count("\n") > 5
    assert files["plot"].read_bytes().startswith(b"\x89PNG")
    page = files["html"].read_text()
    assert "data:image/png;base64," in page
    assert "http" not in page.replace("http://www.w3.org", "")
    same = CliRunner().invoke(cli, ["benchmark", "--compare", str(files["json"]), str(files["json"])])
    assert same.exit_code == 0
    assert "noise" in same.stdout
    assert "slower" not in same.stdout
    assert json.loads(files["json"].read_text())["layers"]


def test_what_is_no_result_is_said(tmp_path: Path) -> None:
    for content in ("", "[]", '{"summary": {}}', '{"results": [{"name": 1}]}'):
        (tmp_path / "a.json").write_text(content)
        with pytest.raises(UsageError, match="is no result"):
            read_document(tmp_path / "a.json")
    with pytest.raises(EdgesegError, match="cannot be read"):
        read_document(tmp_path / "none.json")
    assert as_csv([]).startswith("model,backend")
