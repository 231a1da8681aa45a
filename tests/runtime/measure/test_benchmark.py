"""The benchmark on real processes: where time goes, how long, in turns; and two results compared."""

import itertools
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
from edgeseg.commands.main import cli
from edgeseg.core.errors import EdgesegError, ModelError, SourceError, UsageError
from edgeseg.runtime.engines import layer_times as profiling
from edgeseg.runtime.engines.backends.onnxruntime_cpu import OnnxRuntimeCpu
from edgeseg.runtime.engines.settings import EngineSettings
from edgeseg.runtime.machine import nvml
from edgeseg.runtime.machine.load import LoadMeter
from edgeseg.runtime.measure import benchmark as module
from edgeseg.runtime.measure.benchmark import BenchmarkSettings, Contender, benchmark
from edgeseg.runtime.measure.benchmark_report import as_csv, comparison, document, read_document, text
from edgeseg.runtime.measure.timings import compare, repeatability, statistics
from edgeseg.runtime.sinks.base import Delivery
from edgeseg.runtime.sinks.kinds.class_maps import ClassMapFolder
from edgeseg.runtime.sources.addresses import parse_source

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
    settings = BenchmarkSettings(seconds=2.0, rounds=2)
    names = [each.name for each in measure(models, pictures, settings)]
    assert turns == names * 2
    assert len(turns) == 4


def test_frames_of_a_camera_s_rate_arrive_on_its_clock(pictures: Path, write_model: WriteModel) -> None:
    settings = BenchmarkSettings(seconds=2.0, rounds=1, camera_rate=20)
    (each,) = measure([write_model()], pictures, settings)
    summary = each.summary()
    assert summary.frames["captured"] / summary.seconds == pytest.approx(20, rel=0.25)
    result = each.result(settings)
    assert result["statistics_ms"]["capture_to_mask"]["p50"] > 0
    assert "capture to mask" in text(result)


def test_a_source_that_fails_is_no_result(pictures: Path, write_model: WriteModel) -> None:
    for picture in pictures.iterdir():
        picture.write_bytes(b"no picture")
    with pytest.raises(SourceError, match="not a picture"):
        measure([write_model()], pictures, BenchmarkSettings(seconds=1.0, rounds=2))


def test_settings_that_make_no_sense_are_said() -> None:
    with pytest.raises(UsageError, match="rounds = 0"):
        BenchmarkSettings(rounds=0)


def slower_preprocessing(monkeypatch: pytest.MonkeyPatch, wait: Callable[[], None]) -> None:
    real = edgeseg.runtime.timing.at_size

    def at_size(*arguments: Any) -> Any:
        wait()
        return real(*arguments)

    monkeypatch.setattr(edgeseg.runtime.loop, "at_size", at_size)


def slower_inference(monkeypatch: pytest.MonkeyPatch, wait: Callable[[], None]) -> None:
    real = OnnxRuntimeCpu._infer

    def infer(self: OnnxRuntimeCpu, value: NDArray[np.uint8]) -> Any:
        wait()
        return real(self, value)

    monkeypatch.setattr(OnnxRuntimeCpu, "_infer", infer)


def slower_output(monkeypatch: pytest.MonkeyPatch, wait: Callable[[], None]) -> None:
    real = ClassMapFolder.write

    def write(self: ClassMapFolder, delivery: Delivery) -> None:
        wait()
        real(self, delivery)

    monkeypatch.setattr(ClassMapFolder, "write", write)


STAGES_AND_FAULTS = [
    ("preprocess", slower_preprocessing),
    ("inference", slower_inference),
    ("output", slower_output),
]
Fault = Callable[[pytest.MonkeyPatch, Callable[[], None]], None]


def busy_noise(random: np.random.Generator) -> None:
    end = time.perf_counter() + random.uniform(0, 0.2e-3)
    while time.perf_counter() < end:
        pass


