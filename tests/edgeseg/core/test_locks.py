"""One writer a place: the second is refused with the first one's process id, and a kill leaves nothing locked."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from edgeseg.core.errors import UsageError
from edgeseg.core.files import is_taken, replace_whole, write_whole
from edgeseg.core.locks import LOCK, WriterLock, check_unlocked, lock_beside
from edgeseg.training.run_directory import RunDirectory


@contextmanager
def writer(lock: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Another process that holds a lock."""
    code = (
        "import sys; from pathlib import Path; from edgeseg.core.locks import WriterLock; path = Path(sys.argv[1]);"
        "held = WriterLock(path, path.parent); print('held', flush=True); sys.stdin.read(); held.close()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code, str(lock)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"held\n"
        yield process


def test_the_second_writer_is_told_who_the_first_is(tmp_path: Path) -> None:
    lock = tmp_path / LOCK
    with writer(lock) as other:
        for act in (WriterLock, check_unlocked):
            with pytest.raises(UsageError, match=f"process {other.pid} is writing it"):
                act(lock, tmp_path)
        assert not is_taken(tmp_path)
    with WriterLock(lock, tmp_path):
        assert lock.read_text() == f"{os.getpid()}\n"
    assert os.listdir(tmp_path) == []
    check_unlocked(lock, tmp_path)
    assert os.listdir(tmp_path) == []


def test_a_writer_that_is_killed_locks_nobody_out(tmp_path: Path) -> None:
    lock = tmp_path / LOCK
    with writer(lock) as other:
        other.send_signal(signal.SIGKILL)
        other.wait()
        assert lock.exists()
        check_unlocked(lock, tmp_path)
        with WriterLock(lock, tmp_path):
            pass
    assert os.listdir(tmp_path) == []


def test_of_many_that_begin_at_once_one_writes(tmp_path: Path) -> None:
    """Also while locks come and go: who opened a lock file that is removed meanwhile has not got the place."""
    lock, inside, most = tmp_path / LOCK, [0], [0]
    counting = threading.Lock()

    def work() -> None:
        for _ in range(30):
            try:
                with WriterLock(lock, tmp_path):
                    with counting:
                        inside[0] += 1
                        most[0] = max(most[0], inside[0])
                    with counting:
                        inside[0] -= 1
            except UsageError:
                continue

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most == [1]


def test_two_writers_of_one_file_have_partial_files_of_their_own(tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"

    def write(partial: Path) -> None:
        partial.write_text("first")
        replace_whole(path, lambda other: other.write_text("second"))
        assert path.read_text() == "second"
        assert partial.read_text() == "first"

    replace_whole(path, write)
    assert path.read_text() == "first"
    assert os.listdir(tmp_path) == ["model.onnx"]


def test_a_file_of_the_longest_name_is_written(tmp_path: Path) -> None:
    for name in ("x" * 251 + ".txt", "\u20ac" * 80 + ".json"):
        write_whole(tmp_path / name, "text")
        assert (tmp_path / name).read_text() == "text"
    assert len(os.listdir(tmp_path)) == 2


def test_a_run_directory_is_one_trainings(tmp_path: Path) -> None:
    run = RunDirectory(tmp_path / "runs" / "a")
    with run.writing():
        assert run.path.is_dir()
    assert os.listdir(tmp_path) == []  # nothing was written: as if it had never begun
    run.path.mkdir(parents=True)
    with writer(run.lock) as other:
        command = [sys.executable, "-m", "edgeseg", "train", "--data", "scenes:train=4,val=2", "--out", str(run.path)]
        refused = subprocess.run(command, capture_output=True, text=True)
        with pytest.raises(UsageError, match=f"process {other.pid} "), run.writing():
            pass
    assert refused.returncode == 2
    assert f"{run.path}: process {other.pid} is writing it" in refused.stderr


def test_locks_beside_a_place_fit_whatever_its_name(tmp_path: Path) -> None:
    lock = lock_beside(tmp_path / ("x" * 255))
    with WriterLock(lock, tmp_path):
        assert lock.exists()
    assert not lock.exists()
