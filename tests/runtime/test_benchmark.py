import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from edgeseg.errors import SourceError
from edgeseg.runtime.benchmark import BenchmarkSettings, benchmark, result_document
from edgeseg.runtime.engine_settings import EngineSettings
from edgeseg.runtime.sources import parse_source


def test_a_short_source_is_repeated_until_the_time_is_over(pictures: Path, write_model: Callable[..., Path]) -> None:
    settings = BenchmarkSettings(seconds=1.0, engine=EngineSettings(threads=1))
    outcome = benchmark(write_model(), parse_source(str(pictures)), settings, threading.Event())
    document = result_document(outcome, settings)
    assert document["summary"]["seconds"] >= 1.0
    assert document["summary"]["frames"]["processed"] > 12
    assert document["summary"]["warm_up_frames"] == 20
    assert document["summary"]["fps"] == pytest.approx(
        document["summary"]["frames"]["processed"] / document["summary"]["seconds"], rel=0.01
    )
    assert document["environment"]["threads"] == 1


def test_a_source_that_fails_is_no_result(pictures: Path, write_model: Callable[..., Path]) -> None:
    (pictures / "frame2.png").write_bytes(b"no picture")
    with pytest.raises(SourceError, match=r"frame2\.png"):
        benchmark(write_model(), parse_source(str(pictures)), BenchmarkSettings(seconds=5), threading.Event())