@pytest.mark.parametrize(("stage", "fault"), STAGES_AND_FAULTS)
def test_5_ms_are_called_in_their_stage_and_0_2_ms_of_noise_are_not(
    stage: str,
    fault: Fault,
    pictures: Path,
    write_model: WriteModel,
    memory_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """One model three times, in turns: as it is, with noise, and 5 ms slower in one stage; masks go to a folder.

    A load that comes or goes between turns is a real difference: what is wrong each time is wrong.
    """
    random = np.random.default_rng(0)
    faults: list[Callable[[], None]] = [lambda: None, lambda: busy_noise(random), lambda: time.sleep(0.005)]
    turns, real = itertools.count(), module._round
    now = faults[0]

    def turn(*arguments: Any) -> None:
        nonlocal now
        now = faults[next(turns) % 3]
        real(*arguments)

    monkeypatch.setattr(module, "_round", turn)
    fault(monkeypatch, lambda: now())
    settings = BenchmarkSettings(seconds=1.0, rounds=3, outputs=(f"{memory_path}/masks/",))
    models = [write_model()] * 3
    for attempts_left in (2, 1, 0):
        found = document(measure(models, pictures, settings), settings)
        try:
            check_verdicts(found, stage)
            break
        except AssertionError:
            if not attempts_left:
                raise


def check_verdicts(found: dict[str, Any], stage: str) -> None:
    before, noisy, slow = ({**found, "results": [result]} for result in found["results"])

    def verdicts(after: dict[str, Any]) -> dict[str, str]:
        lines = comparison(before, after).splitlines()
        return {line.split()[0]: line for line in lines if line.startswith("  ")}

    noise = verdicts(noisy)
    assert noise[stage].endswith("noise")
    assert noise["frame"].endswith("noise")
    lines = verdicts(slow)
    assert lines[stage].endswith("slower")
    assert lines["frame"].endswith("slower") == (stage != "output")  # which runs beside
    assert not any(lines[each].endswith("slower") for each in {"preprocess", "inference", "postprocess"} - {stage})
    assert float(lines[stage].rpartition(" ms")[0].split()[-1]) > 4.5


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
    assert compare([before[0]], rounds(25), 20).verdict == "not known"  # a single round may have been disturbed
    assert compare(before, [[25.0, 25.1]], 20).verdict == "not known"
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


def test_rounds_that_do_not_agree_are_said(pictures: Path, write_model: WriteModel) -> None:
    settings = BenchmarkSettings(seconds=1.5, rounds=3)
    (each,) = measure([write_model()], pictures, settings)
    result = each.result(settings)
    assert result["repeatability"] >= 0
    assert f"p50 is known to {result['repeatability']:.1%}" in text(result)
    for load in result["load"]:
        load["others"] = 0.0
    result["repeatability"] = 0.031
    assert "the rounds do NOT AGREE" in text(result)
    assert repeatability([[10.0] * 9, [10.1] * 9, [9.9] * 9, [10.0] * 9, [10.0] * 9]) == pytest.approx(0.01, abs=0.01)
    assert repeatability([[10.0], [13.0], [10.0], [13.0]]) == pytest.approx(0.13, abs=0.03)
    assert repeatability([[10.0] * 9]) is None


def test_the_memory_of_a_gpu_is_said_where_it_is_told(
    pictures: Path, write_model: WriteModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = iter([400.0, 950.5])
    monkeypatch.setattr(nvml, "memory_used_mib", lambda: next(told, 950.5))
    settings = BenchmarkSettings(seconds=1.0, rounds=1)
    (each,) = measure([write_model()], pictures, settings)
    result = each.result(settings)
    assert result["taken_mib"]["gpu"] == 550.5
    assert result["load"][0]["gpu_used_mib"] == 950.5
    assert result["load"][0]["machine_used_mib"] > 100
    assert "loading took 550 MiB of the GPU's" in text(result)


@pytest.mark.usefixtures("process")
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
        "2",
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
    (layers,) = json.loads(files["json"].read_text())["layers"].items()
    assert layers[0].endswith(("by OpenVINO", "by ONNX Runtime on the CPU"))
    assert layers[1]


@pytest.mark.usefixtures("process")
def test_what_was_measured_outlives_a_model_that_cannot_be_profiled(
    pictures: Path, write_model: WriteModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model, real = write_model(), profiling.layer_times

    def profiled(path: Path, settings: EngineSettings) -> list[profiling.LayerTime]:
        path.write_bytes(path.read_bytes()[:200])
        return real(path, settings)

    monkeypatch.setattr(profiling, "layer_times", profiled)
    measuring = ["--source", str(pictures), "--seconds", "0.5", "--rounds", "1", "--layers"]
    written = ["--json", str(tmp_path / "result.json"), "--html", str(tmp_path / "result.html")]
    with pytest.raises(ModelError):
        CliRunner().invoke(cli, ["benchmark", str(model), *measuring, *written], catch_exceptions=False)
    assert read_document(tmp_path / "result.json")["layers"] == {}
    assert (tmp_path / "result.html").is_file()
    compared = CliRunner().invoke(cli, ["benchmark", "--compare", written[1], written[1]], catch_exceptions=False)
    assert "needs --rounds 2" in compared.stdout
    assert "not known" in compared.stdout


def test_what_is_no_result_is_said(tmp_path: Path) -> None:
    for content in ("", "[]", '{"summary": {}}', '{"results": [{"name": 1}]}'):
        (tmp_path / "a.json").write_text(content)
        with pytest.raises(UsageError, match=r"a\.json.* expected what edgeseg benchmark --json wrote"):
            read_document(tmp_path / "a.json")
    with pytest.raises(EdgesegError, match="cannot be read"):
        read_document(tmp_path / "none.json")
    assert as_csv({"results": []}).startswith("model,backend")
