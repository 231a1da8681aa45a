"""Names that are no text, or that mean something to a shell."""

from __future__ import annotations

import gzip
import io
import os
import shlex
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

from edgeseg.core.console import say
from edgeseg.core.errors import SourceError, UsageError
from edgeseg.drawing.page import Page
from edgeseg.runtime.sinks.open import parse_sink
from edgeseg.runtime.sources.addresses import parse_source, read_credentials
from edgeseg.runtime.sources.source import SourceOptions
from tests.helpers.colour_model import numbered_frame

WriteModel = Callable[..., Path]
LATIN_1 = os.fsdecode(b"b\xe9")


def command(*arguments: object) -> list[str]:
    options = ["--backend", "onnxruntime-cpu", "--threads", "1", "--every-frame"]
    return [sys.executable, "-m", "edgeseg.runtime", *options, *map(str, arguments)]


def call(*arguments: object) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONIOENCODING": "utf-8:strict", "LC_ALL": "C.UTF-8"}
    return subprocess.run(command(*arguments), capture_output=True, text=True, timeout=120, env=environment)


def write_png(path: Path) -> None:
    path.write_bytes(cv2.imencode(".png", numbered_frame(0))[1].tobytes())


def test_pictures_whose_names_are_not_utf_8_are_streamed(pictures: Path, write_model: WriteModel) -> None:
    write_png(pictures / f"{LATIN_1}.png")
    done = call(pictures, "--model", write_model(), "--output", f"{pictures}/{LATIN_1}/")
    assert done.returncode == 0, done.stderr
    assert "13 captured = 13 processed" in done.stdout
    assert f"{pictures}/b\\udce9/: 13 written" in done.stdout
    (pictures / f"{LATIN_1}.png").write_bytes(b"half")
    broken = call(pictures, "--model", write_model())
    assert broken.returncode == 0
    assert "passed over: b\\udce9.png (not a picture" in broken.stderr


def test_what_the_video_library_cannot_open_is_said(pictures: Path, write_model: WriteModel, tmp_path: Path) -> None:
    run = (pictures, "--model", write_model())
    road = ["--report", "road", "--road-class-name", "red", "--road-bonnet"]
    for arguments, said in (
        (["--output", f"file://{tmp_path}/{LATIN_1}.mkv"], "is not UTF-8; expected a path that is"),
        ([*road, f"{tmp_path}/{LATIN_1}.png"], "no readable picture"),
    ):
        done = call(*run, *arguments)
        assert (done.returncode, said in done.stderr, done.stderr.count("\n")) == (2, True, 1), done.stderr
    write_png(tmp_path / f"{LATIN_1}.png")  # white nowhere
    assert call(*run, *arguments).returncode == 0


def test_a_page_takes_a_picture_of_any_name(tmp_path: Path) -> None:
    write_png(tmp_path / f"{LATIN_1}.png")
    page = Page("pictures")
    page.picture(tmp_path / f"{LATIN_1}.png", "a road", photographic=True)
    assert "data:image/jpeg;base64," in page.html()


def test_text_that_a_terminal_cannot_show_is_printed_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    shown = io.BytesIO()
    terminal = io.TextIOWrapper(shown, encoding="ascii")
    monkeypatch.setattr(sys, "stdout", terminal)
    say(f"{LATIN_1} and café")
    assert shown.getvalue() == b"b\\udce9 and caf\\xe9\n"


def test_a_tilde_without_such_a_user_is_a_part_of_the_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SourceError, match="no such file"):
        parse_source("~old.mp4")
    assert parse_sink("~old.mkv") == ("video", tmp_path / "~old.mkv")
    with pytest.raises(SourceError, match="cannot be read"):
        read_credentials(SourceOptions(credentials="~old"))
    Path("~old").write_text("me:secret")
    assert read_credentials(SourceOptions(credentials="~old")) == "me:secret"
    with pytest.raises(UsageError, match="expected"):
        parse_sink("~old")


def test_records_and_summary_go_to_programs_of_the_shell(
    pictures: Path, write_model: WriteModel, tmp_path: Path
) -> None:
    line = shlex.join(command(pictures, "--quiet", "--model", write_model()))
    packed = [tmp_path / name for name in ("stats.gz", "summary.gz")]
    line += " --stats >(gzip >stats.gz) --summary >(gzip >summary.gz)"
    # The shell waits for no >(program): their standard error, which is this one's, ends with the last of them.
    done = subprocess.run(["bash", "-c", line], cwd=tmp_path, stderr=subprocess.PIPE, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    texts = [gzip.decompress(path.read_bytes()).decode() for path in packed]
    assert texts[0].count('"status": "ok"') == 12
    assert '"processed": 12' in texts[1]


def test_a_turned_picture_is_still_read_upright(tmp_path: Path) -> None:
    """As cv2.imread did: by its EXIF tag."""
    from PIL import Image

    from edgeseg.runtime.sources.jpegs import JpegLog
    from edgeseg.runtime.sources.kinds.files import read_image

    exif = Image.Exif()
    exif[274] = 6
    Image.fromarray(np.zeros((20, 40, 3), np.uint8)).save(tmp_path / "turned.jpg", exif=exif)
    frame, damage = read_image(tmp_path / "turned.jpg", JpegLog())
    assert (frame.shape, damage) == ((40, 20, 3), None)
