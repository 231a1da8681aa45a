"""Recordings by a settings file: each start of a service keeps those before it."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta, timezone
from pathlib import Path

import cv2
import pytest

from edgeseg.core.errors import UsageError
from edgeseg.core.files import file_url
from edgeseg.runtime.sinks.kinds.recording import Recording
from edgeseg.runtime.sinks.open import fresh_recording_paths, sink_path

WriteModel = Callable[..., Path]
DATE = r"(\d{8}T\d{6}Z)(?:-\d+)?"
FRAMES = 6


@pytest.fixture
def settings(tmp_path: Path, write_model: WriteModel) -> Iterator[Path]:
    """Return a settings file in a folder that a service can only read, as /etc is."""
    folder = tmp_path / "etc"
    folder.mkdir()
    path = folder / "front.toml"
    path.write_text(
        f'source = "scenes://?size=128x72&frames={FRAMES}"\nmodel = "{write_model()}"\nbackend = "onnxruntime-cpu"\n'
        'every-frame = true\nrecord = "drives"\noutput = "drive.mkv"\n'
    )
    folder.chmod(0o555)
    yield path
    folder.chmod(0o755)


def camera(tmp_path: Path, *arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "edgeseg.runtime", *map(str, arguments)]
    if os.geteuid() == 0:  # whose right to write anywhere the service has not
        command = ["setpriv", "--bounding-set=-dac_override", *command]
    environment = {**os.environ, "STATE_DIRECTORY": str(tmp_path / "state")}
    return subprocess.run(command, capture_output=True, text=True, timeout=100, env=environment, cwd="/")


def test_a_service_that_starts_again_records_beside_what_it_has(settings: Path, tmp_path: Path) -> None:
    state = tmp_path / "state"
    first = camera(tmp_path, "--config", settings)
    assert (first.returncode, first.stderr) == (0, "")
    earlier = {path: path.read_bytes() for path in state.rglob("*") if path.is_file()}
    for _ in range(2):
        again = camera(tmp_path, "--config", settings)
        assert again.returncode == 0, again.stderr
        assert (
            len(re.findall(rf"from an earlier run, and stays; this run's is .*/drive[-s/]+{DATE}", again.stderr)) == 2
        )
    assert {path: path.read_bytes() for path in earlier} == earlier
    drives = [state / "drives", *(each for each in (state / "drives").iterdir() if re.fullmatch(DATE, each.name))]
    videos = [each for each in state.iterdir() if re.fullmatch(rf"drive(-{DATE})?\.mkv", each.name)]
    assert [len(Recording.read(each)) for each in drives] == [FRAMES] * 3
    assert [cv2.VideoCapture(str(each)).get(cv2.CAP_PROP_FRAME_COUNT) for each in videos] == [FRAMES] * 3


def test_check_config_says_the_place_and_makes_nothing(settings: Path, tmp_path: Path) -> None:
    (tmp_path / "state" / "drives").mkdir(parents=True)
    for path in ("drive.mkv", "drives/notes.txt"):
        (tmp_path / "state" / path).write_text("an earlier one")
    before = sorted((tmp_path / "state").rglob("*"))
    done = camera(tmp_path, "--config", settings, "--check-config")
    assert done.returncode == 0, done.stderr
    for place in ("record://.*/state/drives/", "file://.*/state/drive-"):
        assert re.search(f"output  {place}{DATE}", done.stdout), done.stdout
    assert sorted((tmp_path / "state").rglob("*")) == before


def test_what_is_typed_is_meant_a_folder_that_holds_something_is_refused(
    tmp_path: Path, write_model: WriteModel
) -> None:
    model = write_model()
    done = camera(tmp_path, "scenes://", "--model", model, "--record", tmp_path, "--check-config")
    assert done.returncode == 2
    assert "is not empty" in done.stderr


def test_each_place_is_free_and_named_by_utc(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "Pacific/Kiritimati")  # 14 hours ahead of UTC
    time.tzset()
    wanted = (f"file://{tmp_path}/drive.v2.mkv", f"record://{tmp_path}/drives")
    (tmp_path / "drive.v2.mkv").write_bytes(b"an earlier one")
    (tmp_path / "drives" / "frames").mkdir(parents=True)
    taken: set[str] = set()
    for _ in range(12):
        video, record = fresh_recording_paths(wanted, has_quota=False)
        match = re.fullmatch(rf"file://{re.escape(str(tmp_path))}/drive\.v2-{DATE}\.mkv", video)
        assert match
        assert re.fullmatch(rf"record://{re.escape(str(tmp_path))}/drives/{DATE}", record)
        named = datetime.strptime(match[1] + "+0000", "%Y%m%dT%H%M%SZ%z")
        assert abs(datetime.now(timezone.utc) - named) < timedelta(seconds=30)
        assert not {video, record} & taken
        taken |= {video, record}
        Path(video.removeprefix("file://")).touch()
        Path(record.removeprefix("record://")).mkdir()
    monkeypatch.undo()
    time.tzset()


def test_what_nothing_is_lost_at_keeps_its_place(tmp_path: Path) -> None:
    for name in ("masks", "empty"):
        (tmp_path / name).mkdir()
    (tmp_path / "masks" / "00000000.png").touch()
    (tmp_path / "killed.mkv").touch()
    for uris, has_quota in (
        ((f"{tmp_path}/new.mkv", f"{tmp_path}/killed.mkv"), False),
        ((f"record://{tmp_path}/empty", f"record://{tmp_path}/new"), False),
        ((f"{tmp_path}/masks/", f"unix://{tmp_path}/killed.mkv", "display://"), False),
        ((f"{tmp_path}/drive.mkv",), True),
    ):  # fmt: skip
        (tmp_path / "drive.mkv").write_bytes(b"an earlier one")
        assert fresh_recording_paths(uris, has_quota) == uris
    with pytest.raises(UsageError, match="Not a directory"):
        fresh_recording_paths([f"record://{tmp_path}/killed.mkv"], has_quota=False)


def test_a_file_address_is_decoded_wherever_it_came_from(tmp_path: Path) -> None:
    taken = tmp_path / "a 50% b.mkv"
    taken.write_bytes(b"a drive")
    for address in (
        f"file://{tmp_path}/a%2050%25%20b.mkv",
        f"FILE://{tmp_path}/a 50%25 b.mkv",
        file_url(taken),
        str(taken),
    ):
        assert sink_path(address) == taken
    (fresh,) = fresh_recording_paths([file_url(taken)], has_quota=False)
    place = sink_path(fresh)
    assert place is not None
    assert (place.parent, place.name[:9]) == (tmp_path, "a 50% b-2")
    assert sink_path(f"UNIX://{tmp_path}/a%20b.sock") == tmp_path / "a%20b.sock"  # no address of a file
