"""Whatever a user's machine does to a command: one line, the right code, no traceback."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

from edgeseg.core import small_files
from edgeseg.core.console import note, say
from edgeseg.core.errors import UsageError, one_line
from edgeseg.core.explained import explained
from edgeseg.core.files import write_whole
from edgeseg.core.small_files import read_small
from edgeseg.core.streams import open_standard_streams

BIN = sysconfig.get_path("scripts")
MODEL = Path(__file__).parents[3] / "runtime" / "bundled" / "scenes.onnx"


@pytest.mark.parametrize(
    ("command", "code", "said"),
    [
        ("edgeseg-camera --help >/dev/full", 2, "standard output cannot be written (No space left on device)"),
        ("edgeseg --version >/dev/full", 2, "standard output cannot be written (No space left on device)"),
        ("edgeseg-camera --list >/dev/full", 2, "standard output cannot be written (No space left on device)"),
        ("edgeseg-camera --config /dev/zero", 2, "/dev/zero: cannot be read (more than"),
        ("edgeseg-camera --config {dots}", 2, "nested more than 64 deep"),
        ("edgeseg-camera scenes:// --model {model} --spec {deep}", 4, "nested more than 64 deep"),
        ("edgeseg-camera scenes:// --model {model} --spec /dev/zero", 4, "/dev/zero: cannot be read (more than"),
        ("edgeseg-camera scenes:// --summary /dev/full/x", 2, "/dev/full/x: cannot be written"),
        ("ulimit -v 300000; edgeseg-camera scenes://", 2, "the address space is limited to 292 MB; expected at least"),
        ("ulimit -v 60000; edgeseg models", 2, "the address space is limited to 58 MB"),
        ("edgeseg-camera {odd}", 3, r"\x1b]0;title\x07.avi"),
        ("edgeseg inspect {odd}", 4, r"\x1b]0;title\x07.avi"),
    ],
)
def test_one_line_and_the_right_code(command: str, code: int, said: str, tmp_path: Path) -> None:
    (tmp_path / "dots").write_text(".".join(["a"] * 50_000) + " = 1\n")
    (tmp_path / "deep").write_text("[" * 50_000)
    places = {"dots": tmp_path / "dots", "deep": tmp_path / "deep", "model": MODEL, "odd": "$'\x1b]0;title\x07.avi'"}
    script = re.sub(r"\b(edgeseg(?:-camera)?) ", rf"{BIN}/\1 ", command.format(**places))
    done = subprocess.run(["bash", "-c", script], capture_output=True, text=True, cwd=tmp_path)
    assert (done.returncode, done.stderr.count("\n")) == (code, 1), done.stderr
    assert said in done.stderr
    assert done.stderr.rstrip("\n").isprintable()


def test_closed_standard_streams_get_the_null_device() -> None:
    """Their numbers would else be those of the next file, which then gets what libraries complain of."""
    program = (
        "import os, sys; from edgeseg.core.streams import open_standard_streams; open_standard_streams();"
        "new = os.open('/dev/null', os.O_RDONLY); print('lost', file=sys.stderr); print('lost');"
        "sys.exit(new if {os.fstat(n).st_rdev for n in (0, 1, 2)} == {os.stat('/dev/null').st_rdev} else 1)"
    )
    script = f'{sys.executable} -c "{program}" <&- >&- 2>&-'
    assert subprocess.run(["bash", "-c", script]).returncode == 3
    open_standard_streams()  # where they are open it changes nothing


@pytest.fixture
def fifo(tmp_path: Path) -> Path:
    os.mkfifo(tmp_path / "fifo")
    return tmp_path / "fifo"


def test_a_pipe_is_read_if_somebody_writes(fifo: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    writer = subprocess.Popen(["bash", "-c", f"sleep 0.2; (echo one; sleep 0.2; echo two) > {fifo}"])
    assert read_small(fifo) == "one\ntwo\n"
    writer.wait()
    monkeypatch.setattr(small_files, "_PIPE_TIMEOUT_S", 0.2)
    with pytest.raises(OSError, match="a pipe that nobody writes to"):
        read_small(fifo)


def test_a_device_that_is_full_is_no_place(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"/dev/full: cannot be written \(No space left on device\)"):
        write_whole(Path("/dev/full"), "summary")


@pytest.mark.parametrize(
    "error", [MemoryError(), OSError(12, "Cannot allocate memory"), RuntimeError("can't start new thread"),
              OSError(28, "No space left on device"), ImportError("libx.so: failed to map segment", name="cv2")],
)  # fmt: skip
def test_what_the_system_refuses_is_said(error: Exception, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("edgeseg.core.explained.silence_output", lambda: None)
    said = explained(error, "edgeseg")
    assert said is not None
    assert said[1] in (2, 5)


def test_a_fault_of_ours_keeps_its_traceback() -> None:
    assert explained(RuntimeError("a fault"), "edgeseg") is None
    assert explained(KeyError("x"), "edgeseg") is None
    assert explained(ImportError("cannot import name x", name="edgeseg.core"), "edgeseg") is None


def test_control_characters_are_shown_and_not_sent(capfd: pytest.CaptureFixture[str]) -> None:
    name = "a\x1b[2Jb\x07\x9b1m\u202etxt\u2028.png\x7f"
    assert one_line(name) == r"a\x1b[2Jb\x07\x9b1m\u202etxt .png\x7f"
    say(f"table\n{name}")
    note(name)
    said = capfd.readouterr()
    assert said.out == "table\na\\x1b[2Jb\\x07\\x9b1m\\u202etxt\\u2028.png\\x7f\n"
    assert said.err == "a\\x1b[2Jb\\x07\\x9b1m\\u202etxt\\u2028.png\\x7f\n"
