"""A recording folder is one run's while it is written."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from edgeseg.bundle.maker import make_bundle
from edgeseg.bundle.settings import BundleSettings
from edgeseg.bundle.targets import TARGETS
from edgeseg.core.errors import UsageError
from edgeseg.core.geometry import Size
from edgeseg.core.locks import WriterLock, lock_beside
from edgeseg.core.spec import ModelSpec
from edgeseg.runtime.engines.model_file import BUNDLED_MODEL
from edgeseg.runtime.records import FrameRecord
from edgeseg.runtime.sinks.base import Delivery, Playback, Sink
from edgeseg.runtime.sinks.kinds.recording import Recording
from edgeseg.runtime.sinks.open import open_sink

SIZE = Size(32, 64)


def recorder(folder: Path, spec: ModelSpec) -> Sink:
    return open_sink(f"record://{folder}", spec, SIZE, Playback(30.0, keep_time=False))


def test_two_recorders_cannot_share_a_folder_even_before_the_first_frame(
    tmp_path: Path, colour_spec: ModelSpec
) -> None:
    first, second = recorder(tmp_path / "drive", colour_spec), recorder(tmp_path / "drive", colour_spec)
    first.start()
    with pytest.raises(UsageError, match=f"process {os.getpid()} is writing it"):
        second.start()
    first.write(Delivery(FrameRecord(0, 1.0), 1.0, np.zeros((8, 8, 3), np.uint8), np.zeros(SIZE, np.uint8)))
    first.close()
    assert len(Recording.read(tmp_path / "drive")) == 1
    assert not (tmp_path / "drive" / ".lock").exists()
    with pytest.raises(UsageError, match="is not empty"):
        second.start()
    assert not (tmp_path / "drive" / ".lock").exists()


def test_a_recorder_that_was_killed_before_its_first_frame_is_in_nobodys_way(
    tmp_path: Path, colour_spec: ModelSpec
) -> None:
    folder = tmp_path / "drive"
    command = [sys.executable, "-m", "edgeseg.runtime", "scenes://", "--backend", "onnxruntime-cpu", "--quiet"]
    with subprocess.Popen([*command, "--record", str(folder)], stdout=subprocess.DEVNULL) as process:
        give_up = time.monotonic() + 60
        while not (folder / ".lock").exists() or not (folder / ".lock").read_text().endswith("\n"):
            assert time.monotonic() < give_up
            time.sleep(0.005)
        with pytest.raises(UsageError, match=f"process {process.pid} is writing it"):
            recorder(folder, colour_spec).start()
        process.send_signal(signal.SIGKILL)
    shutil.rmtree(folder)  # it may have begun meanwhile
    folder.mkdir()
    (folder / ".lock").write_text(f"{process.pid}\n")
    sink = recorder(folder, colour_spec)
    sink.start()
    sink.close()


def test_a_bundle_is_made_once_at_a_time(tmp_path: Path) -> None:
    out = tmp_path / "bundle.tar.gz"
    with (
        WriterLock(lock_beside(out), out),
        pytest.raises(UsageError, match=f"process {os.getpid()} is writing it"),
    ):
        make_bundle(BUNDLED_MODEL, out, BundleSettings(TARGETS["6"]), print)
